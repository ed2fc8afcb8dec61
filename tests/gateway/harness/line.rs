//! A line between two servers, in a process that is neither of them, on which requests and replies
//! get lost on command.

use serde_json::{Value, json};

use super::child::wait_until_async;
use super::node_services::{get, post};

/// One line.
pub struct Line {
    id: u64,
    url: String,
}

/// What happens to a request on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It never arrives.
    Request,
    /// It arrives and is carried out; the connection breaks before the reply.
    Reply,
    /// It arrives and is carried out; the reply is kept back for good.
    Held,
}

impl Line {
    /// A line to the server at this address.
    pub async fn to(address: &str) -> Self {
        let made = post("/lines", &json!({ "to": address })).await;
        Self {
            id: made["id"].as_u64().expect("a number"),
            url: made["url"].as_str().expect("an address").to_owned(),
        }
    }

    /// Its near end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Loses the next request of this method whose path ends so.
    pub async fn loses(&self, loss: Loss, method: &str, ending: &str) {
        let what = match loss {
            Loss::Request => "request",
            Loss::Reply => "reply",
            Loss::Held => "held",
        };
        let order = json!({ "what": what, "method": method, "ending": ending });
        post(&format!("/lines/{}/losses", self.id), &order).await;
    }

    /// How many requests and replies were lost or held so far.
    pub async fn lost(&self) -> usize {
        let lost: Value = get(&format!("/lines/{}", self.id)).await;
        lost.as_array().expect("a list").len()
    }

    /// Waits until so many were lost or held.
    pub async fn has_lost(&self, count: usize) {
        wait_until_async("the line loses something", async || {
            self.lost().await >= count
        })
        .await;
    }
}
