//! What browsers fill in by themselves.

use crate::policy::signup_form::{Field, FieldKind};

/// The operator's token, else the one that fits the field's name or kind (HTML, section
/// 4.10.18.7), so that browsers fill it in.
pub(super) fn autocomplete(field: &Field) -> Option<String> {
    let by_name = match field.name.as_str() {
        "name" => Some("name"),
        "given_name" => Some("given-name"),
        "family_name" => Some("family-name"),
        "company" => Some("organization"),
        "address" => Some("address-line1"),
        "address_2" => Some("address-line2"),
        "postal_code" => Some("postal-code"),
        "city" => Some("address-level2"),
        "region" => Some("address-level1"),
        "language" => Some("language"),
        _ => None,
    };
    let by_kind = match field.kind {
        FieldKind::Email => Some("email"),
        FieldKind::Phone => Some("tel"),
        FieldKind::Country => Some("country"),
        _ => None,
    };
    field
        .autocomplete
        .clone()
        .or_else(|| by_name.or(by_kind).map(str::to_owned))
}
