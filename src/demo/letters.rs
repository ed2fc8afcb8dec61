//! Announces letters as they land in the demo's mail folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::letter::Letter;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks into the folder twice a second and hands every new letter's announcement to `announce`;
/// never ends by itself. The folder need not be there yet.
pub async fn watch(folder: PathBuf, announce: impl Fn(&str)) {
    let mut seen = BTreeSet::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        for letter in letters(&folder).await {
            if seen.insert(letter.clone())
                && let Ok(text) = tokio::fs::read(&letter).await
            {
                announce(&announcement(&letter, &Letter::read(&text)));
            }
        }
    }
}

/// The letters in the folder, the oldest first.
pub(super) async fn letters(folder: &Path) -> Vec<PathBuf> {
    let mut letters = Vec::new();
    let Ok(mut entries) = tokio::fs::read_dir(folder).await else {
        return letters;
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            letters.push(path);
        }
    }
    letters.sort();
    letters
}

fn announcement(path: &Path, letter: &Letter) -> String {
    let code = letter.code().map(|code| format!(" ({code})"));
    let link = letter.link().map(|link| format!("         {link}\n"));
    format!(
        "Letter to {}: {}{}\n{}         {}\n",
        letter.to,
        letter.subject,
        code.unwrap_or_default(),
        link.unwrap_or_default(),
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_to_whom_what_and_where() {
        let raw =
            "From: x\r\nTo: a@b.example\r\nSubject: Your code\r\n\r\nTo: body\r\n\r\n  123456\r\n";
        assert_eq!(
            announcement(Path::new("/tmp/mail/1.eml"), &Letter::read(raw.as_bytes())),
            "Letter to a@b.example: Your code (123456)\n         /tmp/mail/1.eml\n"
        );
    }

    #[test]
    fn says_which_link_is_in_a_letter() {
        let raw = "To: a@b.example\r\nSubject: Come\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nOpen:\r\n\
            http://localhost:8080/auth/register/approval?link=3Dabc=\r\ndef\r\n";
        assert!(
            announcement(Path::new("1.eml"), &Letter::read(raw.as_bytes()))
                .contains("\n         http://localhost:8080/auth/register/approval?link=abcdef\n")
        );
    }

    #[tokio::test]
    async fn announces_each_letter_once() {
        let folder = tempfile::tempdir().unwrap();
        let mail = folder.path().join("mail");
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let watching = tokio::spawn(watch(mail.clone(), move |text| {
            let _ = sender.send(text.to_owned());
        }));
        std::fs::create_dir(&mail).unwrap();
        std::fs::write(mail.join("1.part"), "half a letter").unwrap();
        std::fs::write(mail.join("1.eml"), "Subject: one\r\n\r\n").unwrap();
        assert!(receiver.recv().await.unwrap().contains("one"));
        std::fs::write(mail.join("2.eml"), "Subject: two\r\n\r\n").unwrap();
        assert!(receiver.recv().await.unwrap().contains("two"));
        watching.abort();
    }
}
