//! `onboarding.toml` to [`OnboardingPolicy`].

use std::sync::Arc;
use std::time::Duration;

use crate::identity::{AccountType, CustomerId, ProviderId};
use crate::operator_file::{At, Findings};
use crate::policy::attributes::AttributePolicy;
use crate::policy::document::{
    ExclusionShape, KnownShape, LocalLoginShape, MeanwhileWord, OnboardingFile,
    SelfRegistrationShape, Sso, Then, VerificationShape,
};
use crate::policy::duties::{Duties, Meanwhile};
use crate::policy::onboarding::{
    Exclusion, KnownBy, KnownCustomer, LocalLogin, SelfRegistration, WhenKnown,
};
use crate::policy::signup_form::{Field, FieldTarget};
use crate::policy::{OnboardingPolicy, SignupForm};

use super::{Surroundings, joining, signup};

pub fn compile(
    file: &OnboardingFile,
    around: &Surroundings,
    findings: &mut Findings<'_>,
) -> OnboardingPolicy {
    let OnboardingFile {
        sso,
        self_registration,
        agreements,
        customer_verification,
        addresses,
        hooks,
        local_login,
        partner,
        approval,
        // Judged once the sign-up forms are known.
        attribute: _,
        role: _,
    } = file;
    let Sso {
        create_customer_on_first_login,
        account_types,
        add_default_location,
        known_customer,
        exclude,
        recheck_account_every,
    } = sso;
    let known_customer = known_customer
        .iter()
        .filter_map(|shape| known(shape, around, findings))
        .collect();
    let exclude = exclusions(exclude, findings);
    let account_types = self::account_types(account_types.as_ref(), findings);
    let approving = joining::approval(approval, around, findings);
    let self_registration = self_registration_of(self_registration, around, findings);
    let offered = [&account_types, &self_registration.account_types].map(Vec::as_slice);
    joining::advise_on_partners(partner, (&offered.concat(), &approving), findings);
    let by_password = local_login_of(local_login, self_registration.enabled, findings);
    let recheck = findings.take_optional(recheck_account_every.as_ref());
    OnboardingPolicy {
        create_customer_on_first_login: create_customer_on_first_login.unwrap_or(true),
        account_types,
        add_default_location: add_default_location.unwrap_or(true),
        known_customer,
        exclude,
        hooks: super::hooks::compile(hooks, findings),
        addresses: super::abuse::addresses(addresses, findings),
        recheck_account_every: recheck.unwrap_or(Duration::from_mins(5)),
        self_registration,
        partner: joining::partner(partner),
        approval: approving,
        duties: Duties {
            agreements: meanwhile(agreements.api),
            verification: customer_verification
                .enabled
                .then(|| meanwhile(customer_verification.api)),
        },
        local_login: by_password,
        attributes: AttributePolicy::default(),
    }
}

/// The fields that are confirmed on a host with this form, in the order of the file.
pub fn verified(
    file: &OnboardingFile,
    form: &SignupForm,
    findings: &mut Findings<'_>,
) -> Vec<Arc<Field>> {
    let VerificationShape {
        enabled, fields, ..
    } = &file.customer_verification;
    findings.no_doubles("field", fields.iter());
    let declared = |name: &str| form.fields.iter().find(|field| field.name == name);
    let found = fields.iter().filter_map(|name| {
        let field = match declared(name) {
            Some(field) => Some(Arc::clone(field)),
            None => signup::known_field(name, findings).map(Arc::new),
        };
        if field.is_none() {
            let message = format!("there is no field `{}`", name.value);
            let advice = "name one of the sign-up form, or a known one such as `phone`";
            findings.error(&name.span, message, advice);
        }
        let field = field?;
        if field.goes_to == FieldTarget::UserEmail {
            let message = "an e-mail address is not confirmed by a form";
            findings.error(&name.span, message, "leave it out");
        }
        Some(field)
    });
    found
        .collect::<Vec<_>>()
        .into_iter()
        .filter(|_| *enabled)
        .collect()
}

fn meanwhile(word: MeanwhileWord) -> Meanwhile {
    match word {
        MeanwhileWord::Allow => Meanwhile::Allow,
        MeanwhileWord::Refuse => Meanwhile::Refuse,
    }
}

fn local_login_of(
    shape: &LocalLoginShape,
    has_self_registration: bool,
    findings: &mut Findings<'_>,
) -> LocalLogin {
    let LocalLoginShape {
        enabled,
        forgotten_password,
    } = shape;
    if let Some(off) = enabled.as_ref().filter(|enabled| !enabled.value)
        && has_self_registration
    {
        let message = "who registers by a mailed link could not sign in again";
        let advice = "remove `enabled = false`, or turn `self_registration` off";
        findings.error(&off.span, message, advice);
    }
    let forgotten_password = forgotten_password.as_ref().and_then(|text| {
        let url = url::Url::parse(text)
            .ok()
            .filter(|url| url.scheme() == "https");
        if url.is_none() {
            let message = "the page for a forgotten password is not an https address";
            findings.error(
                &text.span,
                message,
                "write it like `https://example.com/reset`",
            );
        }
        url
    });
    LocalLogin {
        enabled: enabled
            .as_ref()
            .map_or(has_self_registration, |enabled| enabled.value),
        forgotten_password,
    }
}

