//! What the identity provider has given out: sessions, authorization codes, access tokens. All in
//! memory, bounded, and expiring.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::expiring::Expiring;
use crate::clock::Timestamp;
use crate::demo::people::Person;
use crate::seal;

const AT_MOST: usize = 1_000;
const CODE_LIVES: Duration = Duration::from_mins(1);
const SESSION_LIVES: Duration = Duration::from_hours(8);
/// How long an access token is good for.
pub(super) const ACCESS_TOKEN_LIVES: Duration = Duration::from_mins(10);

/// Somebody signed in at the identity provider.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The session's public name, the `sid` claim.
    pub(super) sid: String,
    /// Who it is.
    pub(super) person: &'static Person,
    /// When they signed in.
    pub(super) signed_in_at: Timestamp,
}

/// What an authorization code stands for.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    /// Who agreed, and when they signed in.
    pub(super) session: Session,
    /// Where the code was sent.
    pub(super) redirect_uri: String,
    /// The PKCE challenge, method S256 (RFC 7636).
    pub(super) challenge: String,
    /// The client's nonce.
    pub(super) nonce: Option<String>,
    /// Granted scopes.
    pub(super) scopes: Vec<String>,
}

/// What an access token stands for.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// Whose claims it opens.
    pub(super) person: &'static Person,
    /// Which of them.
    pub(super) scopes: Vec<String>,
    sid: String,
    code: String,
}

#[derive(Debug)]
struct Code {
    authorization: Authorization,
    spent: bool,
}

#[derive(Debug)]
struct Tables {
    sessions: Expiring<Session>,
    codes: Expiring<Code>,
    access: Expiring<Access>,
}

/// Everything that is given out.
#[derive(Debug)]
pub(super) struct Grants(Mutex<Tables>);

impl Grants {
    /// Nothing given out yet.
    pub(super) fn new() -> Self {
        Self(Mutex::new(Tables {
            sessions: Expiring::new(AT_MOST),
            codes: Expiring::new(AT_MOST),
            access: Expiring::new(AT_MOST),
        }))
    }

    /// Starts a session and gives the secret for its cookie.
    pub(super) fn sign_in(&self, person: &'static Person, now: Timestamp) -> (String, Session) {
        let secret = seal::random_token();
        let session = Session {
            sid: seal::random_token(),
            person,
            signed_in_at: now,
        };
        self.tables()
            .sessions
            .insert(&secret, session.clone(), now.plus(SESSION_LIVES));
        (secret, session)
    }

    /// The session of a cookie, if it is still there.
    pub(super) fn session(&self, secret: &str, now: Timestamp) -> Option<Session> {
        self.tables().sessions.get(secret, now).cloned()
    }

    /// Ends a session and what was given out in it.
    pub(super) fn sign_out(&self, sid: &str) {
        let mut tables = self.tables();
        tables.sessions.forget(|session| session.sid == sid);
        tables
            .codes
            .forget(|code| code.authorization.session.sid == sid);
        tables.access.forget(|access| access.sid == sid);
    }

    /// Gives out a code.
    pub(super) fn authorize(&self, authorization: Authorization, now: Timestamp) -> String {
        let code = seal::random_token();
        let kept = Code {
            authorization,
            spent: false,
        };
        self.tables()
            .codes
            .insert(&code, kept, now.plus(CODE_LIVES));
        code
    }

    /// Takes a code in, once. A second time, what was given for it is taken back
    /// (RFC 6749, section 4.1.2).
    pub(super) fn redeem(&self, code: &str, now: Timestamp) -> Option<Authorization> {
        let mut tables = self.tables();
        let kept = tables.codes.get(code, now)?;
        if kept.spent {
            let digest = seal::digest(code.as_bytes());
            tables.access.forget(|access| access.code == digest);
            return None;
        }
        kept.spent = true;
        Some(kept.authorization.clone())
    }

    /// Gives out an access token for a redeemed code.
    pub(super) fn give_access(
        &self,
        code: &str,
        authorization: &Authorization,
        now: Timestamp,
    ) -> String {
        let token = seal::random_token();
        let access = Access {
            person: authorization.session.person,
            scopes: authorization.scopes.clone(),
            sid: authorization.session.sid.clone(),
            code: seal::digest(code.as_bytes()),
        };
        self.tables()
            .access
            .insert(&token, access, now.plus(ACCESS_TOKEN_LIVES));
        token
    }

    /// What an access token opens, if it is still good.
    pub(super) fn access(&self, token: &str, now: Timestamp) -> Option<Access> {
        self.tables().access.get(token, now).cloned()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::people;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn authorization(grants: &Grants) -> Authorization {
        let (_, session) = grants.sign_in(&people::KNOWN, START);
        Authorization {
            session,
            redirect_uri: "http://localhost/auth/callback".to_owned(),
            challenge: String::new(),
            nonce: None,
            scopes: vec!["openid".to_owned()],
        }
    }

    #[test]
    fn a_code_is_good_once_and_using_it_twice_takes_the_access_back() {
        let grants = Grants::new();
        let code = grants.authorize(authorization(&grants), START);
        let redeemed = grants.redeem(&code, START).unwrap();
        let token = grants.give_access(&code, &redeemed, START);
        assert!(grants.access(&token, START).is_some());
        assert!(grants.redeem(&code, START).is_none());
        assert!(grants.access(&token, START).is_none());
    }

    #[test]
    fn a_code_expires() {
        let grants = Grants::new();
        let code = grants.authorize(authorization(&grants), START);
        assert!(grants.redeem(&code, START.plus(CODE_LIVES)).is_none());
    }

    #[test]
    fn signing_out_ends_all_of_that_session() {
        let grants = Grants::new();
        let (secret, session) = grants.sign_in(&people::STAFF, START);
        let mut authorization = authorization(&grants);
        authorization.session = session.clone();
        let code = grants.authorize(authorization.clone(), START);
        let token = grants.give_access(&code, &authorization, START);
        grants.sign_out(&session.sid);
        assert!(grants.session(&secret, START).is_none());
        assert!(grants.redeem(&code, START).is_none());
        assert!(grants.access(&token, START).is_none());
    }
}
