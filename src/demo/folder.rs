//! The temporary folder that holds all state of a demo, and goes with it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::seal;

/// A fresh folder that only its owner can read; removed when dropped.
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes one beneath `parent`.
    pub fn create(parent: &Path) -> io::Result<Self> {
        let name = format!(
            "vestibule-demo-{}",
            seal::to_base64(&seal::random_bytes::<9>())
        );
        let path = parent.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a new file in it, for its owner alone, with the folders in between.
    pub fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let path = self.0.join(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?
            .write_all(text.as_bytes())
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "the demo's temporary folder could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn is_private_and_goes_when_dropped() {
        let parent = tempfile::tempdir().unwrap();
        let folder = TemporaryFolder::create(parent.path()).unwrap();
        folder.write("policies/access.toml", "x").unwrap();
        let path = folder.path().to_owned();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(
            std::fs::read_to_string(path.join("policies/access.toml")).unwrap(),
            "x"
        );
        drop(folder);
        assert!(!path.exists());
    }
}
