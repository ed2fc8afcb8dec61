//! The policy in force, read from a folder and read again when told to. A broken folder changes
//! nothing: the old policy stays, and the trouble shows in log and metric.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arc_swap::ArcSwap;

use super::{Policy, PolicySource, Surroundings, compile};
use crate::operator_file::{Problem, Problems};
use crate::telemetry::metrics::Metrics;

/// A policy folder.
pub struct PolicyFolder {
    path: PathBuf,
    /// Whether the folder was there when it was last read.
    was_there: AtomicBool,
    around: Surroundings,
    current: ArcSwap<Policy>,
    metrics: Metrics,
}

impl PolicyFolder {
    /// Reads the folder for the first time; a broken one is refused.
    pub fn open(path: PathBuf, around: Surroundings, metrics: Metrics) -> Result<Self, Problems> {
        let policy = read(&path, &around)?;
        let version = &*policy.version;
        tracing::info!(version, folder = %path.display(), "the policy is loaded");
        metrics.policy_is_loaded(version, None);
        Ok(Self {
            was_there: AtomicBool::new(path.is_dir()),
            path,
            around,
            current: ArcSwap::from_pointee(policy),
            metrics,
        })
    }

    /// Reads the folder again; requests that are being decided keep the policy that they began
    /// with.
    pub fn reload(&self) {
        let is_there = self.path.is_dir();
        if self.was_there.load(Relaxed) && !is_there {
            let mut gone = Problems::default();
            let advice = "bring it back, or restart to have the shipped policies";
            gone.add(Problem::of_file(
                &self.path,
                "the policy folder is gone",
                advice,
            ));
            return self.refuse(&gone);
        }
        self.was_there.store(is_there, Relaxed);
        match read(&self.path, &self.around) {
            Ok(policy) => self.take(policy),
            Err(problems) => self.refuse(&problems),
        }
    }

    fn take(&self, policy: Policy) {
        tracing::info!(version = &*policy.version, "the policy is loaded again");
        let before = self.current.load();
        self.metrics
            .policy_is_loaded(&policy.version, Some(&before.version));
        self.current.store(Arc::new(policy));
    }

    fn refuse(&self, problems: &Problems) {
        tracing::error!(
            %problems,
            "the policy has mistakes and is not taken; the old one stays in force"
        );
        self.metrics.policy_is_refused();
    }
}

impl PolicySource for PolicyFolder {
    fn current(&self) -> Arc<Policy> {
        self.current.load_full()
    }
}

fn read(path: &std::path::Path, around: &Surroundings) -> Result<Policy, Problems> {
    let mut problems = Problems::default();
    compile(path, around, &mut problems).ok_or(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_folder_leaves_the_old_policy_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let access = folder.path().join("access.toml");
        std::fs::write(&access, "[[rule]]\nname='a'\npath='/a'\n").unwrap();
        let metrics = Metrics::default();
        let source =
            PolicyFolder::open(folder.path().to_owned(), Surroundings::default(), metrics).unwrap();
        let before = source.current().version.clone();

        std::fs::write(&access, "[[rule]]\nname='a'\npath='a'\n").unwrap();
        source.reload();
        assert_eq!(source.current().version, before);

        std::fs::write(&access, "[[rule]]\nname='b'\npath='/b'\n").unwrap();
        source.reload();
        assert_ne!(source.current().version, before);
        assert_eq!(source.current().rules.all()[0].name, "b");

        let before = source.current().version.clone();
        std::fs::remove_dir_all(folder.path()).unwrap();
        source.reload();
        assert_eq!(source.current().version, before, "the folder is gone");
    }
}
