//! The installation: `vestibule.toml`, checked as a whole and turned into the settings of each
//! slice. No network is needed, and every mistake is reported at once.

mod check;
mod file;
mod secret;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderName;
use secrecy::SecretString;

use crate::admin::scim::ScimSource;
use crate::captcha::CaptchaSettings;
use crate::database::DatabaseAddress;
use crate::hooks::HookSettings;
use crate::login::openid::{ApiIssuerSettings, OpenIdSettings};
use crate::mail::pickup::PickupSettings;
use crate::mail::smtp::SmtpSettings;
use crate::operator_file::{self, Problems, SourceFile};
use crate::platform::PlatformSettings;
use crate::platform::rest::RestFile;
use crate::policy::{HandOff, Surroundings};
use crate::proxy::{ListenerSettings, ProxySettings};
use crate::redis_link::RedisAddress;
use crate::seal::KeyRing;
use crate::session::Lifetimes;
use crate::telemetry::logs::LogSettings;
use crate::telemetry::traces::TraceSettings;

pub use secret::{KeyFileProblem, key_file};

/// A checked installation.
#[derive(Debug)]
pub struct Settings {
    /// Where traffic comes in.
    pub listener: ListenerSettings,
    /// Where plain HTTP is sent on to https.
    pub redirect: Option<SocketAddr>,
    /// The data plane.
    pub proxy: ProxySettings,
    /// Whether policies and certificates are read again when their files change.
    pub watch: bool,
    /// The admin listener.
    pub admin: AdminSettings,
    /// Where things are kept.
    pub store: StoreSettings,
    /// The key ring.
    pub keys: KeySettings,
    /// The identity providers, at least one.
    pub providers: Vec<OpenIdSettings>,
    /// Whose bearer tokens count.
    pub api_issuers: Vec<ApiIssuerSettings>,
    /// The platforms, each with its policies; at least one.
    pub sites: Vec<SiteSettings>,
    /// How letters are sent.
    pub mail: MailSettings,
    /// The operator's endpoints, if there are any.
    pub hooks: Option<HookSettings>,
    /// The captchas of vendors.
    pub captchas: Vec<CaptchaSettings>,
    /// How long sessions live.
    pub lifetimes: Lifetimes,
    /// How long a trip to an identity provider may take.
    pub login_attempt: Duration,
    /// What is logged.
    pub log: LogSettings,
    /// Where traces go, if they go anywhere.
    pub traces: Option<TraceSettings>,
}

/// A platform, with what is decided about the people of its hosts.
#[derive(Debug)]
pub struct SiteSettings {
    /// The platform that holds its customers and users.
    pub platform: PlatformSettings,
    /// The folder of the policy files.
    pub policies: PathBuf,
    /// As what it keeps its things apart from those of other platforms; none for the first one.
    pub part: Option<String>,
}

impl Settings {
    /// The platform with this id, by its place among all; the first one where none is named.
    pub fn site(&self, id: Option<&str>) -> Result<usize, UnknownPlatform> {
        let Some(id) = id else {
            return Ok(0);
        };
        let ids = || self.sites.iter().map(|site| site.platform.id.as_str());
        ids()
            .position(|own| own == id)
            .ok_or_else(|| UnknownPlatform {
                named: id.to_owned(),
                known: ids().collect::<Vec<_>>().join(", "),
            })
    }

    /// The platform of a host.
    pub fn site_of(&self, host: &str) -> usize {
        let mut hosts = self.proxy.hosts.iter();
        hosts
            .find(|one| *one.name == *host)
            .map_or(0, |host| host.site)
    }

    /// Where a platform's people and sessions are kept.
    pub fn database_of(&self, site: usize) -> DatabaseAddress {
        let part = self.sites.get(site).and_then(|site| site.part.as_deref());
        let database = &self.store.database;
        part.map_or_else(|| database.clone(), |part| database.of_part(part))
    }

    /// The identity provider with this id; the first one where none is named.
    pub fn provider(&self, id: Option<&str>) -> Option<&OpenIdSettings> {
        let mut known = self.providers.iter();
        match id {
            None => known.next(),
            Some(id) => known.find(|provider| provider.id.as_str() == id),
        }
    }

    /// What the policies of a site may name.
    pub fn surroundings(&self, site: &SiteSettings) -> Surroundings {
        let hosts = self.proxy.hosts.iter().map(|host| host.name.to_string());
        let has = |by: &HandOff| self.proxy.upstreams.iter().any(|one| one.handoff.has(*by));
        let hand_offs = HandOff::ALL.into_iter().filter(has);
        Surroundings {
            hosts: hosts.collect(),
            providers: self.providers.iter().map(|one| one.id.clone()).collect(),
            sends_letters: Some(!matches!(self.mail, MailSettings::Nowhere)),
            captchas: Some(self.captchas.iter().map(|one| one.id.clone()).collect()),
            has_roles: site.platform.kind.has_roles(),
            hand_offs: Some(hand_offs.collect()),
            api_issuers: Some(self.api_issuers.iter().map(|one| one.id.clone()).collect()),
            hand_off_fields: self.hand_off_fields().cloned().collect(),
        }
    }
}

