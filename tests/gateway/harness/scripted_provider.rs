//! An OpenID provider that lies as a test tells it to: discovery, keys, ID token, token answer,
//! userinfo and the way back can each be forged. Nobody logs in; whoever comes is sent back at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{
    Form, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

type Fields = HashMap<String, String>;
type Forge<T> = Box<dyn Fn(&mut T) + Send + Sync>;

/// One lying provider, gone with the test's runtime.
pub struct ScriptedProvider {
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
    script: Arc<Mutex<Script>>,
}

/// Where the gateway asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Discovery,
    Keys,
    Authorization,
    Token,
    Userinfo,
    Introspection,
}

/// An ID token before it is signed.
#[derive(Debug)]
pub struct IdToken {
    pub header: Value,
    pub claims: Value,
    pub signing: Signing,
}

/// How an ID token is signed.
#[derive(Debug, Clone, Copy)]
pub enum Signing {
    /// By the published key.
    Honest,
    /// By a key that nobody published.
    StrangeKey,
    /// By HMAC with the client's secret.
    ClientSecret,
    /// By HMAC with the modulus of the published key.
    PublicKeyAsSecret,
    /// With an empty signature.
    Empty,
    /// By the published key, the claims changed afterwards.
    TamperedClaims,
}

/// What an endpoint answers instead.
#[derive(Debug, Clone)]
pub struct Instead {
    pub status: u16,
    pub content_type: &'static str,
    pub location: Option<String>,
    pub body: String,
    pub delay: Duration,
}

struct Script {
    issuer: String,
    key: KeyPair,
    key_id: String,
    claims: Value,
    userinfo: Option<Value>,
    forge_discovery: Forge<Value>,
    forge_id_token: Forge<IdToken>,
    forge_token_answer: Forge<Value>,
    forge_way_back: Forge<Vec<(String, String)>>,
    instead: HashMap<Endpoint, Instead>,
    asked: Vec<(Endpoint, Fields)>,
    logins: HashMap<String, Fields>,
}

impl Instead {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::body("application/json", "{}")
        }
    }

    pub fn body(content_type: &'static str, body: impl Into<String>) -> Self {
        Self {
            status: 200,
            content_type,
            location: None,
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    pub fn redirect(location: &str) -> Self {
        Self {
            location: Some(location.to_owned()),
            ..Self::status(302)
        }
    }

    /// Says nothing for so long.
    pub fn stall(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::status(200)
        }
    }
}

impl ScriptedProvider {
    /// Starts a provider that is honest until told otherwise, with the subject `mario`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let issuer = format!("http://{}", listener.local_addr().expect("its address"));
        let script = Arc::new(Mutex::new(Script::honest(issuer.clone())));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/introspect", post(introspect))
            .route("/userinfo", get(userinfo).post(userinfo))
            .with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            issuer,
            client_id: "vestibule".to_owned(),
            client_secret: "a secret between two test servers".to_owned(),
            script,
        }
    }

    /// Who logs in from here on: claims of the ID token, `sub` among them, and of userinfo.
    pub fn person(&self, claims: Value) {
        self.script().claims = claims;
    }

    /// What userinfo says, where it differs.
    pub fn userinfo(&self, claims: Value) {
        self.script().userinfo = Some(claims);
    }

    pub fn forge_discovery(&self, forge: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.script().forge_discovery = Box::new(forge);
    }

    pub fn forge_id_token(&self, forge: impl Fn(&mut IdToken) + Send + Sync + 'static) {
        self.script().forge_id_token = Box::new(forge);
    }

    pub fn forge_token_answer(&self, forge: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.script().forge_token_answer = Box::new(forge);
    }

    /// The parameters that the browser carries back: `code`, `state`, `iss`.
    pub fn forge_way_back(
        &self,
        forge: impl Fn(&mut Vec<(String, String)>) + Send + Sync + 'static,
    ) {
        self.script().forge_way_back = Box::new(forge);
    }

    pub fn answer_instead(&self, endpoint: Endpoint, instead: Instead) {
        self.script().instead.insert(endpoint, instead);
    }

    /// Tells the truth again at an endpoint.
    pub fn answer_truly(&self, endpoint: Endpoint) {
        self.script().instead.remove(&endpoint);
    }

    /// An access token for `audience` (RFC 9068), forged as the test wants it.
    pub fn access_token(&self, audience: &str, forge: impl FnOnce(&mut IdToken)) -> String {
        let script = self.script();
        let mut token = IdToken {
            header: json!({ "alg": "RS256", "typ": "at+jwt", "kid": script.key_id }),
            claims: json!({
                "iss": script.issuer, "sub": "mario", "aud": audience, "client_id": "app",
                "iat": seconds_now(), "exp": seconds_now() + 300, "scope": "read",
            }),
            signing: Signing::Honest,
        };
        forge(&mut token);
        script.signed(token)
    }

    /// Signs by a new key, with a new key id, from here on.
    pub fn rotate_keys(&self) {
        let mut script = self.script();
        script.key = new_key();
        script.key_id.push('+');
    }

    /// The parameters of each request to an endpoint so far.
    pub fn asked(&self, endpoint: Endpoint) -> Vec<Fields> {
        let script = self.script();
        let same = script.asked.iter().filter(|(asked, _)| *asked == endpoint);
        same.map(|(_, fields)| fields.clone()).collect()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("the script")
    }
}

