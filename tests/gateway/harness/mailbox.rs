//! A real mail server that keeps what it is sent, one per test.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::node_services::{get, post};

/// One mail server.
pub struct Mailbox {
    id: u64,
    port: u64,
}

/// A letter as it arrived.
#[derive(Debug, Clone, Deserialize)]
pub struct Letter {
    pub to: Vec<String>,
    pub from: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

impl Mailbox {
    pub async fn start() -> Self {
        let made = post("/mailboxes", &json!({})).await;
        let number = |name: &str| made[name].as_u64().expect("a number");
        Self {
            id: number("id"),
            port: number("port"),
        }
    }

    /// Address for `[mail] smtp`.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
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
