//! Prints what was asked for. Whoever stops reading (`| head`) has read enough: no command minds.

use std::io::{ErrorKind, Write as _};

/// Prints text.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    is_read(text).map(drop)
}

/// Prints a part of a long text, and tells whether somebody still reads.
pub(super) fn is_read(part: &str) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(part.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Says on standard error what is wrong; where nobody reads that, nobody can be told.
pub(super) fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
