//! Ways of REST APIs that the shipped files do not have: other authentications, pages by offset,
//! forms, outcomes of one's own, answers that say nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router, body};
use secrecy::SecretString;
use serde_json::{Value, json};
use vestibule::clock::SystemClock;
use vestibule::identity::{PlatformId, UserId};
use vestibule::operator_file::{Problems, SourceFile};
use vestibule::platform::rest::{self, RestPlatform};
use vestibule::platform::{Platform, PlatformError, RestSettings};

use crate::thingsboard::email;

/// A request as it came.
#[derive(Debug, Clone)]
struct Asked {
    path: String,
    query: HashMap<String, String>,
    authorization: Option<String>,
    body: String,
}

/// What a server answers, by what is asked.
type Says = fn(&Asked, usize) -> (u16, Value);

/// A server that answers as a test says, and keeps what was asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    async fn start(says: Says) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(answer)
            .with_state((says, Arc::clone(&asked)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }

    /// The adapter, by a file with this authentication.
    fn platform(&self, authentication: &str) -> RestPlatform {
        self.platform_of(&format!("{authentication}\n{REST}"))
    }

    fn platform_of(&self, text: &str) -> RestPlatform {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = text.replace("$URL", &self.url);
        let mut problems = Problems::default();
        let source = SourceFile::new("rest.toml", &text);
        let description = rest::read(&source, &["id", "key"], &mut problems);
        assert_eq!(problems.to_string(), "");
        let secret = |text: &str| SecretString::from(text);
        let secrets = [("id", secret("the gateway")), ("key", secret("k:e/y"))];
        let settings = RestSettings {
            url: self.url.parse().unwrap(),
            plain_http: false,
            description: description.unwrap(),
            secrets: secrets
                .into_iter()
                .map(|(name, secret)| (name.to_owned(), secret))
                .collect::<BTreeMap<_, _>>(),
            timeout: Duration::from_secs(2),
            roots: vec![],
        };
        RestPlatform::new(PlatformId::new("rest"), settings, Arc::new(SystemClock)).unwrap()
    }
}

async fn answer(
    State((says, asked)): State<(Says, Arc<Mutex<Vec<Asked>>>)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = body::to_bytes(body, 1 << 20).await.unwrap();
    let query = parts.uri.query().unwrap_or_default();
    let one = Asked {
        path: parts.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        authorization: parts
            .headers
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let before = {
        let mut asked = asked.lock().unwrap();
        asked.push(one.clone());
        asked.len() - 1
    };
    let (status, body) = says(&one, before);
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

const REST: &str = r#"
[[outcome]]
when = "status == 404 && answer == 'none'"
means = "not_found"
[[outcome]]
when = "status == 403 && answer == 'expired'"
means = "expired"
[read.user]
id = "item.id"
email = "item.email"
mark = "item.mark"
enabled = "item.enabled"
customer = "item.customer"
[read.customer]
id = "item.id"
name = "item.name"
account_type = "'business'"
mark = "item.mark"
[operation.user]
path = "/users/{id}"
[operation.user_by_email]
path = "/users"
paging = { by = "offset", parameter = "from", size_parameter = "most", size = 3 }
[operation.user_by_mark]
path = "/users"
query = { mark = "{mark}" }
[operation.create_user]
method = "POST"
path = "/users"
body = "{'mark': mark}"
[operation.customer]
path = "/customers/{id}"
[operation.customer_by_mark]
path = "/customers"
query = { mark = "{mark}" }
[operation.create_customer]
method = "POST"
path = "/customers"
body = "{'mark': mark}"
"#;

const NONE: &str = "[authentication]\nkind = \"none\"";

fn mario(id: &str) -> Value {
    json!({ "id": id, "email": "mario@acme.example", "enabled": true })
}

async fn asks_for_mario(platform: &RestPlatform) -> Result<(), PlatformError> {
    let found = platform.user(&UserId::new("u-1")).await?;
    assert_eq!(found.unwrap().id, UserId::new("u-1"));
    Ok(())
}

#[tokio::test]
async fn what_does_not_change_is_sent_with_every_request() {
    for (authentication, sent) in [
        ("kind = 'bearer'\nvalue = '{secret.key}'", "Bearer k:e/y"),
        (
            "kind = 'header'\nheader = 'Authorization'\nvalue = 'Key {secret.key}'",
            "Key k:e/y",
        ),
        (
            "kind = 'basic'\nuser = '{secret.id}'\npassword = '{secret.key}'",
            "Basic dGhlIGdhdGV3YXk6azplL3k=",
        ),
    ] {
        let server = Server::start(|_, _| (200, mario("u-1"))).await;
        let platform = server.platform(&format!("[authentication]\n{authentication}"));
        asks_for_mario(&platform).await.unwrap();
        assert_eq!(server.asked()[0].authorization.as_deref(), Some(sent));
    }
}

#[tokio::test]
async fn client_credentials_give_a_token_that_is_replaced_when_it_is_refused() {
    const SAYS: Says = |asked, before| match asked.path.as_str() {
        "/token" => (
            200,
            json!({ "access_token": format!("t-{before}"), "expires_in": 3600 }),
        ),
        _ if asked.authorization.as_deref() == Some("Bearer t-0") && before > 2 => {
            (401, Value::Null)
        }
        _ => (200, mario("u-1")),
    };
    for (in_body, sent, body) in [
        (
            "false",
            Some("Basic dGhlK2dhdGV3YXk6ayUzQWUlMkZ5"),
            "grant_type=client_credentials&scope=all",
        ),
        (
            "true",
            None,
            "grant_type=client_credentials&scope=all&client_id=the+gateway\
             &client_secret=k%3Ae%2Fy",
        ),
    ] {
        let server = Server::start(SAYS).await;
        let authentication = format!(
            "[authentication]\nkind = 'client_credentials'\ntoken_url = '$URL/token'\n\
             user = '{{secret.id}}'\npassword = '{{secret.key}}'\nscope = 'all'\n\
             in_body = {in_body}"
        );
        let platform = server.platform(&authentication);
        for _ in 0..3 {
            asks_for_mario(&platform).await.unwrap();
        }
        let asked = server.asked();
        assert_eq!(asked[0].authorization.as_deref(), sent);
        assert_eq!(asked[0].body, body);
        let user = "/users/u-1";
        assert_eq!(
            server.paths(),
            ["/token", user, user, user, "/token", user],
            "the token is replaced when it is refused"
        );
    }
}

#[tokio::test]
async fn a_refusal_of_the_token_in_other_words_counts_where_a_rule_says_so() {
    const SAYS: Says = |asked, before| match (asked.path.as_str(), before) {
        ("/token", _) => (200, json!({ "access_token": format!("t-{before}") })),
        (_, 1) => (403, json!("expired")),
        (_, 4) => (403, json!("never")),
        _ => (200, mario("u-1")),
    };
    let server = Server::start(SAYS).await;
    let authentication = "[authentication]\nkind = 'client_credentials'\n\
                          token_url = '$URL/token'\nuser = 'x'\npassword = '{secret.key}'";
    let platform = server.platform(authentication);
    asks_for_mario(&platform).await.unwrap();
    let refused = asks_for_mario(&platform).await;
    assert!(matches!(refused, Err(PlatformError::NotAllowed)));
}

#[tokio::test]
async fn a_login_is_written_as_a_form_where_that_is_asked_for() {
    const SAYS: Says = |asked, _| match asked.path.as_str() {
        "/login" => (200, json!({ "jwt": "t-1" })),
        _ => (200, mario("u-1")),
    };
    let server = Server::start(SAYS).await;
    let authentication = "[authentication]\nkind = 'login'\nheader = 'Authorization'\n\
                          value = 'Token {token}'\ntoken = 'answer.jwt'\n\
                          [authentication.login]\nmethod = 'POST'\npath = '/login'\n\
                          encoding = 'form'\nbody = \"{'password': secret.key}\"";
    let platform = server.platform(authentication);
    asks_for_mario(&platform).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].body, "password=k%3Ae%2Fy");
    assert_eq!(asked[1].authorization.as_deref(), Some("Token t-1"));
}

