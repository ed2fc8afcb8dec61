//! What would happen to somebody who comes through an identity provider.

use std::fmt::Write as _;

use super::Ground;
use crate::assemble;
use crate::identity::VerifiedIdentity;
use crate::onboarding::claimed::{Finding, judge};
use crate::onboarding::resolve::{LookUps, Outcome, Resolution, resolve};
use crate::onboarding::{RegistrationForm, Scope, TurnedAway};
use crate::policy::attributes::Write;

/// The explanation, with look-ups where the database answers.
pub async fn explain(ground: Ground, identity: VerifiedIdentity) -> String {
    let Ground {
        settings,
        policy,
        host,
    } = ground;
    let form = policy.forms.of(&host);
    let nothing_known = LookUps {
        has_locations: true,
        has_partners: true,
        ..LookUps::default()
    };
    let by_policy_alone = || resolve(&identity, &nothing_known, &policy.onboarding, form);
    let looked_up = if settings.database_of(settings.site_of(&host)).is_there() {
        looked_up(settings, &identity, &host).await
    } else {
        Err("there is no database yet".to_owned())
    };
    let mut text = who(&identity, &host);
    match looked_up {
        Ok(resolution) => {
            text.push_str(&outcome(&resolution));
            text.push_str("Looked up: account links, registrations, and the platform.\n");
        }
        Err(why) => {
            text.push_str(&outcome(&by_policy_alone()));
            let _ = writeln!(
                text,
                "Nothing was looked up ({why}): as if the platform knew nobody."
            );
        }
    }
    text.push_str(&follows(&judge(&identity, &policy.onboarding.attributes)));
    text
}

/// What is written to the platform at a sign-in.
fn follows(findings: &[Finding]) -> String {
    let mut text = String::new();
    if !findings.is_empty() {
        text.push_str("Written to the platform at each sign-in, where it changed:\n");
    }
    for finding in findings {
        let line = match finding {
            Finding::Value(what, said) => {
                let when = match said.write {
                    Write::Always => "always",
                    Write::Once => "once, where the platform has nothing",
                };
                format!("{what}: {}, {when}", said.value)
            }
            Finding::NoValue(what) => format!("{what}: stays, the claims say nothing that fits"),
            Finding::Role(role, true) => format!("role `{role}`: given"),
            Finding::Role(role, false) => format!("role `{role}`: taken away"),
            Finding::NoClaim(role, claim) => {
                format!("role `{role}`: stays, there is no claim `{claim}`")
            }
            Finding::NoAnswer(role, why) => format!("role `{role}`: stays, {why}"),
        };
        let _ = writeln!(text, "    {line}");
    }
    text
}

async fn looked_up(
    settings: crate::config::Settings,
    identity: &VerifiedIdentity,
    host: &str,
) -> Result<Resolution, String> {
    let site = settings.site_of(host);
    let onboarding = assemble::for_questions(settings, site).await;
    let onboarding = onboarding.map_err(|error| error.to_string())?;
    let resolution = onboarding.resolution(identity, host).await;
    resolution.map_err(|error| error.to_string())
}

fn who(identity: &VerifiedIdentity, host: &str) -> String {
    let email = match (identity.email(), identity.has_proven_email()) {
        (None, _) => "no e-mail address".to_owned(),
        (Some(email), true) => format!("{}, proven", email.as_str()),
        (Some(email), false) => format!(
            "{}, not proven (email_verified must be true, and trust_email must cover it)",
            email.as_str()
        ),
    };
    format!(
        "Who: {} of {}, through `{}`, on {host}\nE-mail: {email}\n",
        identity.subject(),
        identity.issuer(),
        identity.vouched_by().as_str(),
    )
}

fn outcome(resolution: &Resolution) -> String {
    let mut text = String::new();
    if resolution.stale_link.is_some() {
        text.push_str("The identity is linked to a user that the platform no longer has.\n");
    }
    let next = match &resolution.outcome {
        Outcome::SignedIn(account) => format!("signed in as user {}", account.user),
        Outcome::UnderWay(id) => format!("the progress page of registration {id}"),
        Outcome::Prove(_) => "proof that the existing account is theirs".to_owned(),
        Outcome::TurnedAway(TurnedAway::Excluded { message }) => {
            format!("turned away, with the message `{message}`")
        }
        Outcome::TurnedAway(TurnedAway::Disabled | TurnedAway::Denied | TurnedAway::HasAccount) => {
            "turned away".to_owned()
        }
        Outcome::Register(form) => match &form.scope {
            Scope::NewCustomer { .. } => "the registration page, for a new customer".to_owned(),
            Scope::Join(customer) => {
                format!("registration inside the customer `{}`", customer.name)
            }
            Scope::AskToJoin(customer) => format!(
                "a request to the administrators of the customer `{}`",
                customer.name
            ),
            Scope::Invited(invited) => format!(
                "registration inside the customer `{}`, by invitation",
                invited.customer.name
            ),
        },
    };
    let _ = writeln!(text, "Next: {next}\nWhy: {}", resolution.reason);
    if let Outcome::Register(form) = &resolution.outcome {
        text.push_str(&questions(form));
    }
    text
}

fn questions(form: &RegistrationForm) -> String {
    let types: Vec<&str> = form
        .account_types
        .iter()
        .map(|kind| kind.as_str())
        .collect();
    let mut text = format!("Account types: {}\nFields:\n", types.join(", "));
    for field in &form.fields {
        let declared = &field.declared;
        let needed = if declared.required {
            "required"
        } else {
            "optional"
        };
        let known = match (&field.value, field.locked) {
            (None, _) => String::new(),
            (Some(value), true) => format!(", `{value}`, not editable"),
            (Some(value), false) => format!(", pre-filled with `{value}`"),
        };
        let _ = writeln!(text, "    {}: {needed}{known}", declared.name);
    }
    for agreement in &form.agreements {
        let _ = writeln!(text, "    agreement `{}`", agreement.id);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::explain::tests::{ground, somebody};

    #[tokio::test]
    async fn a_newcomer_is_told_what_is_asked_and_why() {
        let (_folder, ground) = ground();
        let identity = somebody(&ground);
        let explained = Box::pin(explain(ground, identity)).await;
        insta::assert_snapshot!(explained);
    }
}
