//! Letters by SMTP (RFC 5321) with TLS, through lettre.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};

use super::message::compose;
use super::{Courier, CourierError, Letter};

/// How long the mail server may take for one step.
const STEP_WITHIN: Duration = Duration::from_secs(20);

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// TLS from the first octet (`smtps://`, RFC 8314).
    Tls,
    /// STARTTLS, required (`smtp://`).
    StartTls,
    /// None: only towards loopback addresses.
    None,
}

/// Where letters go.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The server's name, also checked in its certificate.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub protection: Protection,
    /// The user, if the server wants one.
    pub user: Option<String>,
    /// The password of that user.
    pub password: Option<SecretString>,
    /// `From`: an address, or a name with an address in angle brackets.
    pub from: Mailbox,
}

/// A mail server that cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("the mail server cannot be used as configured")]
pub struct SmtpProblem(#[from] lettre::transport::smtp::Error);

/// Hands letters to a mail server.
pub struct SmtpCourier {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpCourier {
    /// Prepares the connection; nothing is sent yet.
    pub fn new(settings: SmtpSettings) -> Result<Self, SmtpProblem> {
        let SmtpSettings {
            host,
            port,
            protection,
            user,
            password,
            from,
        } = settings;
        let builder = match protection {
            Protection::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&host)?,
            Protection::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&host)?,
            Protection::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&host),
        };
        let mut builder = builder.port(port).timeout(Some(STEP_WITHIN));
        if let (Some(user), Some(password)) = (user, password) {
            let password = password.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self {
            transport: builder.build(),
            from,
        })
    }
}

#[async_trait]
impl Courier for SmtpCourier {
    async fn send(&self, letter: &Letter) -> Result<(), CourierError> {
        let message = compose(letter, &self.from)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(CourierError::Refused(Box::new(error))),
            Err(error) => Err(CourierError::Passing(Box::new(error))),
        }
    }
}
