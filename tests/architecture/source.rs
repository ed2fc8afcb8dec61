//! A Rust file as plain text: its code without comments and strings, and the paths written in it.
//! Not a parser; it knows just enough for the rules in `architecture.rs`.

use std::{fs, path::Path};

/// One file, split into what the rules look at.
pub struct Source {
    /// Path below the scanned folder, with forward slashes: `access/path.rs`.
    pub path: String,
    /// The file as written.
    pub text: String,
    /// The production part with comments, strings and characters blanked; lines are kept.
    pub code: String,
}

/// A path such as `crate::seal::Purpose`, from the crate root, and where it is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Mention {
    pub line: usize,
    pub segments: Vec<String>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank_comments_and_strings(production_part(text));
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }

    /// Every Rust file below `folder`, sorted by path.
    pub fn all_in(folder: &Path) -> Vec<Self> {
        let mut found = Vec::new();
        collect(folder, folder, &mut found);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// Where the file sits in the module tree: `access/path.rs` is `["access", "path"]`.
    pub fn module(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        match stem {
            "lib" | "main" => Vec::new(),
            _ => stem.split('/').map(str::to_owned).collect(),
        }
    }

    /// The module right below the crate root that the file belongs to.
    pub fn top(&self) -> String {
        self.module().first().cloned().unwrap_or_default()
    }

    /// Tests that live in a file of their own.
    pub fn is_test(&self) -> bool {
        let module = self.module();
        module
            .iter()
            .any(|word| word == "tests" || word.ends_with("_tests"))
    }

    /// Paths into this crate, written as `crate::…` or `super::…`, groups taken apart.
    pub fn mentions(&self) -> Vec<Mention> {
        let here = self.module();
        let mut found = Vec::new();
        for (at, word) in words(&self.code) {
            let starts_path = !self.code[..at].trim_end().ends_with("::");
            if starts_path && (word == "crate" || word == "super") {
                let line = line_of(&self.code, at);
                for segments in expand(&self.code[at..]) {
                    if let Some(segments) = from_root(&here, &segments) {
                        found.push(Mention { line, segments });
                    }
                }
            }
        }
        found
    }

    /// Lines where `name` stands at the start of a path (`name::…`) or is imported whole.
    pub fn uses_of_crate(&self, name: &str) -> Vec<usize> {
        let is_use = |at: usize, word: &str| {
            let before = self.code[..at].trim_end();
            let after = self.code[at + word.len()..].trim_start();
            !before.ends_with("::")
                && (after.starts_with("::") || (before.ends_with("use") && after.starts_with(';')))
        };
        words(&self.code)
            .filter(|(at, word)| *word == name && is_use(*at, word))
            .map(|(at, _)| line_of(&self.code, at))
            .collect()
    }

    /// Lines where `phrase` (words joined by `::`, or one word) is written.
    pub fn lines_with(&self, phrase: &str) -> Vec<usize> {
        self.code
            .match_indices(phrase)
            .filter(|(at, _)| {
                let before = self.code[..*at].chars().next_back();
                let after = self.code[at + phrase.len()..].chars().next();
                !before.is_some_and(is_word) && !after.is_some_and(is_word)
            })
            .map(|(at, _)| line_of(&self.code, at))
            .collect()
    }

    /// Names of the modules that the file declares, with their lines.
    pub fn declared_modules(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut previous = "";
        for (at, word) in words(&self.code) {
            if previous == "mod" {
                found.push((line_of(&self.code, at), word.to_owned()));
            }
            previous = word;
        }
        found
    }

    /// The code between `;`, `{` and `}`, on one line each, and the lines where it begins.
    pub fn statements(&self) -> Vec<(usize, String)> {
        let pieces = self.code.split([';', '{', '}']).map(str::trim_start);
        pieces
            .filter(|code| !code.is_empty())
            .map(|code| {
                let at = code.as_ptr() as usize - self.code.as_ptr() as usize;
                let words: Vec<&str> = code.split_whitespace().collect();
                (line_of(&self.code, at), words.join(" "))
            })
            .collect()
    }

    pub fn production_lines(&self) -> usize {
        self.code.lines().count()
    }
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder to scan") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            if !path.ends_with("node_modules") {
                collect(root, &path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let below = path
                .strip_prefix(root)
                .expect("below the root")
                .to_string_lossy();
            let text = fs::read_to_string(&path).expect("a readable file");
            found.push(Source::new(&below.replace('\\', "/"), &text));
        }
    }
}

