//! Which sentence stands beside a field that has a problem.

use crate::onboarding::FieldProblemKind;
use crate::policy::signup_form::FieldKind;

/// The key of the sentence.
pub(super) fn sentence_key(
    problem: &FieldProblemKind,
    kind: Option<&FieldKind>,
    is_locked: bool,
) -> &'static str {
    match (problem, kind) {
        (FieldProblemKind::EmailTaken, _) => "error-email-taken",
        (FieldProblemKind::NameTaken, _) => "error-name-taken",
        (FieldProblemKind::CodeTaken, _) => "error-code-taken",
        (FieldProblemKind::NotAPartnerCode, _) => "error-partner-code",
        // What is shown and not asked cannot be put right on the page.
        _ if is_locked => "error-elsewhere",
        (FieldProblemKind::Missing, Some(FieldKind::Select(_) | FieldKind::Country)) => {
            "error-choose"
        }
        (FieldProblemKind::Missing, Some(FieldKind::Checkbox)) => "error-tick",
        (FieldProblemKind::Missing, _) => "error-missing",
        (FieldProblemKind::TooLong { .. }, _) => "error-too-long",
        (FieldProblemKind::Characters, _) => "error-characters",
        (FieldProblemKind::NotAnEmail, _) => "error-not-an-email",
        (FieldProblemKind::NotAPhone, _) => "error-not-a-phone",
        (FieldProblemKind::NotAVatNumber, _) => "error-not-a-vat-number",
        (FieldProblemKind::NewlyAsked, _) => "error-newly-asked",
        (FieldProblemKind::NotACountry, _) => "error-not-a-country",
        (FieldProblemKind::NotAnOption, _) => "error-not-an-option",
        (FieldProblemKind::AccountType, _) => "error-account-type",
        (FieldProblemKind::NotAccepted, _) => "error-agreement",
        (FieldProblemKind::AgreementChanged, _) => "error-agreement-changed",
        (
            FieldProblemKind::Refused | FieldProblemKind::Said(_) | FieldProblemKind::Password(_),
            _,
        ) => "error-refused",
    }
}
