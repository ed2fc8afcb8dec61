//! Signatures, checked by other implementations than the gateway's.

use serde_json::{Value, json};

use super::node_services::post;
use super::upstream::Received;

/// Whether a request is signed with this secret.
pub async fn signature_is_right(secret: &str, request: &Received) -> bool {
    let header = |name| request.header(name).unwrap_or_default();
    let wish = json!({
        "secret": secret,
        "headers": {
            "webhook-id": header("webhook-id"),
            "webhook-timestamp": header("webhook-timestamp"),
            "webhook-signature": header("webhook-signature"),
        },
        "body": String::from_utf8_lossy(&request.body),
    });
    let checked = post("/signatures", &wish).await;
    checked["right"].as_bool().expect("yes or no")
}

/// What an upstream reads in an assertion that it checks with these keys; or `refused`, and why.
pub async fn read_assertion(token: &str, keys: &Value, expected: (&str, &str)) -> Value {
    let (issuer, audience) = expected;
    let wish = json!({ "token": token, "keySet": keys, "issuer": issuer, "audience": audience });
    post("/assertions", &wish).await
}
