//! Invitations: an operator names an address and a customer; whoever proves that address joins.
//!
//! The link in the letter only shows what it is about. What counts is the proof of the address, by
//! a login or by mail; the invitation is used up in the transaction that opens the registration.

use std::time::Duration;

use serde::Serialize;

use super::asking_store::{Invitation, NewInvitation};
use super::invitation::{InvitationId, InvitationState, InvitationText, Invited};
use super::{Onboarding, OnboardingError};
use crate::access::ClientContext;
use crate::audit::{Event, EventKind};
use crate::identity::{CustomerId, EmailAddress, VerifiedIdentity};
use crate::language::Language;
use crate::mail::{Addressee, CourierError, Message};
use crate::seal::{CannotOpen, Purpose};
use crate::{paths, seal};

/// What an operator asks for.
#[derive(Debug, Clone)]
pub struct NewInvite {
    /// Who is invited.
    pub email: EmailAddress,
    /// Into which customer.
    pub customer: CustomerId,
    /// On which host; the only one, where there is one.
    pub host: Option<String>,
    /// The language of the letter.
    pub language: Language,
    /// Whether the user becomes an administrator of the customer.
    pub administrator: bool,
    /// How long it counts.
    pub valid_for: Duration,
}

/// Why nobody was invited.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// The platform has no such customer.
    #[error("the platform has no such customer")]
    NoSuchCustomer,
    /// The host is not served, or there are several and none is named.
    #[error("say on which host: it is not served, or there are several")]
    WhichHost,
    /// The platform has a user with this address.
    #[error("the platform has a user with this address already")]
    HasAccount,
    /// The letter could not be sent; the invitation was taken back.
    #[error("the letter could not be sent")]
    Mail(#[from] CourierError),
    /// Onboarding cannot answer.
    #[error(transparent)]
    Down(#[from] OnboardingError),
}

/// An invitation as operators see it.
#[derive(Debug, Clone, Serialize)]
pub struct InvitationView {
    /// Its id.
    pub id: InvitationId,
    /// How it stands.
    pub state: InvitationState,
    /// Who is invited.
    pub email: String,
    /// Into which customer.
    pub customer: CustomerId,
    /// On which host.
    pub host: String,
    /// Whether the user becomes an administrator.
    pub administrator: bool,
    /// When it was made, UTC milliseconds.
    pub created_at: i64,
    /// Until when it counts, UTC milliseconds.
    pub expires_at: i64,
}

/// What is behind the link of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitationBehindLink {
    /// It can be used.
    Open {
        /// The customer's name.
        customer: String,
        /// Who is invited.
        email: EmailAddress,
    },
    /// It was used.
    Used,
    /// Nothing, or nothing any more.
    Nothing,
}

impl Onboarding {
    /// Invites somebody by letter.
    pub async fn invite(&self, invite: &NewInvite) -> Result<InvitationView, InviteError> {
        let host = self.host_of(invite.host.as_deref())?;
        let platform = &self.parts.platform;
        let customer = platform.customer(&invite.customer).await;
        let customer = customer.map_err(OnboardingError::from)?;
        let customer = customer.ok_or(InviteError::NoSuchCustomer)?;
        let known = platform.user_by_email(&invite.email).await;
        if known.map_err(OnboardingError::from)?.is_some() {
            return Err(InviteError::HasAccount);
        }
        let token = seal::random_token();
        let new = self.new_invitation(invite, &host, &token)?;
        let kept = self.parts.invitations.add_invitation(&new).await;
        kept.map_err(OnboardingError::from)?;
        let message = Message::Invitation {
            customer: customer.name,
            link: self.address(&host, &paths::invitation(&token)),
            days: invite.valid_for.as_secs().div_ceil(86_400),
        };
        let to = Addressee {
            email: invite.email.clone(),
            name: None,
            language: invite.language,
        };
        if let Err(error) = self.send(&message, &to, &host).await {
            self.revoke_invitation(&new.id).await?;
            return Err(error.into());
        }
        self.note_invitation(&new.id, "invited").await;
        Ok(InvitationView {
            id: new.id,
            state: InvitationState::Open,
            email: invite.email.as_str().to_owned(),
            customer: new.customer,
            host: new.host,
            administrator: invite.administrator,
            created_at: new.at.millis(),
            expires_at: new.expires_at.millis(),
        })
    }

    /// Invitations, the newest first.
    pub async fn invitations(&self, limit: u32) -> Result<Vec<InvitationView>, OnboardingError> {
        let now = self.parts.clock.now();
        let found = self.parts.invitations.invitations(limit, now).await?;
        let view = |one: Invitation| {
            let text = self.text_of(&one)?;
            Ok(InvitationView {
                id: one.id,
                state: one.state,
                email: text.email.as_str().to_owned(),
                customer: one.customer,
                host: one.host,
                administrator: text.administrator,
                created_at: one.created_at.millis(),
                expires_at: one.expires_at.millis(),
            })
        };
        found.into_iter().map(view).collect()
    }

