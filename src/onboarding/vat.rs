//! VAT numbers, judged by their format. Pure; nobody is asked whether a number is in use.
//!
//! Formats are those of the European Union's VIES (VAT Information Exchange System, "What is the
//! format of a VAT number?"), of Northern Ireland, Great Britain, Switzerland and Norway.

use crate::language::Country;

/// Longer texts are no numbers of anybody.
const LONGEST: usize = 20;

/// Country, prefix, and formats: `9` is a digit, `A` a letter, `X` either; the rest stands for
/// itself.
const FORMATS: &[(&str, &str, &[&str])] = &[
    ("AT", "AT", &["U99999999"]),
    ("BE", "BE", &["0999999999", "1999999999"]),
    ("BG", "BG", &["999999999", "9999999999"]),
    (
        "CH",
        "CHE",
        &["999999999", "999999999MWST", "999999999TVA", "999999999IVA"],
    ),
    ("CY", "CY", &["99999999A"]),
    ("CZ", "CZ", &["99999999", "999999999", "9999999999"]),
    ("DE", "DE", &["999999999"]),
    ("DK", "DK", &["99999999"]),
    ("EE", "EE", &["999999999"]),
    ("ES", "ES", &["X9999999X"]),
    ("FI", "FI", &["99999999"]),
    ("FR", "FR", &["XX999999999"]),
    ("GB", "GB", &["999999999", "999999999999", "GD999", "HA999"]),
    ("GR", "EL", &["999999999"]),
    ("HR", "HR", &["99999999999"]),
    ("HU", "HU", &["99999999"]),
    ("IE", "IE", &["9999999A", "9999999AA", "9X99999A"]),
    ("IT", "IT", &["99999999999"]),
    ("LT", "LT", &["999999999", "999999999999"]),
    ("LU", "LU", &["99999999"]),
    ("LV", "LV", &["99999999999"]),
    ("MT", "MT", &["99999999"]),
    ("NL", "NL", &["999999999B99"]),
    ("NO", "NO", &["999999999", "999999999MVA"]),
    ("PL", "PL", &["9999999999"]),
    ("PT", "PT", &["999999999"]),
    (
        "RO",
        "RO",
        &[
            "99",
            "999",
            "9999",
            "99999",
            "999999",
            "9999999",
            "99999999",
            "999999999",
            "9999999999",
        ],
    ),
    ("SE", "SE", &["999999999999"]),
    ("SI", "SI", &["99999999"]),
    ("SK", "SK", &["9999999999"]),
    ("XI", "XI", &["999999999", "999999999999", "GD999", "HA999"]),
];

/// The number as it is kept: capitals without spaces and signs, with its prefix where the country
/// is known; none when it is no number of that country, or of the one that its prefix names.
pub(super) fn normal(text: &str, country: Option<Country>) -> Option<String> {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '.' | '-' | '/'))
        .flat_map(char::to_uppercase)
        .collect();
    let is_plain = plain.len() <= LONGEST && plain.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_plain || !plain.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let of_country = FORMATS
        .iter()
        .find(|(code, _, _)| country.is_some_and(|country| country.code() == *code));
    if let Some((_, prefix, formats)) = of_country
        && fits_any(&plain, formats)
    {
        return Some(format!("{prefix}{plain}"));
    }
    let by_prefix = FORMATS.iter().find_map(|(_, prefix, formats)| {
        let rest = plain.strip_prefix(prefix)?;
        Some(fits_any(rest, formats))
    });
    match by_prefix {
        Some(fits) => fits.then_some(plain),
        None => of_country.is_none().then_some(plain),
    }
}

fn fits_any(text: &str, formats: &[&str]) -> bool {
    formats.iter().any(|format| fits(text, format))
}

fn fits(text: &str, format: &str) -> bool {
    text.len() == format.len()
        && text
            .chars()
            .zip(format.chars())
            .all(|(c, wanted)| match wanted {
                '9' => c.is_ascii_digit(),
                'A' => c.is_ascii_uppercase(),
                'X' => c.is_ascii_alphanumeric(),
                own => c == own,
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(country: &str, text: &str) -> Option<String> {
        normal(text, Country::from_code(country))
    }

    #[test]
    fn numbers_are_kept_with_their_prefix_however_they_are_written() {
        for (country, text, kept) in [
            ("IT", "01234567890", "IT01234567890"),
            ("IT", "it 0123 4567 890", "IT01234567890"),
            ("DE", "DE-123.456.789", "DE123456789"),
            ("GR", "123456789", "EL123456789"),
            ("CH", "CHE-123.456.789 MWST", "CHE123456789MWST"),
            ("AT", "U12345678", "ATU12345678"),
            ("DE", "IT01234567890", "IT01234567890"),
            ("US", "12-3456789", "123456789"),
            ("", "FR12123456789", "FR12123456789"),
        ] {
            assert_eq!(of(country, text).as_deref(), Some(kept), "{country} {text}");
        }
    }

    #[test]
    fn numbers_of_another_format_are_none() {
        for (country, text) in [
            ("IT", "0123456789"),
            ("IT", "IT123"),
            ("DE", "12345678A"),
            ("", "DE12"),
            ("US", "no number"),
            ("US", "<b>1</b>"),
            ("IT", "Ⅷ1234567890"),
            ("", "123456789012345678901"),
        ] {
            assert_eq!(of(country, text), None, "{country} {text}");
        }
    }
}
