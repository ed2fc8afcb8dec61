//! Every platform that the contract is for, with what keeps it running.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use vestibule::admin::platform_api;
use vestibule::clock::SystemClock;
use vestibule::database::{Database, DatabaseAddress};
use vestibule::identity::{CustomerId, PlatformId, UserId};
use vestibule::operator_file::{Problems, SourceFile};
use vestibule::outbound::Outbound;
use vestibule::platform::builtin::BuiltinPlatform;
use vestibule::platform::builtin::remote::RemoteBuiltinPlatform;
use vestibule::platform::rest::RestPlatform;
use vestibule::platform::scim::Scim;
use vestibule::platform::{
    self, Platform, RemoteSettings, RestSettings, ScimCredentials, ScimCustomers, ScimSettings,
    ThingsBoardCredentials, ThingsBoardSettings,
};

use crate::harness::Postgres;
use crate::harness::rest_platform::{RestServer, Tongue};
use crate::harness::scim::{Kind, SCIM_TOKEN, ScimServer};
use crate::harness::thingsboard::{self, ThingsBoard};

/// A platform, and what keeps it running.
pub struct Place {
    pub platform: Arc<dyn Platform>,
    pub back_office: Arc<dyn BackOffice>,
    pub traits: Traits,
    _keeps: Option<Box<dyn Any + Send>>,
}

impl Place {
    /// A platform that keeps itself running.
    pub fn new(
        platform: Arc<dyn Platform>,
        back_office: Arc<dyn BackOffice>,
        traits: Traits,
    ) -> Self {
        Self {
            platform,
            back_office,
            traits,
            _keeps: None,
        }
    }
}

/// In what platforms may differ.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traits {
    /// No two companies have one name.
    pub unique_names: bool,
}

/// What the platform's own staff does, past the gateway.
#[async_trait]
pub trait BackOffice: Send + Sync {
    async fn set_enabled(&self, user: &UserId, enabled: bool);

    /// Makes a role that users of a customer can have, where roles have to be made.
    async fn add_role(&self, _customer: &CustomerId, _role: &str) {}

    /// The names of a user's roles, in order.
    async fn roles_of(&self, _user: &UserId) -> Vec<String> {
        Vec::new()
    }
}

#[async_trait]
impl BackOffice for BuiltinPlatform {
    async fn set_enabled(&self, user: &UserId, enabled: bool) {
        Self::set_enabled(self, user, enabled).await.unwrap();
    }

    async fn roles_of(&self, user: &UserId) -> Vec<String> {
        let user = self.user_record(user).await.unwrap().unwrap();
        let roles = user.options.roles.into_iter();
        let mut names: Vec<String> = roles.map(|role| role.name).collect();
        names.sort();
        names
    }
}

/// One of each, empty; or the one ThingsBoard that `make test-thingsboard` names.
pub async fn places() -> Vec<Place> {
    if let Some(place) = super::live::place() {
        return vec![place];
    }
    let folder = tempfile::tempdir().unwrap();
    let sqlite = DatabaseAddress::Sqlite(folder.path().join("platform.db"));
    let sqlite = builtin(&sqlite).await;
    let url = Postgres::shared().fresh_database().await;
    let postgres = builtin(&DatabaseAddress::Postgres(url)).await;
    let url = Postgres::shared().fresh_database().await;
    let shared = builtin(&DatabaseAddress::Postgres(url)).await;
    vec![
        Place {
            platform: sqlite.clone(),
            back_office: sqlite,
            traits: Traits::default(),
            _keeps: Some(Box::new(folder)),
        },
        Place {
            platform: postgres.clone(),
            back_office: postgres,
            traits: Traits::default(),
            _keeps: None,
        },
        Place {
            platform: Arc::new(remote(&shared).await),
            back_office: shared,
            traits: Traits::default(),
            _keeps: None,
        },
        rest(RestServer::start(Tongue::Crud).await),
        rest(RestServer::start(Tongue::Tenant).await),
        thingsboard(ThingsBoard::community("3.7.0").await, by_login()),
        thingsboard(ThingsBoard::community("4.3.0.1").await, by_login()),
        thingsboard(ThingsBoard::community("4.3.0.1").await, by_api_key()),
        thingsboard(ThingsBoard::professional("4.3.0PE").await, by_api_key()),
        scim(ScimServer::start(Kind::Full).await),
        scim(ScimServer::start(Kind::Poor).await),
    ]
}

/// The adapter for a SCIM server.
pub fn scim_adapter(server: &ScimServer, customers: ScimCustomers) -> Scim {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = ScimSettings {
        url: server.url().parse().unwrap(),
        plain_http: false,
        credentials: ScimCredentials::Token(SecretString::from(SCIM_TOKEN)),
        customers,
        email_proves: false,
        timeout: Duration::from_secs(5),
        roots: vec![],
    };
    Scim::new(PlatformId::new("directory"), settings).unwrap()
}