    /// Takes an invitation back; `Ok(false)` when it cannot be used any more.
    pub async fn revoke_invitation(&self, id: &InvitationId) -> Result<bool, OnboardingError> {
        let now = self.parts.clock.now();
        let revoked = self.parts.invitations.revoke_invitation(id, now).await?;
        if revoked {
            self.note_invitation(id, "revoked").await;
        }
        Ok(revoked)
    }

    /// What is behind the link of an invitation; looking changes nothing.
    pub async fn invitation_behind(
        &self,
        token: &str,
        client: &ClientContext,
    ) -> Result<InvitationBehindLink, OnboardingError> {
        let digest = seal::digest(token.as_bytes());
        let now = self.parts.clock.now();
        let found = self
            .parts
            .invitations
            .invitation_by_link(&digest, now)
            .await?;
        let Some(found) = found.filter(|found| found.host == client.host) else {
            return Ok(InvitationBehindLink::Nothing);
        };
        match found.state {
            InvitationState::Used => return Ok(InvitationBehindLink::Used),
            InvitationState::Expired | InvitationState::Revoked => {
                return Ok(InvitationBehindLink::Nothing);
            }
            InvitationState::Open => {}
        }
        let customer = self.parts.platform.customer(&found.customer).await?;
        let email = self.text_of(&found)?.email;
        Ok(customer.map_or(InvitationBehindLink::Nothing, |customer| {
            InvitationBehindLink::Open {
                customer: customer.name,
                email,
            }
        }))
    }

    /// What the proven address of an identity is invited to.
    pub(super) async fn invited(
        &self,
        identity: &VerifiedIdentity,
    ) -> Result<Option<Invited>, OnboardingError> {
        let Some(email) = identity.email().filter(|_| identity.has_proven_email()) else {
            return Ok(None);
        };
        let (platform, now) = (&self.parts.platform, self.parts.clock.now());
        let invitations = &self.parts.invitations;
        let digest = digest_of(&email);
        let found = invitations.open_invitation(platform.id(), &digest, now);
        let Some(found) = found.await? else {
            return Ok(None);
        };
        let customer = platform.customer(&found.customer).await?;
        let administrator = self.text_of(&found)?.administrator;
        Ok(customer.map(|customer| Invited {
            invitation: found.id,
            customer,
            administrator,
        }))
    }

    fn host_of(&self, named: Option<&str>) -> Result<String, InviteError> {
        let mut hosts = self.parts.origins.keys();
        let host = match (named, self.parts.origins.len()) {
            (Some(named), _) => hosts.find(|host| *host == named),
            (None, 1) => hosts.next(),
            (None, _) => None,
        };
        host.cloned().ok_or(InviteError::WhichHost)
    }

    fn new_invitation(
        &self,
        invite: &NewInvite,
        host: &str,
        token: &str,
    ) -> Result<NewInvitation, OnboardingError> {
        let id = InvitationId::new(uuid::Uuid::now_v7().to_string());
        let text = InvitationText {
            email: invite.email.clone(),
            language: invite.language,
            administrator: invite.administrator,
        };
        let plain = serde_json::to_vec(&text).map_err(|_| CannotOpen)?;
        let context = id.as_str().as_bytes();
        let at = self.parts.clock.now();
        Ok(NewInvitation {
            sealed: self
                .parts
                .keys
                .seal_text(Purpose::Invitation, context, &plain),
            digest: seal::digest(token.as_bytes()),
            platform: self.parts.platform.id().clone(),
            email_digest: digest_of(&invite.email),
            customer: invite.customer.clone(),
            host: host.to_owned(),
            expires_at: at.plus(invite.valid_for),
            id,
            at,
        })
    }

    fn text_of(&self, invitation: &Invitation) -> Result<InvitationText, OnboardingError> {
        let context = invitation.id.as_str().as_bytes();
        let keys = &self.parts.keys;
        let plain = keys.open_text(Purpose::Invitation, context, &invitation.sealed)?;
        Ok(serde_json::from_slice(&plain).map_err(|_| CannotOpen)?)
    }

    async fn note_invitation(&self, id: &InvitationId, what: &'static str) {
        let mut event = Event::new(self.parts.clock.now(), EventKind::Invitation);
        event.detail = serde_json::json!({ "invitation": id, "did": what });
        self.keep(event).await;
    }
}

fn digest_of(email: &EmailAddress) -> String {
    seal::digest(email.folded().as_bytes())
}
