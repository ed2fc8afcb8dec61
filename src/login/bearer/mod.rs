//! Bearer tokens of programs (RFC 6750): whether one is good, and whose it is.
//!
//! Signed tokens (RFC 9068, and plain ones) are judged here; what only its issuer understands is
//! asked for there (RFC 7662). What was found is kept in memory for as long as it may be believed, so
//! that a token that is shown again costs about as much as a session. [`issuer::TokenIssuer`] is the
//! seam to the issuers.

mod accounts;
mod cache;
pub mod claims;
pub mod issuer;

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::access::{ApiClient, BearerStanding, ClientAccount};
use crate::clock::SharedClock;
use crate::onboarding::Onboarding;
use crate::policy::{PolicySource, TokenDemands};
use crate::roster::Roster;
use crate::seal;
use crate::session::Handoffs;
use crate::telemetry::with_causes;

use accounts::Accounts;
use cache::{Known, KnownTokens, TokenKey};
use issuer::{TokenIssuer, TokenTrouble, VerifiedToken};

pub use super::jwt::MAX_TOKEN;
pub use cache::BELIEVED_FOR;

/// Which issuer is asked about a token that only its issuer understands: its place among all.
pub type Asked = Option<usize>;

/// What a [`Bearers`] is made of.
pub struct BearerParts {
    /// Whose tokens count, at least one.
    pub issuers: Vec<Arc<dyn TokenIssuer>>,
    /// Knows whose account a subject is linked to.
    pub onboarding: Arc<Onboarding>,
    /// Whom their providers have deactivated.
    pub roster: Arc<Roster>,
    /// How often accounts are looked at again.
    pub policy: Arc<dyn PolicySource>,
    /// The time.
    pub clock: SharedClock,
}

/// Judges bearer tokens.
pub struct Bearers {
    issuers: Vec<Arc<dyn TokenIssuer>>,
    accounts: Accounts,
    known: KnownTokens,
    clock: SharedClock,
}

impl std::fmt::Debug for Bearers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearers(…)")
    }
}

impl Bearers {
    /// Over its parts.
    pub fn new(parts: BearerParts) -> Self {
        let BearerParts {
            issuers,
            onboarding,
            roster,
            policy,
            clock,
        } = parts;
        Self {
            issuers,
            accounts: Accounts::new(onboarding, roster, policy),
            known: KnownTokens::default(),
            clock,
        }
    }

    /// Whose tokens count.
    pub fn issuers(&self) -> &[Arc<dyn TokenIssuer>] {
        &self.issuers
    }

    /// Whom to ask under a rule about tokens that cannot be read: the first of its issuers that
    /// answers such questions.
    pub fn asked(&self, demands: &TokenDemands) -> Asked {
        let answers = |one: &Arc<dyn TokenIssuer>| one.introspects() && demands.trusts(one.id());
        self.issuers.iter().position(answers)
    }

    /// How a token stands, if that is known without asking anybody; never waits.
    pub fn ready(&self, token: &str, asked: Asked) -> Option<BearerStanding> {
        let known = self.known.get(&TokenKey::of(token, asked))?;
        self.is_current(&known).then(|| known.standing.clone())
    }

    /// Whether a token was good the last time that it was judged here, some minutes ago at most.
    pub fn was_good(&self, token: &str, asked: Asked) -> bool {
        self.known.was_good(&TokenKey::of(token, asked))
    }

    /// How a token stands. Whoever shows the same one meanwhile waits for the outcome.
    pub async fn standing(&self, token: &SecretString, asked: Asked) -> BearerStanding {
        let key = TokenKey::of(token.expose_secret(), asked);
        let turn = self.known.turn(&key);
        let _turn = turn.lock().await;
        if let Some(known) = self.ready(token.expose_secret(), asked) {
            return known;
        }
        let issuer = self.issuer_of(token.expose_secret(), asked);
        let keys = issuer.map_or(0, |issuer| issuer.keys_changed());
        let (standing, believed_for) = match issuer {
            None => {
                tracing::debug!("a bearer token is refused: it is of no issuer that is asked here");
                (BearerStanding::Bad, cache::REFUSED_FOR)
            }
            Some(issuer) => self.judge(token, &**issuer).await,
        };
        let now = self.clock.now();
        let until = match &standing {
            BearerStanding::Good(client) => now.plus(believed_for).min(client.ends_at),
            BearerStanding::Bad | BearerStanding::Unknown => now.plus(believed_for),
        };
        let known = Known {
            standing: standing.clone(),
            from: now,
            until,
            keys: issuer.map(|issuer| (Arc::clone(issuer), keys)),
        };
        self.known.keep(key, known);
        standing
    }

