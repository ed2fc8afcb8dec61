//! A vendor of captchas, as a real server: it gives answers away, judges each of them once by
//! `siteverify`, as the four vendors document it, and has a widget for browsers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Form, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// What the vendor knows the gateway by.
pub const VENDOR_SECRET: &str = "what only the vendor and the gateway know";
/// What the vendor knows the page by.
pub const SITE_KEY: &str = "the-key-of-this-page";

type Fields = HashMap<String, String>;

/// Whose ways the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    RecaptchaV2,
    RecaptchaV3,
    Hcaptcha,
    Turnstile,
}

/// What a widget has found out; the vendor's answer tells it.
#[derive(Debug, Clone)]
pub struct Found {
    pub hostname: String,
    pub action: String,
    pub score: f64,
    /// Whether it was too long ago.
    pub is_over: bool,
}

/// How the vendor feels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Takes an answer twice.
    Forgetful,
    /// Says nothing.
    Asleep,
    /// Answers with a page.
    Garbled,
    /// Answers without an end.
    Endless,
    /// Answers 503.
    Broken,
}

/// One vendor, gone with the value.
pub struct CaptchaVendor {
    ways: Ways,
    address: String,
    desk: Arc<Mutex<Desk>>,
    listening: JoinHandle<()>,
}

struct Desk {
    ways: Ways,
    mood: Mood,
    /// Answers that were given away, and whether they were judged.
    answers: HashMap<String, (Found, bool)>,
    asked: Vec<Fields>,
}

impl Ways {
    pub const ALL: [Self; 4] = [
        Self::RecaptchaV2,
        Self::RecaptchaV3,
        Self::Hcaptcha,
        Self::Turnstile,
    ];

    /// The word for it in `vestibule.toml`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::RecaptchaV2 => "recaptcha-v2",
            Self::RecaptchaV3 => "recaptcha-v3",
            Self::Hcaptcha => "hcaptcha",
            Self::Turnstile => "turnstile",
        }
    }

    /// The field that a widget of these ways fills in.
    pub fn field(self) -> &'static str {
        match self {
            Self::RecaptchaV2 | Self::RecaptchaV3 => "g-recaptcha-response",
            Self::Hcaptcha => "h-captcha-response",
            Self::Turnstile => "cf-turnstile-response",
        }
    }

    pub fn has_actions(self) -> bool {
        matches!(self, Self::RecaptchaV3 | Self::Turnstile)
    }
}

impl CaptchaVendor {
    pub async fn start(ways: Ways) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let desk = Arc::new(Mutex::new(Desk {
            ways,
            mood: Mood::Well,
            answers: HashMap::new(),
            asked: Vec::new(),
        }));
        let router = Router::new()
            .route("/siteverify", post(siteverify))
            .route("/recaptcha/api/siteverify", post(siteverify))
            .route("/recaptcha/api.js", get(script))
            .route("/recaptcha/api2/anchor", get(anchor))
            .route("/recaptcha/api2/userverify", post(userverify))
            .with_state(Arc::clone(&desk));
        let listening = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            ways,
            address,
            desk,
            listening,
        }
    }

    /// Its `[[captcha]]`; the secret is in the environment.
    pub fn toml(&self, further: &str) -> String {
        let (kind, address) = (self.ways.kind(), &self.address);
        let origin = match self.ways {
            Ways::RecaptchaV2 | Ways::RecaptchaV3 => format!("origin = \"{address}\"\n"),
            Ways::Hcaptcha | Ways::Turnstile => format!("verify_url = \"{address}/siteverify\"\n"),
        };
        format!(
            "[[captcha]]\nkind = \"{kind}\"\nsite_key = \"{SITE_KEY}\"\n\
             secret = {{ env = \"VENDOR_SECRET\" }}\n{origin}{further}\n"
        )
    }

    /// Where it is: scheme, host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn ways(&self) -> Ways {
        self.ways
    }

    /// An answer, as the widget of a person gets it on the page of a gateway under test.
    pub fn answer(&self) -> String {
        self.answer_with(|_| {})
    }

    /// An answer that differs.
    pub fn answer_with(&self, change: impl FnOnce(&mut Found)) -> String {
        let mut found = Found {
            hostname: "localhost".to_owned(),
            action: "send_link".to_owned(),
            score: 0.9,
            is_over: false,
        };
        change(&mut found);
        self.desk().gives(found)
    }

    pub fn feels(&self, mood: Mood) {
        self.desk().mood = mood;
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Fields> {
        self.desk().asked.clone()
    }

    /// Stops listening.
    pub async fn stop(&mut self) {
        self.listening.abort();
        let _ = (&mut self.listening).await;
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("the vendor's desk")
    }
}

