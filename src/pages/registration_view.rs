//! The registration form as a page: labels, hints, first values, and what must be put right.

use std::collections::BTreeMap;

use super::autocomplete::autocomplete;
use super::password_view::{password_sentence, password_view};
use super::sentences::sentence_key;
use super::submission::Fields;
use super::views::{
    AccountTypeChoice, AgreementView, Control, FieldView, InputKind, KnownValue, OptionView,
    PasswordView, ProblemLink,
};
use crate::identity::AccountType;
use crate::language::{Country, Texts};
use crate::onboarding::conditions::Filled;
use crate::onboarding::form::{ACCOUNT_TYPE, AGREEMENT_PREFIX};
use crate::onboarding::{FieldProblem, FieldProblemKind, FormField, RegistrationForm};
use crate::paths;
use crate::policy::signup_form::{AccountTypeTexts, Agreement, Choice, Field, FieldKind};

/// What the page of a form is made from.
#[derive(Debug, Clone, Copy)]
pub struct FormView<'a> {
    /// The form.
    pub form: &'a RegistrationForm,
    /// What was sent, if anything was.
    pub sent: Option<&'a Fields>,
    /// What must be put right.
    pub problems: &'a [FieldProblem],
    /// The visitor's language.
    pub texts: Texts,
    /// The country to preselect.
    pub country: Option<Country>,
    /// The operator's name.
    pub operator: &'a str,
    /// What the operator calls account types.
    pub account_types: &'a BTreeMap<AccountType, AccountTypeTexts>,
}

