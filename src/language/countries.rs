//! Countries by their two-letter codes (ISO 3166-1 alpha-2), with names in every language.
//!
//! The codes are those of the tz database's `iso3166.tab` (public domain); the names, in the
//! translation files, are those of the Unicode CLDR 48 (Unicode License v3).

use unicode_normalization::UnicodeNormalization as _;

use super::{Language, Texts};

/// A country or territory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country(&'static str);

impl Country {
    /// The country with that code, in any case.
    pub fn from_code(code: &str) -> Option<Self> {
        CODES
            .iter()
            .copied()
            .find(|known| known.eq_ignore_ascii_case(code))
            .map(Self)
    }

    /// The code, in capitals.
    pub const fn code(self) -> &'static str {
        self.0
    }

    /// All countries.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.iter().copied().map(Self)
    }

    /// The name in the given language.
    pub fn name(self, language: Language) -> String {
        language
            .texts()
            .get(&format!("country-{}", self.0))
            .into_owned()
    }
}

impl Texts {
    /// All countries with their names, in the language's alphabetical order.
    pub fn countries(self) -> Vec<(Country, String)> {
        let mut named: Vec<_> = Country::all()
            .map(|country| (country, country.name(self.language)))
            .collect();
        named.sort_by_cached_key(|(_, name)| sorting_key(name));
        named
    }
}

/// The name without marks and case, so that Österreich stands beside Oman.
fn sorting_key(name: &str) -> String {
    name.nfkd()
        .filter(|c| c.is_alphanumeric() || *c == ' ')
        .collect::<String>()
        .to_lowercase()
}

const CODES: &[&str] = &[
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ",
    "BA", "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS",
    "BT", "BV", "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN",
    "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE",
    "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF",
    "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM",
    "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM",
    "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC",
    "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK",
    "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA",
    "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG",
    "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW",
    "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS",
    "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO",
    "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI",
    "VN", "VU", "WF", "WS", "YE", "YT", "ZA", "ZM", "ZW",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_have_names_in_every_language() {
        for language in Language::ALL {
            for country in Country::all() {
                assert!(
                    !country.name(*language).starts_with("country-"),
                    "{}",
                    country.code()
                );
            }
        }
        let austria = Country::from_code("at").unwrap();
        let names = [Language::En, Language::It, Language::De].map(|l| austria.name(l));
        assert_eq!(names, ["Austria", "Austria", "Österreich"]);
        assert_eq!(Country::from_code("XX"), None);
    }

    #[test]
    fn countries_are_in_alphabetical_order() {
        let names: Vec<_> = Language::De
            .texts()
            .countries()
            .into_iter()
            .map(|c| c.1)
            .collect();
        let place = |name: &str| names.iter().position(|n| n == name).unwrap();
        assert_eq!(names.len(), 249);
        assert!(place("Oman") < place("Österreich") && place("Österreich") < place("Pakistan"));
        assert!(place("Afghanistan") < place("Ägypten"));
    }
}
