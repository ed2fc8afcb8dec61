//! `vestibule serve`: runs the gateway. SIGTERM and SIGINT let requests in flight finish; SIGHUP
//! reads policies and certificates again; SIGUSR2 starts a successor, to which this process leaves
//! its listening sockets.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::say::complain;
use super::systemd;
use crate::assemble::{Reload, Sockets, assemble, start_traces};
use crate::config::{self, Settings};
use crate::telemetry::{logs, traces, with_causes};

/// How the gateway starts.
#[derive(Debug, clap::Args)]
pub(super) struct Choice {
    /// Take the listening sockets of the process that serves this address now, and have it stop once
    /// this one accepts connections. No connection is lost.
    #[arg(long)]
    replace: bool,
}

/// The argument for that.
const REPLACE: &str = "--replace";

/// Runs until it is told to stop.
pub(super) fn run(path: &Path, choice: &Choice) -> anyhow::Result<ExitCode> {
    let loaded = config::examine(path);
    let Some(settings) = loaded.settings else {
        complain(&loaded.problems.to_string());
        anyhow::bail!("the configuration has mistakes");
    };
    let _writing = logs::start(&settings.log)?;
    for warning in loaded.problems.all() {
        tracing::warn!(advice = warning.advice, "{}", warning.message);
    }
    let installation = Installation::at(path);
    runtime()?.block_on(serve(settings, choice.replace, installation))?;
    Ok(ExitCode::SUCCESS)
}

/// The one runtime that carries everything.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be set up")
}

async fn serve(
    settings: Settings,
    replaces: bool,
    installation: Installation,
) -> anyhow::Result<()> {
    let signals = Signals::new()?;
    start_traces(settings.traces.as_ref())?;
    let sockets = sockets(&settings, replaces).await?;
    let watches = settings.watch;
    let gateway = assemble(settings, sockets).await?;
    let (stop, stopping) = watch::channel(false);
    let mut beside = vec![tokio::spawn(signals.heed(
        gateway.reload(),
        installation,
        stop,
    ))];
    if watches {
        beside.push(tokio::spawn(gateway.reload().when_files_change()));
    }
    let ran = gateway.run(stopping, systemd::ready).await;
    beside.iter().for_each(JoinHandle::abort);
    // It waits for the collector, which is asked on this runtime.
    let _ = tokio::task::spawn_blocking(traces::stop).await;
    ran.context("the threads that carry connections cannot be started")
}

async fn sockets(settings: &Settings, replaces: bool) -> anyhow::Result<Sockets> {
    let mut sockets = Sockets::from_service_manager()
        .context("what the service manager passes on is no listening socket")?;
    if replaces {
        let address = settings.listener.address;
        let taken = sockets.take_over(address).await;
        if !taken.context("the process that serves now does not hand over its sockets")? {
            tracing::info!(%address, "nobody serves there; there is nothing to take over");
        }
    }
    Ok(sockets)
}

/// The file of which only a start takes notice.
struct Installation {
    path: PathBuf,
    /// As it was at the start.
    text: Option<Vec<u8>>,
}

impl Installation {
    fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            text: std::fs::read(path).ok(),
        }
    }

    fn tell_if_changed(&self) {
        let file = self.path.display();
        match std::fs::read(&self.path) {
            Ok(text) if Some(&text) == self.text.as_ref() => {}
            Ok(_) => tracing::warn!(
                %file,
                "this file has changed since the start; restart, or send SIGUSR2, to have it count"
            ),
            Err(error) => tracing::warn!(%file, %error, "a restart could not read this file"),
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    succession: Signal,
}

impl Signals {
    /// From this call on, signals no longer end the process by themselves.
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened to");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
            succession: listen(SignalKind::user_defined2())?,
        })
    }

    async fn heed(mut self, reload: Reload, installation: Installation, stop: watch::Sender<bool>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hang_up.recv() => read_again(&reload, &installation).await,
                _ = self.succession.recv() => start_successor(),
            }
        }
        tracing::info!("stopping; requests in flight may finish");
        systemd::stopping();
        let _ = stop.send(true);
    }
}

async fn read_again(reload: &Reload, installation: &Installation) {
    systemd::reloading();
    reload.reload_aside().await;
    installation.tell_if_changed();
    systemd::ready();
}

/// Starts this program again, as it is installed now, to take over from this process.
fn start_successor() {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if !arguments.iter().any(|argument| argument == REPLACE) {
        arguments.push(REPLACE.into());
    }
    let Some((program, arguments)) = arguments.split_first() else {
        return;
    };
    // What the service manager passed on was for this process.
    let started = Command::new(program)
        .args(arguments)
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_FDNAMES")
        .spawn();
    match started {
        Ok(mut successor) => {
            tracing::info!(process = successor.id(), "started a successor");
            // Waits for it, so that one that fails is told of, and leaves nothing behind.
            thread::spawn(move || match successor.wait() {
                Ok(status) if status.success() => {}
                Ok(status) => tracing::error!(%status, "the successor has ended with an error"),
                Err(error) => tracing::error!(%error, "the successor cannot be waited for"),
            });
        }
        Err(error) => {
            let error = with_causes(&error);
            tracing::error!(error, "a successor cannot be started; this process goes on");
        }
    }
}