#[tokio::test]
async fn every_page_is_read_and_what_looks_alike_is_compared() {
    const SAYS: Says = |asked, _| {
        let from: usize = asked.query["from"].parse().unwrap();
        let users = (from..7.min(from + 3)).map(|number| {
            let email = match number {
                5 => "MARIO@acme.example".to_owned(),
                other => format!("xmario{other}@acme.example"),
            };
            json!({ "id": number, "email": email, "enabled": true })
        });
        (200, users.collect())
    };
    let server = Server::start(SAYS).await;
    let platform = server.platform(NONE);
    let found = platform.user_by_email(&email("mario@acme.example")).await;
    assert_eq!(found.unwrap().unwrap().id, UserId::new("5"));
    let pages = server.asked();
    let pages: Vec<_> = pages
        .iter()
        .map(|asked| (asked.query["from"].as_str(), asked.query["most"].as_str()))
        .collect();
    assert_eq!(pages, [("0", "3"), ("3", "3"), ("6", "3")]);
}

#[tokio::test]
async fn pages_without_end_are_an_error_and_not_a_search_without_end() {
    const SAYS: Says = |asked, _| {
        let one = json!({ "id": asked.query["from"], "email": "x@acme.example" });
        (200, json!([one, one, one]))
    };
    let server = Server::start(SAYS).await;
    let platform = server.platform(NONE);
    let found = platform.user_by_email(&email("mario@acme.example")).await;
    assert!(matches!(found, Err(PlatformError::Garbled(_))), "{found:?}");
    assert!(server.paths().len() <= 50);
}

#[tokio::test]
async fn what_an_answer_does_not_say_for_sure_is_an_error() {
    const ANSWERS: [(u16, &str); 8] = [
        (404, "\"<h1>\""),
        (200, "null"),
        (200, "7"),
        (302, "null"),
        (409, "null"),
        (200, r#"{"id": "u-1", "email": "mario@acme.example"}"#),
        (
            200,
            r#"{"id": "u-1", "email": "mario@acme.example", "enabled": "yes"}"#,
        ),
        (200, r#"{"id": "u-1", "email": "nobody", "enabled": true}"#),
    ];
    for (number, (_, text)) in ANSWERS.iter().enumerate() {
        let server = Server::start(|asked, _| {
            let number: usize = asked.query["number"].parse().unwrap();
            let (status, text) = ANSWERS[number];
            (status, serde_json::from_str(text).unwrap())
        })
        .await;
        let own = format!("path = \"/users/{{id}}\"\nquery = {{ number = \"{number}\" }}");
        let platform = {
            let rest = REST.replace("path = \"/users/{id}\"", &own);
            server.platform_of(&format!("{NONE}\n{rest}"))
        };
        let found = platform.user(&UserId::new("u-1")).await;
        assert!(
            matches!(found, Err(PlatformError::Garbled(_))),
            "{text}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_record_with_another_id_is_not_the_one_that_was_asked_for() {
    let server = Server::start(|_, _| (200, mario("U-1"))).await;
    let platform = server.platform(NONE);
    let found = platform.user(&UserId::new("u-1")).await;
    assert_eq!(found.unwrap(), None);
}
