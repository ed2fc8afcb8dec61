//! What the registration page asks: declared fields, agreements, brand; one form per host.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::expression::{Condition, Expression, Mapping};
use crate::identity::{
    AccountType, AgreementPrint, Cleared, CustomerOptions, EmailAddress, UserOptions,
};
use crate::language::Language;

/// The compiled sign-up form of a host.
#[derive(Debug, Clone, Default)]
pub struct SignupForm {
    /// The headline, by language tag; the shipped one where missing.
    pub title: BTreeMap<String, String>,
    /// The paragraph below it, by language tag; the shipped one where missing.
    pub intro: BTreeMap<String, String>,
    /// What account types are called, and for whom they are; the shipped texts where missing.
    pub account_types: BTreeMap<AccountType, AccountTypeTexts>,
    /// Declared fields, in page order.
    pub fields: Vec<Arc<Field>>,
    /// Agreements to accept, in page order.
    pub agreements: Vec<Arc<Agreement>>,
    /// Fields that somebody whom the back office made confirms at first access, in page order.
    pub verified: Vec<Arc<Field>>,
    /// The customer's name, composed over `form` and `identity`.
    pub customer_title: Option<Expression>,
    /// Who is told of every completed registration.
    pub notify: Option<Notified>,
    /// What is made of a new customer besides.
    pub customer_options: CustomerOptions,
    /// What is made of a new user besides.
    pub user_options: UserOptions,
    /// Name, logo, colour.
    pub brand: Brand,
    /// How robots are kept from asking for letters.
    pub captcha: Captcha,
}

/// How robots are kept from asking for letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Captcha {
    /// Not at all, beyond limits.
    None,
    /// The browser works for a second; nobody else is asked. Without scripts, fewer letters go out.
    #[default]
    ProofOfWork,
    /// A vendor's captcha, by its id in the installation.
    Of(String),
}

/// What an account type is called, and for whom it is, by language tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountTypeTexts {
    /// Its name.
    pub label: BTreeMap<String, String>,
    /// For whom it is.
    pub hint: BTreeMap<String, String>,
}

/// Who is told of every completed registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// The address.
    pub email: EmailAddress,
    /// The language to write in.
    pub language: Language,
}

impl SignupForm {
    /// The agreements for an account type; for none, those that are for everybody.
    pub fn agreements_for(
        &self,
        account_type: Option<AccountType>,
    ) -> impl Iterator<Item = &Arc<Agreement>> {
        self.agreements.iter().filter(move |agreement| {
            agreement.account_types.is_empty()
                || account_type.is_some_and(|kind| agreement.is_asked_for(kind))
        })
    }

    /// What somebody has done who has nothing left to do.
    pub fn all_cleared(&self) -> Cleared {
        let agreements = self.agreements.iter();
        Cleared {
            agreements: agreements.flat_map(|one| one.current.clone()).collect(),
            verified: true,
        }
    }

    /// Whether one of them is not accepted in its current version.
    pub fn wants_acceptance(
        &self,
        account_type: Option<AccountType>,
        accepted: &[AgreementPrint],
    ) -> bool {
        self.agreements_for(account_type)
            .any(|agreement| !agreement.is_covered_by(accepted))
    }
}

/// A declared field.
#[derive(Debug)]
pub struct Field {
    /// Its name in forms, platform data and expressions (`form.<name>`).
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
    /// The label by language tag; the shipped text of the same name where missing.
    pub label: BTreeMap<String, String>,
    /// A sentence of help by language tag.
    pub hint: BTreeMap<String, String>,
    /// Whether it must be filled in.
    pub required: bool,
    /// When it is asked, over `form` and `identity`; always where missing.
    pub when: Option<Condition>,
    /// When it must be filled in although it need not be otherwise.
    pub required_when: Option<Condition>,
    /// For which account types it is asked; empty for all.
    pub account_types: Vec<AccountType>,
    /// Which object of the platform gets it.
    pub goes_to: FieldTarget,
    /// Where its first value comes from: a claim or an expression over `identity`.
    pub prefill: Option<Mapping>,
    /// Whether a value from a verified claim is shown and kept, not editable.
    pub locked_when_verified: bool,
    /// The longest value, characters.
    pub max_length: usize,
    /// The HTML `autocomplete` token.
    pub autocomplete: Option<String>,
}

