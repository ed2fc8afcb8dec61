//! `agreements/<id>.<language>.md` to texts with a version each.

use std::collections::BTreeMap;

use crate::language::Language;
use crate::operator_file::{Findings, Problem, Problems, SourceFile};
use crate::policy::files::Files;
use crate::policy::signup_form::AgreementText;
use crate::seal;

/// Agreement texts by id and language tag.
pub type Texts = BTreeMap<String, BTreeMap<String, AgreementText>>;

pub fn compile(files: &Files, problems: &mut Problems) -> Texts {
    let mut texts = Texts::new();
    for (name, source) in files.below("agreements") {
        let Some((id, language)) = name
            .strip_suffix(".md")
            .and_then(|stem| stem.rsplit_once('.'))
        else {
            let message = "the file name does not say in which language the text is";
            let advice = "name it like `terms.en.md`";
            problems.add(Problem::of_file(&source.path, message, advice));
            continue;
        };
        check(id, language, source, problems);
        let text = AgreementText {
            title: AgreementText::title_of(&source.text)
                .unwrap_or(id)
                .to_owned(),
            markdown: source.text.clone(),
            version: seal::digest(source.text.as_bytes()),
        };
        texts
            .entry(id.to_owned())
            .or_default()
            .insert(language.to_owned(), text);
    }
    texts
}

fn check(id: &str, language: &str, source: &SourceFile, problems: &mut Problems) {
    let mut findings = Findings::new(source, problems);
    let start = 0..0;
    if Language::from_tag(language).is_none() {
        let known: Vec<&str> = Language::ALL.iter().map(|known| known.tag()).collect();
        let message = format!("pages are not written in `{language}`");
        findings.error(&start, message, format!("there are {}", known.join(", ")));
    }
    let is_id = id
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if id.is_empty() || !is_id {
        let message = format!("`{id}` is not an id for an agreement");
        findings.error(&start, message, "use lower-case letters, digits and `-`");
    }
    if source.text.trim().is_empty() {
        findings.error(&start, "the agreement is empty", "write its text");
    }
}
