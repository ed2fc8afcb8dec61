//! Which language and country to start with, from what the browser says of itself.

use super::{Country, Language};

impl Language {
    /// The language for a visitor: the one they chose (the cookie's value), else the best of
    /// `Accept-Language` (RFC 9110, section 12.5.4), else English.
    pub fn negotiate(chosen: Option<&str>, accept_language: Option<&str>) -> Self {
        let preferred = || {
            ranges(accept_language?)
                .into_iter()
                .find_map(|range| Self::from_tag(range.split('-').next().unwrap_or(range)))
        };
        chosen
            .and_then(Self::from_tag)
            .or_else(preferred)
            .unwrap_or(Self::En)
    }
}

impl Country {
    /// The country to preselect for a visitor: the first region that `Accept-Language` names.
    pub fn from_accept_language(accept_language: &str) -> Option<Self> {
        ranges(accept_language).into_iter().find_map(region)
    }
}

/// The region of a language tag (RFC 5646, section 2.2.4): the two letters after language and
/// script.
fn region(tag: &str) -> Option<Country> {
    tag.split('-')
        .skip(1)
        .find(|part| part.len() == 2)
        .and_then(Country::from_code)
}

/// The language ranges of the header, the most wanted first. At most sixteen are looked at.
fn ranges(header: &str) -> Vec<&str> {
    let mut weighted: Vec<(u16, &str)> = header.split(',').take(16).filter_map(weighted).collect();
    weighted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    weighted.into_iter().map(|(_, range)| range).collect()
}

/// A range with its weight in thousandths; none for what is unwanted or unreadable.
fn weighted(item: &str) -> Option<(u16, &str)> {
    let mut parts = item.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let weight = match parts.find_map(|part| part.strip_prefix("q=")) {
        None => 1000,
        Some(value) => thousandths(value)?,
    };
    (weight > 0).then_some((weight, range))
}

fn thousandths(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = format!("{fraction:0<3}");
    match whole {
        "1" => Some(1000),
        "0" => digits.get(..3)?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_what_the_visitor_chose() {
        assert_eq!(Language::negotiate(Some("it"), Some("de")), Language::It);
    }

    #[test]
    fn takes_the_most_wanted_language_that_it_has() {
        for (header, language) in [
            ("de-AT,de;q=0.9,en;q=0.8", Language::De),
            ("en;q=0.5, it;q=0.9", Language::It),
            ("fr-CA,fr;q=0.9,it;q=0.2", Language::It),
            ("it;q=0, de;q=0.001", Language::De),
            ("DE", Language::De),
            ("*", Language::En),
            (";;q=,", Language::En),
            ("", Language::En),
        ] {
            assert_eq!(
                Language::negotiate(Some("xx"), Some(header)),
                language,
                "{header}"
            );
        }
        assert_eq!(Language::negotiate(None, None), Language::En);
    }

    #[test]
    fn preselects_the_country_that_the_locale_names() {
        let code = |header| Country::from_accept_language(header).map(Country::code);
        assert_eq!(code("de-AT,de;q=0.9,en-US;q=0.8"), Some("AT"));
        assert_eq!(code("zh-Hant-TW"), Some("TW"));
        assert_eq!(code("it,en-GB;q=0.7"), Some("GB"));
        assert_eq!(code("it"), None);
        assert_eq!(code("en-XX"), None);
    }

    proptest! {
        #[test]
        fn takes_any_header_without_harm(header in ".{0,200}") {
            let _ = Language::negotiate(Some(&header), Some(&header));
            let _ = Country::from_accept_language(&header);
        }
    }

    #[test]
    fn fuzzed_languages_are_ours() {
        let fuzz = crate::fuzz::Fuzz {
            name: "languages",
            corpus: include_str!("../../tests/fuzz/corpus/languages.txt"),
            words: &["it", "-IT", ";q=0.", ",", "de"],
        };
        fuzz.run(|octets| {
            let header = String::from_utf8_lossy(octets);
            let country = Country::from_accept_language(&header);
            let named = country.map(|country| country.code().to_ascii_lowercase());
            let is_named = named.is_none_or(|code| header.to_ascii_lowercase().contains(&code));
            assert!(is_named, "{country:?} from {header:?}");
            (
                Language::negotiate(None, Some(&header)).tag(),
                country.is_some(),
            )
        });
    }
}