impl Field {
    /// Whether it is asked for this account type. A partner's user has no customer and no location
    /// that a value could go to.
    pub fn is_asked_for(&self, account_type: AccountType) -> bool {
        let has_a_place = match self.goes_to {
            FieldTarget::CustomerName | FieldTarget::Customer | FieldTarget::Location => {
                account_type != AccountType::Partner
            }
            FieldTarget::UserName | FieldTarget::UserEmail | FieldTarget::User => true,
            FieldTarget::PartnerCode => account_type == AccountType::Partner,
        };
        has_a_place && (self.account_types.is_empty() || self.account_types.contains(&account_type))
    }
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// One line of text.
    Text,
    /// An e-mail address.
    Email,
    /// A phone number in any human spelling, kept as E.164.
    Phone,
    /// A VAT number, judged by the format of its country.
    VatNumber,
    /// A country, kept as ISO 3166-1 alpha-2.
    Country,
    /// One of several options.
    Select(Vec<Choice>),
    /// Yes or no.
    Checkbox,
}

/// An option of a select field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is kept.
    pub value: String,
    /// What is shown, by language tag; the value where missing.
    pub label: BTreeMap<String, String>,
}

/// Which object of the platform gets a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldTarget {
    /// The customer's name itself (one field per account type at most).
    CustomerName,
    /// The customer's fields.
    Customer,
    /// The location's fields.
    Location,
    /// The user's name itself; several such fields are joined in page order.
    UserName,
    /// The user's e-mail address itself.
    UserEmail,
    /// The user's fields.
    User,
    /// Nothing gets it: it says which partner the user belongs to.
    PartnerCode,
}

/// A versioned text that a user accepts.
#[derive(Debug)]
pub struct Agreement {
    /// Its id: the file name before the language.
    pub id: String,
    /// Text and version by language tag; never empty.
    pub texts: BTreeMap<String, AgreementText>,
    /// For which account types it is asked; empty for all.
    pub account_types: Vec<AccountType>,
    /// The version that the operator names, which stays the same over minor edits.
    pub named_version: Option<String>,
    current: Vec<AgreementPrint>,
}

impl Agreement {
    /// An agreement for everybody.
    pub fn new(
        id: impl Into<String>,
        texts: BTreeMap<String, AgreementText>,
        named_version: Option<String>,
    ) -> Self {
        let id = id.into();
        let versions = texts.values().map(|text| text.version.as_str());
        let current = versions
            .chain(named_version.as_deref())
            .map(|version| AgreementPrint::of(&id, version))
            .collect();
        Self {
            id,
            texts,
            account_types: Vec::new(),
            named_version,
            current,
        }
    }

    /// Whether the current version is among those that were accepted, in any language.
    pub fn is_covered_by(&self, accepted: &[AgreementPrint]) -> bool {
        self.current.iter().any(|print| accepted.contains(print))
    }

    /// The text of this version, with its language.
    pub fn text_of(&self, version: &str) -> Option<(&str, &AgreementText)> {
        let found = self.texts.iter().find(|(_, text)| text.version == version);
        found.map(|(language, text)| (language.as_str(), text))
    }

    /// The text for a reader of `language`, with the language that it is in: that one, else
    /// English, else the first there is.
    pub fn text_for(&self, language: &str) -> Option<(&str, &AgreementText)> {
        let of = |tag: &str| self.texts.get_key_value(tag);
        let found = of(language)
            .or_else(|| of("en"))
            .or_else(|| self.texts.first_key_value());
        found.map(|(tag, text)| (tag.as_str(), text))
    }

    /// Whether it is asked for this account type.
    pub fn is_asked_for(&self, account_type: AccountType) -> bool {
        self.account_types.is_empty() || self.account_types.contains(&account_type)
    }
}

/// An agreement in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementText {
    /// The first heading, or the id.
    pub title: String,
    /// The Markdown source.
    pub markdown: String,
    /// Digest of the source.
    pub version: String,
}

impl AgreementText {
    /// The first heading of a source.
    pub fn title_of(markdown: &str) -> Option<&str> {
        let mut lines = markdown.lines();
        lines
            .find_map(|line| line.strip_prefix("# "))
            .map(str::trim)
    }
}

/// How the pages look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brand {
    /// The operator's name.
    pub name: String,
    /// The logo's file content and media type.
    pub logo: Option<Logo>,
    /// `#rrggbb`.
    pub colour: Option<String>,
    /// The page's own colour behind its card, in the light scheme: `#rrggbb`.
    pub background: Option<String>,
    /// The icon of the browser's tab; the logo where missing.
    pub favicon: Option<Logo>,
    /// Where somebody can ask for help: a URL or `mailto:`.
    pub support: Option<String>,
    /// Links at the bottom of every page.
    pub links: Vec<BrandLink>,
}

/// A link at the bottom of every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandLink {
    /// What it says, by language tag.
    pub label: BTreeMap<String, String>,
    /// Where it leads: a URL or `mailto:`.
    pub url: String,
}

/// A logo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logo {
    /// `image/svg+xml`, `image/png` or `image/webp`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}
