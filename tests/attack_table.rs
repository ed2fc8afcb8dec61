//! Holds `docs/attacks.md` to the tests: whatever it names exists.

#![expect(clippy::expect_used, reason = "tests say what is wrong by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One line of a table.
struct Row {
    id: String,
    /// `module::test`, as often as there are tests.
    tests: Vec<String>,
}

fn rows() -> Vec<Row> {
    let page = fs::read_to_string("docs/attacks.md").expect("the page");
    let cells = page
        .lines()
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .filter_map(|cells| match cells.as_slice() {
            ["", id, _, tests, ""] if is_id(id) => Some(Row {
                id: (*id).to_owned(),
                tests: tests
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect(),
            }),
            _ => None,
        })
        .collect()
}

/// Two capitals, a hyphen, two digits.
fn is_id(word: &str) -> bool {
    let [first, second, b'-', digits @ ..] = word.as_bytes() else {
        return false;
    };
    [first, second]
        .iter()
        .all(|octet| octet.is_ascii_uppercase())
        && digits.len() == 2
        && digits.iter().all(u8::is_ascii_digit)
}

/// The tests in the file of a module: `access::path` is in `src/access`, `gateway::limits` in
/// `tests/gateway`.
fn tests_of(module: &str) -> String {
    let path = module.replace("::", "/");
    let places = [
        format!("tests/{path}.rs"),
        format!("src/{path}.rs"),
        format!("src/{path}/mod.rs"),
    ];
    let text = places
        .iter()
        .find_map(|place| fs::read_to_string(place).ok());
    let text = text.unwrap_or_default();
    let is_production = Path::new(&format!("src/{path}.rs")).exists() && !path.ends_with("tests");
    if is_production {
        text.split_once("#[cfg(test)]")
            .map(|(_, tests)| tests.to_owned())
            .unwrap_or_default()
    } else {
        text
    }
}

#[test]
fn every_test_in_the_table_exists() {
    let rows = rows();
    assert!(rows.len() > 80, "only {} rows were read", rows.len());
    for row in rows {
        assert!(!row.tests.is_empty(), "{} names no test", row.id);
        for test in row.tests {
            let (module, name) = test.rsplit_once("::").expect("a module and a test");
            let is_there = tests_of(module).contains(&format!("fn {name}("));
            assert!(is_there, "{}: there is no test {test}", row.id);
        }
    }
}

#[test]
fn every_attack_has_one_row() {
    let rows = rows();
    let known: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(known.len(), rows.len(), "an attack has two rows");
}
