//! Whom a request is from, once that is proven, and how a bearer token stands.

use std::sync::Arc;

use secrecy::SecretString;

use crate::clock::Timestamp;
use crate::identity::{Account, VerifiedIdentity};
use crate::session::{Handoffs, OpenSession, SessionStanding};

/// Whom a request is from. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Somebody who is signed in.
    Session(OpenSession),
    /// A program with a bearer token.
    Client(Arc<ApiClient>),
}

/// A program that has shown a bearer token (RFC 6750), which was found good.
#[derive(Debug)]
pub struct ApiClient {
    /// Digest of the token, who vouches for it and whose user it is: its name here, as a session has
    /// one.
    pub key: Box<str>,
    /// The token, to be looked at again while a stream lasts.
    pub token: SecretString,
    /// What the token says; the provider in it is the `[[api_issuer]]`.
    pub identity: VerifiedIdentity,
    /// Whose user it is.
    pub account: ClientAccount,
    /// What the token is good for (RFC 6749, section 3.3).
    pub scopes: Vec<String>,
    /// The origins of hosts that the token is for, where it is not for all.
    pub origins: Option<Vec<String>>,
    /// When the token ends.
    pub ends_at: Timestamp,
    /// By what upstreams learn who it is; as long in memory as the token.
    pub handoffs: Handoffs,
}

/// Whose user a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAccount {
    /// No account is linked to the token's subject.
    None,
    /// This one's.
    Live(Account),
    /// Somebody's whom the platform, or their identity provider, does not let in.
    Closed,
}

/// How a bearer token stands.
#[derive(Debug, Clone)]
pub enum BearerStanding {
    /// It is good.
    Good(Arc<ApiClient>),
    /// It is not: forged, ended, for somebody else, or no token at all.
    Bad,
    /// Whoever could tell does not answer.
    Unknown,
}

/// How whoever sends a request stands. A request with a bearer token, under a rule that looks at
/// those, is never that of a session.
#[derive(Debug, Clone)]
pub enum Standing {
    /// By a session cookie, or without.
    Session(SessionStanding),
    /// By a bearer token.
    Bearer(BearerStanding),
}

impl Caller {
    /// Who they are for whoever vouched.
    pub fn identity(&self) -> &VerifiedIdentity {
        match self {
            Self::Session(session) => &session.record.identity,
            Self::Client(client) => &client.identity,
        }
    }

    /// Who they are in the platform.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Session(session) => session.record.account(),
            Self::Client(client) => client.account(),
        }
    }

    /// By what upstreams learn who they are.
    pub fn handoffs(&self) -> &Handoffs {
        match self {
            Self::Session(session) => &session.handoffs,
            Self::Client(client) => &client.handoffs,
        }
    }

    /// The session's or the token's own name, for limits and tokens of each.
    pub fn key(&self) -> &str {
        match self {
            Self::Session(session) => session.key.as_str(),
            Self::Client(client) => &client.key,
        }
    }

    /// The session, where it is one.
    pub fn session(&self) -> Option<&OpenSession> {
        match self {
            Self::Session(session) => Some(session),
            Self::Client(_) => None,
        }
    }
}

impl ApiClient {
    /// Whether its token is for the host of this origin.
    pub fn is_for(&self, origin: &str) -> bool {
        let origins = self.origins.as_ref();
        origins.is_none_or(|origins| origins.iter().any(|own| own == origin))
    }

    /// Who it is in the platform.
    pub fn account(&self) -> Option<&Account> {
        match &self.account {
            ClientAccount::Live(account) => Some(account),
            ClientAccount::None | ClientAccount::Closed => None,
        }
    }

    /// The name of the program, else the subject.
    pub fn name(&self) -> &str {
        let identity = &self.identity;
        identity.program().unwrap_or(identity.subject().as_str())
    }
}
