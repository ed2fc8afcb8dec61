//! Filters (RFC 7644, section 3.4.2.2). Pure.
//!
//! A value is a JSON string, so that nothing that people write can end it. What a filter finds is
//! compared again by whoever asked: servers differ in case, and some take no notice of filters.

use serde_json::Value;

/// What has exactly this text in an attribute.
pub(super) fn equal(attribute: &str, text: &str) -> String {
    format!("{attribute} eq {}", Value::from(text))
}

/// The members of a multi-valued attribute with this text, as the path of a change.
pub(super) fn those(attribute: &str, part: &str, text: &str) -> String {
    format!("{attribute}[{}]", equal(part, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_end_themselves() {
        for (value, filter) in [
            ("M-1", r#"code eq "M-1""#),
            (
                r#"" or id pr or x eq ""#,
                r#"code eq "\" or id pr or x eq \"""#,
            ),
            (r"a\", r#"code eq "a\\""#),
            ("a\nb", r#"code eq "a\nb""#),
            ("Müller", r#"code eq "Müller""#),
        ] {
            assert_eq!(equal("code", value), filter);
        }
        assert_eq!(those("members", "value", "7"), r#"members[value eq "7"]"#);
    }
}
