//! Why a platform did not do what was asked.

use crate::outbound::OutboundError;

/// Why a platform did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// It cannot be reached or did not answer in time; whether the call took effect is not known.
    #[error("the platform is out of reach")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It asks to slow down.
    #[error("the platform asks to slow down")]
    Busy {
        /// How long to wait, where it says.
        retry_after: Option<std::time::Duration>,
    },
    /// A user with this address exists already and is not ours.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// A customer with this name exists already and is not ours.
    #[error("a customer with this name exists already")]
    NameTaken,
    /// A customer with this code exists already and is not ours.
    #[error("a customer with this code exists already")]
    CodeTaken,
    /// It refused the data; waiting does not help.
    #[error("the platform refused the data of `{field}`")]
    Refused {
        /// The field that it names.
        field: String,
    },
    /// Its operator's licence or limits allow no more of these.
    #[error("the platform takes no more {what}: its limit is reached")]
    Full {
        /// What there may be no more of, in the platform's words.
        what: String,
    },
    /// It lacks something that the sign-up form names.
    #[error("the platform has no {what}")]
    NotSetUp {
        /// What it lacks: kind and name.
        what: String,
    },
    /// It refused our own credentials.
    #[error("the platform refused the gateway's own credentials")]
    NotAllowed,
    /// It answered something that cannot be understood.
    #[error("the platform's answer cannot be understood")]
    Garbled(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PlatformError {
    /// Whether trying again later can help.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Busy { .. }
                | Self::Full { .. }
                | Self::NotSetUp { .. }
                | Self::Garbled(_)
                | Self::NotAllowed
        )
    }
}

/// No answer, or one that is too large to be one.
impl From<OutboundError> for PlatformError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::TooLarge { .. } => Self::Garbled(Box::new(error)),
            other => Self::Unreachable(Box::new(other)),
        }
    }
}
