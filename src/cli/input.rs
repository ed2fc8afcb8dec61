//! What commands are given in files.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

/// The text of a file; `-` is standard input.
pub(super) fn text_of(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
