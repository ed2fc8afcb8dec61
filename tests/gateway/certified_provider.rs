//! The adapter and a certified provider that nobody here wrote understand each other.

use std::time::Duration;

use serde_json::json;
use vestibule::login::provider::{EndSession, IdentityProvider, ProviderError, Redemption};

use super::harness::{Answer, Browser, OidcProvider, RelyingParty, Upstream};

/// A provider with one person, the adapter, and something that listens where it sends back to.
struct Stage {
    provider: OidcProvider,
    party: RelyingParty,
    gateway: Upstream,
    browser: Browser,
}

impl Stage {
    async fn set() -> Self {
        let provider = OidcProvider::start().await;
        let gateway = Upstream::start().await;
        gateway.answers("/auth/callback", Answer::html("<p>back</p>"));
        gateway.answers("/auth/logged-out", Answer::html("<p>logged out</p>"));
        let at = |path: &str| format!("{}{path}", gateway.url());
        provider
            .register(&[at("/auth/callback")], &[at("/auth/logged-out")])
            .await;
        let mario =
            json!({ "email": "mario@acme.example", "email_verified": true, "name": "Mario" });
        provider.person("mario", mario).await;
        let party = RelyingParty::with(
            &provider.issuer,
            &provider.client_id,
            &provider.client_secret,
            |settings| settings.timeout = Duration::from_secs(2),
        );
        let browser = Browser::at(&gateway.url());
        Self {
            provider,
            party,
            gateway,
            browser,
        }
    }

    fn callback(&self) -> String {
        format!("{}/auth/callback", self.gateway.url())
    }

    /// Mario goes to the provider, and comes back with a code.
    async fn mario_comes_back(&self) -> Redemption {
        let trip = self
            .party
            .begin(&self.callback(), false)
            .await
            .expect("the provider is there");
        let page = self.browser.open(trip.sent_to.as_str()).await;
        let page = page.login_at_provider("mario").await;
        let back = page.url().clone();
        trip.back_at(&back)
    }
}

#[tokio::test]
async fn a_person_is_proven_with_the_claims_of_userinfo() {
    let stage = Stage::set().await;
    let redemption = stage.mario_comes_back().await;
    let proven = stage
        .party
        .provider
        .redeem(redemption)
        .await
        .expect("mario is proven");
    assert_eq!(proven.identity.subject().as_str(), "mario");
    assert_eq!(proven.identity.issuer().as_str(), stage.provider.issuer);
    assert_eq!(proven.identity.text("email"), Some("mario@acme.example"));
    assert_eq!(proven.identity.text("name"), Some("Mario"));
    assert!(
        !proven.identity.has_proven_email(),
        "nobody said that this provider is trusted"
    );
}

#[tokio::test]
async fn a_code_proves_once_and_for_its_own_verifier_only() {
    let stage = Stage::set().await;
    let redemption = stage.mario_comes_back().await;
    let mut stolen = copy(&redemption);
    stolen.verifier = vestibule::seal::random_token().into();
    let problem = stage
        .party
        .provider
        .redeem(stolen)
        .await
        .expect_err("the verifier is another");
    assert!(matches!(problem, ProviderError::CodeRefused), "{problem:?}");
    let again = copy(&redemption);
    stage
        .party
        .provider
        .redeem(redemption)
        .await
        .expect("mario is proven");
    let problem = stage
        .party
        .provider
        .redeem(again)
        .await
        .expect_err("the code is spent");
    assert!(matches!(problem, ProviderError::CodeRefused), "{problem:?}");
}

fn copy(redemption: &Redemption) -> Redemption {
    Redemption {
        code: redemption.code.clone(),
        answer_issuer: redemption.answer_issuer.clone(),
        redirect_uri: redemption.redirect_uri.clone(),
        verifier: redemption.verifier.clone(),
        nonce: redemption.nonce.clone(),
    }
}

#[tokio::test]
async fn a_key_that_was_changed_meanwhile_is_found() {
    let stage = Stage::set().await;
    let redemption = stage.mario_comes_back().await;
    stage
        .party
        .provider
        .redeem(redemption)
        .await
        .expect("the first key is known");
    stage.provider.rotate_keys().await;
    stage.browser.forget();
    let redemption = stage.mario_comes_back().await;
    stage
        .party
        .provider
        .redeem(redemption)
        .await
        .expect("the new key is found");
}

