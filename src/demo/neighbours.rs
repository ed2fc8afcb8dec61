//! The identity provider, the platform and the mailbox of the demo, running on loopback addresses.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::identity_provider::{Client, IdentityProvider, SigningError};
use super::platform::Directory;
use super::{mailbox, platform};
use crate::clock::SharedClock;

const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A neighbour that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NeighbourError {
    /// No loopback port could be had.
    #[error("no port of 127.0.0.1 could be had")]
    NoPort(#[source] std::io::Error),
    /// The identity provider has no key.
    #[error("the demo's identity provider could not be set up")]
    IdentityProvider(#[from] SigningError),
}

/// The neighbours, bound to their ports and not yet serving.
pub struct Neighbours {
    identity_provider: TcpListener,
    platform: TcpListener,
    mailbox: TcpListener,
    addresses: Addresses,
}

/// Where the neighbours are.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The identity provider's.
    pub identity_provider: SocketAddr,
    /// The platform's.
    pub platform: SocketAddr,
    /// The mailbox's.
    pub mailbox: SocketAddr,
}

impl Addresses {
    /// The issuer identifier. It names 127.0.0.1 and the gateway is at `localhost`: cookies do
    /// not tell ports apart, but hosts.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.identity_provider)
    }
}

impl Neighbours {
    /// Takes free loopback ports.
    pub async fn bind() -> Result<Self, NeighbourError> {
        let (identity_provider, at) = free_port().await?;
        let (platform, platform_at) = free_port().await?;
        let (mailbox, mailbox_at) = free_port().await?;
        let addresses = Addresses {
            identity_provider: at,
            platform: platform_at,
            mailbox: mailbox_at,
        };
        Ok(Self {
            identity_provider,
            platform,
            mailbox,
            addresses,
        })
    }

    /// Where they are.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves all until stopped; `client` is the gateway's registration at the provider,
    /// `directory` what the platform asks, `mail` the folder in which letters land.
    pub fn serve(
        self,
        (client, directory): (Client, Directory),
        clock: SharedClock,
        mail: PathBuf,
    ) -> Result<Serving, NeighbourError> {
        let provider =
            IdentityProvider::new(self.addresses.issuer(), client, SharedClock::clone(&clock))?;
        let stop = CancellationToken::new();
        let tasks = vec![
            spawn(self.identity_provider, provider.router(), stop.clone()),
            spawn(
                self.platform,
                platform::router(clock, Some(directory)),
                stop.clone(),
            ),
            spawn(self.mailbox, mailbox::router(mail), stop.clone()),
        ];
        Ok(Serving { stop, tasks })
    }
}

async fn free_port() -> Result<(TcpListener, SocketAddr), NeighbourError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = bound.map_err(NeighbourError::NoPort)?;
    let address = listener.local_addr().map_err(NeighbourError::NoPort)?;
    Ok((listener, address))
}

fn spawn(listener: TcpListener, router: Router, stop: CancellationToken) -> JoinHandle<()> {
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    tokio::spawn(async move {
        // Accept errors are retried inside, so that this ends by being stopped only.
        let _ = server.await;
    })
}

/// The neighbours, serving.
#[derive(Debug)]
pub struct Serving {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Serving {
    /// Stops them, and cuts short what is still open after two seconds.
    pub async fn stop(self) {
        self.stop.cancel();
        for mut task in self.tasks {
            if tokio::time::timeout(STOP_WITHIN, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}
