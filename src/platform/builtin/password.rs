//! Passwords of the builtin platform: argon2id, never kept in the clear.

use std::sync::{Arc, LazyLock};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

/// Longer passwords are refused rather than hashed.
pub const LONGEST: usize = 1024;

/// Each hash takes 19 MiB and tens of milliseconds; more than this many at once wait.
const AT_ONCE: usize = 4;

/// A password could not be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct CannotHash;

/// Hashes and checks passwords away from the runtime's threads, a few at once.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Passwords {
    /// The password as a PHC string with a random salt.
    pub async fn hash(&self, password: &SecretString) -> Result<String, CannotHash> {
        let password = password.clone();
        self.away(move || hash(&password)).await.flatten()
    }

    /// Whether `password` is the one that was hashed; takes as long where there is none.
    pub async fn is_right(&self, password: &SecretString, hashed: Option<String>) -> bool {
        let password = password.clone();
        let right = self.away(move || is_right(&password, hashed.as_deref()));
        right.await.unwrap_or(false)
    }

    async fn away<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CannotHash> {
        let _turn = self.turns.acquire().await.map_err(|_| CannotHash)?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| CannotHash)
    }
}

fn hash(password: &SecretString) -> Result<String, CannotHash> {
    let password = password.expose_secret();
    if password.len() > LONGEST {
        return Err(CannotHash);
    }
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hashed| hashed.to_string())
        .map_err(|_| CannotHash)
}

/// What unknown users are checked against, so that they take as long.
static NOBODY: LazyLock<Option<String>> =
    LazyLock::new(|| hash(&SecretString::from(crate::seal::random_token())).ok());

fn is_right(password: &SecretString, hashed: Option<&str>) -> bool {
    let password = password.expose_secret();
    let known = hashed.is_some();
    let Some(hashed) = hashed.or(NOBODY.as_deref()) else {
        return false;
    };
    let Ok(hashed) = PasswordHash::new(hashed) else {
        return false;
    };
    let right = password.len() <= LONGEST
        && Argon2::default()
            .verify_password(password.as_bytes(), &hashed)
            .is_ok();
    right && known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::default();
        let right = SecretString::from("correct horse");
        let hashed = passwords.hash(&right).await.unwrap();
        assert!(hashed.starts_with("$argon2id$"));
        assert!(passwords.is_right(&right, Some(hashed.clone())).await);
        let wrong = SecretString::from("battery staple");
        assert!(!passwords.is_right(&wrong, Some(hashed)).await);
        assert!(!passwords.is_right(&right, None).await);
        assert!(!passwords.is_right(&right, Some("plain".to_owned())).await);
    }

    #[tokio::test]
    async fn a_huge_password_is_not_hashed() {
        let huge = SecretString::from("x".repeat(LONGEST + 1));
        assert_eq!(Passwords::default().hash(&huge).await, Err(CannotHash));
    }
}
