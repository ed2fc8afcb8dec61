//! What `vestibule demo` starts: an identity provider and a platform to click through, with an
//! installation of the gateway between them, all on loopback addresses and in a temporary folder.

mod files;
mod folder;
pub mod identity_provider;
mod letter;
mod letters;
mod mailbox;
mod markup;
mod neighbours;
mod people;
pub mod platform;
mod policies;
mod ports;
mod seed;
mod welcome;

use std::path::PathBuf;

use url::Url;

use crate::clock::SharedClock;
use crate::database::DatabaseAddress;
use crate::outbound::{Outbound, OutboundError};
use crate::{paths, seal};
use files::{Installation, POLICIES};
use folder::TemporaryFolder;
use identity_provider::Client;
use neighbours::{NeighbourError, Neighbours, Serving};
use platform::Directory;
use ports::{NoFreePort, Ports};
use seed::SeedError;
use welcome::Welcome;

const CLIENT_ID: &str = "brightwater";
/// Where letters land, in the demo's folder.
const MAIL: &str = "mail";

/// What one may choose about a demo.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// The port to have if it is free.
    pub port: u16,
    /// The log filter.
    pub log: String,
    /// The folder in which the demo's own folder is made.
    pub temporary: PathBuf,
    /// Where records and sessions are kept.
    pub stores: Stores,
}

/// Where a demo keeps records and sessions: in its own folder, or in engines of one's own.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    /// An empty PostgreSQL database.
    pub database: Option<Url>,
    /// A Redis database.
    pub sessions: Option<Url>,
}

/// A demo could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No port for the gateway.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// The neighbours did not start.
    #[error(transparent)]
    Neighbours(#[from] NeighbourError),
    /// The files could not be written.
    #[error("the demo's files could not be written")]
    Files(#[from] std::io::Error),
    /// The platform has nothing to ask with.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The platform could not be filled.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

/// A demo whose neighbours serve, and whose installation waits for the gateway to be started.
pub struct Demo {
    folder: TemporaryFolder,
    neighbours: Serving,
    origin: String,
    mailbox: String,
    ports: Ports,
}

impl Demo {
    /// Starts the neighbours and writes the installation.
    pub async fn start(wishes: &Wishes, clock: SharedClock) -> Result<Self, DemoError> {
        let ports = Ports::find(wishes.port)?;
        let origin = format!("http://localhost:{}", ports.traffic);
        let neighbours = Neighbours::bind().await?;
        let addresses = neighbours.addresses();
        let issuer = addresses.issuer();
        let folder = TemporaryFolder::create(&wishes.temporary)?;
        let installation = Installation {
            origin: &origin,
            port: ports.traffic,
            admin_port: ports.admin,
            platform: addresses.platform,
            issuer: &issuer,
            client_id: CLIENT_ID,
            log: &wishes.log,
            stores: &wishes.stores,
        };
        let secret = seal::random_token();
        let admin_token = seal::random_token();
        write(&folder, &installation, (&secret, &admin_token))?;
        let database = match &wishes.stores.database {
            Some(url) => DatabaseAddress::Postgres(url.to_string()),
            None => DatabaseAddress::Sqlite(folder.path().join("vestibule.db")),
        };
        seed::plant(&database, &issuer, SharedClock::clone(&clock)).await?;
        let mail = folder.path().join(MAIL);
        let directory = Directory {
            address: format!("http://127.0.0.1:{}", ports.admin),
            token: admin_token.into(),
            outbound: Outbound::new()?,
        };
        let parties = (client(&origin, secret), directory);
        let neighbours = neighbours.serve(parties, clock, mail)?;
        Ok(Self {
            folder,
            neighbours,
            mailbox: format!("http://{}/", addresses.mailbox),
            origin,
            ports,
        })
    }

    /// The `vestibule.toml` of the installation.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("vestibule.toml")
    }

    /// What to print once the gateway is up.
    pub fn welcome(&self) -> String {
        let admin = format!("127.0.0.1:{}", self.ports.admin);
        Welcome {
            origin: &self.origin,
            mail: &self.mail(),
            terms: &self.policies().join("agreements/terms.en.md"),
            mailbox: &self.mailbox,
            admin: &admin,
        }
        .text()
    }

    /// Announces letters as they land; never ends by itself.
    pub async fn announce_letters(&self, announce: impl Fn(&str)) {
        letters::watch(self.mail(), announce).await;
    }

    /// Tells when somebody changes the policies; never ends by itself.
    pub async fn announce_changes(&self, changed: impl Fn()) {
        policies::watch(self.policies(), changed).await;
    }

    /// Stops the neighbours and removes the folder.
    pub async fn stop(self) {
        self.neighbours.stop().await;
    }

    fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    fn mail(&self) -> PathBuf {
        self.folder.path().join(MAIL)
    }
}

fn client(origin: &str, secret: String) -> Client {
    Client {
        id: CLIENT_ID.to_owned(),
        secret: secret.into(),
        redirect_uris: vec![format!("{origin}{}", paths::CALLBACK)],
        post_logout_redirect_uris: vec![format!("{origin}{}", paths::LOGGED_OUT)],
    }
}

fn write(
    folder: &TemporaryFolder,
    installation: &Installation<'_>,
    (secret, admin_token): (&str, &str),
) -> std::io::Result<()> {
    folder.write("vestibule.toml", &installation.vestibule_toml())?;
    folder.write("client-secret", secret)?;
    folder.write("admin-token", admin_token)?;
    folder.write("seal-key", &seal::random_token())?;
    POLICIES
        .iter()
        .try_for_each(|(file, text)| folder.write(file, text))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::config;

    #[tokio::test]
    async fn what_it_writes_is_sound_and_goes_away() {
        let temporary = tempfile::tempdir().unwrap();
        let wishes = Wishes {
            port: 8080,
            log: "warn".to_owned(),
            temporary: temporary.path().to_owned(),
            stores: Stores::default(),
        };
        let demo = Demo::start(&wishes, Arc::new(SystemClock)).await.unwrap();
        let examined = config::examine(&demo.configuration());
        assert!(
            !examined.problems.has_errors(),
            "{:?}",
            examined.problems.all()
        );
        let welcome = demo.welcome();
        assert!(welcome.contains(&demo.origin));
        assert_eq!(welcome.matches(&demo.mailbox).count(), 2);
        demo.stop().await;
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
    }
}
