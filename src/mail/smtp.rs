//! Letters by SMTP (RFC 5321) with TLS, through lettre.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
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
    /// STARTTLS (RFC 3207), required (`smtp://`).
    StartTls,
    /// None: only towards loopback addresses, where `starttls` is not set.
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
    /// Roots that its certificate may come from besides the public ones; PEM.
    pub roots: Vec<u8>,
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
            roots,
            from,
        } = settings;
        let tls = tls(&host, &roots)?;
        let tls = match protection {
            Protection::Tls => Tls::Wrapper(tls),
            Protection::StartTls => Tls::Required(tls),
            Protection::None => Tls::None,
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&host).tls(tls);
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

/// The mail server is not to be used.
#[derive(Debug, thiserror::Error)]
pub enum NotLetIn {
    /// No connection, no TLS, or not with these credentials.
    #[error("the mail server cannot be reached, or does not let the gateway in")]
    Refused(#[from] lettre::transport::smtp::Error),
    /// It answers, and takes nothing.
    #[error("the mail server takes no commands")]
    Closed,
}

impl SmtpCourier {
    /// Connects and signs in, and sends nothing.
    pub async fn is_let_in(&self) -> Result<(), NotLetIn> {
        let is_open = self.transport.test_connection().await?;
        is_open.then_some(()).ok_or(NotLetIn::Closed)
    }
}

fn tls(host: &str, roots: &[u8]) -> Result<TlsParameters, SmtpProblem> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    for root in certificates(roots) {
        parameters = parameters.add_root_certificate(Certificate::from_pem(root.as_bytes())?);
    }
    Ok(parameters.build()?)
}

/// The certificates of a bundle, one by one.
fn certificates(bundle: &[u8]) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(bundle);
    let parts = text.split_inclusive(END).filter(|part| part.contains(END));
    parts.map(str::to_owned).collect()
}

/// A refusal of the letter is for good; one of the gateway itself is not: a password that is
/// wrong today can be put right before the letter is over.
fn is_final(error: &lettre::transport::smtp::Error) -> bool {
    const AUTHENTICATION: [&str; 4] = ["530", "534", "535", "538"];
    let code = error.status().map(|code| code.to_string());
    error.is_permanent() && !code.is_some_and(|code| AUTHENTICATION.contains(&code.as_str()))
}

#[async_trait]
impl Courier for SmtpCourier {
    async fn send(&self, letter: &Letter) -> Result<(), CourierError> {
        let message = compose(letter, &self.from)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if is_final(&error) => Err(CourierError::Refused(Box::new(error))),
            Err(error) => Err(CourierError::Passing(Box::new(error))),
        }
    }
}