/// Everything before the tests that close a file.
fn production_part(text: &str) -> &str {
    text.match_indices("#[cfg(test)]")
        .find(|(at, _)| {
            let starts_line = *at == 0 || text[..*at].ends_with('\n');
            let opens_tests = text[*at..].lines().nth(1).unwrap_or("").starts_with("mod ");
            starts_line && opens_tests
        })
        .map_or(text, |(at, _)| &text[..at])
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split(|c: char| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// The paths that a path expression or a `use` tree at the start of `text` stands for.
fn expand(text: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    tree(text, &mut Vec::new(), &mut paths);
    paths
}

/// Reads one tree (`a::b`, `a::{b, c::d}`, `a::*`), adds its paths, returns what follows it.
fn tree<'a>(text: &'a str, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return branches(group, prefix, paths);
    }
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let depth = prefix.len();
    prefix.push(text[..end].to_owned());
    let rest = text[end..].trim_start();
    let rest = match rest.strip_prefix("::") {
        Some(more) if more.trim_start().starts_with(|c| is_word(c) || c == '{') => {
            tree(more, prefix, paths)
        }
        _ => {
            paths.push(prefix.clone());
            rest
        }
    };
    prefix.truncate(depth);
    rest
}

/// Reads the inside of a group up to its closing brace.
fn branches<'a>(text: &'a str, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '}' => return &rest[1..],
            ',' | '*' => &rest[1..],
            _ if is_word(first) || first == '{' => without_alias(tree(rest, prefix, paths)),
            _ => return rest,
        };
        rest = rest.trim_start();
    }
    rest
}

/// Skips the `as name` that may follow an imported path.
fn without_alias(text: &str) -> &str {
    let alias = text.trim_start().strip_prefix("as ").map(str::trim_start);
    alias.map_or(text, |name| name.trim_start_matches(is_word))
}

/// `crate::a::b` and `super::…` as segments from the crate root; `None` if they stay inside.
fn from_root(here: &[String], segments: &[String]) -> Option<Vec<String>> {
    if segments.first().is_some_and(|first| first == "crate") {
        return segments
            .get(1..)
            .filter(|path| !path.is_empty())
            .map(<[String]>::to_vec);
    }
    let ups = segments
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    let kept = here.len().checked_sub(ups)?;
    let mut path = here[..kept].to_vec();
    path.extend_from_slice(&segments[ups..]);
    (!path.is_empty()).then_some(path)
}

/// Replaces what is not code by spaces, so that columns and lines stay where they were.
fn blank_comments_and_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = out.chars().next_back().is_some_and(is_word);
        let skipped = skip_length(rest, after_word);
        if skipped == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(
                rest[..skipped]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[skipped..];
        }
    }
    out
}

/// How many bytes of comment, string or character stand at the start of `text`.
fn skip_length(text: &str, after_word: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |at| at + 2);
    }
    if text.starts_with('"') {
        return quoted(text, '"');
    }
    if !after_word && text.starts_with(['r', 'b', 'c']) {
        return prefixed_string(text);
    }
    if text.starts_with('\'') {
        character(text)
    } else {
        0
    }
}

fn prefixed_string(text: &str) -> usize {
    let prefix = text.chars().take_while(|c| "rbc".contains(*c)).count();
    let hashes = text[prefix..].chars().take_while(|c| *c == '#').count();
    let start = prefix + hashes;
    if prefix > 2 || !text[start..].starts_with('"') {
        return 0;
    }
    if text[..prefix].contains('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        let end = text[start + 1..].find(&close);
        return end.map_or(text.len(), |at| start + 1 + at + close.len());
    }
    start + quoted(&text[start..], '"')
}

/// A character, as opposed to a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(text, '\''),
        _ => 0,
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
