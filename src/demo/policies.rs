//! Tells when somebody changes the demo's policies, so that they are read again without a signal.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks at the folder twice a second and calls `changed` after every change; never ends by itself.
pub async fn watch(folder: PathBuf, changed: impl Fn()) {
    let mut known = newest(&folder);
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let now = newest(&folder);
        if now != known {
            known = now;
            changed();
        }
    }
}

/// When a file in the folder, or below, was last written.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    entries
        .filter_map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                newest(&path)
            } else {
                entry.metadata().ok()?.modified().ok()
            }
        })
        .max()
}
