//! The demo's mailbox: a page of its own, on which the letters that the gateway sent can be read
//! and their links followed.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_SECURITY_POLICY;

use super::letters;
use super::markup::Escaped;

/// A letter as the page shows it.
#[derive(Debug, PartialEq, Eq)]
struct Letter {
    to: String,
    subject: String,
    text: String,
}

/// The mailbox over the folder in which letters land.
pub fn router(folder: PathBuf) -> Router {
    Router::new().route("/", get(show)).with_state(folder)
}

async fn show(State(folder): State<PathBuf>) -> Response {
    let page = page(&read(&folder).await);
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    ([(CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// The letters, the newest first.
async fn read(folder: &Path) -> Vec<Letter> {
    let mut read = Vec::new();
    for path in letters::letters(folder).await.into_iter().rev() {
        if let Ok(raw) = tokio::fs::read(&path).await {
            read.push(parse(&String::from_utf8_lossy(&raw)));
        }
    }
    read
}

fn page(letters: &[Letter]) -> String {
    let shown: String = letters.iter().map(article).collect();
    let shown = if shown.is_empty() {
        "<p>No letter yet. Look again in a moment.</p>".to_owned()
    } else {
        shown
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Mailbox of the demo</title>\
         <style>{STYLE}</style></head><body><main><h1>Mailbox of the demo</h1>{shown}</main>\
         </body></html>"
    )
}

const STYLE: &str = ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;\
    margin:0 auto;max-width:44rem;padding:1rem}article{border:1px solid #8a929c;\
    border-radius:8px;margin:1rem 0;padding:0 1rem}pre{white-space:pre-wrap;\
    overflow-wrap:anywhere;font:inherit}h2{font-size:1.1rem}";

fn article(letter: &Letter) -> String {
    format!(
        "<article><h2>{}</h2><p>To {}</p><pre>{}</pre></article>",
        Escaped(&letter.subject),
        Escaped(&letter.to),
        letter.text.lines().map(line).collect::<String>()
    )
}

/// A line; one that is an address becomes a link.
fn line(line: &str) -> String {
    let text = Escaped(line);
    let address = line.trim();
    let is_link = ["http://", "https://"]
        .iter()
        .any(|scheme| address.starts_with(scheme))
        && !address.contains(char::is_whitespace);
    if is_link {
        format!("<a href=\"{}\">{text}</a>\n", Escaped(address))
    } else {
        format!("{text}\n")
    }
}

/// Head and text part of a letter as the gateway writes it (RFC 5322, RFC 2045).
fn parse(raw: &str) -> Letter {
    let raw = raw.replace("\r\n", "\n");
    let (head, body) = raw.split_once("\n\n").unwrap_or((&raw, ""));
    let boundary = header(head, "Content-Type").and_then(|value| {
        let (_, rest) = value.split_once("boundary=\"")?;
        rest.split_once('"')
            .map(|(boundary, _)| format!("--{boundary}"))
    });
    let part = boundary.and_then(|boundary| {
        let mut parts = body.split(boundary.as_str());
        parts
            .find(|part| part.contains("text/plain"))
            .map(str::to_owned)
    });
    let part = part.unwrap_or_default();
    let (part_head, content) = part.trim_start().split_once("\n\n").unwrap_or(("", ""));
    let encoding = header(part_head, "Content-Transfer-Encoding").unwrap_or_default();
    Letter {
        to: header(head, "To").unwrap_or_default(),
        subject: words(&header(head, "Subject").unwrap_or_default()),
        text: decoded(content.trim_end(), &encoding),
    }
}

/// A field's value, unfolded.
fn header(head: &str, name: &str) -> Option<String> {
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

/// Encoded words of a field (RFC 2047), as far as the gateway writes them.
fn words(value: &str) -> String {
    let word = |word: &str| {
        let inner = word.strip_prefix("=?utf-8?b?")?.strip_suffix("?=")?;
        Some(base64_text(inner))
    };
    let mut text = String::new();
    for part in value.split(' ') {
        if let Some(decoded) = word(part) {
            text.push_str(&decoded);
        } else {
            text.push(' ');
            text.push_str(part);
        }
    }
    text.trim().to_owned()
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

    #[test]
    fn a_letter_is_read_and_its_link_can_be_followed() {
        let raw = "From: x\r\nTo: a@b.example\r\nSubject: =?utf-8?b?QmVzdMOkdGlnZW4=?=\r\n\
                   Content-Type: multipart/alternative;\r\n boundary=\"B\"\r\n\r\n\
                   --B\r\nContent-Type: text/plain; charset=utf-8\r\n\
                   Content-Transfer-Encoding: quoted-printable\r\n\r\n\
                   Gr=C3=BC=C3=9Fe\r\n\r\nhttp://localhost:8080/auth/register/link?token=3Da=\r\nb\r\n\
                   --B\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--B--\r\n";
        let letter = parse(raw);
        assert_eq!(letter.subject, "Bestätigen");
        assert_eq!(
            letter.text,
            "Grüße\n\nhttp://localhost:8080/auth/register/link?token=ab"
        );
        let page = page(&[letter]);
        assert!(page.contains("<a href=\"http://localhost:8080/auth/register/link?token=ab\">"));
    }

    #[test]
    fn markup_in_a_letter_is_text() {
        let page = page(&[Letter {
            to: "<b>".to_owned(),
            subject: "<script>".to_owned(),
            text: "https://x.example/\"><script>".to_owned(),
        }]);
        assert!(!page.contains("<script>") && !page.contains("<b>"));
    }
}
