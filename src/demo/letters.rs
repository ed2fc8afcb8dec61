//! Announces letters as they land in the demo's mail folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
                announce(&announcement(&letter, &String::from_utf8_lossy(&text)));
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

fn announcement(path: &Path, letter: &str) -> String {
    let header = |name: &str| {
        let head = letter.lines().take_while(|line| !line.is_empty());
        let value = head
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| *key == name);
        value.map_or("?", |(_, value)| value.trim())
    };
    let code = code(letter).map_or_else(String::new, |code| format!(" ({code})"));
    let link = link(letter).map_or_else(String::new, |link| format!("         {link}\n"));
    format!(
        "Letter to {}: {}{code}\n{link}         {}\n",
        header("To"),
        header("Subject"),
        path.display()
    )
}

/// The code in a letter: a line of digits.
fn code(letter: &str) -> Option<&str> {
    let is_code = |line: &&str| line.len() >= 4 && line.chars().all(|c| c.is_ascii_digit());
    letter.lines().map(str::trim).find(is_code)
}

/// The first link to one of the gateway's own pages, as quoted-printable has it (RFC 2045).
fn link(letter: &str) -> Option<String> {
    let text = letter.replace("=\r\n", "").replace("=3D", "=");
    let mut words = text.split_whitespace();
    let is_link = |word: &&str| word.starts_with("http") && word.contains("/auth/");
    words.find(is_link).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_to_whom_what_and_where() {
        let letter =
            "From: x\r\nTo: a@b.example\r\nSubject: Your code\r\n\r\nTo: body\r\n\r\n  123456\r\n";
        assert_eq!(
            announcement(Path::new("/tmp/mail/1.eml"), letter),
            "Letter to a@b.example: Your code (123456)\n         /tmp/mail/1.eml\n"
        );
    }

    #[test]
    fn says_which_link_is_in_a_letter() {
        let letter = "To: a@b.example\r\nSubject: Come\r\n\r\nOpen:\r\n\
            http://localhost:8080/auth/register/approval?link=3Dabc=\r\ndef\r\n";
        assert!(
            announcement(Path::new("1.eml"), letter)
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
