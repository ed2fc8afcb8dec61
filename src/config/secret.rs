//! Secrets by file or environment: trimmed once; empty ones and placeholders are refused.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::file::SecretReference;
use crate::seal::SealKey;

/// What people write when they mean to write the secret later.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change_me",
    "change-me",
    "secret",
    "password",
    "placeholder",
    "todo",
    "example",
    "test",
    "xxx",
    "xxxx",
    "none",
    "null",
    "your-secret",
    "your-client-secret",
    "insert-here",
];

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretProblem {
    /// Neither `file` nor `env`, or both.
    #[error("a secret comes from a file or from the environment, exactly one of them")]
    NotOneSource,
    /// The file cannot be read.
    #[error("the secret file {} cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The variable is not set.
    #[error("the environment variable `{name}` is not set")]
    NotSet {
        /// Which.
        name: String,
    },
    /// There is nothing in it.
    #[error("the secret is empty")]
    Empty,
    /// It is not meant as a secret.
    #[error("the secret is a placeholder")]
    Placeholder,
}

impl SecretProblem {
    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::NotOneSource => {
                "write `{ file = \"/run/secrets/name\" }` or `{ env = \"NAME\" }`".to_owned()
            }
            Self::Unreadable { cause, .. } => {
                format!("give a file that the gateway's user can read ({cause})")
            }
            Self::NotSet { name } => format!("set `{name}`, or use a file"),
            Self::Empty | Self::Placeholder => "put the real secret there".to_owned(),
        }
    }
}

/// A secret as it was found.
#[derive(Debug)]
pub struct FoundSecret {
    /// The secret, without white space around it.
    pub secret: SecretString,
    /// How many characters it has.
    pub length: usize,
    /// The file that everybody on the machine may read, if it is in such a file.
    pub readable_by_all: Option<PathBuf>,
}

/// Reads a secret; relative files start at `folder`.
pub fn find(reference: &SecretReference, folder: &Path) -> Result<FoundSecret, SecretProblem> {
    let SecretReference { file, env } = reference;
    let (text, readable_by_all) = match (file, env) {
        (Some(file), None) => from_file(&folder.join(file))?,
        (None, Some(name)) => (from_environment(name)?, None),
        _ => return Err(SecretProblem::NotOneSource),
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(SecretProblem::Empty);
    }
    let is_placeholder = PLACEHOLDERS.contains(&text.to_lowercase().as_str())
        || (text.starts_with('<') && text.ends_with('>'));
    if is_placeholder {
        return Err(SecretProblem::Placeholder);
    }
    Ok(FoundSecret {
        secret: SecretString::from(text),
        length: text.chars().count(),
        readable_by_all,
    })
}

fn from_file(path: &Path) -> Result<(String, Option<PathBuf>), SecretProblem> {
    let unreadable = |cause| SecretProblem::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let mode = std::fs::metadata(path).map_err(unreadable)?;
    let is_open = mode.permissions().mode() & 0o004 != 0;
    Ok((text, is_open.then(|| path.to_owned())))
}

#[expect(
    clippy::disallowed_methods,
    reason = "secrets by environment are read here and nowhere else"
)]
fn from_environment(name: &str) -> Result<String, SecretProblem> {
    std::env::var(name).map_err(|_| SecretProblem::NotSet {
        name: name.to_owned(),
    })
}

/// The key file of an installation without a key ring could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileProblem {
    /// It cannot be made or read.
    #[error("the key file {} cannot be made or read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It does not hold a key.
    #[error("the key file {} does not hold a key: restore it from a backup", path.display())]
    NotAKey {
        /// Which.
        path: PathBuf,
    },
}

/// The key in the file; a missing file is made, readable by its owner only.
pub fn key_file(path: &Path) -> Result<SealKey, KeyFileProblem> {
    let unreadable = |cause| KeyFileProblem::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(mut file) => {
            let key = SealKey::random();
            let text = format!("{}\n", key.to_text());
            file.write_all(text.as_bytes()).map_err(unreadable)?;
            file.sync_all().map_err(unreadable)?;
            tracing::info!(file = %path.display(), "made a key file; keep a backup of it");
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let text = std::fs::read_to_string(path).map_err(unreadable)?;
            SealKey::from_text(&text).ok_or_else(|| KeyFileProblem::NotAKey {
                path: path.to_owned(),
            })
        }
        Err(error) => Err(unreadable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn in_file(content: &str, mode: u32) -> Result<FoundSecret, SecretProblem> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let reference = SecretReference {
            file: Some("secret".into()),
            env: None,
        };
        find(&reference, folder.path())
    }

    #[test]
    fn a_secret_is_trimmed_once() {
        let found = in_file("\u{feff} correct horse \r\n", 0o600).unwrap();
        assert_eq!(found.secret.expose_secret(), "correct horse");
        assert!(found.readable_by_all.is_none());
    }

    #[test]
    fn empty_ones_and_placeholders_are_refused() {
        assert!(matches!(in_file(" \n", 0o600), Err(SecretProblem::Empty)));
        for placeholder in ["changeme", "ChangeMe\n", "<secret here>"] {
            let outcome = in_file(placeholder, 0o600);
            assert!(matches!(outcome, Err(SecretProblem::Placeholder)));
        }
    }

    #[test]
    fn a_file_that_everybody_may_read_is_noticed() {
        assert!(
            in_file("correct horse", 0o644)
                .unwrap()
                .readable_by_all
                .is_some()
        );
    }

    #[test]
    fn a_secret_has_exactly_one_source() {
        let neither = SecretReference {
            file: None,
            env: None,
        };
        let found = find(&neither, Path::new("/"));
        assert!(matches!(found, Err(SecretProblem::NotOneSource)));
        let unset = SecretReference {
            file: None,
            env: Some("VESTIBULE_NOT_SET".into()),
        };
        assert!(matches!(
            find(&unset, Path::new("/")),
            Err(SecretProblem::NotSet { .. })
        ));
    }

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vestibule.key");
        let made = key_file(&path).unwrap();
        assert_eq!(made.to_text(), key_file(&path).unwrap().to_text());
        let rights = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(rights & 0o777, 0o600);
        std::fs::write(&path, "broken").unwrap();
        assert!(matches!(
            key_file(&path),
            Err(KeyFileProblem::NotAKey { .. })
        ));
    }
}
