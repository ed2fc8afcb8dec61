//! Letters as files in a folder, for development: one `.eml` each, the newest last by name.

use std::path::PathBuf;

use async_trait::async_trait;
use lettre::message::Mailbox;

use super::message::compose;
use super::{Courier, CourierError, Letter};

/// Where letters are put.
#[derive(Debug, Clone)]
pub struct PickupSettings {
    /// The folder; made when the first letter comes.
    pub folder: PathBuf,
    /// `From`: an address, or a name with an address in angle brackets.
    pub from: Mailbox,
}

/// Puts letters into a folder.
#[derive(Debug)]
pub struct PickupCourier(PickupSettings);

impl PickupCourier {
    /// Puts them where the settings say.
    pub fn new(settings: PickupSettings) -> Self {
        Self(settings)
    }
}

#[async_trait]
impl Courier for PickupCourier {
    async fn send(&self, letter: &Letter) -> Result<(), CourierError> {
        let PickupSettings { folder, from } = &self.0;
        let message = compose(letter, from)?.formatted();
        let file = folder.join(format!("{}.eml", uuid::Uuid::now_v7()));
        let passing = |error| CourierError::Passing(Box::new(error));
        tokio::fs::create_dir_all(folder).await.map_err(passing)?;
        // Written aside first, so that a reader never sees half a letter.
        let half = file.with_extension("part");
        tokio::fs::write(&half, message).await.map_err(passing)?;
        tokio::fs::rename(&half, &file).await.map_err(passing)?;
        tracing::info!(file = %file.display(), "a letter was put into the folder");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::mail::letters::TemplateLetters;
    use crate::mail::{LetterKind, Letters as _, sample};

    #[tokio::test]
    async fn a_letter_becomes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let from = "no-reply@example.com".parse().unwrap();
        let courier = PickupCourier::new(PickupSettings {
            folder: folder.path().join("mail"),
            from,
        });
        let letter = TemplateLetters.compose(
            &sample::message(LetterKind::AccountReady),
            &sample::addressee(Language::En),
            &sample::letterhead(),
        );
        courier.send(&letter).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path().join("mail"))
            .unwrap()
            .map(|f| f.unwrap())
            .collect();
        assert_eq!(files.len(), 1);
        let text = std::fs::read_to_string(files[0].path()).unwrap();
        assert!(text.contains("Subject: Your account"));
    }
}
