//! Languages and texts: every sentence that a person reads comes from a Fluent file.
//!
//! A language is one file, `templates/translations/<tag>.ftl`, and one line in `languages!`.
//! Sentences are whole; nothing is put together from pieces.

mod countries;
mod negotiation;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

pub use countries::Country;

/// Which way a language is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// As Latin script is.
    LeftToRight,
    /// As Arabic and Hebrew scripts are.
    RightToLeft,
}

impl Direction {
    /// The value of the `dir` attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftToRight => "ltr",
            Self::RightToLeft => "rtl",
        }
    }
}

/// Declares the languages: variant, tag (RFC 5646), the language's own name, direction.
macro_rules! languages {
    ($($variant:ident $tag:literal $own_name:literal $direction:ident;)+) => {
        /// A language that pages and letters are written in.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(rename_all = "lowercase")]
        pub enum Language {
            $(#[doc = $own_name] $variant,)+
        }

        impl Language {
            /// All of them, in the order in which pages offer them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The language tag (RFC 5646), for `lang` attributes, cookies and file names.
            pub const fn tag(self) -> &'static str {
                match self { $(Self::$variant => $tag,)+ }
            }

            /// What speakers of the language call it.
            pub const fn own_name(self) -> &'static str {
                match self { $(Self::$variant => $own_name,)+ }
            }

            /// Which way it is written.
            pub const fn direction(self) -> Direction {
                match self { $(Self::$variant => Direction::$direction,)+ }
            }

            const fn source(self) -> &'static str {
                match self {
                    $(Self::$variant => {
                        include_str!(concat!("../../templates/translations/", $tag, ".ftl"))
                    })+
                }
            }
        }
    };
}

languages! {
    En "en" "English" LeftToRight;
    It "it" "Italiano" LeftToRight;
    De "de" "Deutsch" LeftToRight;
}

impl Language {
    /// The operator's text in this language, else in English, else in whatever language there is.
    pub fn pick(self, texts: &BTreeMap<String, String>) -> Option<&str> {
        let of = |tag: &str| texts.get(tag);
        let found = of(self.tag()).or_else(|| of("en"));
        found.or_else(|| texts.values().next()).map(String::as_str)
    }

    /// The language that `tag` names, if pages are written in it.
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// The texts of this language.
    pub const fn texts(self) -> Texts {
        Texts { language: self }
    }
}

/// The texts of one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    language: Language,
}

impl Texts {
    /// The language of these texts.
    pub const fn language(self) -> Language {
        self.language
    }

    /// The text under `key`. An unknown key shows itself; a test keeps those out of the product.
    pub fn get(self, key: &str) -> Cow<'static, str> {
        self.format(key, None)
    }

    /// The text under `key`, with its variables filled in.
    pub fn get_with(self, key: &str, values: &[(&str, &str)]) -> Cow<'static, str> {
        let values = values
            .iter()
            .map(|(name, value)| (*name, FluentValue::from(*value)));
        self.format(key, Some(&values.collect()))
    }

    /// The text under `key`, with a number that it counts by.
    pub fn count(self, key: &str, name: &str, number: usize) -> Cow<'static, str> {
        self.format(
            key,
            Some(&[(name, FluentValue::from(number))].into_iter().collect()),
        )
    }

    /// Whether there is a text under `key`.
    pub fn has(self, key: &str) -> bool {
        self.bundle().is_some_and(|bundle| bundle.has_message(key))
    }

    fn format(self, key: &str, values: Option<&FluentArgs<'_>>) -> Cow<'static, str> {
        let found = self.bundle().and_then(|bundle| {
            let pattern = bundle.get_message(key)?.value()?;
            Some(
                bundle
                    .format_pattern(pattern, values, &mut Vec::new())
                    .into_owned(),
            )
        });
        found.map_or_else(|| Cow::Owned(key.to_owned()), Cow::Owned)
    }

    fn bundle(self) -> Option<&'static FluentBundle<FluentResource>> {
        BUNDLES
            .iter()
            .find(|(language, _)| *language == self.language)
            .map(|(_, bundle)| bundle)
    }
}

