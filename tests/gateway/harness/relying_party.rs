//! The gateway's side of a login, without the gateway: the adapter for OpenID providers, driven
//! straight through one trip, so that its refusals can be told apart.

use std::sync::Arc;

use secrecy::SecretString;
use url::{Url, form_urlencoded};
use vestibule::{
    clock::{SharedClock, SystemClock},
    identity::{Issuer, ProviderId},
    login::{
        openid::{OpenIdProvider, OpenIdSettings},
        provider::{AuthorizationRequest, IdentityProvider, Proven, ProviderError, Redemption},
    },
    outbound::Outbound,
};

/// Where providers send back to; nobody listens there.
const CALLBACK: &str = "https://app.example.com/auth/callback";

/// The adapter, set up for one provider.
pub struct RelyingParty {
    pub provider: Arc<OpenIdProvider>,
}

/// A trip that has begun.
#[derive(Debug)]
pub struct Trip {
    /// Where the browser is sent.
    pub sent_to: Url,
    request: AuthorizationRequest,
}

impl Trip {
    /// What the way back brought.
    pub fn back_at(self, address: &Url) -> Redemption {
        let value = |name: &str| {
            let query = address.query().unwrap_or_default();
            let mut found = form_urlencoded::parse(query.as_bytes());
            found
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.into_owned())
        };
        Redemption {
            code: value("code").unwrap_or_default().into(),
            answer_issuer: value("iss"),
            redirect_uri: self.request.redirect_uri,
            verifier: self.request.verifier,
            nonce: self.request.nonce,
        }
    }
}

impl RelyingParty {
    pub fn new(issuer: &str, client_id: &str, client_secret: &str) -> Self {
        Self::with(issuer, client_id, client_secret, |_| {})
    }

    /// With settings of the test's own.
    pub fn with(
        issuer: &str,
        client_id: &str,
        client_secret: &str,
        change: impl FnOnce(&mut OpenIdSettings),
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut settings =
            OpenIdSettings::new(ProviderId::new("corp"), Issuer::new(issuer), client_id);
        settings.client_secrets = vec![SecretString::from(client_secret)];
        change(&mut settings);
        assert_eq!(settings.problems(), [], "the settings are sound");
        let clock: SharedClock = Arc::new(SystemClock);
        let outbound = Outbound::new().expect("an HTTP client");
        Self {
            provider: Arc::new(OpenIdProvider::new(settings, outbound, clock)),
        }
    }

    /// Begins a trip that comes back to an address.
    pub async fn begin(
        &self,
        callback: &str,
        another_account: bool,
    ) -> Result<Trip, ProviderError> {
        let request = AuthorizationRequest {
            redirect_uri: Url::parse(callback).expect("an address"),
            state: "state".to_owned(),
            nonce: vestibule::seal::random_token(),
            verifier: vestibule::seal::random_token().into(),
            another_account,
            step_up: None,
        };
        let sent_to = self.provider.authorization_url(&request).await?;
        Ok(Trip { sent_to, request })
    }

    /// One whole trip to a provider that sends whoever comes back at once.
    pub async fn log_in(&self) -> Result<Proven, ProviderError> {
        let trip = self.begin(CALLBACK, false).await?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("an HTTP client");
        let answer = client
            .get(trip.sent_to.clone())
            .send()
            .await
            .expect("the provider answers");
        let location = answer.headers()["location"].to_str().expect("ASCII");
        let back = Url::parse(location).expect("an address");
        self.provider.redeem(trip.back_at(&back)).await
    }
}
