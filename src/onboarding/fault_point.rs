//! Places where tests kill the process: before and after every effect. Production builds have none.

/// Ends the process at once, as `kill -9` would, if the environment variable
/// `VESTIBULE_FAULT_POINT` names this point: `create_customer.made`, or `create_customer.made:2`
/// for the second time that it is reached.
#[cfg(feature = "fault-points")]
#[expect(
    clippy::disallowed_methods,
    reason = "a build for tests takes its fault from the environment"
)]
pub(super) fn reach(subject: &str, moment: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static REACHED: AtomicU32 = AtomicU32::new(0);
    let Ok(wanted) = std::env::var("VESTIBULE_FAULT_POINT") else {
        return;
    };
    let (name, nth) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    if name == format!("{subject}.{moment}")
        && (REACHED.fetch_add(1, Ordering::SeqCst) + 1).to_string() == nth
    {
        std::process::abort();
    }
}

/// Nothing: this build has no fault points.
#[cfg(not(feature = "fault-points"))]
pub(super) fn reach(_subject: &str, _moment: &str) {}
