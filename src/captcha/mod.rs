//! Telling people from robots: by work that the browser does, without a third party; or by a
//! captcha of a vendor whom the operator has chosen.
//!
//! What is not vouched for is not turned away here: the pages let a few of those through.

mod proof_of_work;
pub mod siteverify;
mod vendor;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use crate::outbound::OutboundError;

pub use proof_of_work::{Challenge, NotSolved, Solved, challenge, judge};
pub use vendor::{Origins, Vendor, Widget, origin_of};

/// A vendor's captcha, as the operator has set it up.
#[derive(Debug)]
pub struct CaptchaSettings {
    /// What sign-up files call it.
    pub id: String,
    /// What pages show.
    pub widget: Widget,
    /// The key that the vendor knows the gateway by.
    pub secret: SecretString,
    /// Where answers are verified.
    pub verify_url: Url,
    /// The hosts on which answers may be given; none for that of the page alone.
    pub hostnames: Option<Vec<String>>,
    /// The least score of a person, 0 to 1, where the vendor gives scores.
    pub min_score: f64,
    /// Whether the vendor is told the client's address.
    pub sends_client_address: bool,
    /// How long a verification may take.
    pub timeout: Duration,
}

/// All vendors' captchas of an installation, by the names that sign-up files use.
pub type Captchas = BTreeMap<String, Arc<dyn Captcha>>;

/// What came back with a form, and where.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What the widget put into its field.
    pub answer: &'a str,
    /// The host of the page, without port.
    pub host: &'a str,
    /// Who sent it.
    pub client: IpAddr,
}

/// What a vendor thinks of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// A person gave it, here and for this.
    Person,
    /// It is genuine, with a score below the least; another try would change nothing.
    Doubtful,
    /// It is not genuine, or was given elsewhere or for something else.
    Wrong,
    /// It is too old, or was used before.
    Spent,
}

/// Why an answer cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum CaptchaDown {
    /// The vendor does not answer, or not in time, or too much.
    #[error("the captcha's vendor does not answer")]
    NoAnswer(#[from] OutboundError),
    /// Too many answers are being judged at once.
    #[error("too many captchas at once")]
    TooBusy,
    /// The request cannot be put together.
    #[error("the captcha's vendor cannot be asked")]
    NotAsked(#[from] http::Error),
    /// The vendor is out of order.
    #[error("the captcha's vendor answered {0}")]
    Status(u16),
    /// The vendor answers with something else than it documents.
    #[error("the captcha's vendor answered what it does not document")]
    Garbled,
    /// The vendor does not accept what the gateway says of itself: the secret, most of the time.
    #[error("the captcha's vendor refuses the request: {0}")]
    Refused(String),
    /// There is no score: the keys are not for this kind of captcha.
    #[error("the captcha's vendor gives no score: are the keys those of a reCAPTCHA v3?")]
    NoScore,
}

/// A captcha of a vendor.
#[async_trait]
pub trait Captcha: Send + Sync {
    /// What pages show.
    fn widget(&self) -> &Widget;

    /// Asks the vendor what to think of an answer, which is thereby spent.
    async fn judge(&self, asked: Asked<'_>) -> Result<Judgement, CaptchaDown>;
}
