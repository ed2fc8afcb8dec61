//! `vestibule demo`: the gateway between a demo identity provider and a demo platform.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use url::Url;

use super::say::{complain, say};
use crate::assemble::{Sockets, assemble};
use crate::clock::{SharedClock, SystemClock};
use crate::config;
use crate::demo::{Demo, Stores, Wishes};
use crate::telemetry::logs;

/// What one may choose about a demo.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// The port to have if it is free; another one if not.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// What is logged, as in `log.filter` of `vestibule.toml`.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
    /// An empty PostgreSQL database for the records, instead of SQLite: `postgres://user@host/name`.
    #[arg(long, value_name = "URL")]
    database: Option<Url>,
    /// A Redis for the sessions, instead of the database: `redis://host:6379`.
    #[arg(long, value_name = "URL")]
    sessions: Option<Url>,
}

/// Runs until it is told to stop, and leaves nothing behind.
pub fn run(choice: Choice) -> anyhow::Result<ExitCode> {
    super::serve::runtime()?.block_on(demo(choice))?;
    Ok(ExitCode::SUCCESS)
}

async fn demo(choice: Choice) -> anyhow::Result<()> {
    let signals = Signals::new()?;
    let wishes = Wishes {
        port: choice.port,
        log: choice.log,
        temporary: std::env::temp_dir(),
        stores: Stores {
            database: choice.database,
            sessions: choice.sessions,
        },
    };
    let clock: SharedClock = Arc::new(SystemClock);
    let demo = Demo::start(&wishes, clock).await?;
    let outcome = Box::pin(run_gateway(&demo, signals)).await;
    demo.stop().await;
    outcome
}

async fn run_gateway(demo: &Demo, signals: Signals) -> anyhow::Result<()> {
    let loaded = config::examine(&demo.configuration());
    let Some(settings) = loaded.settings else {
        complain(&loaded.problems.to_string());
        anyhow::bail!("the demo's configuration has mistakes");
    };
    let _writing = logs::start(&settings.log)?;
    let gateway = assemble(settings, Sockets::default()).await?;
    let (reload, (stop, stopping)) = (gateway.reload(), watch::channel(false));
    let running = tokio::spawn(gateway.run(stopping, || ()));
    tell(&demo.welcome());
    tokio::select! {
        () = signals.come() => tell("\nStopping.\n"),
        () = demo.announce_letters(tell) => {}
        () = demo.announce_changes(|| {
            reload.reload();
            tell("The policies were read again.\n");
        }) => {}
    }
    let _ = stop.send(true);
    let ran = running.await.context("the gateway ended badly")?;
    ran.context("the threads that carry connections cannot be started")
}

/// Tells what happens; a demo goes on where nobody reads it.
fn tell(what: &str) {
    let _ = say(what);
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// What a terminal sends when it is closed.
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

    async fn come(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
