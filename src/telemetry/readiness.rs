//! Whether the gateway is ready, and if not, why.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde::Serialize;

/// Something that the gateway depends on.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Its name in `/readyz`: `database`, `sessions`, `provider:corp`.
    fn name(&self) -> String;

    /// Whether the gateway can serve anybody without it.
    fn is_vital(&self) -> bool {
        true
    }

    /// How far this machine's clock is ahead of its, seconds, where it has told the time.
    fn clock_skew(&self) -> Option<i64> {
        None
    }

    /// `Err` says in one sentence what is wrong, without secrets.
    async fn check(&self) -> Result<(), String>;
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The probe.
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the gateway can serve nobody without it.
    pub vital: bool,
    /// As in [`Probe::clock_skew`].
    #[serde(skip)]
    pub clock_skew: Option<i64>,
}

/// All probes of a gateway.
#[derive(Clone, Default)]
pub struct Readiness {
    probes: Vec<Arc<dyn Probe>>,
}

impl Readiness {
    /// Asks these.
    pub fn new(probes: Vec<Arc<dyn Probe>>) -> Self {
        Self { probes }
    }

    /// Asks all at once.
    pub async fn findings(&self) -> Vec<Finding> {
        join_all(self.probes.iter().map(|probe| ask(probe.as_ref()))).await
    }
}

async fn ask(probe: &dyn Probe) -> Finding {
    let reason = probe.check().await.err();
    Finding {
        name: probe.name(),
        ok: reason.is_none(),
        reason,
        vital: probe.is_vital(),
        clock_skew: probe.clock_skew(),
    }
}
