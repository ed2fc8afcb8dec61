//! Links in letters: the proof of an address before a registration, and the way to a new password.
//!
//! A link is a random token. The store keeps a digest of it together with its step and its host, so
//! that for another step or on another host it is no link at all. Looking at one changes nothing;
//! redeeming spends it, and with it every other one of the same step and address. Whatever differs
//! between known and unknown addresses is done after the answer, in the background.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::proof_store::{NewCode, ProofLimits};
use super::{Onboarding, OnboardingError, TooBusy};
use crate::audit::EventKind;
use crate::identity::{EmailAddress, Issuer, ProvenEmail, Subject, UserId, VerifiedIdentity};
use crate::language::Language;
use crate::mail::{Addressee, LinkLetter, Message};
use crate::paths;
use crate::platform::PlatformUser;
use crate::seal::{self, Purpose};
use crate::telemetry::with_causes;

/// How long a link to a new password counts.
const NEW_PASSWORD_WITHIN: Duration = Duration::from_mins(30);
/// Letters without a check are counted over this time.
const COUNTED_OVER: Duration = Duration::from_hours(1);
/// Letters for a network from whose browsers no check came, and for all such networks.
const UNCHECKED_PER_NETWORK: u32 = 5;
const UNCHECKED_IN_ALL: u32 = 200;
/// How often, and after which pauses, a platform is asked that does not answer.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(8),
];

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStep {
    /// It proves an address, and leads to the registration.
    Registration,
    /// It leads to a new password.
    NewPassword,
}

impl LinkStep {
    /// The word used in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration_link",
            Self::NewPassword => "password_link",
        }
    }

    const fn page(self) -> &'static str {
        match self {
            Self::Registration => paths::REGISTER_LINK,
            Self::NewPassword => paths::NEW_PASSWORD,
        }
    }
}

/// Somebody asks for a link.
#[derive(Debug, Clone)]
pub struct LinkRequest {
    /// What for.
    pub step: LinkStep,
    /// To which address.
    pub email: EmailAddress,
    /// On which host.
    pub host: String,
    /// In which language.
    pub language: Language,
    /// Where to go afterwards; judged again when it is used.
    pub return_to: String,
}

/// What a link is for, sealed in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MailedLink {
    /// The address that it was mailed to.
    pub email: EmailAddress,
    /// Where to go afterwards; judged again when it is used.
    pub return_to: String,
    /// The user whose password it is about.
    pub(super) user: Option<UserId>,
}

/// A link that was spent just now.
#[derive(Debug)]
pub struct SpentLink(String);

/// Why a link leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no such link here: it was never sent, is over, is spent, or was sent for another
    /// host or step.
    #[error("the link does not count")]
    Dead,
    /// Onboarding cannot answer.
    #[error(transparent)]
    Down(#[from] OnboardingError),
}

/// A link as the store has it.
struct Found {
    id: String,
    target: String,
    link: MailedLink,
}

impl Onboarding {
    /// Writes to an address, in the background. It takes as long, and says as much, for addresses
    /// that are known as for others.
    pub fn send_link(self: &Arc<Self>, request: LinkRequest) -> Result<(), TooBusy> {
        let (host, step) = (request.host.clone(), request.step);
        let onboarding = Arc::clone(self);
        let pause = pause_before_writing(u16::from_le_bytes(seal::random_bytes()));
        self.errands.queue(pause, async move || {
            if let Err(error) = onboarding.write_link(&request).await {
                let error = with_causes(&error);
                tracing::error!(error, step = step.as_str(), "a link could not be sent");
            }
        })?;
        if step == LinkStep::Registration {
            self.link_asked_for(&host);
        }
        Ok(())
    }

    /// Counts a letter that is asked for without a check of the browser; `Ok(false)` when there were
    /// too many.
    pub async fn count_unchecked(&self, network: &str) -> Result<bool, OnboardingError> {
        let now = self.parts.clock.now();
        let context = seal::digest_parts(&["unchecked", network]);
        let entry = NewCode::of_try(context, seal::digest_parts(&["unchecked"]), now);
        let limits = ProofLimits {
            since: now.minus(COUNTED_OVER),
            per_context: UNCHECKED_PER_NETWORK,
            per_target: UNCHECKED_IN_ALL,
        };
        let proofs = &self.parts.proofs;
        Ok(proofs.count_try(&entry, limits).await?)
    }

