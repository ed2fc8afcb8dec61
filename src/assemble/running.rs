//! A gateway from the moment it accepts connections until everything under way is finished.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Gateway;
use super::handover::wait_for_successor;
use super::node::take_over;
use super::site::Site;
use crate::admin;
use crate::login::openid::OpenIdProvider;
use crate::login::provider::{IdentityProvider as _, Readiness};
use crate::proxy;

/// How long what runs beside the traffic may take to finish at the end.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// How long the identity providers may take to answer before the first connection is accepted.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);

/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Gateway {
    /// Runs until `shutdown` says true or another process has taken over; then stops accepting, lets
    /// what is in flight finish, and returns. `accepts` is called when connections are accepted.
    /// Fails when the threads that carry connections cannot be started.
    pub async fn run(
        self,
        shutdown: watch::Receiver<bool>,
        accepts: impl FnOnce(),
    ) -> std::io::Result<()> {
        self.reload().show_certificates();
        let sockets = self.sockets()?;
        let address = self.address();
        let (stop, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let guarded = admin::together(self.sites.iter().map(Site::admin_api));
        let admin_address = self.admin.local_addr()?;
        let admin = admin::serve(self.admin, (self.admin_parts, guarded), stop_admin.clone());
        let mut finishing = vec![tokio::spawn(admin)];
        let mut endless = vec![tokio::spawn(take_over(address, Arc::clone(&self.sites)))];
        for site in self.sites.iter() {
            finishing.extend(site.finishing(&stop));
            endless.extend(site.endless());
        }
        let providers = self.providers.iter().cloned();
        endless.extend(providers.map(|one| tokio::spawn(one.keep_up())));
        let issuers = self.api_issuers.into_iter();
        endless.extend(issuers.map(|one| tokio::spawn(one.keep_up())));
        settle(&self.providers).await;
        let ending = End {
            shutdown,
            stop_admin: stop_admin.clone(),
            successor: (self.configured, sockets),
        };
        let data_plane = proxy::prepare(self.proxy, ending.comes()).await?;
        if let Some(predecessor) = self.predecessor {
            predecessor.replace().await;
        }
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(%address, %admin_address, version, "listening");
        accepts();
        data_plane.serve(self.listeners).await;
        stop.cancel();
        stop_admin.cancel();
        finish(finishing).await;
        endless.iter().for_each(JoinHandle::abort);
        for site in self.sites.iter() {
            site.close().await;
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// All listening sockets once more, for a successor.
    fn sockets(&self) -> std::io::Result<Vec<OwnedFd>> {
        let listeners = self.listeners.iter().map(|one| one.socket());
        let all = listeners.chain([self.admin.as_fd()]);
        all.map(|socket| socket.try_clone_to_owned()).collect()
    }
}

/// What ends a gateway.
struct End {
    shutdown: watch::Receiver<bool>,
    stop_admin: CancellationToken,
    /// The address by which a successor asks, and what it gets.
    successor: (SocketAddr, Vec<OwnedFd>),
}

impl End {
    /// Becomes true when it comes.
    fn comes(mut self) -> watch::Receiver<bool> {
        let (end, ended) = watch::channel(false);
        tokio::spawn(async move {
            let (address, sockets) = self.successor;
            tokio::select! {
                // An error means that whoever could say so is gone.
                _ = self.shutdown.wait_for(|is_over| *is_over) => {}
                () = wait_for_successor(address, sockets) => {
                    tracing::info!("another process has taken over; stopping");
                    // Its health and metrics are what operators want to see there.
                    self.stop_admin.cancel();
                }
            }
            end.send_replace(true);
        });
        ended
    }
}

/// Waits until every identity provider has answered or failed once: whoever comes by a restart can
/// log in at once.
async fn settle(providers: &[Arc<OpenIdProvider>]) {
    let is_new =
        |one: &Arc<OpenIdProvider>| matches!(one.readiness(), Readiness::NotReady { reason: None });
    let settling = async {
        while providers.iter().any(is_new) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // One that takes longer is a matter of readiness.
    let _ = tokio::time::timeout(SETTLE_WITHIN, settling).await;
}

/// Lets tasks end; whoever holds the admin listener's connections open does not hold up the end.
async fn finish(tasks: Vec<JoinHandle<()>>) {
    let finished = futures_util::future::join_all(tasks);
    if tokio::time::timeout(FINISH_WITHIN, finished).await.is_err() {
        tracing::warn!("what was under way beside the traffic did not finish in time");
    }
}
