//! What the stores and the platform know about an applicant.

use super::password::Demand;
use super::resolve::{self, KnownMatch, Linked, LookUps, Wanted};
use super::{Onboarding, OnboardingError, RegistrationStoreDown};
use crate::identity::{Account, EmailAddress, Issuer, Subject, UserId, VerifiedIdentity};
use crate::policy::OnboardingPolicy;

impl Onboarding {
    /// The platform is asked first and the own tables afterwards: a user that this very identity's
    /// registration has just made is then known by that registration or by its link, and is never
    /// mistaken for somebody else's.
    pub(super) async fn look_up(
        &self,
        identity: &VerifiedIdentity,
        policy: &OnboardingPolicy,
    ) -> Result<LookUps, OnboardingError> {
        let linked = self.linked(identity).await?;
        if let Some(link) = linked.filter(|link| link.user.is_some()) {
            return Ok(LookUps {
                link: Some(link),
                ..LookUps::default()
            });
        }
        let platform = &self.parts.platform;
        let user_by_email = match identity.email() {
            Some(email) => platform.user_by_email(&email).await?,
            None => None,
        };
        let known_customer = self.known_customer(identity, policy).await?;
        let invited = self.invited(identity).await?;
        let newest = self.parts.store.newest(&self.who(identity)).await?;
        let (open, closed) = match newest {
            Some(newest) if newest.state.is_open() => (Some(newest), None),
            newest => (None, newest),
        };
        let now = self.parts.clock.now();
        let lately = now.minus(policy.approval.ask_again_after);
        let rejected = closed.filter(|one| one.was_rejected() && one.updated_at > lately);
        Ok(LookUps {
            link: self.linked(identity).await?,
            open_registration: open.map(|open| open.id),
            rejected_lately: rejected.map(|rejected| rejected.id),
            user_by_email,
            invited,
            known_customer,
            has_locations: platform.capabilities().locations,
            password: self.password_demand(identity).await?,
            has_partners: platform.capabilities().partners,
        })
    }

    /// What is demanded of the password that somebody chooses; who signs in elsewhere chooses none.
    async fn password_demand(
        &self,
        identity: &VerifiedIdentity,
    ) -> Result<Option<Demand>, OnboardingError> {
        if !identity.is_by_mail() || !self.parts.platform.capabilities().passwords {
            return Ok(None);
        }
        self.demand().await.map(Some)
    }

    /// What is demanded of a new password.
    pub async fn demand(&self) -> Result<Demand, OnboardingError> {
        let rules = self.parts.platform.password_rules().await?;
        Ok(rules.map_or(Demand::HardToGuess, Demand::Published))
    }

    async fn linked(&self, identity: &VerifiedIdentity) -> Result<Option<Linked>, OnboardingError> {
        let Some(account) = self.link_of(identity).await? else {
            return Ok(None);
        };
        let user = self.parts.platform.user(&account.user).await?;
        Ok(Some(Linked { account, user }))
    }

    /// The account that somebody is linked to. A mail address is never linked: whoever came by one
    /// has the account that their own registration has made.
    pub(super) async fn link_of(
        &self,
        identity: &VerifiedIdentity,
    ) -> Result<Option<Account>, RegistrationStoreDown> {
        let store = &self.parts.store;
        let who = self.who(identity);
        if !identity.is_by_mail() {
            return store.link(&who).await;
        }
        let newest = store.newest(&who).await?;
        match newest.and_then(|newest| newest.made_user()) {
            Some(user) => store.link(&who.as_local_user(&user)).await,
            None => Ok(None),
        }
    }

    /// As whom a user of the platform signs in.
    pub async fn identities_of(
        &self,
        user: &UserId,
    ) -> Result<Vec<(Issuer, Subject)>, OnboardingError> {
        let platform = self.parts.platform.id();
        Ok(self.parts.store.linked_to(platform, user).await?)
    }

    /// The platform's user with an address.
    pub async fn user_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<UserId>, OnboardingError> {
        let user = self.parts.platform.user_by_email(email).await?;
        Ok(user.map(|user| user.id))
    }

    async fn known_customer(
        &self,
        identity: &VerifiedIdentity,
        policy: &OnboardingPolicy,
    ) -> Result<Option<KnownMatch>, OnboardingError> {
        for query in resolve::known_customer_queries(identity, policy) {
            let found = match &query.wanted {
                Wanted::Code(code) => self.parts.platform.customer_by_code(code).await?,
                Wanted::Id(id) => self.parts.platform.customer(id).await?,
            };
            if let Some(customer) = found {
                return Ok(Some(KnownMatch {
                    rule: query.rule,
                    customer,
                }));
            }
        }
        Ok(None)
    }
}
