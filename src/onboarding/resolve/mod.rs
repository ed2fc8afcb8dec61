//! Who is this to the platform, and what comes next? Pure: identity, look-ups and policy in, a
//! [`Resolution`] with the rule that says so out.
//!
//! What holds whatever the policy says: only a link signs in; an e-mail address alone never links;
//! an exclusion that holds, or cannot be evaluated, turns away.

mod outcome;

use super::form::{FormBasis, RegistrationForm, Scope};
use super::invitation::Invited;
use super::password::Demand;
use super::progress::RegistrationId;
use crate::identity::{Account, AccountType, CustomerId, VerifiedIdentity};
use crate::platform::{PlatformCustomer, PlatformUser};
use crate::policy::onboarding::{KnownBy, KnownCustomer, WhenKnown};
use crate::policy::{OnboardingPolicy, SignupForm};

pub use outcome::{Outcome, Reason, Resolution, TurnedAway};

/// Longer claims are no organisation codes.
const LONGEST_CODE: usize = 128;

/// What the stores and the platform know about an identity.
#[derive(Debug, Clone, Default)]
pub struct LookUps {
    /// The account link, with the user that it leads to.
    pub link: Option<Linked>,
    /// A registration of this identity that is under way.
    pub open_registration: Option<RegistrationId>,
    /// A registration of this identity that was rejected so lately that it cannot ask again.
    pub rejected_lately: Option<RegistrationId>,
    /// The platform user that has the identity's e-mail address.
    pub user_by_email: Option<PlatformUser>,
    /// The newest invitation to the identity's proven address.
    pub invited: Option<Invited>,
    /// The customer that the first fitting rule found.
    pub known_customer: Option<KnownMatch>,
    /// Whether the platform has locations.
    pub has_locations: bool,
    /// What is demanded of the password, where somebody is to choose one.
    pub password: Option<Demand>,
    /// Whether the platform has partners.
    pub has_partners: bool,
}

/// An account link, and the user that it leads to.
#[derive(Debug, Clone)]
pub struct Linked {
    /// The account as it was linked.
    pub account: Account,
    /// The user as the platform has it; none when it is gone.
    pub user: Option<PlatformUser>,
}

/// A customer found for a known-customer rule.
#[derive(Debug, Clone)]
pub struct KnownMatch {
    /// The rule's place.
    pub rule: usize,
    /// The customer.
    pub customer: PlatformCustomer,
}

/// A look-up that a known-customer rule wants for an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownQuery {
    /// The rule's place.
    pub rule: usize,
    /// What to look up.
    pub wanted: Wanted,
}

/// How to look a customer up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// By organisation code.
    Code(String),
    /// By the platform's id.
    Id(CustomerId),
}

/// The look-ups that known-customer rules want, in their order.
pub fn known_customer_queries(
    identity: &VerifiedIdentity,
    policy: &OnboardingPolicy,
) -> Vec<KnownQuery> {
    let rules = policy.known_customer.iter().enumerate();
    rules
        .filter_map(|(rule, known)| {
            wanted(identity, known).map(|wanted| KnownQuery { rule, wanted })
        })
        .collect()
}

fn wanted(identity: &VerifiedIdentity, known: &KnownCustomer) -> Option<Wanted> {
    match &known.by {
        KnownBy::Claim(claim) => code_in(identity, claim).map(Wanted::Code),
        KnownBy::Domain {
            domain,
            provider,
            customer,
        } => {
            let email = identity.email()?;
            let holds = identity.has_proven_email()
                && identity.provider() == Some(provider)
                && email.domain() == domain;
            holds.then(|| Wanted::Id(customer.clone()))
        }
    }
}

fn code_in(identity: &VerifiedIdentity, claim: &str) -> Option<String> {
    let code = identity.text(claim)?.trim();
    let is_plain =
        !code.is_empty() && code.len() <= LONGEST_CODE && !code.chars().any(char::is_control);
    is_plain.then(|| code.to_owned())
}