impl Script {
    fn honest(issuer: String) -> Self {
        Self {
            issuer,
            key: new_key(),
            key_id: "first".to_owned(),
            claims: json!({ "sub": "mario" }),
            userinfo: None,
            forge_discovery: Box::new(|_| {}),
            forge_id_token: Box::new(|_| {}),
            forge_token_answer: Box::new(|_| {}),
            forge_way_back: Box::new(|_| {}),
            instead: HashMap::new(),
            asked: Vec::new(),
            logins: HashMap::new(),
        }
    }

    fn public_key(&self) -> (Vec<u8>, Vec<u8>) {
        let key = self.key.public_key();
        (
            key.modulus().big_endian_without_leading_zero().to_vec(),
            key.exponent().big_endian_without_leading_zero().to_vec(),
        )
    }

    fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut document = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "introspection_endpoint": at("/introspect"),
            "jwks_uri": at("/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        (self.forge_discovery)(&mut document);
        document
    }

    fn keys(&self) -> Value {
        let (modulus, exponent) = self.public_key();
        json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id,
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent),
        }] })
    }

    fn id_token(&self, login: &Fields) -> String {
        let mut claims = self.claims.clone();
        let nonce = login.get("nonce").cloned();
        claims["iss"] = json!(self.issuer);
        claims["aud"] = json!(login.get("client_id"));
        claims["iat"] = json!(seconds_now());
        claims["exp"] = json!(seconds_now() + 300);
        claims["auth_time"] = json!(seconds_now());
        claims["nonce"] = json!(nonce);
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let mut token = IdToken {
            header,
            claims,
            signing: Signing::Honest,
        };
        (self.forge_id_token)(&mut token);
        self.signed(token)
    }

    fn signed(&self, mut token: IdToken) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&token.header), part(&token.claims));
        let signature = match token.signing {
            Signing::Honest | Signing::TamperedClaims => rsa_signature(&self.key, &message),
            Signing::StrangeKey => rsa_signature(&new_key(), &message),
            Signing::ClientSecret => hmac_tag(b"a secret between two test servers", &message),
            Signing::PublicKeyAsSecret => hmac_tag(&self.public_key().0, &message),
            Signing::Empty => Vec::new(),
        };
        let signature = URL_SAFE_NO_PAD.encode(signature);
        if matches!(token.signing, Signing::TamperedClaims) {
            token.claims["sub"] = json!("somebody else");
            return format!(
                "{}.{}.{signature}",
                part(&token.header),
                part(&token.claims)
            );
        }
        format!("{message}.{signature}")
    }
}

