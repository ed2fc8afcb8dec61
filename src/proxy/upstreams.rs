//! All upstreams, and which one a request is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hand_off::{Around, Handoff, Managed};
use super::settings::UpstreamSettings;
use super::upstream::Upstream;
use crate::access::header_hygiene::ManagedNames;
use crate::clock::SharedClock;
use crate::platform::handoff::Assertions;
use crate::policy::place::{PathPattern, Placed, Places};

/// What signs assertions, by the name of the upstream that they are for.
pub type AssertionsByUpstream = BTreeMap<String, Arc<Assertions>>;

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
            let upstream = Arc::new(Upstream::new(settings, handoff));
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
    pub(super) async fn look_up(&self) {
        let all = self.all.iter().map(|upstream| upstream.look_up());
        futures_util::future::join_all(all).await;
    }

    /// Looks names up again and again, where there are any.
    pub(super) async fn keep_looking_up(&self) {
        let all = self.all.iter().map(|upstream| upstream.keep_looking_up());
        futures_util::future::join_all(all).await;
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