static BUNDLES: LazyLock<Vec<(Language, FluentBundle<FluentResource>)>> = LazyLock::new(|| {
    Language::ALL
        .iter()
        .map(|language| (*language, bundle(*language)))
        .collect()
});

fn bundle(language: Language) -> FluentBundle<FluentResource> {
    let locale = language.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![locale]);
    // Isolation marks are invisible but travel along when an address is copied; a text that is
    // written left to right throughout does not need them.
    bundle.set_use_isolating(language.direction() == Direction::RightToLeft);
    let resource = FluentResource::try_new(language.source().to_owned());
    // A test holds the files free of errors; what is sound in them is used in any case.
    bundle.add_resource_overriding(resource.unwrap_or_else(|(sound_part, _)| sound_part));
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    /// Keys of a file, each with the names of its variables.
    fn messages(language: Language) -> BTreeMap<String, BTreeSet<String>> {
        let mut messages = BTreeMap::new();
        let mut key = String::new();
        for line in language
            .source()
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            if let Some((name, _)) = line.split_once(" =")
                && !line.starts_with(' ')
            {
                name.clone_into(&mut key);
                assert!(
                    !messages.contains_key(&key),
                    "{key} twice in {}",
                    language.tag()
                );
            }
            let variables: &mut BTreeSet<String> = messages.entry(key.clone()).or_default();
            for part in line.split('$').skip(1) {
                let name = part
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_');
                variables.insert(name.collect());
            }
        }
        messages.remove("");
        messages
    }

    #[test]
    fn every_language_is_free_of_syntax_errors() {
        for language in Language::ALL {
            let resource = FluentResource::try_new(language.source().to_owned());
            assert!(
                resource.is_ok(),
                "{}: {:?}",
                language.tag(),
                resource.err().map(|e| e.1)
            );
        }
    }

    #[test]
    fn every_language_has_the_same_texts_with_the_same_variables() {
        let english = messages(Language::En);
        for language in Language::ALL {
            assert_eq!(
                english,
                messages(*language),
                "{} differs from en",
                language.tag()
            );
        }
    }

    #[test]
    fn every_text_can_be_shown() {
        for language in Language::ALL {
            for (key, variables) in messages(*language) {
                let values: Vec<_> = variables.iter().map(|name| (name.as_str(), "7")).collect();
                let text = language.texts().get_with(&key, &values);
                assert!(text != key && !text.contains(['{', '}']), "{key}: {text}");
            }
        }
    }

    fn files_under(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_under(&path, found);
            } else if path
                .extension()
                .is_some_and(|kind| kind == "rs" || kind == "html" || kind == "txt")
            {
                found.push(std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_key_that_is_asked_for_exists() {
        let mut sources = Vec::new();
        files_under(Path::new("templates"), &mut sources);
        files_under(Path::new("src/pages"), &mut sources);
        files_under(Path::new("src/mail"), &mut sources);
        let english = messages(Language::En);
        for source in &sources {
            for call in ["texts.get(\"", "texts.get_with(\"", "texts.count(\""] {
                for rest in source.split(call).skip(1) {
                    let key = rest.split('"').next().unwrap();
                    assert!(english.contains_key(key), "no text for {key}");
                }
            }
        }
    }

    #[test]
    fn every_text_is_used() {
        let mut sources = Vec::new();
        files_under(Path::new("templates"), &mut sources);
        files_under(Path::new("src"), &mut sources);
        for key in messages(Language::En).keys() {
            // Their keys end in a word of the policy, or in the part of a letter.
            let family = [
                "country-",
                "field-",
                "account-type-",
                "progress-step-",
                "error-",
                "letter-signup-",
                "letter-has-account-",
                "letter-password-",
            ]
            .iter()
            .any(|start| key.starts_with(start));
            let named = format!("\"{key}\"");
            assert!(
                family || sources.iter().any(|source| source.contains(&named)),
                "nothing uses {key}"
            );
        }
    }

    #[test]
    fn variables_are_filled_in_and_an_unknown_key_shows_itself() {
        let texts = Language::De.texts();
        assert_eq!(
            texts.get_with("login-title", &[("operator", "Acme")]),
            "Bei Acme anmelden"
        );
        assert_eq!(texts.get("no-such-text"), "no-such-text");
    }
}
