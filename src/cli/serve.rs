//! `vestibule serve`: runs the gateway. SIGTERM and SIGINT let requests in flight finish; SIGHUP
//! reads policies and certificates again.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::say::complain;
use crate::assemble::{Reload, assemble, start_traces};
use crate::config::{self, Settings};
use crate::telemetry::{logs, traces};

/// Runs until it is told to stop.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let loaded = config::examine(path);
    let Some(settings) = loaded.settings else {
        complain(&loaded.problems.to_string());
        anyhow::bail!("the configuration has mistakes");
    };
    let _writing = logs::start(&settings.log)?;
    for warning in loaded.problems.all() {
        tracing::warn!(advice = warning.advice, "{}", warning.message);
    }
    runtime()?.block_on(serve(settings))?;
    Ok(ExitCode::SUCCESS)
}

/// The one runtime that carries everything.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be set up")
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let signals = Signals::new()?;
    start_traces(settings.traces.as_ref())?;
    let gateway = assemble(settings).await?;
    let (stop, stopping) = watch::channel(false);
    let listening_to_signals = tokio::spawn(signals.heed(gateway.reload(), stop));
    let ran = gateway.run(stopping).await;
    listening_to_signals.abort();
    // It waits for the collector, which is asked on this runtime.
    let _ = tokio::task::spawn_blocking(traces::stop).await;
    ran.context("the threads that carry connections cannot be started")
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From this call on, signals no longer end the process by themselves.
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened to");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn heed(mut self, reload: Reload, stop: watch::Sender<bool>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hang_up.recv() => {
                    let reload = reload.clone();
                    // Files are read there, so that no request waits for a disk.
                    let _ = tokio::task::spawn_blocking(move || reload.reload()).await;
                }
            }
        }
        tracing::info!("stopping; requests in flight may finish");
        let _ = stop.send(true);
    }
}