    /// What a link is for; changes nothing.
    pub async fn look_at_link(
        &self,
        step: LinkStep,
        host: &str,
        token: &str,
    ) -> Result<MailedLink, LinkError> {
        Ok(self.find_link(step, host, token).await?.link)
    }

    /// Spends a link that proves an address: whoever does this applies with it.
    pub async fn redeem_registration_link(
        &self,
        host: &str,
        token: &str,
    ) -> Result<(VerifiedIdentity, MailedLink, SpentLink), LinkError> {
        let found = self.find_link(LinkStep::Registration, host, token).await?;
        let spent = self.spend_link(LinkStep::Registration, &found).await?;
        let proven = ProvenEmail::from_redeemed(found.link.email.clone());
        let now = self.parts.clock.now();
        let identity = VerifiedIdentity::of_mail(self.parts.platform.id(), &proven, now);
        let mut event = self.event(EventKind::Proof, &self.who(&identity));
        event.host = Some(host.to_owned());
        event.detail = serde_json::json!({ "proof": "link_redeemed" });
        self.keep(event).await;
        Ok((identity, found.link, spent))
    }

    /// Lets a link count again whose spending came to nothing: what it was to pay for could not be
    /// asked for, and nobody has to wait for another letter because of that.
    pub async fn give_link_back(&self, spent: SpentLink) {
        if let Err(error) = self.parts.proofs.give_link_back(&spent.0).await {
            let error = with_causes(&error);
            tracing::error!(error, "a link is spent, and nothing came of it");
        }
    }

    /// Spends a link to a new password; gives the user whose password it is about, unless that user
    /// has another address by now.
    pub(super) async fn redeem_password_link(
        &self,
        host: &str,
        token: &str,
    ) -> Result<(PlatformUser, SpentLink), LinkError> {
        let found = self.find_link(LinkStep::NewPassword, host, token).await?;
        let platform = &self.parts.platform;
        let user = match &found.link.user {
            Some(user) => platform.user(user).await.map_err(OnboardingError::from)?,
            None => None,
        };
        let is_same = |user: &PlatformUser| user.email.folded() == found.link.email.folded();
        let user = user.filter(|user| user.enabled && is_same(user));
        let spent = self.spend_link(LinkStep::NewPassword, &found).await?;
        Ok((user.ok_or(LinkError::Dead)?, spent))
    }

    async fn find_link(&self, step: LinkStep, host: &str, token: &str) -> Result<Found, LinkError> {
        let context = context_of(step, host, token);
        let now = self.parts.clock.now();
        let kept = self.parts.proofs.find_link(step, &context, now).await;
        let Some(kept) = kept.map_err(OnboardingError::from)? else {
            return Err(LinkError::Dead);
        };
        let keys = &self.parts.keys;
        let plain = keys.open_text(Purpose::MailedLink, context.as_bytes(), &kept.sealed);
        let link = plain
            .ok()
            .and_then(|plain| serde_json::from_slice(&plain).ok());
        Ok(Found {
            id: kept.id,
            target: kept.target,
            link: link.ok_or(LinkError::Dead)?,
        })
    }

    async fn spend_link(&self, step: LinkStep, found: &Found) -> Result<SpentLink, LinkError> {
        let now = self.parts.clock.now();
        let (id, target) = (found.id.as_str(), found.target.as_str());
        let spent = self.parts.proofs.spend_link(step, (id, target), now).await;
        let spent = spent.map_err(OnboardingError::from)?;
        let link = spent.then(|| SpentLink(found.id.clone()));
        link.ok_or(LinkError::Dead)
    }

    pub(super) async fn write_link(&self, request: &LinkRequest) -> Result<(), OnboardingError> {
        let known = self.known_user(&request.email).await?;
        let known = known.filter(|user| user.enabled || request.step == LinkStep::Registration);
        let token = seal::random_token();
        let entry = self.link_entry(request, known.as_ref(), &token);
        let proofs = &self.parts.proofs;
        proofs.remember_link(request.step, &entry).await?;
        let Some(letter) = self.link_letter(request, known.is_some(), &token) else {
            return Ok(());
        };
        let to = Addressee {
            email: known.map_or_else(|| request.email.clone(), |user| user.email),
            name: None,
            language: request.language,
        };
        let sent = self.send(&Message::Link(letter), &to, &request.host).await;
        self.note_letter(request, sent.is_ok()).await;
        if let Err(error) = sent {
            tracing::warn!(error = %error, step = request.step.as_str(), "a link was not mailed");
        }
        Ok(())
    }

