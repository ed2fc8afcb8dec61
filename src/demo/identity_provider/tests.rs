//! The identity provider on the wire, with a relying party that somebody else wrote.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, TokenResponse as _,
};
use serde_json::Value;
use url::Url;

use super::{Client, IdentityProvider};
use crate::clock::{Clock as _, FrozenClock, SystemClock};

const CALLBACK: &str = "http://localhost:8080/auth/callback";
const LOGGED_OUT: &str = "http://localhost:8080/auth/logged-out";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Running {
    issuer: String,
    browser: reqwest::Client,
    clock: Arc<FrozenClock>,
}

async fn running() -> Running {
    // Another test of this process may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let client = Client {
        id: "gateway".to_owned(),
        secret: "a secret".to_owned().into(),
        redirect_uris: vec![CALLBACK.to_owned()],
        post_logout_redirect_uris: vec![LOGGED_OUT.to_owned()],
    };
    let clock = Arc::new(FrozenClock::at(SystemClock.now()));
    let provider = IdentityProvider::new(issuer.clone(), client, clock.clone()).unwrap();
    tokio::spawn(axum::serve(listener, provider.router()).into_future());
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    Running {
        issuer,
        browser,
        clock,
    }
}

impl Running {
    fn request(&self) -> Url {
        let mut url = Url::parse(&format!("{}/authorize", self.issuer)).unwrap();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", "gateway"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid profile email phone address"),
            ("state", "a state"),
            ("nonce", "a nonce"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        url
    }

    /// Picks a person and gives the address to which the browser is sent, and the cookie.
    async fn choose(&self, request: Url, person: &str) -> (Url, String) {
        let form = [("person", person)];
        let answer = self.browser.post(request).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let cookie = answer.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        (location(&answer), cookie.to_owned())
    }

    async fn code(&self) -> String {
        let (back, _) = self.choose(self.request(), "giulia-9b27").await;
        parameter(&back, "code").unwrap()
    }

