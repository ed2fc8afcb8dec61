//! A platform to stand in front of: "Brightwater", a small product that shows pumps and tanks.
//!
//! It is the upstream of the demo. It has no login of its own and believes the gateway's identity
//! headers, as a platform behind the gateway does: pages, a JSON API, and a WebSocket clock.

mod directory;
mod page;
mod things;
mod visitor;

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::header::CONTENT_TYPE;
use http::{StatusCode, Uri};
use serde_json::json;

use crate::clock::SharedClock;
pub use directory::Directory;
use things::THINGS;
use visitor::Visitor;

const CLOCK_TICKS: Duration = Duration::from_secs(1);

/// The platform's endpoints; without a directory it knows nothing of its users' roles.
pub fn router(clock: SharedClock, directory: Option<Directory>) -> Router {
    Router::new()
        .route("/", get(async || Redirect::to("/things")))
        .route("/things", get(all_things))
        .route("/things/{id}", get(one_thing))
        .route("/me", get(me))
        .route("/status", get(status))
        .route("/api/me", get(api_me))
        .route("/api/things", get(api_things))
        .route("/ws/clock", get(ticking))
        .route("/favicon.ico", get(StatusCode::NO_CONTENT))
        .route("/assets/brightwater.css", get(stylesheet))
        .route("/assets/brightwater.js", get(script))
        .fallback(async |visitor: Option<Visitor>| page::not_found(visitor.as_ref()))
        .layer(Extension(directory))
        .with_state(clock)
}

async fn all_things(visitor: Visitor) -> Response {
    page::things(&visitor)
}

async fn one_thing(
    visitor: Visitor,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    uri: Uri,
) -> Response {
    let Some(thing) = things::find(&id) else {
        return page::not_found(Some(&visitor));
    };
    page::thing(&visitor, thing, query.as_deref().unwrap_or_default(), &uri)
}

async fn me(visitor: Visitor, Extension(directory): Extension<Option<Directory>>) -> Response {
    let roles = match directory {
        Some(directory) => directory.roles_of(&visitor.user).await,
        None => None,
    };
    page::me(&visitor, &roles.unwrap_or_default())
}

async fn status(visitor: Option<Visitor>) -> Response {
    page::status(visitor.as_ref())
}

async fn api_me(visitor: Visitor) -> Response {
    let Visitor {
        user,
        customer,
        email,
    } = visitor;
    Json(json!({ "user": user, "customer": customer, "email": email })).into_response()
}

async fn api_things(_: Visitor) -> Response {
    Json(json!({ "things": THINGS })).into_response()
}

/// Sends the time once a second until the other side goes away.
async fn ticking(
    visitor: Visitor,
    State(clock): State<SharedClock>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(async move |socket| tick(socket, &clock, &visitor).await)
}

async fn tick(mut socket: WebSocket, clock: &SharedClock, visitor: &Visitor) {
    let mut ticks = tokio::time::interval(CLOCK_TICKS);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let now = json!({ "time": clock.now().millis(), "user": visitor.user });
                if socket.send(Message::text(now.to_string())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => if !matches!(message, Some(Ok(_))) {
                return;
            }
        }
    }
}

async fn stylesheet() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("brightwater.css"),
    )
}

async fn script() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/javascript; charset=utf-8")],
        include_str!("brightwater.js"),
    )
}

/// Somebody came without the gateway's headers, thus around the gateway.
fn stranger(path: &str) -> Response {
    if path.starts_with("/api/") || path.starts_with("/ws/") {
        let body = Json(json!({ "error": "no identity header" }));
        return (StatusCode::UNAUTHORIZED, body).into_response();
    }
    page::stranger()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::clock::{FrozenClock, Timestamp};

    fn platform() -> Router {
        let now = Timestamp::from_millis(1_700_000_000_000);
        router(Arc::new(FrozenClock::at(now)), None)
    }

    async fn get(path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let request = headers
            .iter()
            .fold(Request::get(path), |request, (name, value)| {
                request.header(*name, *value)
            });
        let response = platform()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    const AMARA: [(&str, &str); 3] = [
        ("x-vestibule-user", "user-1"),
        ("x-vestibule-customer", "customer-1"),
        ("x-vestibule-email", "amara@example.com"),
    ];

    #[tokio::test]
    async fn shows_who_one_is_and_which_link_was_followed() {
        let (status, page) = get("/things/17?tab=values&x=%3Cb%3E", &AMARA).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("amara@example.com") && page.contains("customer-1"));
        assert!(page.contains("/things/17?tab=values&amp;x=%3Cb%3E"));
        assert_eq!(get("/things/999", &AMARA).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn header_values_are_text() {
        let (_, page) = get("/me", &[("x-vestibule-user", "<script>")]).await;
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
    }

    #[tokio::test]
    async fn the_api_says_who_one_is() {
        let (_, body) = get("/api/me", &AMARA).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["customer"], "customer-1");
        let (_, body) = get("/api/things", &AMARA).await;
        assert!(body.contains("\"id\":\"17\""));
    }

    #[tokio::test]
    async fn whoever_comes_around_the_gateway_gets_nothing() {
        for path in ["/things", "/things/17", "/me", "/api/me", "/api/things"] {
            assert_eq!(get(path, &[]).await.0, StatusCode::UNAUTHORIZED, "{path}");
        }
        assert_eq!(get("/status", &[]).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn the_clock_ticks_over_a_websocket() {
        use futures_util::StreamExt as _;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, platform()).into_future());
        let mut request = format!("ws://{address}/ws/clock")
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("x-vestibule-user", "user-1".parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let message = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert_eq!(
            message.as_str(),
            r#"{"time":1700000000000,"user":"user-1"}"#
        );
    }
}
