//! Files with mistakes, and what is said about them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;

/// A page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    /// What it is called.
    name: At<String>,
    /// How long it stays.
    stays: Option<Parsed<std::time::Duration>>,
    /// Its parts.
    #[serde(default)]
    part: Vec<Part>,
    /// By language.
    title: Option<Title>,
    kind: Option<Kind>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Part {
    /// Its size.
    size: u32,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Title {
    One(String),
    Many(BTreeMap<String, String>),
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Wide.
    Wide,
    /// Narrow.
    Narrow,
}

fn read(text: &str) -> (Option<Page>, String) {
    let mut problems = Problems::default();
    let page = SourceFile::new("page.toml", text).parse(&mut problems);
    (page, problems.to_string())
}

#[test]
fn a_sound_file_is_read() {
    let (page, problems) =
        read("name = 'x'\nstays = '5m'\ntitle = {en = 'a'}\nkind = 'wide'\n[[part]]\nsize = 3\n");
    let page = page.unwrap();
    assert_eq!(problems, "");
    assert_eq!(*page.name, "x");
    assert_eq!(page.name.span, 7..10);
    assert!(page.stays.unwrap().outcome.is_ok());
    assert_eq!(page.part[0].size, 3);
    assert_eq!(
        page.title,
        Some(Title::Many([("en".to_owned(), "a".to_owned())].into()))
    );
    assert_eq!(page.kind, Some(Kind::Wide));
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_places() {
    let (page, problems) =
        read("nam = 'x'\ntitle = 7\nkind = 'wied'\n[[part]]\nsize = 'big'\n[[part]]\nsice = 3\n");
    assert!(page.is_none());
    insta::assert_snapshot!(problems);
}

#[test]
fn all_syntax_errors_are_reported_at_once() {
    let (page, problems) = read("name = \nstays = 5m\nname = 'x'\n");
    assert!(page.is_none());
    insta::assert_snapshot!(problems);
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    assert!(read("\u{feff}name = 'x'").0.is_some());
}

#[test]
fn a_number_out_of_range_has_its_place() {
    let (page, problems) = read("name = 'x'\n[[part]]\nsize = -1\n");
    assert!(page.is_none());
    assert!(problems.starts_with("page.toml:3:"), "{problems}");
}
