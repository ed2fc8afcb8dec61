//! What somebody who is signed in has to do first: accept an agreement that changed, or confirm
//! what the platform knows of them. Pure, and cheap enough for every request.

use super::SignupForm;
use crate::identity::{AccountType, Cleared};

/// Something to do first; the order is that in which people are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// To accept an agreement in its current version.
    Accept,
    /// To confirm what the platform knows.
    Verify,
}

/// What programs get while their user has something to do first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Meanwhile {
    /// They pass; the user is asked at the next page.
    #[default]
    Allow,
    /// 403, with a link to the page that asks.
    Refuse,
}

/// What has to be done first, and what programs get meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duties {
    /// While an agreement is not accepted.
    pub agreements: Meanwhile,
    /// While data is not confirmed; none where nobody is asked.
    pub verification: Option<Meanwhile>,
}

impl Duties {
    /// What somebody has to do first on a host; a program is held up only where the policy says so.
    pub fn first(
        self,
        form: &SignupForm,
        account_type: Option<AccountType>,
        (cleared, is_page): (&Cleared, bool),
    ) -> Option<Duty> {
        let holds_up = |meanwhile| is_page || meanwhile == Meanwhile::Refuse;
        if holds_up(self.agreements) && form.wants_acceptance(account_type, &cleared.agreements) {
            return Some(Duty::Accept);
        }
        let asks = !cleared.verified && !form.verified.is_empty();
        self.verification
            .filter(|meanwhile| asks && holds_up(*meanwhile))
            .map(|_| Duty::Verify)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::identity::AgreementPrint;
    use crate::policy::signup_form::{Agreement, AgreementText};

    fn text(version: &str) -> AgreementText {
        AgreementText {
            title: "Terms".to_owned(),
            markdown: String::new(),
            version: version.to_owned(),
        }
    }

    fn form(named: Option<&str>, texts: &[(&str, &str)]) -> SignupForm {
        let texts: BTreeMap<_, _> = texts
            .iter()
            .map(|(language, version)| ((*language).to_owned(), text(version)))
            .collect();
        let named = named.map(str::to_owned);
        SignupForm {
            agreements: vec![Arc::new(Agreement::new("terms", texts, named))],
            ..SignupForm::default()
        }
    }

    fn accepted(versions: &[&str]) -> Cleared {
        Cleared {
            agreements: versions
                .iter()
                .map(|version| AgreementPrint::of("terms", version))
                .collect(),
            verified: false,
        }
    }

    fn first(form: &SignupForm, cleared: &Cleared, is_page: bool) -> Option<Duty> {
        Duties::default().first(form, None, (cleared, is_page))
    }

    #[test]
    fn any_language_of_the_current_text_covers_an_agreement() {
        let form = form(None, &[("en", "en-2"), ("it", "it-2")]);
        assert_eq!(first(&form, &accepted(&["it-2"]), true), None);
        assert_eq!(first(&form, &accepted(&["it-1"]), true), Some(Duty::Accept));
        assert_eq!(first(&form, &accepted(&["it-1", "en-2"]), true), None);
    }

    #[test]
    fn while_the_operators_version_stays_edits_ask_nobody() {
        let form = form(Some("2026"), &[("en", "en-3")]);
        assert_eq!(first(&form, &accepted(&["2026"]), true), None);
        assert_eq!(first(&form, &accepted(&["2025"]), true), Some(Duty::Accept));
    }

    #[test]
    fn programs_are_held_up_only_where_the_policy_says_so() {
        let form = form(None, &[("en", "en-2")]);
        let nothing = Cleared::default();
        assert_eq!(first(&form, &nothing, false), None);
        let strict = Duties {
            agreements: Meanwhile::Refuse,
            verification: None,
        };
        let duty = strict.first(&form, None, (&nothing, false));
        assert_eq!(duty, Some(Duty::Accept));
    }

    #[test]
    fn agreements_of_other_account_types_are_nobodys_duty() {
        let mut business = Agreement::new("dpa", [("en".to_owned(), text("1"))].into(), None);
        business.account_types = vec![AccountType::Business];
        let form = SignupForm {
            agreements: vec![Arc::new(business)],
            ..SignupForm::default()
        };
        let duty = |kind| Duties::default().first(&form, kind, (&Cleared::default(), true));
        assert_eq!(duty(Some(AccountType::Business)), Some(Duty::Accept));
        assert_eq!(duty(Some(AccountType::Personal)), None);
        assert_eq!(duty(None), None);
    }
}
