//! What signs for upstreams, and the keys by which they believe it.

use std::sync::Arc;

use bytes::Bytes;

use crate::platform::handoff::{self, Assertions, CannotSign};
use crate::proxy::{AssertionsByUpstream, UpstreamSettings};
use crate::seal::KeyRing;

/// What signs for upstreams, where the operator wants that.
pub(super) fn all(
    keys: &KeyRing,
    upstreams: &[UpstreamSettings],
) -> Result<AssertionsByUpstream, CannotSign> {
    let signing = upstreams.iter().filter_map(|upstream| {
        let settings = upstream.handoff.assertion.clone()?;
        let made = Assertions::new(settings, keys);
        Some(made.map(|made| (upstream.name.clone(), Arc::new(made))))
    });
    signing.collect()
}

/// The keys of all assertions, where there are any.
pub(super) fn key_set(assertions: &AssertionsByUpstream) -> Option<Bytes> {
    let all = assertions.values().map(AsRef::as_ref);
    (!assertions.is_empty()).then(|| handoff::key_set(all))
}
