//! `[partner]` and `[approval]` of `onboarding.toml`, and what a domain rule may name.

use crate::identity::{AccountType, EmailAddress, PartnerId};
use crate::operator_file::{At, Findings, Span};
use crate::policy::document::{ApprovalShape, PartnerShape};
use crate::policy::joining::{ApprovalPolicy, PartnerPolicy};
use crate::policy::public_mail;

use super::Surroundings;

pub fn partner(shape: &PartnerShape) -> PartnerPolicy {
    let PartnerShape { without_code } = shape;
    PartnerPolicy {
        without_code: without_code.as_ref().map(|id| PartnerId::new(&id.value)),
    }
}

pub fn approval(
    shape: &ApprovalShape,
    around: &Surroundings,
    findings: &mut Findings<'_>,
) -> ApprovalPolicy {
    let ApprovalShape {
        account_types,
        notify,
        remind_after,
        expires_after,
        ask_again_after,
    } = shape;
    let usual = ApprovalPolicy::default();
    let mut span_of = |span| findings.take_optional(span);
    let policy = ApprovalPolicy {
        account_types: account_types.iter().map(|kind| kind.value).collect(),
        remind_after: span_of(remind_after.as_ref()).unwrap_or(usual.remind_after),
        expires_after: span_of(expires_after.as_ref()).unwrap_or(usual.expires_after),
        ask_again_after: span_of(ask_again_after.as_ref()).unwrap_or(usual.ask_again_after),
        notify: notify
            .iter()
            .filter_map(|text| address(text, around, findings))
            .collect(),
    };
    if let (Some(first), true) = (account_types.first(), notify.is_empty()) {
        let message = "nobody is told that somebody waits for approval";
        let advice = "add `notify`, or look often: `vestibule registrations list`";
        findings.warning(&first.span, message, advice);
    }
    let given = expires_after.as_ref().or(remind_after.as_ref());
    if let Some(given) = given.filter(|_| policy.remind_after >= policy.expires_after) {
        let message = "nobody would be reminded before the request is over";
        let advice = "make `remind_after` shorter than `expires_after`";
        findings.error(&given.span, message, advice);
    }
    policy
}

fn address(
    text: &At<String>,
    around: &Surroundings,
    findings: &mut Findings<'_>,
) -> Option<EmailAddress> {
    needs_letters(&text.span, around, findings);
    let parsed = EmailAddress::parse(text);
    parsed
        .inspect_err(|problem| {
            let message = format!("`{}` is not an e-mail address: {problem}", text.value);
            findings.error(&text.span, message, "write it like `sales@example.com`");
        })
        .ok()
}

/// Reports a policy that writes to people where no letter can be sent.
pub fn needs_letters(span: &Span, around: &Surroundings, findings: &mut Findings<'_>) {
    if around.sends_letters == Some(false) {
        let message = "this asks people by letter, and no letters are sent";
        findings.error(span, message, "add `[mail]` to vestibule.toml");
    }
}

/// Who takes in partners without a code lets anybody in, unless somebody looks at them.
pub fn advise_on_partners(
    shape: &PartnerShape,
    (offered, approval): (&[AccountType], &ApprovalPolicy),
    findings: &mut Findings<'_>,
) {
    let Some(without_code) = &shape.without_code else {
        return;
    };
    let partner = AccountType::Partner;
    if offered.contains(&partner) && !approval.account_types.contains(&partner) {
        let message = "anybody can become a user of this partner";
        let advice = "add `\"partner\"` to `account_types` of `[approval]`, or ask for a code";
        findings.warning(&without_code.span, message, advice);
    }
}

/// A domain that a customer can be known by: whole, and not open to everybody.
pub fn check_domain(domain: &At<String>, findings: &mut Findings<'_>) {
    if domain.contains(['@', '*', '/', ' ']) || !domain.contains('.') {
        let message = format!("`{}` is not a whole domain", domain.value);
        findings.error(&domain.span, message, "write it like `example.com`");
    }
    if public_mail::is_public(&domain.to_lowercase()) {
        let message = format!("anybody can get an address at `{}`", domain.value);
        let advice = "know the customer by a claim, or invite its people";
        findings.error(&domain.span, message, advice);
    }
}
