//! What people see, in Debian's Chromium with axe: the journeys of `tests/browser`, on the demo.

use std::process::Command;

#[test]
fn people_see_what_they_should() {
    let journeys = Command::new("node")
        .args([
            "--test",
            "--test-reporter=spec",
            "tests/browser/people.test.mjs",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("VESTIBULE", env!("CARGO_BIN_EXE_vestibule"))
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&journeys.stdout);
    assert!(
        journeys.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&journeys.stderr)
    );
}
