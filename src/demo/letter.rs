//! A letter as people read it: head and text part, decoded (RFC 5322, RFC 2045 to 2047), as far as
//! the gateway writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is in a letter.
#[derive(Debug, PartialEq, Eq)]
pub struct Letter {
    /// `To`.
    pub to: String,
    /// `Subject`.
    pub subject: String,
    /// The text, or the text part where there are several.
    pub text: String,
}

impl Letter {
    /// Reads one; what is missing is empty.
    pub fn read(raw: &[u8]) -> Self {
        let raw = String::from_utf8_lossy(raw).replace("\r\n", "\n");
        let (head, body) = raw.split_once("\n\n").unwrap_or((&raw, ""));
        let (part_head, content) = text_part(head, body).unwrap_or((head, body));
        let encoding = field(part_head, "Content-Transfer-Encoding").unwrap_or_default();
        Self {
            to: words(&field(head, "To").unwrap_or_default()),
            subject: words(&field(head, "Subject").unwrap_or_default()),
            text: decoded(content.trim_end(), &encoding),
        }
    }

    /// The code in it: a line of digits.
    pub fn code(&self) -> Option<&str> {
        let is_code = |line: &&str| line.len() >= 4 && line.chars().all(|c| c.is_ascii_digit());
        self.text.lines().map(str::trim).find(is_code)
    }

    /// The first link in it to one of the gateway's own pages.
    pub fn link(&self) -> Option<&str> {
        let mut words = self.text.split_whitespace();
        words.find(|word| word.starts_with("http") && word.contains("/auth/"))
    }
}

/// Head and content of the text part, where there are parts.
fn text_part<'a>(head: &str, body: &'a str) -> Option<(&'a str, &'a str)> {
    let kind = field(head, "Content-Type")?;
    let (_, rest) = kind.split_once("boundary=\"")?;
    let (boundary, _) = rest.split_once('"')?;
    let boundary = format!("--{boundary}");
    let mut parts = body.split(boundary.as_str());
    let part = parts.find(|part| part.contains("text/plain"))?;
    part.trim_start().split_once("\n\n")
}

/// A field's value, unfolded: a fold is the white space that it starts with (RFC 5322, 2.2.3).
fn field(head: &str, name: &str) -> Option<String> {
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    unfolded.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

fn decoded(content: &str, encoding: &str) -> String {
    match encoding.to_ascii_lowercase().as_str() {
        "quoted-printable" => quoted_printable(&content.replace("=\n", "")),
        "base64" => base64_text(&content.replace('\n', "")),
        _ => content.to_owned(),
    }
}

/// A field with its encoded words decoded. White space counts, except between two of those (RFC
/// 2047, 6.2).
fn words(value: &str) -> String {
    let mut text = String::new();
    let mut was_encoded = true;
    for word in value.split_whitespace() {
        let decoded = encoded_word(word);
        if !(text.is_empty() || was_encoded && decoded.is_some()) {
            text.push(' ');
        }
        was_encoded = decoded.is_some();
        text.push_str(decoded.as_deref().unwrap_or(word));
    }
    text
}

/// What an encoded word in UTF-8 says (RFC 2047, section 2); none where it is a plain one.
fn encoded_word(word: &str) -> Option<String> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    match encoding.to_ascii_lowercase().as_str() {
        _ if !charset.eq_ignore_ascii_case("utf-8") => None,
        "b" => Some(base64_text(text)),
        "q" => Some(quoted_printable(&text.replace('_', " "))),
        _ => None,
    }
}

fn base64_text(text: &str) -> String {
    let octets = STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&octets).into_owned()
}

fn quoted_printable(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let digits = (octet == b'=').then(|| [rest.next(), rest.next()]);
        match digits {
            Some([Some(high), Some(low)]) => octets.extend(hex(high, low)),
            _ => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let text = [high, low];
    u8::from_str_radix(std::str::from_utf8(&text).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::mail::letters::TemplateLetters;
    use crate::mail::pickup::{PickupCourier, PickupSettings};
    use crate::mail::{Courier as _, LetterKind, Letters as _, sample};

    #[test]
    fn the_text_part_of_a_letter_is_read() {
        let raw = "From: x\r\nTo: a@b.example\r\nSubject: =?utf-8?b?QmVzdMOkdGlnZW4=?=\r\n\
                   Content-Type: multipart/alternative;\r\n boundary=\"B\"\r\n\r\n\
                   --B\r\nContent-Type: text/plain; charset=utf-8\r\n\
                   Content-Transfer-Encoding: quoted-printable\r\n\r\n\
                   Gr=C3=BC=C3=9Fe\r\n\r\nhttp://localhost:8080/auth/register/link?token=3Da=\r\nb\r\n\
                   --B\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--B--\r\n";
        let letter = Letter::read(raw.as_bytes());
        let link = "http://localhost:8080/auth/register/link?token=ab";
        assert_eq!(letter.subject, "Bestätigen");
        assert_eq!(letter.text, format!("Grüße\n\n{link}"));
        assert_eq!(letter.link(), Some(link));
    }

    #[tokio::test]
    async fn letters_are_read_as_the_gateway_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        for (number, kind) in LetterKind::ALL.iter().enumerate() {
            for language in Language::ALL {
                let mut letter = TemplateLetters.compose(
                    &sample::message(*kind),
                    &sample::addressee(*language),
                    &sample::letterhead(),
                );
                letter
                    .subject
                    .push_str(" — für Müller & Söhne, Bad Grönenbach");
                let folder = folder.path().join(format!("{number}-{language:?}"));
                let from = "Brightwater <no-reply@example.com>".parse().unwrap();
                let settings = PickupSettings { folder, from };
                let put_into = settings.folder.clone();
                PickupCourier::new(settings).send(&letter).await.unwrap();
                let files = std::fs::read_dir(put_into).unwrap();
                let file = files.last().unwrap().unwrap().path();
                let read = Letter::read(&std::fs::read(file).unwrap());
                assert_eq!(read.to, letter.to.as_str());
                assert_eq!(read.subject, letter.subject);
                assert_eq!(read.text, letter.text.trim_end());
            }
        }
    }

    #[test]
    fn only_white_space_between_encoded_words_is_dropped() {
        let read = |value: &str| Letter::read(format!("Subject: {value}\r\n\r\n").as_bytes());
        for (value, subject) in [
            (
                "E-Mail-Adresse\r\n =?utf-8?b?ZsO8cg==?= Brightwater",
                "E-Mail-Adresse für Brightwater",
            ),
            ("=?utf-8?b?ZsO8?=\r\n =?UTF-8?Q?r_uns?=", "für uns"),
            ("=?iso-8859-1?q?f=FCr?= uns", "=?iso-8859-1?q?f=FCr?= uns"),
        ] {
            assert_eq!(read(value).subject, subject);
        }
    }
}
