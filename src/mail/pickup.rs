//! Letters as files in a folder, for development: one `.eml` each, the newest last by name.

use std::path::PathBuf;

use async_trait::async_trait;
use lettre::message::Mailbox;

use super::message::compose;
use super::{Courier, CourierError, Letter};

/// Puts letters into a folder.
#[derive(Debug)]
pub struct PickupCourier {
    folder: PathBuf,
    from: Mailbox,
}

impl PickupCourier {
    /// The folder is made when the first letter comes.
    pub fn new(folder: PathBuf, from: Mailbox) -> Self {
        Self { folder, from }
    }
}

#[async_trait]
impl Courier for PickupCourier {
    async fn send(&self, letter: &Letter) -> Result<(), CourierError> {
        let message = compose(letter, &self.from)?.formatted();
        let file = self.folder.join(format!("{}.eml", uuid::Uuid::now_v7()));
        let passing = |error| CourierError::Passing(Box::new(error));
        tokio::fs::create_dir_all(&self.folder)
            .await
            .map_err(passing)?;
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
    use crate::identity::EmailAddress;

    #[tokio::test]
    async fn a_letter_becomes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let from = "no-reply@example.com".parse().unwrap();
        let courier = PickupCourier::new(folder.path().join("mail"), from);
        let letter = Letter {
            to: EmailAddress::parse("anna@example.org").unwrap(),
            subject: "Hello".to_owned(),
            text: "text".to_owned(),
            html: "<p>html</p>".to_owned(),
            language: "en",
        };
        courier.send(&letter).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path().join("mail"))
            .unwrap()
            .map(|f| f.unwrap())
            .collect();
        assert_eq!(files.len(), 1);
        let text = std::fs::read_to_string(files[0].path()).unwrap();
        assert!(text.contains("Subject: Hello"));
    }
}
