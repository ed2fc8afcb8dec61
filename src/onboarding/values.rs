//! A field's value, judged and brought into the one spelling that is kept. Pure.
//!
//! Every kept text is NFC, trimmed, and free of control and direction characters.

use unicode_normalization::UnicodeNormalization as _;

use super::answers::FieldProblemKind;
use super::vat;
use crate::identity::EmailAddress;
use crate::language::Country;
use crate::policy::signup_form::{Field, FieldKind};

/// The kept value of a field; none when it may be empty and is.
pub(super) fn answer(
    field: &Field,
    text: &str,
    (region, required): (Option<Country>, bool),
) -> Result<Option<String>, FieldProblemKind> {
    let value = normal(field, text, region)?;
    let is_empty = value.is_empty() || (field.kind == FieldKind::Checkbox && value == "false");
    if is_empty && required {
        return Err(FieldProblemKind::Missing);
    }
    Ok(Some(value).filter(|value| !value.is_empty()))
}

/// A field's value in the one spelling that is kept; the empty text stays empty.
pub(super) fn normal(
    field: &Field,
    text: &str,
    region: Option<Country>,
) -> Result<String, FieldProblemKind> {
    let text = plain(text, field.max_length)?;
    if text.is_empty() && field.kind != FieldKind::Checkbox {
        return Ok(text);
    }
    match &field.kind {
        FieldKind::Text => Ok(text),
        FieldKind::Email => EmailAddress::parse(&text)
            .map(String::from)
            .map_err(|_| FieldProblemKind::NotAnEmail),
        FieldKind::Phone => phone(&text, region).ok_or(FieldProblemKind::NotAPhone),
        FieldKind::VatNumber => vat::normal(&text, region).ok_or(FieldProblemKind::NotAVatNumber),
        FieldKind::Country => Country::from_code(&text)
            .map(|country| country.code().to_owned())
            .ok_or(FieldProblemKind::NotACountry),
        FieldKind::Select(choices) => choices
            .iter()
            .find(|choice| choice.value == text)
            .map(|choice| choice.value.clone())
            .ok_or(FieldProblemKind::NotAnOption),
        FieldKind::Checkbox => match text.as_str() {
            "on" | "true" | "yes" | "1" => Ok("true".to_owned()),
            "" | "false" | "no" | "0" => Ok("false".to_owned()),
            _ => Err(FieldProblemKind::NotAnOption),
        },
    }
}

/// NFC, trimmed, without control and direction characters, not too long.
pub(super) fn plain(text: &str, max: usize) -> Result<String, FieldProblemKind> {
    // The octets are counted first, so that nothing huge is normalised.
    if text.len() > max.saturating_mul(8) {
        return Err(FieldProblemKind::TooLong { max });
    }
    let text: String = text.nfc().collect::<String>().trim().to_owned();
    if text.chars().any(is_unwanted) {
        return Err(FieldProblemKind::Characters);
    }
    if text.chars().count() > max {
        return Err(FieldProblemKind::TooLong { max });
    }
    Ok(text)
}

/// Characters that no name or address holds and that make a text look like another: controls,
/// direction marks, invisible spaces and the like. The joiners U+200C and U+200D are part of names
/// in several scripts.
fn is_unwanted(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A phone number in any human spelling as E.164.
fn phone(text: &str, region: Option<Country>) -> Option<String> {
    // With a country code the region must not matter: `phonenumber` would drop a leading zero that
    // is a trunk prefix there, although it is part of the number where it leads.
    let international = text.strip_prefix("00").map(|rest| format!("+{rest}"));
    let candidates = [
        (Some(text).filter(|text| text.starts_with('+')), None),
        (Some(text).filter(|text| !text.starts_with('+')), region),
        (international.as_deref(), None),
    ];
    candidates
        .into_iter()
        .find_map(|(text, region)| e164(text?, region))
}

fn e164(text: &str, region: Option<Country>) -> Option<String> {
    let region = region.and_then(|country| country.code().parse().ok());
    let number = phonenumber::parse(region, text).ok()?;
    phonenumber::is_valid(&number)
        .then(|| number.format().mode(phonenumber::Mode::E164).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzzed_phone_numbers_have_one_spelling() {
        let fuzz = crate::fuzz::Fuzz {
            name: "phones",
            corpus: include_str!("../../tests/fuzz/corpus/phones.txt"),
            words: &["+39", "00", "333", " ", "(", ";ext="],
        };
        fuzz.run(|octets| {
            let text = String::from_utf8_lossy(octets);
            let italy = Country::from_code("IT");
            let Ok(text) = plain(&text, 64) else {
                return (0, 0);
            };
            let normal = phone(&text, italy);
            if let Some(number) = &normal {
                let digits = number.strip_prefix('+').unwrap();
                assert!(
                    digits.bytes().all(|octet| octet.is_ascii_digit()),
                    "{number:?}"
                );
                assert!((4..=17).contains(&digits.len()), "{number:?}");
                assert_eq!(phone(number, italy).as_ref(), Some(number), "from {text:?}");
            }
            (
                1 + u8::from(normal.is_some()),
                normal.map_or(0, |number| number.len()),
            )
        });
    }
}
