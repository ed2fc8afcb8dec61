//! All upstreams, and which one a request is for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures_util::future::join_all;

use super::hand_off::{Around, Handoff, Managed};
use super::upstream::{Upstream, UpstreamSettings};
use crate::access::header_hygiene::ManagedNames;
use crate::clock::SharedClock;
use crate::platform::handoff::Assertions;
use crate::policy::place::{PathPattern, Placed, Places};
use crate::telemetry::upstreams::UpstreamMetrics;

/// What signs assertions, by the name of the upstream that they are for.
pub type AssertionsByUpstream = BTreeMap<String, Arc<Assertions>>;

/// Whether upstreams that are asked for their health have a server that is well.
#[derive(Debug, Clone, Default)]
pub struct UpstreamHealth(Arc<BTreeMap<String, AtomicBool>>);

impl UpstreamHealth {
    /// Of these upstreams, which are taken for well until they are asked.
    pub fn of(all: &[UpstreamSettings]) -> Self {
        let asked = all.iter().filter(|one| one.health.is_some());
        let well = asked.map(|one| (one.name.clone(), true.into()));
        Self(Arc::new(well.collect()))
    }

    /// The names of upstreams that are asked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether an upstream has a server that is well; true of one that is not asked.
    pub fn is_well(&self, upstream: &str) -> bool {
        let known = self.0.get(upstream);
        known.is_none_or(|is_well| is_well.load(Relaxed))
    }

    /// Remembers whether an upstream has a server that is well.
    pub(super) fn set(&self, upstream: &str, is_well: bool) {
        if let Some(known) = self.0.get(upstream) {
            known.store(is_well, Relaxed);
        }
    }
}

/// All upstreams.
pub(super) struct Upstreams {
    all: Vec<Arc<Upstream>>,
    grounds: Places<Ground<Arc<Upstream>>>,
    managed: Managed,
}

/// Requests that an upstream gets.
struct Ground<U> {
    host: Option<String>,
    path: PathPattern,
    upstream: U,
}

impl<U> Placed for Ground<U> {
    fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    fn path(&self) -> &PathPattern {
        &self.path
    }
}

impl Upstreams {
    /// Upstreams whose servers are not looked up yet.
    pub(super) fn new(
        settings: Vec<UpstreamSettings>,
        assertions: &AssertionsByUpstream,
        clock: SharedClock,
        (metrics, health): (&UpstreamMetrics, &UpstreamHealth),
    ) -> Self {
        let managed = Managed::of(&settings);
        let around = Around {
            managed: managed.clone(),
            clock,
        };
        let count = settings.len();
        let (mut all, mut grounds) = (Vec::new(), Vec::new());
        for (number, settings) in settings.into_iter().enumerate() {
            let signing = assertions.get(&settings.name).cloned();
            let names = settings.handoff.clone();
            let handoff = Handoff::new(names, (number, count), around.clone(), signing);
            let places = places_of(&settings);
            let seen = (metrics.clone(), health.clone());
            let upstream = Arc::new(Upstream::new(settings, number as u64, handoff, seen));
            grounds.extend(grounds_of(places, &upstream));
            all.push(upstream);
        }
        Self {
            all,
            grounds: Places::new(grounds),
            managed,
        }
    }

    /// The one that a request is for.
    pub(super) fn choose(&self, host: &str, path: &str) -> Option<&Arc<Upstream>> {
        let ground = self.grounds.choose(host, path, "")?;
        Some(&ground.upstream)
    }

    /// The names of fields that only the gateway may set.
    pub(super) fn managed(&self) -> &ManagedNames {
        self.managed.all()
    }

    /// Looks the names of all servers up.
    pub(super) async fn renew(&self) {
        let all = self.all.iter().map(|upstream| upstream.renew());
        join_all(all).await;
    }

    /// Looks names up and asks servers for their health, again and again.
    pub(super) async fn keep_up(&self) {
        let all = self.all.iter().map(|upstream| upstream.keep_renewing());
        let checks = self.all.iter().map(|upstream| upstream.keep_checking());
        tokio::join!(join_all(all), join_all(checks));
    }
}

/// The upstream that a request is for.
pub fn upstream_for<'a>(
    all: &'a [UpstreamSettings],
    host: &str,
    path: &str,
) -> Option<&'a UpstreamSettings> {
    let grounds = all.iter().flat_map(|one| grounds_of(places_of(one), &one));
    let grounds = Places::new(grounds.collect::<Vec<_>>());
    grounds.choose(host, path, "").map(|ground| ground.upstream)
}

fn grounds_of<U: Clone>(
    places: Vec<(Option<String>, PathPattern)>,
    upstream: &U,
) -> Vec<Ground<U>> {
    let ground = |(host, path)| Ground {
        host,
        path,
        upstream: upstream.clone(),
    };
    places.into_iter().map(ground).collect()
}

/// The hosts and paths whose requests an upstream gets.
pub fn places_of(settings: &UpstreamSettings) -> Vec<(Option<String>, PathPattern)> {
    let hosts: Vec<Option<String>> = if settings.hosts.is_empty() {
        vec![None]
    } else {
        settings.hosts.iter().cloned().map(Some).collect()
    };
    let of = |host: Option<String>| {
        settings
            .paths
            .iter()
            .map(move |path| (host.clone(), path.clone()))
    };
    hosts.into_iter().flat_map(of).collect()
}
