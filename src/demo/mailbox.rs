//! The demo's mailbox: a page of its own, on which the letters that the gateway sent can be read
//! and their links followed.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_SECURITY_POLICY;

use super::letter::Letter;
use super::letters;
use super::markup::Escaped;

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
            read.push(Letter::read(&raw));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_can_be_followed() {
        let page = page(&[Letter {
            to: "a@b.example".to_owned(),
            subject: "Bestätigen".to_owned(),
            text: "Grüße\n\nhttp://localhost:8080/auth/register/link?token=ab".to_owned(),
        }]);
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