    /// The user of an address. A platform that does not answer is asked again: nobody waits.
    async fn known_user(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<PlatformUser>, OnboardingError> {
        for pause in PAUSES {
            match self.parts.platform.user_by_email(email).await {
                Err(error) if error.is_passing() => tokio::time::sleep(pause).await,
                found => return Ok(found?),
            }
        }
        Ok(self.parts.platform.user_by_email(email).await?)
    }

    /// What is kept of a letter. Where it holds no link, what is kept never counts.
    fn link_entry(
        &self,
        request: &LinkRequest,
        known: Option<&PlatformUser>,
        token: &str,
    ) -> NewCode {
        let now = self.parts.clock.now();
        let context = context_of(request.step, &request.host, token);
        let link = MailedLink {
            email: request.email.clone(),
            return_to: request.return_to.clone(),
            user: known.map(|user| user.id.clone()),
        };
        // Plain data without maps: it serialises.
        let plain = serde_json::to_vec(&link).unwrap_or_default();
        let holds_link = known.is_some() == (request.step == LinkStep::NewPassword);
        let valid_for = if holds_link {
            self.valid_for(request.step)
        } else {
            Duration::ZERO
        };
        let platform = self.parts.platform.id().as_str();
        NewCode {
            id: uuid::Uuid::now_v7().to_string(),
            sealed: self
                .parts
                .keys
                .seal_text(Purpose::MailedLink, context.as_bytes(), &plain),
            context,
            target: seal::digest_parts(&[platform, &request.email.folded()]),
            tries: 1,
            at: now,
            expires_at: now.plus(valid_for),
        }
    }

    fn valid_for(&self, step: LinkStep) -> Duration {
        let policy = self.parts.policy.current();
        match step {
            LinkStep::Registration => policy.onboarding.self_registration.link_valid_for,
            LinkStep::NewPassword => NEW_PASSWORD_WITHIN,
        }
    }

    /// What to write; nothing to a stranger who asks for a new password.
    fn link_letter(
        &self,
        request: &LinkRequest,
        is_known: bool,
        token: &str,
    ) -> Option<LinkLetter> {
        let origin = self.origin(&request.host);
        let url = format!("{origin}{}?token={token}", request.step.page());
        let minutes = self.valid_for(request.step).as_secs() / 60;
        match (request.step, is_known) {
            (LinkStep::Registration, false) => Some(LinkLetter::Registration { url, minutes }),
            (LinkStep::Registration, true) => Some(LinkLetter::HasAccount {
                url: format!("{origin}{}", paths::LOGIN),
            }),
            (LinkStep::NewPassword, true) => Some(LinkLetter::NewPassword { url, minutes }),
            (LinkStep::NewPassword, false) => None,
        }
    }

    async fn note_letter(&self, request: &LinkRequest, is_sent: bool) {
        let mut event = crate::audit::Event::new(self.parts.clock.now(), EventKind::Proof);
        let subject = seal::digest(request.email.folded().as_bytes());
        event.who = Some((
            Issuer::of_mail(self.parts.platform.id()),
            Subject::new(subject),
        ));
        event.host = Some(request.host.clone());
        let what = if is_sent {
            "link_sent"
        } else {
            "link_not_sent"
        };
        event.detail = serde_json::json!({ "proof": what, "step": request.step.as_str() });
        self.keep(event).await;
    }
}

/// Half a second at most, by chance. What is written differs between known and unknown addresses,
/// and would be felt by the request that follows, if it followed at once.
fn pause_before_writing(chance: u16) -> Duration {
    Duration::from_millis(50 + u64::from(chance) % 450)
}

/// The digest that a link is found by: of its step, its host and its token.
fn context_of(step: LinkStep, host: &str, token: &str) -> String {
    seal::digest_parts(&[step.as_str(), host, token])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_another_one_on_another_host_and_for_another_step() {
        let here = context_of(LinkStep::Registration, "a.example", "t");
        assert_ne!(here, context_of(LinkStep::Registration, "b.example", "t"));
        assert_ne!(here, context_of(LinkStep::NewPassword, "a.example", "t"));
    }
}
