//! How often strangers may have letters sent, open links, try codes and send forms.

use std::sync::Arc;

use crate::rate_limit::Limit;

/// Limits on what costs somebody something before it is known who asks.
#[derive(Debug, Default)]
pub struct AbuseLimits {
    /// Letters to addresses that nobody has proven yet.
    pub mail: AbuseLanes,
    /// Opening mailed links.
    pub link: AbuseLanes,
    /// Trying codes: mailed ones, and those of partners.
    pub code: AbuseLanes,
    /// Sending forms.
    pub form: AbuseLanes,
}

/// Whose buckets are drawn from; all limits of all lanes have to let it pass.
#[derive(Debug, Default)]
pub struct AbuseLanes {
    /// Of one network (an IPv4 address, an IPv6 /64).
    pub network: Vec<Arc<Limit>>,
    /// Of one mailbox.
    pub address: Vec<Arc<Limit>>,
    /// Of one mail domain.
    pub domain: Vec<Arc<Limit>>,
    /// Of one identity.
    pub subject: Vec<Arc<Limit>>,
    /// Of everybody together.
    pub total: Vec<Arc<Limit>>,
}
