//! Who somebody is: values only, no I/O.

mod account;
mod claims;
mod cleared;
mod customer;
mod email;
mod options;
mod verified;

pub use account::{Account, AccountType, PlatformId, UserId};
pub use claims::Claims;
pub use cleared::{AgreementPrint, Cleared};
pub use customer::{CustomerId, LocationId, PartnerId};
pub use email::{EmailAddress, EmailProblem};
pub use options::{CustomerOptions, DefaultDashboard, HomeDashboard, Role, UserOptions};
pub use verified::{
    Issuer, LocalUser, ProvenEmail, ProviderId, Subject, VerifiedClaims, VerifiedIdentity,
    VouchedBy,
};

/// Declares a newtype over text that is an opaque identifier.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes the identifier as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into().into_boxed_str())
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_id;