impl Drop for CaptchaVendor {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Desk {
    fn gives(&mut self, found: Found) -> String {
        let answer = format!("{}.{}", uuid::Uuid::now_v7(), "x".repeat(600));
        self.answers.insert(answer.clone(), (found, false));
        answer
    }

    fn judges(&mut self, asked: &Fields) -> Value {
        let field = |name: &str| asked.get(name).map_or("", String::as_str);
        let refuses = |code: &str| json!({ "success": false, "error-codes": [code] });
        if field("secret") != VENDOR_SECRET {
            return refuses("invalid-input-secret");
        }
        if self.ways == Ways::Hcaptcha && field("sitekey") != SITE_KEY {
            return refuses("sitekey-secret-mismatch");
        }
        let Some((found, is_used)) = self.answers.get_mut(field("response")) else {
            return refuses("invalid-input-response");
        };
        if found.is_over || *is_used {
            return refuses(match self.ways {
                Ways::Hcaptcha if found.is_over => "expired-input-response",
                Ways::Hcaptcha => "already-seen-response",
                _ => "timeout-or-duplicate",
            });
        }
        *is_used = self.mood != Mood::Forgetful;
        let mut says = json!({
            "success": true,
            "challenge_ts": "2026-11-21T15:00:00Z",
            "hostname": found.hostname,
        });
        match self.ways {
            Ways::RecaptchaV2 => {}
            Ways::RecaptchaV3 => {
                says["score"] = json!(found.score);
                says["action"] = json!(found.action);
            }
            Ways::Hcaptcha => says["credit"] = json!(false),
            Ways::Turnstile => {
                says["error-codes"] = json!([]);
                says["action"] = json!(found.action);
                says["cdata"] = json!("");
            }
        }
        says
    }
}

type Shared = State<Arc<Mutex<Desk>>>;

async fn siteverify(State(desk): Shared, Form(asked): Form<Fields>) -> Response {
    let (mood, says) = {
        let mut desk = desk.lock().expect("the vendor's desk");
        desk.asked.push(asked.clone());
        (desk.mood, desk.judges(&asked))
    };
    match mood {
        Mood::Well | Mood::Forgetful => axum::Json(says).into_response(),
        Mood::Asleep => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            axum::Json(says).into_response()
        }
        Mood::Garbled => Html("<title>Sorry</title>").into_response(),
        Mood::Endless => "x".repeat(1_000_000).into_response(),
        Mood::Broken => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The widget: a frame with a box to tick, or, with `render`, one that answers by itself.
async fn script() -> Response {
    let script = include_str!("captcha_vendor.js");
    ([(header::CONTENT_TYPE, "text/javascript")], script).into_response()
}

async fn anchor() -> Html<&'static str> {
    Html(include_str!("captcha_vendor.html"))
}

/// What the frame asks for when it takes somebody for a person.
async fn userverify(State(desk): Shared, Query(about): Query<Fields>) -> String {
    let field = |name: &str| about.get(name).cloned().unwrap_or_default();
    assert_eq!(field("k"), SITE_KEY, "the page's own key");
    desk.lock().expect("the vendor's desk").gives(Found {
        hostname: field("host"),
        action: field("action"),
        score: 0.9,
        is_over: false,
    })
}
