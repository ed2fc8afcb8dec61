//! Holds `docs/attacks.md` to the tests: whatever it names exists.

#![expect(clippy::expect_used, reason = "tests say what is wrong by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What every installation of this kind is attacked with or has to live through.
const MUST_BE_THERE: &str = "\
    RD-01 RD-03 RD-05 RD-07 RD-09 RD-11 RD-13 RD-17 RD-19 RD-21 RD-23 \
    PN-01 PN-05 PN-07 PN-09 PN-11 PN-13 PN-17 PN-19 PN-21 \
    HS-01 HS-09 HS-11 HS-13 HS-19 \
    ST-01 ST-05 ST-09 ST-11 ST-13 ST-15 ST-17 ST-21 \
    IT-01 IT-03 IT-05 IT-07 IT-09 IT-11 IT-13 IT-15 IT-17 IT-19 IT-21 IT-23 \
    JK-01 JK-03 JK-05 JK-07 JK-09 \
    CK-01 CK-05 CK-07 CK-11 SF-07 SF-09 SF-11 SF-13 SF-15 \
    CF-01 CF-03 CF-05 CF-09 CF-11 \
    RG-01 RG-07 RG-09 RG-11 RG-13 RG-15 RG-17 RG-19 RG-21 RG-23 RG-25 \
    PX-01 PX-03 PX-05 PX-07 PX-09 PX-11 PX-13 PX-15 PX-17 PX-19 PX-21 PX-23 \
    AP-01 AP-03 SU-01 PP-01 CL-01 \
    LO-01 LO-03 LO-05 LO-09 \
    FT-01 FT-03 FT-05 FT-07 FT-09 FT-11 FT-13 \
    PO-01 PO-03 PO-05 PO-07 CG-01 CG-03 CG-07 SS-01 SS-03 SS-05";

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

#[test]
fn no_attack_is_left_out() {
    let rows = rows();
    let known: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    for id in MUST_BE_THERE.split_whitespace() {
        assert!(known.contains(id), "{id} has no row");
    }
}