type Shared = State<Arc<Mutex<Script>>>;

async fn discovery(State(script): Shared) -> Response {
    or_instead(&script, Endpoint::Discovery, Fields::new(), |script| {
        json_answer(&script.discovery())
    })
    .await
}

async fn keys(State(script): Shared) -> Response {
    or_instead(&script, Endpoint::Keys, Fields::new(), |script| {
        json_answer(&script.keys())
    })
    .await
}

async fn authorize(State(script): Shared, Query(login): Query<Fields>) -> Response {
    or_instead(&script, Endpoint::Authorization, login.clone(), |script| {
        let code = format!("code-{}", script.logins.len());
        let state = login.get("state").cloned().unwrap_or_default();
        let mut back = vec![
            ("code".to_owned(), code.clone()),
            ("state".to_owned(), state),
            ("iss".to_owned(), script.issuer.clone()),
        ];
        (script.forge_way_back)(&mut back);
        let redirect_uri = login.get("redirect_uri").cloned().unwrap_or_default();
        script.logins.insert(code, login.clone());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(back)
            .finish();
        Redirect::to(&format!("{redirect_uri}?{query}")).into_response()
    })
    .await
}

async fn token(State(script): Shared, Form(fields): Form<Fields>) -> Response {
    or_instead(&script, Endpoint::Token, fields.clone(), |script| {
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let Some(login) = script.logins.remove(&field("code")) else {
            return refused("invalid_grant");
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier")));
        if login.get("code_challenge") != Some(&challenge) {
            return refused("invalid_grant");
        }
        let mut answer = json!({
            "access_token": "access", "token_type": "Bearer", "expires_in": 300,
            "id_token": script.id_token(&login),
        });
        (script.forge_token_answer)(&mut answer);
        json_answer(&answer)
    })
    .await
}

/// Knows no token.
async fn introspect(State(script): Shared, Form(fields): Form<Fields>) -> Response {
    or_instead(&script, Endpoint::Introspection, fields, |_| {
        json_answer(&json!({ "active": false }))
    })
    .await
}

async fn userinfo(State(script): Shared, headers: HeaderMap) -> Response {
    or_instead(&script, Endpoint::Userinfo, Fields::new(), |script| {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if bearer != Some("Bearer access") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        json_answer(script.userinfo.as_ref().unwrap_or(&script.claims))
    })
    .await
}

/// Notes the request, then answers as the script says.
async fn or_instead(
    script: &Mutex<Script>,
    endpoint: Endpoint,
    fields: Fields,
    honest: impl FnOnce(&mut Script) -> Response,
) -> Response {
    let instead = {
        let mut script = script.lock().expect("the script");
        script.asked.push((endpoint, fields));
        let Some(instead) = script.instead.get(&endpoint).cloned() else {
            return honest(&mut script);
        };
        instead
    };
    tokio::time::sleep(instead.delay).await;
    let status = StatusCode::from_u16(instead.status).expect("a status");
    let content_type = [(header::CONTENT_TYPE, instead.content_type)];
    match instead.location {
        Some(to) => (status, content_type, [(header::LOCATION, to)], instead.body).into_response(),
        None => (status, content_type, instead.body).into_response(),
    }
}

fn json_answer(value: &Value) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        value.to_string(),
    )
        .into_response()
}

fn refused(error: &str) -> Response {
    (
        StatusCode::BAD_REQUEST,
        json_answer(&json!({ "error": error })),
    )
        .into_response()
}

fn new_key() -> KeyPair {
    KeyPair::generate(KeySize::Rsa2048).expect("an RSA key")
}

fn rsa_signature(key: &KeyPair, message: &str) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .expect("a signature");
    signature
}

fn hmac_tag(secret: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret),
        message.as_bytes(),
    )
    .as_ref()
    .to_vec()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the provider is an outsider with a clock of its own"
)]
fn seconds_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time after 1970")
        .as_secs()
}
