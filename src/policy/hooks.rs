//! When the operator's endpoint is asked about registrations, and for how long.

use std::time::Duration;

/// The operator's word on the hook before acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookPolicy {
    /// Whether it is asked before the form is shown.
    pub at_start: bool,
    /// Whether it is asked about a form that was sent.
    pub at_submit: bool,
    /// How long one try may take.
    pub timeout: Duration,
    /// Further tries where nobody answered.
    pub retries: u8,
    /// Whether registrations go on without it while it is down.
    pub allows_when_down: bool,
}

impl Default for HookPolicy {
    fn default() -> Self {
        Self {
            at_start: false,
            at_submit: true,
            timeout: Duration::from_secs(3),
            retries: 1,
            allows_when_down: false,
        }
    }
}