/// Says what comes next for an identity.
pub fn resolve(
    identity: &VerifiedIdentity,
    lookups: &LookUps,
    policy: &OnboardingPolicy,
    form: &SignupForm,
) -> Resolution {
    let stale_link = match &lookups.link {
        Some(Linked {
            account,
            user: Some(user),
        }) => return signed_in(account, user),
        Some(Linked {
            account,
            user: None,
        }) => Some(account.clone()),
        None => None,
    };
    let (outcome, reason) = unlinked(identity, lookups, policy, form);
    Resolution {
        outcome,
        reason,
        stale_link,
    }
}

fn signed_in(linked: &Account, user: &PlatformUser) -> Resolution {
    let (outcome, reason) = if user.enabled {
        (
            Outcome::SignedIn(user.as_account_of(linked)),
            Reason::Linked,
        )
    } else {
        (
            Outcome::TurnedAway(TurnedAway::Disabled),
            Reason::LinkedToDisabled,
        )
    };
    Resolution {
        outcome,
        reason,
        stale_link: None,
    }
}

fn unlinked(
    identity: &VerifiedIdentity,
    lookups: &LookUps,
    policy: &OnboardingPolicy,
    form: &SignupForm,
) -> (Outcome, Reason) {
    if let Some(id) = &lookups.open_registration {
        return (Outcome::UnderWay(id.clone()), Reason::RegistrationUnderWay);
    }
    if let Some(turned_away) = excluded(identity, policy) {
        return turned_away;
    }
    if let Some(user) = &lookups.user_by_email {
        let outcome = if identity.is_by_mail() {
            Outcome::TurnedAway(TurnedAway::HasAccount)
        } else {
            Outcome::Prove(user.clone())
        };
        return (outcome, Reason::EmailInUse);
    }
    let applying = Applying {
        identity,
        policy,
        form,
        lookups,
    };
    if let Some(invited) = &lookups.invited {
        return applying.invited(invited);
    }
    if let Some(id) = &lookups.rejected_lately {
        return (Outcome::UnderWay(id.clone()), Reason::RejectedLately);
    }
    // A match counts only for a rule that asks for it with these claims.
    let known = lookups.known_customer.as_ref().and_then(|found| {
        let rule = policy.known_customer.get(found.rule)?;
        wanted(identity, rule)?;
        Some((found, rule.then))
    });
    match known {
        Some((found, then)) => applying.known_customer(found, then),
        None => claim_elsewhere(identity, policy)
            .unwrap_or_else(|| applying.new_customer(applying.own_code())),
    }
}

/// Nobody is new while it cannot be told whether they are known.
fn claim_elsewhere(
    identity: &VerifiedIdentity,
    policy: &OnboardingPolicy,
) -> Option<(Outcome, Reason)> {
    let place = policy.known_customer.iter().position(|known| {
        matches!(&known.by, KnownBy::Claim(claim)
            if identity.claims_elsewhere().any(|elsewhere| elsewhere == claim))
    })?;
    let rule = place + 1;
    let denied = Outcome::TurnedAway(TurnedAway::Denied);
    Some((denied, Reason::ClaimElsewhere { rule }))
}

fn excluded(identity: &VerifiedIdentity, policy: &OnboardingPolicy) -> Option<(Outcome, Reason)> {
    let claims = identity.claims().to_value();
    let own = policy.entrance_of(identity).exclude;
    // Whoever may not come through a provider does not come by mail either. A rule that asks for
    // claims that no mailbox has says nothing about it.
    let others = if identity.is_by_mail() {
        policy.exclude.as_slice()
    } else {
        &[]
    };
    let own = own.iter().map(|exclusion| (exclusion, true));
    let others = others.iter().map(|exclusion| (exclusion, false));
    own.chain(others).find_map(|(exclusion, is_own)| {
        let rule = exclusion.name.clone();
        match exclusion.when.holds_of(identity, &[("identity", &claims)]) {
            Ok(false) => None,
            Err(_) if !is_own => None,
            Ok(true) => Some((
                Outcome::TurnedAway(TurnedAway::Excluded {
                    message: exclusion.message.clone(),
                }),
                Reason::Excluded {
                    rule,
                    condition: exclusion.when.source().to_owned(),
                },
            )),
            Err(cause) => Some((
                Outcome::TurnedAway(TurnedAway::Denied),
                Reason::ExclusionFailed {
                    rule,
                    cause: cause.to_string(),
                },
            )),
        }
    })
}

