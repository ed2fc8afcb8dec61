//! Logs, metrics, traces and readiness: what operators see of a running gateway.

mod causes;
mod durations;
mod labels;
pub mod logs;
pub mod metrics;
mod readiness;
pub mod traces;
pub mod upstreams;

pub use causes::with_causes;
pub use readiness::{Finding, Probe, Readiness};