fn self_registration_of(
    shape: &SelfRegistrationShape,
    around: &Surroundings,
    findings: &mut Findings<'_>,
) -> SelfRegistration {
    let SelfRegistrationShape {
        enabled,
        account_types,
        add_default_location,
        link_valid_for,
        exclude,
    } = shape;
    let usual = SelfRegistration::default();
    let enabled = enabled.as_ref().filter(|enabled| enabled.value);
    if let Some(enabled) = enabled {
        joining::needs_letters(&enabled.span, around, findings);
    }
    let link_valid_for = findings.take_optional(link_valid_for.as_ref());
    SelfRegistration {
        enabled: enabled.is_some(),
        account_types: self::account_types(account_types.as_ref(), findings),
        add_default_location: add_default_location.unwrap_or(usual.add_default_location),
        link_valid_for: link_valid_for.unwrap_or(usual.link_valid_for),
        exclude: exclusions(exclude, findings),
    }
}

fn account_types(
    declared: Option<&At<Vec<AccountType>>>,
    findings: &mut Findings<'_>,
) -> Vec<AccountType> {
    let Some(declared) = declared else {
        return vec![AccountType::Business, AccountType::Personal];
    };
    if declared.is_empty() {
        let advice = "write `[\"business\", \"personal\"]`, or one of them";
        findings.error(&declared.span, "there is no account type to choose", advice);
    }
    let mut types = Vec::new();
    for kind in &declared.value {
        if types.contains(kind) {
            let message = format!("`{}` is listed twice", kind.as_str());
            findings.error(&declared.span, message, "list each once");
        }
        types.push(*kind);
    }
    types
}

fn known(
    shape: &KnownShape,
    around: &Surroundings,
    findings: &mut Findings<'_>,
) -> Option<KnownCustomer> {
    let KnownShape {
        claim,
        domain,
        provider,
        customer,
        then,
    } = shape;
    let then_what = match then.value {
        Then::Join => WhenKnown::Join,
        Then::AskToJoin => {
            joining::needs_letters(&then.span, around, findings);
            WhenKnown::AskToJoin
        }
        Then::Register => WhenKnown::Register,
        Then::Deny => WhenKnown::Deny,
    };
    let by = match (claim, domain, provider, customer) {
        (Some(claim), None, None, None) => KnownBy::Claim(claim.value.clone()),
        (None, Some(domain), Some(provider), Some(customer)) => {
            joining::check_domain(domain, findings);
            check_provider(provider, around, findings);
            KnownBy::Domain {
                domain: domain.to_lowercase(),
                provider: ProviderId::new(provider.value.as_str()),
                customer: CustomerId::new(customer.value.as_str()),
            }
        }
        _ => {
            let message = "a customer is known by a claim, or by a domain at a provider";
            let advice = "write `claim`, or `domain`, `provider` and `customer`";
            findings.error(&then.span, message, advice);
            return None;
        }
    };
    Some(KnownCustomer {
        by,
        then: then_what,
    })
}

pub fn check_provider(provider: &At<String>, around: &Surroundings, findings: &mut Findings<'_>) {
    let is_known = around.providers.is_empty()
        || around
            .providers
            .iter()
            .any(|known| known.as_str() == provider.value);
    if !is_known {
        let message = format!("there is no identity provider `{}`", provider.value);
        let known: Vec<String> = around
            .providers
            .iter()
            .map(|id| format!("`{id}`"))
            .collect();
        findings.error(
            &provider.span,
            message,
            format!("there are {}", known.join(", ")),
        );
    }
}

fn exclusions(shapes: &[ExclusionShape], findings: &mut Findings<'_>) -> Vec<Exclusion> {
    let names = shapes.iter().filter_map(|shape| shape.name.as_ref());
    findings.no_doubles("exclusion", names);
    let shapes = shapes.iter().enumerate();
    shapes
        .filter_map(|(place, shape)| exclusion(place, shape, findings))
        .collect()
}

fn exclusion(
    place: usize,
    shape: &ExclusionShape,
    findings: &mut Findings<'_>,
) -> Option<Exclusion> {
    let ExclusionShape {
        name,
        when,
        message,
    } = shape;
    if message.trim().is_empty() {
        let advice = "write `staff` for the shipped text, or what people shall do";
        findings.error(&message.span, "the message is empty", advice);
    }
    let condition = findings.take(when)?;
    let known = ["identity"];
    findings.no_unknown_name(&when.span, condition.unknown_variable(&known), &known);
    let name = name.as_ref().map(|name| name.value.clone());
    Some(Exclusion {
        name: name.unwrap_or_else(|| format!("exclude {}", place + 1)),
        when: condition,
        message: message.value.clone(),
    })
}
