//! What is read again while the gateway runs: policies and certificates.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::policy::folder::PolicyFolder;
use crate::proxy::{CertificateFiles, CertificateProblem, Certificates};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::with_causes;

/// How often it is looked whether files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads again what may change while the gateway runs.
#[derive(Clone)]
pub struct Reload {
    pub(super) policies: Vec<Arc<PolicyFolder>>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) metrics: Metrics,
    /// Folders and files that all this is read from.
    pub(super) sources: Arc<[PathBuf]>,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reload(…)")
    }
}

impl Reload {
    /// Reads policies and certificates; what is broken changes nothing, is logged and counted.
    pub fn reload(&self) {
        self.policies.iter().for_each(|policy| policy.reload());
        let certificates = self.certificates.iter();
        for (files, outcome) in certificates.flat_map(|certificates| certificates.reload()) {
            self.tell(files, outcome);
        }
        self.show_certificates();
    }

    /// Shows in the metrics until when the certificates in use are good.
    pub(super) fn show_certificates(&self) {
        let certificates = self.certificates.iter();
        for (files, end) in certificates.flat_map(|certificates| certificates.ends()) {
            self.metrics.show_certificate(&files.certificate, end);
        }
    }

    fn tell(&self, files: &CertificateFiles, outcome: Result<(), CertificateProblem>) {
        let file = files.certificate.display();
        let loads = &self.metrics.certificate_loads;
        match outcome {
            Ok(()) => {
                tracing::info!(%file, "the certificate is loaded again");
                loads.count("loaded");
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(
                    %file,
                    error,
                    "the certificate cannot be used; the old one stays in use"
                );
                loads.count("refused");
            }
        }
    }

    /// [`Reload::reload`] where files are read, so that no request waits for a disk.
    pub async fn reload_aside(&self) {
        let reload = self.clone();
        // A panic there was logged, and the old ones stay in use.
        let _ = tokio::task::spawn_blocking(move || reload.reload()).await;
    }

    /// Reloads whenever the files have changed, and then held still from one look to the next. Never
    /// ends.
    pub async fn when_files_change(self) {
        let mut read = self.look().await;
        let mut last = read.clone();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let found = self.look().await;
            if found != read && found == last {
                self.reload_aside().await;
                read.clone_from(&found);
            }
            last = found;
        }
    }

    async fn look(&self) -> Vec<Seen> {
        let sources = Arc::clone(&self.sources);
        let looking = tokio::task::spawn_blocking(move || look_at_all(&sources));
        looking.await.unwrap_or_default()
    }
}

/// A file as it was when it was looked at: its place among all, its number, size, and last change.
type Seen = (PathBuf, u64, u64, Option<SystemTime>);

fn look_at_all(sources: &[PathBuf]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for source in sources {
        look_at(source, &mut seen);
    }
    seen.sort_unstable();
    seen
}

/// Looks at a file, or at all files of a folder; what is not there is not seen.
fn look_at(path: &Path, seen: &mut Vec<Seen>) {
    if let Ok(folder) = std::fs::read_dir(path) {
        for entry in folder.flatten() {
            look_at(&entry.path(), seen);
        }
    } else if let Ok(file) = std::fs::metadata(path) {
        let changed = file.modified().ok();
        seen.push((path.to_owned(), file.ino(), file.len(), changed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &Path) -> Vec<Seen> {
        look_at_all(&[path.to_owned()])
    }

    #[test]
    fn every_change_of_a_folder_shows_also_one_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for version in ["one", "two"] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("access.toml"), version).unwrap();
        }
        std::fs::create_dir(path("policies")).unwrap();
        let linked = path("policies/access.toml");
        std::os::unix::fs::symlink("../current/access.toml", linked).unwrap();
        std::os::unix::fs::symlink("one", path("current")).unwrap();
        let look = || seen(&path("policies"));

        let first = look();
        assert_eq!(look(), first);
        // As Kubernetes exchanges all files of a volume at once.
        std::os::unix::fs::symlink("two", path("next")).unwrap();
        std::fs::rename(path("next"), path("current")).unwrap();
        let second = look();
        assert_ne!(second, first);
        std::fs::write(path("policies/limits.toml"), "").unwrap();
        assert_ne!(look(), second);
    }
}
