//! Proof that an existing platform user is one's own: a mailed code where the platform vouches for
//! the address, or the platform's password.
//!
//! A code is bound to identity, user and host; its digest is kept sealed; tries and resends are
//! limited; it is spent before the link is written. The address is the platform's, never one from
//! a form.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::proof_store::{NewCode, ProofLimits};
use super::resolve::Outcome;
use super::store::{LinkedBy, NewLink};
use super::{LetterFor, NextStep, Onboarding, OnboardingError, ProofError, ProofOffer, abuse_key};
use crate::access::ClientContext;
use crate::audit::EventKind;
use crate::clock::Timestamp;
use crate::identity::{Account, VerifiedIdentity};
use crate::language::Language;
use crate::mail::{Addressee, Message};
use crate::platform::{PasswordCheck, PlatformUser};
use crate::seal::{self, Purpose};

/// How many digits a mailed code has.
pub const DIGITS: usize = 8;
const VALID_FOR: Duration = Duration::from_mins(15);
const TRIES: u32 = 5;
/// Codes and password tries are counted over this time.
const COUNTED_OVER: Duration = Duration::from_hours(1);
const CODES_PER_CONTEXT: u32 = 5;
const CODES_PER_USER: u32 = 10;
const PASSWORDS_PER_CONTEXT: u32 = 5;
const PASSWORDS_PER_USER: u32 = 15;

/// Somebody to whom a proof is open, and the user whose proof it is.
struct Claim {
    user: PlatformUser,
    stale_link: Option<Account>,
    /// Digest of identity, user and host.
    context: String,
    /// Digest of the user.
    target: String,
}

impl Onboarding {
    /// Mails a code to the address that the platform has.
    pub async fn send_code(
        &self,
        identity: &VerifiedIdentity,
        client: &ClientContext,
        language: Language,
    ) -> Result<ProofOffer, ProofError> {
        let claim = self.claim_by_mail(identity, client).await?;
        let letter = (LetterFor::Proof, &claim.user.email);
        let held_back = self.parts.abuse.may_mail(client.client, letter).await;
        held_back.map_err(ProofError::HeldBack)?;
        let code = new_code();
        let now = self.parts.clock.now();
        let remembered = NewCode {
            sealed: self.seal_code(&claim, &code),
            ..claim.entry(now)
        };
        let limits = limits(now, CODES_PER_CONTEXT, CODES_PER_USER);
        let kept = self.parts.proofs.remember_code(&remembered, limits).await;
        if !kept.map_err(OnboardingError::from)? {
            return Err(ProofError::TooOften);
        }
        let message = Message::ProofCode {
            code,
            minutes: minutes(),
            provider: self.provider_name(identity),
        };
        let to = Addressee {
            email: claim.user.email.clone(),
            name: None,
            language,
        };
        self.send(&message, &to, &client.host).await?;
        self.note_proof(identity, client, "code_sent").await;
        Ok(self.offer(&claim.user))
    }

    /// Takes a mailed code, and links.
    pub async fn redeem_code(
        &self,
        identity: &VerifiedIdentity,
        client: &ClientContext,
        code: &str,
    ) -> Result<Account, ProofError> {
        let subject = abuse_key(identity);
        let abuse = &self.parts.abuse;
        let held_back = abuse.may_try_code(client.client, Some(&subject)).await;
        held_back.map_err(ProofError::HeldBack)?;
        let claim = self.claim_by_mail(identity, client).await?;
        let now = self.parts.clock.now();
        let proofs = &self.parts.proofs;
        let tried = proofs.try_code(&claim.context, now).await;
        let Some(tried) = tried.map_err(OnboardingError::from)? else {
            return Err(ProofError::NoCode);
        };
        let wanted =
            self.parts
                .keys
                .open_text(Purpose::MailedCode, claim.context.as_bytes(), &tried.sealed);
        let wanted = wanted.map_err(|_| ProofError::NoCode)?;
        if !seal::equal(&wanted, digest_of(&as_digits(code)).as_bytes()) {
            self.note_proof(identity, client, "code_wrong").await;
            return Err(if tried.tries_left == 0 {
                ProofError::NoCode
            } else {
                ProofError::Wrong
            });
        }
        let spent = proofs.spend_code(&tried.id, now).await;
        if !spent.map_err(OnboardingError::from)? {
            return Err(ProofError::NoCode);
        }
        self.link_proven(identity, client, (claim, "mailed_code"))
            .await
    }

    /// Takes the platform's own password, and links. The password is passed on and not kept.
    pub async fn prove_by_password(
        &self,
        identity: &VerifiedIdentity,
        client: &ClientContext,
        password: &SecretString,
    ) -> Result<Account, ProofError> {
        let claim = self.claim(identity, client).await?;
        let now = self.parts.clock.now();
        let limits = limits(now, PASSWORDS_PER_CONTEXT, PASSWORDS_PER_USER);
        let entry = claim.entry(now);
        let counted = self.parts.proofs.count_try(&entry, limits);
        if !counted.await.map_err(OnboardingError::from)? {
            return Err(ProofError::TooOften);
        }
        let checked = self
            .parts
            .platform
            .check_password(&claim.user.email, password);
        match checked.await.map_err(OnboardingError::from)? {
            PasswordCheck::Right(user) if user.id == claim.user.id => {
                self.link_proven(identity, client, (claim, "password"))
                    .await
            }
            PasswordCheck::Right(_) | PasswordCheck::Wrong | PasswordCheck::Unsupported => {
                self.note_proof(identity, client, "password_wrong").await;
                Err(ProofError::Wrong)
            }
        }
    }

