//! A certified OpenID provider that nobody here wrote (npm `oidc-provider`), one per test, with its
//! own keys, clients and people.

use serde_json::{Value, json};

use super::child::wait_until_async;
use super::node_services::{control, get, post, wire_client};

/// The secret of every program.
pub const PROGRAM_SECRET: &str = "a secret of a program at a test server";

/// One provider, and the client that the gateway is at it.
pub struct OidcProvider {
    id: u64,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
}

impl OidcProvider {
    /// Starts a provider as certified: ID tokens carry `sub` alone, the rest is in userinfo.
    pub async fn start() -> Self {
        Self::start_with(json!({})).await
    }

    /// Starts a provider that puts the claims of the scopes into the ID token as well.
    pub async fn start_with_claims_in_id_token() -> Self {
        Self::start_with(json!({ "conform_id_token_claims": false })).await
    }

    /// Starts a provider at which nobody logs out: it publishes no end-session endpoint.
    pub async fn start_without_end_session() -> Self {
        Self::start_with(json!({ "end_session": false })).await
    }

    /// Starts a provider whose access tokens live so many seconds.
    pub async fn start_with_access_tokens_for(seconds: u64) -> Self {
        Self::start_with(json!({ "access_token_life": seconds })).await
    }

    /// Where other programs give it orders.
    pub fn control(&self) -> String {
        control(&format!("/providers/{}", self.id))
    }

    async fn start_with(wish: Value) -> Self {
        let made = post("/providers", &wish).await;
        Self {
            id: made["id"].as_u64().expect("a number"),
            issuer: made["issuer"].as_str().expect("an address").to_owned(),
            client_id: "vestibule".to_owned(),
            client_secret: "a secret between two test servers".to_owned(),
        }
    }

    /// Registers the gateway: where it may be called back and where it may be returned to after
    /// logout.
    pub async fn register(&self, redirect_uris: &[String], post_logout_redirect_uris: &[String]) {
        let client = json!({
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "redirect_uris": redirect_uris,
            "post_logout_redirect_uris": post_logout_redirect_uris,
            "grant_types": ["authorization_code", "refresh_token"],
        });
        self.order("clients", &client).await;
    }

    /// Adds somebody who logs in by `login` (which is also the subject) and any password.
    pub async fn person(&self, login: &str, claims: Value) -> &Self {
        self.order("people", &json!({ "login": login, "claims": claims }))
            .await;
        self
    }

    /// Adds somebody with a second factor, who shows it when it is asked for.
    pub async fn person_with_second_factor(&self, login: &str, claims: Value) -> &Self {
        let person = json!({ "login": login, "claims": claims, "second_factor": true });
        self.order("people", &person).await;
        self
    }

    /// Registers a program, which asks for tokens by itself and about those of others.
    pub async fn program(&self, client_id: &str) -> &Self {
        let client = json!({
            "client_id": client_id,
            "client_secret": PROGRAM_SECRET,
            "redirect_uris": [],
            "response_types": [],
            "grant_types": ["client_credentials"],
        });
        self.order("clients", &client).await;
        self
    }

    /// A program's own token (RFC 6749, section 4.4) for an API; opaque where the API's name says so.
    pub async fn token_of(&self, client_id: &str, audience: &str, scope: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", audience),
            ("scope", scope),
        ];
        let asking = wire_client().post(format!("{}/token", self.issuer));
        let asking = asking
            .basic_auth(client_id, Some(PROGRAM_SECRET))
            .form(&form);
        let answer: Value = asking
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// A token for an API that some program got for a person.
    pub async fn token_for(&self, login: &str, audience: &str, scope: &str) -> String {
        self.token_that_lives(login, audience, scope, 3600).await
    }

    /// The same, good for so many seconds.
    pub async fn token_that_lives(
        &self,
        login: &str,
        audience: &str,
        scope: &str,
        seconds: u64,
    ) -> String {
        let wish = json!({
            "login": login, "client_id": "app", "audience": audience, "scope": scope, "life": seconds,
        });
        let path = format!("/providers/{}/access-tokens", self.id);
        let made = post(&path, &wish).await;
        made["token"].as_str().expect("a token").to_owned()
    }

    /// Ends a token that only the provider understands.
    pub async fn revoke(&self, token: &str) {
        self.order("revocations", &json!({ "token": token })).await;
    }

    /// Waits until so many refresh tokens were revoked.
    pub async fn has_revoked(&self, count: u64) {
        let path = format!("/providers/{}/revoked", self.id);
        wait_until_async("a refresh token is revoked", async || {
            get(&path).await["count"].as_u64() == Some(count)
        })
        .await;
    }

    /// Replaces the signing key; the old one is gone at once.
    pub async fn rotate_keys(&self) {
        self.order("rotate", &json!({})).await;
    }

    /// Stops listening.
    pub async fn stop(&self) {
        self.order("stop", &json!({})).await;
    }

    /// Listens again, at the same address.
    pub async fn resume(&self) {
        self.order("resume", &json!({})).await;
    }

    async fn order(&self, what: &str, body: &Value) {
        post(&format!("/providers/{}/{what}", self.id), body).await;
    }
}