fn scim(server: ScimServer) -> Place {
    Place {
        platform: Arc::new(scim_adapter(&server, ScimCustomers::Groups)),
        back_office: Arc::new(server),
        traits: Traits::default(),
        _keeps: None,
    }
}

#[async_trait]
impl BackOffice for ScimServer {
    async fn set_enabled(&self, user: &UserId, enabled: bool) {
        Self::set_enabled(self, user.as_str(), enabled).await;
    }

    async fn roles_of(&self, user: &UserId) -> Vec<String> {
        Self::roles_of(self, user.as_str()).await
    }
}

pub fn by_login() -> ThingsBoardCredentials {
    ThingsBoardCredentials::Login {
        user: thingsboard::ADMINISTRATOR.to_owned(),
        password: SecretString::from(thingsboard::PASSWORD),
    }
}

pub fn by_api_key() -> ThingsBoardCredentials {
    ThingsBoardCredentials::ApiKey(SecretString::from(thingsboard::API_KEY))
}

/// The adapter for a ThingsBoard.
pub fn adapter(
    server: &ThingsBoard,
    credentials: ThingsBoardCredentials,
) -> platform::thingsboard::ThingsBoard {
    adapter_at(server.url(), credentials)
}

/// The adapter for a ThingsBoard at an address.
pub fn adapter_at(
    url: &str,
    credentials: ThingsBoardCredentials,
) -> platform::thingsboard::ThingsBoard {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = ThingsBoardSettings {
        url: url.parse().unwrap(),
        plain_http: false,
        credentials,
        edition: None,
        code_attribute: "organizationCode".to_owned(),
        timeout: Duration::from_secs(5),
        roots: vec![],
    };
    let id = PlatformId::new("things");
    platform::thingsboard::ThingsBoard::new(id, settings).unwrap()
}

fn thingsboard(server: ThingsBoard, credentials: ThingsBoardCredentials) -> Place {
    Place {
        platform: Arc::new(adapter(&server, credentials)),
        back_office: Arc::new(server),
        traits: Traits { unique_names: true },
        _keeps: None,
    }
}

/// The adapter for a REST platform, by the shipped file.
pub fn rest_adapter(server: &RestServer) -> RestPlatform {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let secrets = server.secrets();
    let names: Vec<&str> = secrets.iter().map(|(name, _)| *name).collect();
    let mut problems = Problems::default();
    let source = SourceFile::read(Path::new(server.file()), &mut problems);
    let description = platform::rest::read(&source.unwrap(), &names, &mut problems);
    assert_eq!(problems.to_string(), "");
    let secrets = secrets.into_iter();
    let settings = RestSettings {
        url: server.url().parse().unwrap(),
        plain_http: false,
        description: description.unwrap(),
        secrets: secrets
            .map(|(name, secret)| (name.to_owned(), SecretString::from(secret)))
            .collect(),
        timeout: Duration::from_secs(5),
        roots: vec![],
    };
    RestPlatform::new(PlatformId::new("rest"), settings, Arc::new(SystemClock)).unwrap()
}

fn rest(server: RestServer) -> Place {
    let unique_names = server.tongue() == Tongue::Tenant;
    Place {
        platform: Arc::new(rest_adapter(&server)),
        back_office: Arc::new(server),
        traits: Traits { unique_names },
        _keeps: None,
    }
}

#[async_trait]
impl BackOffice for RestServer {
    async fn set_enabled(&self, user: &UserId, enabled: bool) {
        Self::set_enabled(self, user.as_str(), enabled);
    }

    async fn roles_of(&self, user: &UserId) -> Vec<String> {
        self.roles_of(user.as_str())
    }
}

#[async_trait]
impl BackOffice for ThingsBoard {
    async fn set_enabled(&self, user: &UserId, enabled: bool) {
        Self::set_enabled(self, user.as_str(), enabled);
    }

    async fn add_role(&self, customer: &CustomerId, role: &str) {
        self.add_customer_group(customer.as_str(), role);
    }

    async fn roles_of(&self, user: &UserId) -> Vec<String> {
        let mut names = self.groups_of(user.as_str());
        names.sort();
        names
    }
}

async fn builtin(address: &DatabaseAddress) -> Arc<BuiltinPlatform> {
    let database = Database::open(address).await.unwrap();
    database.migrate().await.unwrap();
    let id = PlatformId::new("builtin");
    Arc::new(BuiltinPlatform::new(id, database, Arc::new(SystemClock)))
}

async fn remote(shared: &Arc<BuiltinPlatform>) -> RemoteBuiltinPlatform {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = platform_api::router(Arc::clone(shared));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = RemoteSettings {
        url: url.parse().unwrap(),
        token: SecretString::from("not asked for without the admin listener"),
    };
    let outbound = Outbound::new().unwrap();
    RemoteBuiltinPlatform::new(PlatformId::new("shared"), settings, outbound)
}