    async fn exchange(&self, changes: &[(&str, &str)], secret: &str) -> (u16, Value) {
        let mut form = std::collections::BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(changes.iter().copied());
        let request = self
            .browser
            .post(format!("{}/token", self.issuer))
            .form(&form);
        let answer = request
            .basic_auth("gateway", Some(secret))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

fn location(answer: &reqwest::Response) -> Url {
    Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_relying_party_of_others_logs_somebody_in() {
    let running = running().await;
    let http = |request: HttpRequest| {
        let browser = running.browser.clone();
        async move {
            let answer = browser.execute(request.try_into().unwrap()).await?;
            let mut response = HttpResponse::new(vec![]);
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = answer.bytes().await?.to_vec();
            Ok::<_, reqwest::Error>(response)
        }
    };
    let issuer = IssuerUrl::new(running.issuer.clone()).unwrap();
    let metadata = CoreProviderMetadata::discover_async(issuer, &http)
        .await
        .unwrap();
    let secret = Some(ClientSecret::new("a secret".to_owned()));
    let client =
        CoreClient::from_provider_metadata(metadata, ClientId::new("gateway".to_owned()), secret)
            .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned()).unwrap());

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (request, state, nonce) = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scopes(["profile", "email"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let (back, _) = running.choose(request, "giulia-9b27").await;
    assert_eq!(parameter(&back, "state").as_ref(), Some(state.secret()));
    assert_eq!(parameter(&back, "iss").as_ref(), Some(&running.issuer));

    let code = AuthorizationCode::new(parameter(&back, "code").unwrap());
    let verifier = PkceCodeVerifier::new(verifier.secret().clone());
    let exchange = client
        .exchange_code(code)
        .unwrap()
        .set_pkce_verifier(verifier);
    let tokens = exchange.request_async(&http).await.unwrap();
    let id_token = tokens.id_token().unwrap();
    let id_token_verifier = client.id_token_verifier();
    let claims = id_token.claims(&id_token_verifier, &nonce).unwrap();
    assert_eq!(claims.subject().as_str(), "giulia-9b27");
    assert!(claims.auth_time().is_some());
    let hash = AccessTokenHash::from_token(
        tokens.access_token(),
        id_token.signing_alg().unwrap(),
        id_token.signing_key(&id_token_verifier).unwrap(),
    );
    assert_eq!(claims.access_token_hash(), Some(&hash.unwrap()));

    let userinfo = format!("{}/userinfo", running.issuer);
    let userinfo = running
        .browser
        .get(userinfo)
        .bearer_auth(tokens.access_token().secret());
    let userinfo: Value = userinfo.send().await.unwrap().json().await.unwrap();
    assert_eq!(userinfo["company"], "Ferraro Impianti S.r.l.");
    assert_eq!(userinfo["email_verified"], true);
    assert!(userinfo.get("phone_number").is_none());
}

#[tokio::test]
async fn codes_are_good_once_for_one_minute_and_for_the_one_who_asked() {
    let running = running().await;
    let code = running.code().await;
    let (status, tokens) = running.exchange(&[("code", &code)], "a secret").await;
    assert_eq!(
        (status, tokens["token_type"].as_str()),
        (200, Some("Bearer"))
    );

    let refused = |answer: (u16, Value)| {
        (
            answer.0,
            answer.1["error"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let grant = (400, "invalid_grant".to_owned());
    assert_eq!(
        refused(running.exchange(&[("code", &code)], "a secret").await),
        grant
    );
    let access_token = tokens["access_token"].as_str().unwrap();
    let userinfo = running.browser.get(format!("{}/userinfo", running.issuer));
    assert_eq!(
        userinfo
            .bearer_auth(access_token)
            .send()
            .await
            .unwrap()
            .status(),
        401
    );

    for wrong in [
        (
            "code_verifier",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXx",
        ),
        ("code_verifier", ""),
        ("redirect_uri", "http://localhost:8080/auth/callback/"),
    ] {
        let code = running.code().await;
        assert_eq!(
            refused(
                running
                    .exchange(&[("code", &code), wrong], "a secret")
                    .await
            ),
            grant
        );
    }
    let code = running.code().await;
    let wrong_secret = refused(running.exchange(&[("code", &code)], "a secre").await);
    assert_eq!(wrong_secret, (401, "invalid_client".to_owned()));
    running.clock.advance(Duration::from_secs(61));
    assert_eq!(
        refused(running.exchange(&[("code", &code)], "a secret").await),
        grant
    );
}

#[tokio::test]
async fn a_wrong_redirect_uri_is_not_redirected_to() {
    let running = running().await;
    let request = running
        .request()
        .to_string()
        .replace("callback", "callbacks");
    let answer = running.browser.get(&request).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.headers().get("location").is_none());
}

#[tokio::test]
async fn whom_it_knows_it_does_not_ask_again_unless_told_to() {
    let running = running().await;
    let page = running.browser.get(running.request()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("Tomáš Novák"));
    let silent = format!("{}&prompt=none", running.request());
    let answer = running.browser.get(&silent).send().await.unwrap();
    assert_eq!(
        parameter(&location(&answer), "error").as_deref(),
        Some("login_required")
    );

    let (_, cookie) = running.choose(running.request(), "jonas-c3d8").await;
    for (suffix, status) in [("", 303), ("&prompt=none", 303), ("&prompt=login", 200)] {
        let request = format!("{}{suffix}", running.request());
        let answer = running
            .browser
            .get(request)
            .header("cookie", &cookie)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{suffix}");
    }
    running.clock.advance(Duration::from_secs(20));
    let old = format!("{}&max_age=10", running.request());
    let answer = running
        .browser
        .get(old)
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn going_back_says_so_to_the_client() {
    let running = running().await;
    let form = [("back", "1")];
    let answer = running
        .browser
        .post(running.request())
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(
        parameter(&location(&answer), "error").as_deref(),
        Some("access_denied")
    );
}

#[tokio::test]
async fn leaving_with_a_hint_ends_the_session_and_goes_back() {
    let running = running().await;
    let (back, cookie) = running.choose(running.request(), "amara-4f1c").await;
    let code = parameter(&back, "code").unwrap();
    let (_, tokens) = running.exchange(&[("code", &code)], "a secret").await;
    let leave = |hint: &str, target: &str| {
        let mut url = Url::parse(&format!("{}/end-session", running.issuer)).unwrap();
        url.query_pairs_mut()
            .append_pair("id_token_hint", hint)
            .append_pair("post_logout_redirect_uri", target)
            .append_pair("state", "s");
        running.browser.get(url).header("cookie", &cookie).send()
    };
    let hint = tokens["id_token"].as_str().unwrap();

    let asked = leave("forged", LOGGED_OUT).await.unwrap();
    assert_eq!(asked.status(), 200);
    let elsewhere = leave(hint, "http://evil.example/").await.unwrap();
    assert_eq!(elsewhere.status(), 400);
    let still = running
        .browser
        .get(running.request())
        .header("cookie", &cookie);
    assert_eq!(still.send().await.unwrap().status(), 303);

    let answer = leave(hint, LOGGED_OUT).await.unwrap();
    assert_eq!(location(&answer).as_str(), format!("{LOGGED_OUT}?state=s"));
    let after = running
        .browser
        .get(running.request())
        .header("cookie", &cookie);
    assert_eq!(after.send().await.unwrap().status(), 200);
}
