//! Files with mistakes, and what is said about them.

use std::path::Path;

use crate::operator_file::{Problems, SourceFile};

const SHIPPED: [(&str, &[&str]); 2] = [
    ("deploy/rest/crud.toml", &["api_key"]),
    (
        "deploy/rest/servitly-style.toml",
        &["api_key", "email", "password"],
    ),
];

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap()
}

/// What is said about a file.
fn said(text: &str, secrets: &[&str]) -> String {
    let mut problems = Problems::default();
    let source = SourceFile::new("rest.toml", text);
    let description = super::read(&source, secrets, &mut problems);
    assert_eq!(
        description.is_some() && !problems.has_errors(),
        problems.all().is_empty()
    );
    problems.to_string()
}

#[test]
fn shipped_files_are_sound() {
    for (name, secrets) in SHIPPED {
        assert_eq!(said(&shipped(name), secrets), "", "{name}");
    }
}

/// The CRUD file with something else in it.
fn with(instead: &[(&str, &str)]) -> String {
    let mut text = shipped("deploy/rest/crud.toml");
    for (old, new) in instead {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text
}

#[test]
fn names_that_nothing_gives_a_value_to_are_reported_where_they_stand() {
    let text = with(&[
        ("{secret.api_key}", "{secret.apikey}"),
        ("\"/v1/users/{id}/roles\"", "\"/v1/users/{user}/roles\""),
        ("\"email\": user.email,", "\"email\": user.emial,"),
        ("id = \"item.id\"\nemail", "id = \"record.id\"\nemail"),
        (
            "query = { email = \"{email}\" }",
            "query = { email = \"{email\" }",
        ),
        ("answer.code == 'in_use'", "answr.code == 'in_use'"),
        ("\"/v1/password-rules\"", "\"v1/password-rules?all\""),
    ]);
    insta::assert_snapshot!(said(&text, &["api_key"]));
}

#[test]
fn what_belongs_together_is_asked_for() {
    let text = with(&[
        ("[operation.users_of_customer]", "[operation.users]"),
        (
            "means = \"in_use\"",
            "means = \"in_use\"\nfield = \"answer.code\"",
        ),
    ]);
    insta::assert_snapshot!("shape", said(&text, &["api_key"]));
    let text = with(&[
        (",\n    \"password\": password", ""),
        ("    \"external_id\": mark,\n    \"name\"", "    \"name\""),
        ("code = \"item.code\"\nfields", "fields"),
        ("roles = \"item.roles\"\n", ""),
        (
            "means = \"in_use\"",
            "means = \"in_use\"\nfield = \"answer.code\"",
        ),
        ("means = \"wrong\"", "means = \"done\""),
        ("means = \"not_found\"", "means = \"done\""),
        (
            "header = \"X-Api-Key\"",
            "header = \"X-Api-Key\"\nscope = \"all\"",
        ),
    ]);
    insta::assert_snapshot!("completeness", said(&text, &["api_key"]));
}