impl FormView<'_> {
    /// The values that are shown and not asked.
    pub fn known(&self) -> Vec<KnownValue> {
        let locked = self.form.fields.iter().filter(|field| field.locked);
        locked
            .filter_map(|field| {
                let value = field.value.as_deref()?;
                Some(KnownValue {
                    label: self.label(&field.declared),
                    value: self.readable(&field.declared, value),
                })
            })
            .collect()
    }

    /// The account types to choose from; none where there is no choice.
    pub fn account_types(&self) -> Vec<AccountTypeChoice> {
        if self.form.only_account_type().is_some() {
            return Vec::new();
        }
        let sent = self.sent.and_then(|fields| fields.get(ACCOUNT_TYPE));
        // Nothing is suggested to whoever has sent the form without a choice.
        let likely = self.form.likely_account_type();
        let likely = likely.filter(|_| self.sent.is_none());
        let choice = |kind: &AccountType| {
            let own = self.account_types.get(kind);
            let text = |own: Option<&BTreeMap<String, String>>, ending: &str| {
                let ours = || {
                    let key = format!("account-type-{}{ending}", kind.as_str());
                    self.texts.get(&key).into_owned()
                };
                own.and_then(|own| self.own(own))
                    .map_or_else(ours, str::to_owned)
            };
            AccountTypeChoice {
                value: kind.as_str(),
                label: text(own.map(|own| &own.label), ""),
                hint: text(own.map(|own| &own.hint), "-hint"),
                chosen: sent.map_or(likely == Some(*kind), |sent| sent == kind.as_str()),
            }
        };
        self.form.account_types.iter().map(choice).collect()
    }

    /// The fields that are asked, given what is filled in.
    pub fn fields(&self) -> Vec<FieldView> {
        let filled = self.filled();
        self.asked(&filled)
            .map(|field| self.field(field, filled.requires(field)))
            .collect()
    }

    /// The names of the fields on the page that are asked because of what is filled in.
    pub fn asked_by_condition(&self) -> String {
        let filled = self.filled();
        let conditional = self
            .asked(&filled)
            .filter(|field| field.declared.when.is_some());
        let names: Vec<_> = conditional
            .map(|field| field.declared.name.as_str())
            .collect();
        names.join(" ")
    }

    fn asked<'f>(&'f self, filled: &'f Filled<'f>) -> impl Iterator<Item = &'f FormField> {
        let fields = self.form.fields.iter();
        fields.filter(|field| !field.locked && filled.asks(field))
    }

    /// Fields of every account type are on the page until one is chosen, and after: the stylesheet
    /// shows those of the chosen one.
    fn filled(&self) -> Filled<'_> {
        let kind = self.sent.and_then(|sent| sent.get(ACCOUNT_TYPE));
        let kind = kind.and_then(|word| AccountType::from_word(word));
        let kind = kind.or_else(|| self.form.only_account_type());
        Filled::on_page(self.form, self.sent, kind)
    }

    fn field(&self, field: &FormField, required: bool) -> FieldView {
        let declared = &field.declared;
        FieldView {
            id: field_id(&declared.name),
            name: declared.name.clone(),
            label: self.label_with_need(declared, required),
            hint: self.hint(declared),
            problem: self.problem_of(&declared.name),
            only_for: self.only_for(declared),
            control: self.control(field),
        }
    }

    /// The account types on offer that it is asked for; empty for all.
    fn only_for(&self, field: &Field) -> Vec<AccountType> {
        let offered = &self.form.account_types;
        let asked = offered.iter().filter(|kind| field.is_asked_for(**kind));
        let asked: Vec<_> = asked.copied().collect();
        if asked.len() == offered.len() && field.account_types.is_empty() {
            return Vec::new();
        }
        asked
    }

    fn control(&self, field: &FormField) -> Control {
        let declared = &field.declared;
        let value = field.value.clone().unwrap_or_default();
        let input = |kind, value| Control::Input {
            kind,
            value,
            autocomplete: autocomplete(declared),
        };
        match &declared.kind {
            FieldKind::Text => input(InputKind::Text, value),
            FieldKind::VatNumber => input(InputKind::Code, value),
            FieldKind::Email => input(InputKind::Email, value),
            FieldKind::Phone => input(InputKind::Phone, value),
            FieldKind::Country => self.countries(declared, &value),
            FieldKind::Select(choices) => Control::Select {
                options: choices
                    .iter()
                    .map(|choice| self.option(choice, &value))
                    .collect(),
                autocomplete: autocomplete(declared),
            },
            FieldKind::Checkbox => Control::Checkbox {
                ticked: match self.sent {
                    // An unticked box is not sent at all.
                    Some(sent) => sent.contains_key(&declared.name),
                    None => value == "true",
                },
            },
        }
    }

    fn countries(&self, declared: &Field, value: &str) -> Control {
        let preselected = self
            .country
            .filter(|_| self.sent.is_none())
            .map(Country::code);
        let chosen = if value.is_empty() {
            preselected.unwrap_or_default()
        } else {
            value
        };
        let option = |(country, name): (Country, String)| OptionView {
            value: country.code().to_owned(),
            label: name,
            chosen: country.code().eq_ignore_ascii_case(chosen),
        };
        Control::Select {
            options: self.texts.countries().into_iter().map(option).collect(),
            autocomplete: autocomplete(declared),
        }
    }

    fn option(&self, choice: &Choice, value: &str) -> OptionView {
        OptionView {
            value: choice.value.clone(),
            label: self.own(&choice.label).unwrap_or(&choice.value).to_owned(),
            chosen: choice.value == value,
        }
    }

    /// The agreements to accept.
    pub fn agreements(&self) -> Vec<AgreementView> {
        self.form
            .agreements
            .iter()
            .filter_map(|agreement| self.agreement(agreement))
            .collect()
    }

    fn agreement(&self, agreement: &Agreement) -> Option<AgreementView> {
        let (_, text) = agreement.text_for(self.texts.language().tag())?;
        let name = format!("{AGREEMENT_PREFIX}{}", agreement.id);
        let sent = self.sent.and_then(|fields| fields.get(&name));
        Some(AgreementView {
            id: target_of(&name),
            problem: self.problem_of(&name),
            version: text.version.clone(),
            title: text.title.clone(),
            href: paths::agreement(&agreement.id),
            ticked: sent.is_some_and(|version| *version == text.version),
            only_for: agreement.account_types.clone(),
            name,
        })
    }

    /// What is wrong with a field, in a sentence that says what to write.
    pub fn problem_of(&self, name: &str) -> Option<String> {
        let found = self.problems.iter().find(|problem| problem.field == name);
        found.map(|problem| self.sentence(problem))
    }

    /// All problems, each leading to its field.
    pub fn problem_links(&self) -> Vec<ProblemLink> {
        let link = |problem: &FieldProblem| ProblemLink {
            target: self.target(&problem.field),
            sentence: self.sentence(problem),
        };
        self.problems.iter().map(link).collect()
    }

    /// Where a problem is put right: the field; for what is not asked, the list of known values.
    fn target(&self, field: &str) -> String {
        if field == ACCOUNT_TYPE {
            let first = self.form.account_types.first();
            return first.map_or_else(String::new, |kind| {
                format!("account-type-{}", kind.as_str())
            });
        }
        let is_locked = |known: &FormField| known.declared.name == field && known.locked;
        if self.form.fields.iter().any(is_locked) {
            return "known-title".to_owned();
        }
        target_of(field)
    }

    /// The field for the password, where one is chosen.
    pub fn password(&self) -> Option<PasswordView> {
        let problems = self.problems.iter();
        let problem = problems.clone().find_map(|problem| match problem.problem {
            FieldProblemKind::Password(problem) => Some(problem),
            _ => None,
        });
        let demand = self.form.password?;
        Some(password_view(
            self.texts,
            demand,
            "password-choose",
            problem,
        ))
    }

    fn sentence(&self, problem: &FieldProblem) -> String {
        if let FieldProblemKind::Said(words) = &problem.problem {
            return words.clone();
        }
        if let FieldProblemKind::Password(problem) = problem.problem {
            return password_sentence(self.texts, problem);
        }
        let declared = self
            .form
            .fields
            .iter()
            .find(|field| field.declared.name == problem.field);
        let label = declared.map_or_else(
            || self.agreement_title(&problem.field),
            |field| self.label(&field.declared),
        );
        let max = match problem.problem {
            FieldProblemKind::TooLong { max } => max.to_string(),
            _ => String::new(),
        };
        let values = [
            ("label", label.as_str()),
            ("title", label.as_str()),
            ("max", max.as_str()),
            ("operator", self.operator),
        ];
        let kind = declared.map(|field| &field.declared.kind);
        let is_locked = declared.is_some_and(|field| field.locked);
        self.texts
            .get_with(sentence_key(&problem.problem, kind, is_locked), &values)
            .into_owned()
    }

    fn agreement_title(&self, field: &str) -> String {
        let id = field.strip_prefix(AGREEMENT_PREFIX).unwrap_or_default();
        let agreement = self
            .form
            .agreements
            .iter()
            .find(|agreement| agreement.id == id);
        let text = agreement.and_then(|found| found.text_for(self.texts.language().tag()));
        text.map(|(_, text)| text.title.clone()).unwrap_or_default()
    }

    fn label_with_need(&self, field: &Field, required: bool) -> String {
        let label = self.label(field);
        if required || field.kind == FieldKind::Checkbox {
            return label;
        }
        self.texts
            .get_with("label-optional", &[("label", &label)])
            .into_owned()
    }

    /// The operator's label, else ours for a field of that name, else the name.
    fn label(&self, field: &Field) -> String {
        let ours = format!("field-{}", field.name);
        match self.own(&field.label) {
            Some(label) => label.to_owned(),
            None if self.texts.has(&ours) => self.texts.get(&ours).into_owned(),
            None => field.name.clone(),
        }
    }

    fn hint(&self, field: &Field) -> Option<String> {
        let ours = || {
            let is_phone = field.kind == FieldKind::Phone;
            is_phone.then(|| self.texts.get("phone-hint").into_owned())
        };
        self.own(&field.hint).map(str::to_owned).or_else(ours)
    }

    fn own<'t>(&self, texts: &'t BTreeMap<String, String>) -> Option<&'t str> {
        self.texts.language().pick(texts)
    }

    fn readable(&self, field: &Field, value: &str) -> String {
        match &field.kind {
            FieldKind::Country => Country::from_code(value).map_or_else(
                || value.to_owned(),
                |country| country.name(self.texts.language()),
            ),
            FieldKind::Select(choices) => {
                let choice = choices.iter().find(|choice| choice.value == value);
                choice
                    .and_then(|choice| self.own(&choice.label))
                    .unwrap_or(value)
                    .to_owned()
            }
            _ => value.to_owned(),
        }
    }
}

fn field_id(name: &str) -> String {
    format!("field-{name}")
}

/// The id of the field or agreement of that name.
fn target_of(name: &str) -> String {
    match name.strip_prefix(AGREEMENT_PREFIX) {
        Some(id) => format!("agreement-{id}"),
        None => field_id(name),
    }
}