/// Somebody without account, exclusion or existing user.
struct Applying<'a> {
    identity: &'a VerifiedIdentity,
    policy: &'a OnboardingPolicy,
    form: &'a SignupForm,
    lookups: &'a LookUps,
}

impl Applying<'_> {
    /// An invitation counts before any rule: somebody named this address.
    fn invited(&self, invited: &Invited) -> (Outcome, Reason) {
        let account_types = vec![invited.customer.account_type];
        let form = self.form(Scope::Invited(invited.clone()), account_types);
        (Outcome::Register(form), Reason::Invited)
    }

    fn known_customer(&self, found: &KnownMatch, then: WhenKnown) -> (Outcome, Reason) {
        let reason = |then| Reason::KnownCustomer {
            rule: found.rule + 1,
            then,
        };
        match then {
            WhenKnown::Deny => (Outcome::TurnedAway(TurnedAway::Denied), reason("deny")),
            WhenKnown::Join => {
                let account_types = vec![found.customer.account_type];
                let form = self.form(Scope::Join(found.customer.clone()), account_types);
                (Outcome::Register(form), reason("join"))
            }
            WhenKnown::AskToJoin => {
                let account_types = vec![found.customer.account_type];
                let form = self.form(Scope::AskToJoin(found.customer.clone()), account_types);
                (Outcome::Register(form), reason("ask to join"))
            }
            WhenKnown::Register => {
                let (outcome, otherwise) = self.new_customer(None);
                match outcome {
                    Outcome::Register(_) => (outcome, reason("register")),
                    _ => (outcome, otherwise),
                }
            }
        }
    }

    fn new_customer(&self, code: Option<String>) -> (Outcome, Reason) {
        let denied = Outcome::TurnedAway(TurnedAway::Denied);
        let entrance = self.policy.entrance_of(self.identity);
        let (reason, closed) = if self.identity.is_by_mail() {
            (Reason::SelfRegistration, Reason::SelfRegistrationOff)
        } else {
            (Reason::FirstLogin, Reason::FirstLoginIsOff)
        };
        if !entrance.is_open {
            return (denied, closed);
        }
        let offered = entrance.account_types.iter().copied();
        let has = |kind: &AccountType| *kind != AccountType::Partner || self.lookups.has_partners;
        let account_types: Vec<_> = offered.filter(has).collect();
        if account_types.is_empty() {
            return (denied, Reason::NoAccountType);
        }
        let form = self.form(Scope::NewCustomer { code }, account_types);
        (Outcome::Register(form), reason)
    }

    /// The code under which colleagues will find the new customer: that of the first claim rule.
    fn own_code(&self) -> Option<String> {
        self.policy
            .known_customer
            .iter()
            .find_map(|known| match &known.by {
                KnownBy::Claim(claim) => code_in(self.identity, claim),
                KnownBy::Domain { .. } => None,
            })
    }

    fn form(&self, scope: Scope, account_types: Vec<AccountType>) -> RegistrationForm {
        let entrance = self.policy.entrance_of(self.identity);
        RegistrationForm::build(FormBasis {
            identity: self.identity,
            declared: self.form,
            scope,
            account_types,
            with_location: entrance.add_default_location && self.lookups.has_locations,
            code_is_required: self.policy.partner.without_code.is_none(),
        })
        .with_password(self.lookups.password)
    }
}
