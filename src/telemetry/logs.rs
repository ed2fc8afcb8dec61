//! Structured logs to standard error, as text for people or JSON for machines.
//!
//! Nothing personal is logged: no person, token, cookie or body. The access log is the target
//! `access`, one line a request.

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged, in the syntax of tracing's `EnvFilter`: `info,access=info`.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

/// The filter cannot be read, or logging was set up already.
#[derive(Debug, thiserror::Error)]
pub enum LogProblem {
    /// The filter cannot be read.
    #[error("the log filter cannot be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logging was set up already.
    #[error("logging was set up already")]
    SetUp(#[from] tracing_subscriber::util::TryInitError),
}

/// Checks a filter without setting anything up.
pub fn check_filter(filter: &str) -> Result<(), LogProblem> {
    EnvFilter::try_new(filter)?;
    Ok(())
}

/// Keeps a thread of its own writing; dropping it writes what is left.
#[must_use]
#[derive(Debug)]
pub struct Writing {
    _guard: WorkerGuard,
}

/// Sets logging up for the whole process, once.
///
/// Lines are written by a thread of their own. While nobody reads them, the newest are dropped:
/// a log that is not read must not stop the traffic.
pub fn start(settings: &LogSettings) -> Result<Writing, LogProblem> {
    // pingora logs a line for every client that goes away; the access log has them already.
    let filter = format!("{},pingora_proxy=error,pingora_core=error", settings.filter);
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(filter)?);
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let lines = fmt::layer().with_writer(writer);
    match settings.format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(Writing { _guard: guard })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_checked_without_setting_anything_up() {
        assert!(check_filter("info,access=debug").is_ok());
        assert!(check_filter("info,access=loud").is_err());
    }
}