#[tokio::test]
async fn a_provider_that_goes_away_is_an_outage_and_comes_back() {
    let stage = Stage::set().await;
    let redemption = stage.mario_comes_back().await;
    stage.provider.stop().await;
    let problem = stage
        .party
        .provider
        .redeem(redemption)
        .await
        .expect_err("it is away");
    assert!(problem.is_passing(), "{problem:?}");
    stage.provider.resume().await;
    let redemption = stage.mario_comes_back_for(&stage.party).await;
    stage
        .party
        .provider
        .redeem(redemption)
        .await
        .expect("it is back");
}

#[tokio::test]
async fn a_wrong_client_secret_is_told_apart_and_the_next_one_tried() {
    let stage = Stage::set().await;
    let with = |secrets: Vec<&'static str>| {
        let (issuer, id) = (&stage.provider.issuer, &stage.provider.client_id);
        RelyingParty::with(issuer, id, "wrong", |settings| {
            settings
                .client_secrets
                .extend(secrets.into_iter().map(Into::into));
        })
    };
    let wrong = with(vec![]);
    let rotating = with(vec!["a secret between two test servers"]);
    let trip = wrong
        .begin(&stage.callback(), false)
        .await
        .expect("the provider is there");
    let page = stage
        .browser
        .open(trip.sent_to.as_str())
        .await
        .login_at_provider("mario")
        .await;
    let problem = wrong
        .provider
        .redeem(trip.back_at(page.url()))
        .await
        .expect_err("it is wrong");
    assert!(
        matches!(problem, ProviderError::ClientRefused),
        "{problem:?}"
    );
    let redemption = stage.mario_comes_back_for(&rotating).await;
    rotating
        .provider
        .redeem(redemption)
        .await
        .expect("the second secret is right");
}

impl Stage {
    /// Like [`Stage::mario_comes_back`], already logged in at the provider.
    async fn mario_comes_back_for(&self, party: &RelyingParty) -> Redemption {
        let trip = party
            .begin(&self.callback(), false)
            .await
            .expect("the provider is there");
        let back = self.browser.open(trip.sent_to.as_str()).await.url().clone();
        trip.back_at(&back)
    }
}

#[tokio::test]
async fn another_account_can_be_chosen() {
    let stage = Stage::set().await;
    stage.provider.person("anna", json!({})).await;
    stage.mario_comes_back().await;
    let trip = stage
        .party
        .begin(&stage.callback(), true)
        .await
        .expect("the provider is there");
    let page = stage.browser.open(trip.sent_to.as_str()).await;
    assert!(
        page.url().as_str().starts_with(&stage.provider.issuer),
        "it asks: {page:?}"
    );
    let page = page.login_at_provider("anna").await;
    // Without JavaScript one confirms by a button that the other account leaves.
    let back = page.press("Continue").await.url().clone();
    let proven = stage
        .party
        .provider
        .redeem(trip.back_at(&back))
        .await
        .expect("anna is proven");
    assert_eq!(proven.identity.subject().as_str(), "anna");
}

#[tokio::test]
async fn the_session_at_the_provider_is_ended_there() {
    let stage = Stage::set().await;
    let redemption = stage.mario_comes_back().await;
    let proven = stage
        .party
        .provider
        .redeem(redemption)
        .await
        .expect("mario is proven");
    let address = stage
        .party
        .provider
        .end_session_url(&EndSession {
            id_token: Some(proven.tokens.id_token),
            return_to: format!("{}/auth/logged-out", stage.gateway.url())
                .parse()
                .unwrap(),
            state: "state".to_owned(),
        })
        .expect("the provider has such a page");
    let page = stage.browser.open(address.as_str()).await;
    assert!(!page.text().contains("error"), "{page:?}");
    let query = address.query().unwrap_or_default();
    assert!(
        query.contains("id_token_hint=") && query.contains("client_id=vestibule"),
        "{query}"
    );
}
