//! What `/readyz` asks: the database, the session store, the identity providers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::database::Database;
use crate::login::openid::OpenIdProvider;
use crate::login::provider::{IdentityProvider as _, Readiness as ProviderReadiness};
use crate::session::Sessions;
use crate::telemetry::{Probe, Readiness};

/// A probe that takes longer has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn all(
    database: &Database,
    sessions: &Arc<Sessions>,
    providers: &[Arc<OpenIdProvider>],
) -> Readiness {
    let mut probes: Vec<Arc<dyn Probe>> = vec![
        Arc::new(DatabaseProbe(database.clone())),
        Arc::new(SessionsProbe(Arc::clone(sessions))),
    ];
    for provider in providers {
        probes.push(Arc::new(ProviderProbe(Arc::clone(provider))));
    }
    Readiness::new(probes)
}

struct DatabaseProbe(Database);

#[async_trait]
impl Probe for DatabaseProbe {
    fn name(&self) -> String {
        "database".to_owned()
    }

    async fn check(&self) -> Result<(), String> {
        within(self.0.ping()).await
    }
}

struct SessionsProbe(Arc<Sessions>);

#[async_trait]
impl Probe for SessionsProbe {
    fn name(&self) -> String {
        "sessions".to_owned()
    }

    async fn check(&self) -> Result<(), String> {
        within(self.0.ping()).await
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

    async fn check(&self) -> Result<(), String> {
        match self.0.readiness() {
            ProviderReadiness::Ready => Ok(()),
            ProviderReadiness::NotReady { reason } => Err(reason.map_or_else(
                || "its metadata was not got yet".to_owned(),
                |reason| reason.to_string(),
            )),
        }
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