impl Settings {
    /// The fields by which upstreams learn who somebody is.
    fn hand_off_fields(&self) -> impl Iterator<Item = &HeaderName> {
        self.proxy.upstreams.iter().flat_map(|upstream| {
            let told = &upstream.handoff;
            let assertion = told.assertion.as_ref().map(|one| &one.header);
            [&told.user, &told.customer, &told.email]
                .into_iter()
                .chain(assertion)
                .chain(&told.access_token)
        })
    }
}

/// A platform that nobody configured.
#[derive(Debug, thiserror::Error)]
#[error("there is no platform `{named}`; there are: {known}")]
pub struct UnknownPlatform {
    named: String,
    known: String,
}

/// The admin listener.
#[derive(Debug)]
pub struct AdminSettings {
    /// Address and port.
    pub address: SocketAddr,
    /// The bearer tokens.
    pub tokens: Vec<SecretString>,
    /// The identity providers that tell of their people.
    pub scim: Vec<ScimSource>,
}

/// Where things are kept.
#[derive(Debug)]
pub struct StoreSettings {
    /// The database.
    pub database: DatabaseAddress,
    /// Redis, if sessions live there; with its passwords filled in.
    pub redis: Option<RedisAddress>,
}

/// Where the keys come from.
#[derive(Debug)]
pub enum KeySettings {
    /// These.
    Ring(KeyRing),
    /// A file that is made when it is missing; see [`key_file`].
    File(PathBuf),
}

/// How letters are sent.
#[derive(Debug)]
pub enum MailSettings {
    /// By SMTP.
    Smtp(SmtpSettings),
    /// Into a folder.
    Pickup(PickupSettings),
    /// Not at all.
    Nowhere,
}

impl MailSettings {
    /// Where letters go, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Smtp(smtp) => format!("{}:{}", smtp.host, smtp.port),
            Self::Pickup(pickup) => pickup.folder.display().to_string(),
            Self::Nowhere => "nowhere".to_owned(),
        }
    }
}

/// What the loaded file says, and what is wrong with it; warnings do not keep it from loading.
#[derive(Debug)]
pub struct Loaded {
    /// The settings, unless there are errors.
    pub settings: Option<Settings>,
    /// Where the policies are, as far as that could be read.
    pub policies: Vec<PathBuf>,
    /// Errors and warnings.
    pub problems: Problems,
}

/// Loads an installation, or says everything that is wrong with it.
pub fn load(path: &Path) -> Result<Settings, Problems> {
    let Loaded {
        settings, problems, ..
    } = examine(path);
    for warning in problems.all() {
        tracing::warn!("{}: {}", warning.message, warning.advice);
    }
    settings.ok_or(problems)
}

/// Loads an installation, with its warnings.
pub fn examine(path: &Path) -> Loaded {
    let mut problems = Problems::default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let source = SourceFile::read(path, &mut problems);
    // Where policies are, unless the file speaks of another place.
    let is_usual = |source: &&SourceFile| !source.text.contains("policies");
    let usual = source.as_ref().filter(is_usual);
    let usual = usual.map(|_| folder.join("policies")).into_iter().collect();
    let file = source
        .as_ref()
        .and_then(|source| source.parse::<file::VestibuleFile>(&mut problems));
    let (Some(source), Some(file)) = (source, file) else {
        return Loaded {
            settings: None,
            policies: usual,
            problems,
        };
    };
    let policies = policy_folders(&file, folder);
    let settings = check::check(&file, &source, folder, &mut problems);
    Loaded {
        settings: settings.filter(|_| !problems.has_errors()),
        policies,
        problems,
    }
}

/// Every folder with policies, once.
fn policy_folders(file: &file::VestibuleFile, folder: &Path) -> Vec<PathBuf> {
    let general = file.policies.as_ref().map(|at| at.value.as_path());
    let general = general.unwrap_or(Path::new("policies"));
    let platforms: &[_] = file.platform.as_deref().unwrap_or_default();
    let own = platforms.iter().map(|platform| {
        let own = platform.policies.as_ref().map(|at| at.value.as_path());
        own.unwrap_or(general)
    });
    let mut folders: Vec<PathBuf> = own.map(|own| folder.join(own)).collect();
    if folders.is_empty() {
        folders.push(folder.join(general));
    }
    folders.sort();
    folders.dedup();
    folders
}

/// The JSON Schema of `vestibule.toml`.
pub fn schema() -> serde_json::Value {
    operator_file::schema_of::<file::VestibuleFile>()
}

/// The JSON Schema of the file that describes a platform of the kind `rest`.
pub fn rest_schema() -> serde_json::Value {
    operator_file::schema_of::<RestFile>()
}

#[cfg(test)]
mod tests;
