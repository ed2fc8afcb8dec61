//! Checks what is about keeping things: stores, keys, lifetimes of sessions, logs.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use url::Url;

use super::{Check, Sound};
use crate::config::file::{Keys, Log, LogFormat, SecretReference, Session, Store};
use crate::config::{KeySettings, StoreSettings};
use crate::database::DatabaseAddress;
use crate::login::ATTEMPT_LIFETIME;
use crate::operator_file::At;
use crate::seal::{KeyRing, SealKey};
use crate::session::Lifetimes;
use crate::telemetry::logs::{LogSettings, check_filter};

const LONGEST_SESSION: Duration = Duration::from_hours(90 * 24);

impl Check<'_> {
    /// The stores, and whether another node may share them.
    pub(super) fn store(&mut self, store: &Store) -> (Sound<StoreSettings>, bool) {
        let redis = self.redis(store);
        let Store {
            database,
            database_password,
            sessions,
            ..
        } = store;
        let database = self.database(database.as_ref(), database_password.as_ref());
        let is_shared =
            sessions.is_some() || matches!(database, Some(DatabaseAddress::Postgres(_)));
        let settings = database.zip(redis);
        let settings = settings.map(|(database, redis)| StoreSettings { database, redis });
        (settings, is_shared)
    }

    fn database(
        &mut self,
        address: Option<&At<String>>,
        password: Option<&At<SecretReference>>,
    ) -> Sound<DatabaseAddress> {
        let Some(address) = address else {
            return Some(DatabaseAddress::Sqlite(
                self.path(Path::new("vestibule.db")),
            ));
        };
        if let Some(path) = address.strip_prefix("sqlite://") {
            if path.is_empty() || path.contains('?') {
                let advice = "write it like `sqlite:///var/lib/vestibule/vestibule.db`";
                self.findings
                    .error(&address.span, "an SQLite address is a path", advice);
                return None;
            }
            return Some(DatabaseAddress::Sqlite(self.path(Path::new(path))));
        }
        let schemes = ["postgres", "postgresql"];
        let advice = "write `sqlite://vestibule.db` or `postgres://vestibule@db/vestibule`";
        let url = self.store_url(address, (&schemes, advice), password)?;
        Some(DatabaseAddress::Postgres(url.into()))
    }

    pub(super) fn store_url(
        &mut self,
        address: &At<String>,
        (schemes, advice): (&[&str], &str),
        password: Option<&At<SecretReference>>,
    ) -> Sound<Url> {
        let url = Url::parse(address).ok();
        let url = url.filter(|url| schemes.contains(&url.scheme()) && url.has_host());
        let Some(url) = url else {
            let scheme = address.split("://").next().unwrap_or_default();
            let message = format!("this is no address of a store (`{scheme}`)");
            self.findings.error(&address.span, message, advice);
            return None;
        };
        if url.password().is_some() {
            let message = "the address holds a password";
            let advice = "take it out, and name a file or variable in the password key beside it";
            self.findings.error(&address.span, message, advice);
            return None;
        }
        match password {
            Some(password) => self.with_password(url, password),
            None => Some(url),
        }
    }

    pub(super) fn with_password(
        &mut self,
        mut url: Url,
        password: &At<SecretReference>,
    ) -> Sound<Url> {
        let password = self.secret(password, 1)?;
        // Only an address without a host refuses a password.
        url.set_password(Some(password.expose_secret())).ok()?;
        Some(url)
    }

    /// The key ring. Without one, a key file beside the SQLite database, for one node.
    pub(super) fn keys(
        &mut self,
        keys: &Keys,
        (store, is_shared): (Option<&StoreSettings>, bool),
    ) -> Sound<KeySettings> {
        let Keys { seal } = keys;
        if seal.is_empty() && is_shared {
            let message = "there is no key ring, and the stores are shared by several nodes";
            let advice = "add `[keys] seal = [{ file = \"/run/secrets/seal-1\" }]`, the same on \
                          every node; `openssl rand -base64 32` makes a key";
            self.findings.error(&(0..0), message, advice);
            return None;
        }
        let found: Vec<SealKey> = seal.iter().filter_map(|key| self.seal_key(key)).collect();
        if found.len() != seal.len() {
            return None;
        }
        let mut found = found.into_iter();
        Some(match found.next() {
            Some(first) => KeySettings::Ring(KeyRing::new(first, found.collect())),
            None => match &store?.database {
                DatabaseAddress::Sqlite(path) => {
                    KeySettings::File(path.with_file_name("vestibule.key"))
                }
                DatabaseAddress::Postgres(_) => return None,
            },
        })
    }

    fn seal_key(&mut self, reference: &At<SecretReference>) -> Sound<SealKey> {
        let secret = self.secret(reference, 1)?;
        let key = SealKey::from_text(secret.expose_secret());
        if key.is_none() {
            let advice = "make one with `openssl rand -base64 32`";
            self.findings.error(
                &reference.span,
                "this is no key of 32 octets in base64",
                advice,
            );
        }
        key
    }

    pub(super) fn session(&mut self, session: &Session) -> Lifetimes {
        let Session {
            idle,
            absolute,
            pending,
            login: _,
        } = session;
        let mut lifetimes = Lifetimes::default();
        let spans = [
            (idle, &mut lifetimes.idle),
            (absolute, &mut lifetimes.absolute),
            (pending, &mut lifetimes.pending),
        ];
        for (span, lifetime) in spans {
            let Some(parsed) = span else { continue };
            let Some(taken) = self.findings.take(parsed) else {
                continue;
            };
            if taken > LONGEST_SESSION || taken < Duration::from_mins(1) {
                let message = "a session lives between a minute and 90 days";
                self.findings
                    .error(&parsed.span, message, "write something like `8h`");
            }
            *lifetime = taken;
        }
        if lifetimes.idle > lifetimes.absolute
            && let Some(idle) = idle
        {
            let message = "sessions would end before they are idle";
            let advice = "make `idle` shorter than `absolute`";
            self.findings.error(&idle.span, message, advice);
        }
        lifetimes
    }

    pub(super) fn login_attempt(&mut self, session: &Session) -> Duration {
        let Some(span) = &session.login else {
            return ATTEMPT_LIFETIME;
        };
        let taken = self.findings.take(span).unwrap_or(ATTEMPT_LIFETIME);
        if !(Duration::from_secs(1)..=Duration::from_hours(1)).contains(&taken) {
            let message = "a login takes between a second and an hour";
            self.findings
                .error(&span.span, message, "write something like `15m`");
        }
        taken
    }

    pub(super) fn log(&mut self, log: &Log) -> Sound<LogSettings> {
        let Log { format, filter } = log;
        let mut settings = LogSettings {
            format: match format {
                LogFormat::Text => crate::telemetry::logs::LogFormat::Text,
                LogFormat::Json => crate::telemetry::logs::LogFormat::Json,
            },
            ..LogSettings::default()
        };
        if let Some(filter) = filter {
            if check_filter(filter).is_err() {
                let message = format!("`{}` is not a log filter", filter.value);
                let advice = "write a level such as `info`, or `info,access=off`";
                self.findings.error(&filter.span, message, advice);
                return None;
            }
            settings.filter.clone_from(&filter.value);
        }
        Some(settings)
    }
}
