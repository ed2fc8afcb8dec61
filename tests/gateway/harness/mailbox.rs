//! A real mail server that keeps what it is sent, one per test.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::child::wait_until_async;
use super::node_services::{control, get, post};

/// One mail server.
pub struct Mailbox {
    id: u64,
    port: u64,
}

/// A letter as it arrived.
#[derive(Debug, Clone, Deserialize)]
pub struct Letter {
    /// `Message-ID`.
    pub id: String,
    /// Whether it came by TLS.
    pub secure: bool,
    pub to: Vec<String>,
    pub from: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

impl Mailbox {
    pub async fn start() -> Self {
        Self::start_with(&json!({})).await
    }

    /// One that offers STARTTLS with a certificate for `localhost`; the certificate, in PEM, is
    /// its own authority.
    pub async fn with_starttls() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("a certificate");
        let (key, certificate) = (made.signing_key.serialize_pem(), made.cert.pem());
        let mailbox = Self::start_with(&json!({ "key": key, "cert": certificate })).await;
        (mailbox, certificate)
    }

    /// What it is made of is in `tests/services/mailbox.mjs`.
    pub async fn start_with(wish: &Value) -> Self {
        let made = post("/mailboxes", wish).await;
        let number = |name: &str| made[name].as_u64().expect("a number");
        Self {
            id: number("id"),
            port: number("port"),
        }
    }

    /// Address for `[mail] smtp`.
    pub fn url(&self) -> String {
        format!("smtp://localhost:{}", self.port)
    }

    /// What it says to letters from now on: `take`, `defer`, `refuse`, `stall`.
    pub async fn behaves(&self, manner: &str) {
        let path = format!("/mailboxes/{}/manner", self.id);
        post(&path, &json!({ "manner": manner })).await;
    }

    /// Nobody listens there any more.
    pub async fn stop(&self) {
        post(&format!("/mailboxes/{}/stop", self.id), &json!({})).await;
    }

    /// Listens again, on the same port.
    pub async fn resume(&self) {
        post(&format!("/mailboxes/{}/resume", self.id), &json!({})).await;
    }

    /// Waits until so many letters have arrived.
    pub async fn has(&self, count: usize) -> Vec<Letter> {
        wait_until_async(&format!("{count} letters"), async || {
            self.letters().await.len() >= count
        })
        .await;
        self.letters().await
    }

    /// Where other programs read what arrived.
    pub fn control(&self) -> String {
        control(&format!("/mailboxes/{}", self.id))
    }

    /// Everything that arrived so far.
    pub async fn letters(&self) -> Vec<Letter> {
        let letters = get(&format!("/mailboxes/{}", self.id)).await;
        serde_json::from_value(letters).expect("letters")
    }

    /// The newest letter to an address; waits for it.
    pub async fn wait_for(&self, address: &str) -> Letter {
        for _ in 0..200 {
            let letters = self.letters().await;
            if let Some(letter) = letters.into_iter().rev().find(|l| l.is_to(address)) {
                return letter;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "no letter to {address} within ten seconds: {:?}",
            self.letters().await
        );
    }
}

impl Letter {
    fn is_to(&self, address: &str) -> bool {
        self.to.iter().any(|to| to.eq_ignore_ascii_case(address))
    }
}
