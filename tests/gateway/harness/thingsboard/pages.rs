//! Its web UI, small, with the token logic of the real one; and its WebSocket, which takes the token
//! with the first message.

use std::sync::{Arc, Mutex};

use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse as _, Response};
use serde_json::{Value, json};

use super::state::State;

type All = Arc<Mutex<State>>;

const PAGE: &str = include_str!("pages.html");

/// The answer to what is not the REST API.
pub async fn answer(parts: &mut Parts, all: &All) -> Option<Response> {
    let path = parts.uri.path();
    if path == "/api/ws" {
        let upgrade = WebSocketUpgrade::from_request_parts(parts, &()).await;
        let all = Arc::clone(all);
        return Some(match upgrade {
            Ok(upgrade) => upgrade.on_upgrade(|socket| talk(socket, all)),
            Err(refused) => refused.into_response(),
        });
    }
    (!path.starts_with("/api/")).then(|| Html(PAGE).into_response())
}

/// Whoever shows no valid token first is cut off (`TbWebSocketHandler`).
async fn talk(mut socket: WebSocket, all: All) {
    let Some(Ok(Message::Text(first))) = socket.recv().await else {
        return;
    };
    let first: Value = serde_json::from_str(&first).unwrap_or_default();
    let token = first["authCmd"]["token"].as_str().unwrap_or_default();
    let who = all.lock().unwrap().bearer(token);
    let Ok(who) = who else {
        let reason = "Token is invalid".into();
        let _ = socket
            .send(Message::Close(Some(CloseFrame { code: 1007, reason })))
            .await;
        return;
    };
    let update = json!({ "subscriptionId": 1, "data": { "userId": who } });
    let _ = socket.send(Message::Text(update.to_string().into())).await;
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}