    /// How the token of a program stands now.
    pub async fn again(&self, client: &ApiClient) -> BearerStanding {
        let own = client.identity.provider();
        let is_own = |one: &Arc<dyn TokenIssuer>| one.introspects() && Some(one.id()) == own;
        let asked = self.issuers.iter().position(is_own);
        match self.ready(client.token.expose_secret(), asked) {
            Some(standing) => standing,
            None => self.standing(&client.token, asked).await,
        }
    }

    fn is_current(&self, known: &Known) -> bool {
        let now = self.clock.now();
        let has_keys =
            |(issuer, keys): &(Arc<dyn TokenIssuer>, u64)| issuer.keys_changed() == *keys;
        now >= known.from && now < known.until && known.keys.as_ref().is_none_or(has_keys)
    }

    /// Who can say whether a token is good: the issuer that a signed one names, else whoever is
    /// asked under the rule.
    fn issuer_of(&self, token: &str, asked: Asked) -> Option<&Arc<dyn TokenIssuer>> {
        let Some(named) = claims::unverified_issuer(token) else {
            return self.issuers.get(asked?);
        };
        let mut issuers = self.issuers.iter();
        issuers.find(|one| one.issuer().as_str() == named)
    }

    async fn judge(
        &self,
        token: &SecretString,
        issuer: &dyn TokenIssuer,
    ) -> (BearerStanding, Duration) {
        let verified = match issuer.verify(token).await {
            Ok(verified) => verified,
            Err(TokenTrouble::Bad(problem)) => {
                let problem = with_causes(&problem);
                tracing::info!(issuer = %issuer.id(), problem, "a bearer token is refused");
                return (BearerStanding::Bad, cache::REFUSED_FOR);
            }
            Err(TokenTrouble::Down(cause)) => {
                let cause = with_causes(&cause);
                tracing::warn!(issuer = %issuer.id(), cause, "a bearer token cannot be judged");
                return (BearerStanding::Unknown, cache::UNKNOWN_FOR);
            }
        };
        let believed_for = verified.believed_for.min(BELIEVED_FOR);
        match self.client(token, verified).await {
            Ok(client) => (BearerStanding::Good(Arc::new(client)), believed_for),
            Err(error) => {
                let cause = with_causes(&error);
                tracing::warn!(cause, "whose user a program is cannot be found out");
                (BearerStanding::Unknown, cache::UNKNOWN_FOR)
            }
        }
    }

    async fn client(
        &self,
        token: &SecretString,
        verified: VerifiedToken,
    ) -> Result<ApiClient, accounts::NotKnown> {
        let VerifiedToken {
            identity,
            scopes,
            origins,
            ends_at,
            believed_for: _,
        } = verified;
        let account = self.accounts.of(&identity, self.clock.now()).await?;
        // Said by another issuer, or once it is somebody else's, it is another caller: nothing that
        // is kept for the one is for the other.
        let issuer = identity.provider().map_or("", |provider| provider.as_str());
        let user = match &account {
            ClientAccount::Live(account) => account.user.as_str(),
            ClientAccount::None | ClientAccount::Closed => "",
        };
        let key = seal::digest_parts(&[token.expose_secret(), issuer, user]);
        Ok(ApiClient {
            key: key.into(),
            token: token.clone(),
            identity,
            account,
            scopes,
            origins,
            ends_at,
            handoffs: Handoffs::default(),
        })
    }
}
