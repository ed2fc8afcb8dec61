//! What `/readyz` asks: the database, the session store, the identity providers, the issuers of
//! tokens, the upstreams.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::site::Site;
use crate::database::Database;
use crate::login::bearer::issuer::TokenIssuer as _;
use crate::login::openid::{ApiIssuer, OpenIdProvider};
use crate::login::provider::{IdentityProvider as _, Readiness as ProviderReadiness};
use crate::proxy::UpstreamHealth;
use crate::session::Sessions;
use crate::telemetry::{Probe, Readiness};

/// A probe that takes longer has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn all(
    sites: &[Site],
    providers: &[Arc<OpenIdProvider>],
    (api_issuers, upstreams): (&[Arc<ApiIssuer>], &UpstreamHealth),
) -> Readiness {
    let mut probes: Vec<Arc<dyn Probe>> = Vec::new();
    for site in sites {
        let name = |what: &str| match site.part() {
            None => what.to_owned(),
            Some(part) => format!("{what}:{part}"),
        };
        let (base, sessions) = site.stores();
        let database = base.database.clone();
        probes.push(Arc::new(DatabaseProbe(name("database"), database)));
        let sessions = Arc::clone(sessions);
        probes.push(Arc::new(SessionsProbe(name("sessions"), sessions)));
    }
    for provider in providers {
        probes.push(Arc::new(ProviderProbe(Arc::clone(provider))));
    }
    for issuer in api_issuers {
        probes.push(Arc::new(ApiIssuerProbe(Arc::clone(issuer))));
    }
    for name in upstreams.names() {
        probes.push(Arc::new(UpstreamProbe(name.to_owned(), upstreams.clone())));
    }
    Readiness::new(probes)
}

struct DatabaseProbe(String, Database);

#[async_trait]
impl Probe for DatabaseProbe {
    fn name(&self) -> String {
        self.0.clone()
    }

    /// Whoever is signed in goes on without it, unless sessions are there: then their probe says so.
    fn is_vital(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        within(self.1.ping()).await
    }
}

struct SessionsProbe(String, Arc<Sessions>);

#[async_trait]
impl Probe for SessionsProbe {
    fn name(&self) -> String {
        self.0.clone()
    }

    async fn check(&self) -> Result<(), String> {
        within(self.1.ping()).await
    }
}

struct ProviderProbe(Arc<OpenIdProvider>);

#[async_trait]
impl Probe for ProviderProbe {
    fn name(&self) -> String {
        format!("provider:{}", self.0.id())
    }

    /// Whoever is signed in goes on without it.
    fn is_vital(&self) -> bool {
        false
    }

    fn clock_skew(&self) -> Option<i64> {
        self.0.clock_skew()
    }

    async fn check(&self) -> Result<(), String> {
        judged(self.0.readiness())
    }
}

struct ApiIssuerProbe(Arc<ApiIssuer>);

#[async_trait]
impl Probe for ApiIssuerProbe {
    fn name(&self) -> String {
        format!("api_issuer:{}", self.0.id())
    }

    /// People, and tokens of other issuers, go on without it.
    fn is_vital(&self) -> bool {
        false
    }

    fn clock_skew(&self) -> Option<i64> {
        self.0.clock_skew()
    }

    async fn check(&self) -> Result<(), String> {
        judged(self.0.readiness())
    }
}

fn judged(readiness: ProviderReadiness) -> Result<(), String> {
    match readiness {
        ProviderReadiness::Ready => Ok(()),
        ProviderReadiness::NotReady { reason } => Err(reason.map_or_else(
            || "its metadata was not got yet".to_owned(),
            |reason| reason.to_string(),
        )),
    }
}

struct UpstreamProbe(String, UpstreamHealth);

#[async_trait]
impl Probe for UpstreamProbe {
    fn name(&self) -> String {
        format!("upstream:{}", self.0)
    }

    /// Another node would not reach it either.
    fn is_vital(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        if self.1.is_well(&self.0) {
            return Ok(());
        }
        Err("none of its servers is well".to_owned())
    }
}

async fn within<E: std::fmt::Display>(
    answer: impl Future<Output = Result<(), E>>,
) -> Result<(), String> {
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("it does not answer in time".to_owned()),
    }
}