    pub(super) fn offer(&self, user: &PlatformUser) -> ProofOffer {
        ProofOffer {
            masked_email: user.email.masked(),
            by_mail: user.email_proves,
            by_password: user.has_password && self.parts.platform.capabilities().passwords,
            digits: DIGITS,
            minutes: minutes(),
        }
    }

    /// Whose proof is open to an identity: decided anew each time, from server state alone.
    async fn claim(
        &self,
        identity: &VerifiedIdentity,
        client: &ClientContext,
    ) -> Result<Claim, ProofError> {
        let resolution = self.resolution(identity, &client.host).await?;
        let user = match resolution.outcome {
            Outcome::Prove(user) => user,
            other => return Err(ProofError::Elsewhere(Box::new(self.as_step(other)))),
        };
        let platform = self.parts.platform.id().as_str();
        let (issuer, subject) = (identity.issuer().as_str(), identity.subject().as_str());
        let bound = [platform, issuer, subject, user.id.as_str(), &client.host];
        Ok(Claim {
            context: seal::digest_parts(&bound),
            target: seal::digest_parts(&[platform, user.id.as_str()]),
            stale_link: resolution.stale_link,
            user,
        })
    }

    /// [`Onboarding::claim`], where a mailed code proves anything: whoever changed their address in
    /// the platform to somebody else's must not get that person into their account.
    async fn claim_by_mail(
        &self,
        identity: &VerifiedIdentity,
        client: &ClientContext,
    ) -> Result<Claim, ProofError> {
        let claim = self.claim(identity, client).await?;
        claim
            .user
            .email_proves
            .then_some(claim)
            .ok_or(ProofError::NoCode)
    }

    async fn link_proven(
        &self,
        identity: &VerifiedIdentity,
        client: &ClientContext,
        (claim, proof): (Claim, &'static str),
    ) -> Result<Account, ProofError> {
        let account = Account {
            platform: self.parts.platform.id().clone(),
            user: claim.user.id.clone(),
            customer: claim.user.customer.clone(),
            account_type: claim.user.account_type,
        };
        let link = NewLink {
            who: self.who(identity),
            account: account.clone(),
            by: LinkedBy::Proof,
            at: self.parts.clock.now(),
        };
        let linked = self
            .parts
            .store
            .add_link(&link, claim.stale_link.as_ref())
            .await;
        if !linked.map_err(OnboardingError::from)? {
            let step = self.next_step(identity, &client.host).await?;
            return match step {
                NextStep::SignedIn(account) => Ok(account),
                other => Err(ProofError::Elsewhere(Box::new(other))),
            };
        }
        let mut event = self.event(EventKind::Linked, &link.who);
        event.account = Some(account.clone());
        event.host = Some(client.host.clone());
        event.client_address = Some(client.client);
        event.reference = Some(client.reference.clone());
        event.detail = serde_json::json!({ "by": LinkedBy::Proof.as_str(), "proof": proof });
        self.keep(event).await;
        Ok(account)
    }

    async fn note_proof(
        &self,
        identity: &VerifiedIdentity,
        client: &ClientContext,
        what: &'static str,
    ) {
        let mut event = self.event(EventKind::Proof, &self.who(identity));
        event.host = Some(client.host.clone());
        event.client_address = Some(client.client);
        event.reference = Some(client.reference.clone());
        event.detail = serde_json::json!({ "proof": what });
        self.keep(event).await;
    }

    fn seal_code(&self, claim: &Claim, code: &SecretString) -> String {
        let digest = digest_of(code.expose_secret());
        let context = claim.context.as_bytes();
        let keys = &self.parts.keys;
        keys.seal_text(Purpose::MailedCode, context, digest.as_bytes())
    }
}

impl Claim {
    fn entry(&self, now: Timestamp) -> NewCode {
        NewCode {
            id: uuid::Uuid::now_v7().to_string(),
            context: self.context.clone(),
            target: self.target.clone(),
            sealed: String::new(),
            tries: TRIES,
            at: now,
            expires_at: now.plus(VALID_FOR),
        }
    }
}

fn limits(now: Timestamp, per_context: u32, per_target: u32) -> ProofLimits {
    ProofLimits {
        since: now.minus(COUNTED_OVER),
        per_context,
        per_target,
    }
}

const fn minutes() -> u64 {
    VALID_FOR.as_secs() / 60
}

/// Eight digits. The remainder favours no code noticeably: 2^64 is many times 10^8.
fn new_code() -> SecretString {
    let number = u64::from_le_bytes(seal::random_bytes()) % 100_000_000;
    SecretString::from(format!("{number:0DIGITS$}"))
}

/// The digits of a code as people copy it: with spaces, or in two groups. No more than it takes to
/// see that there are too many.
pub fn as_digits(code: &str) -> String {
    let digits = code.chars().filter(char::is_ascii_digit);
    digits.take(DIGITS + 1).collect()
}

fn digest_of(code: &str) -> String {
    seal::digest(code.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_taken_in_any_human_spelling() {
        for spelling in ["042917", " 042 917 ", "042-917", "04 29 17"] {
            assert_eq!(as_digits(spelling), "042917");
        }
        assert_eq!(as_digits("abc"), "");
    }
}
