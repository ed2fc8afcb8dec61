//! Checks where Redis is: one server, a master that sentinels name, a Cluster.

use secrecy::SecretString;
use url::Url;

use super::{Check, Sound};
use crate::config::file::{SecretReference, Sessions, SessionsTable, Store};
use crate::operator_file::At;
use crate::redis_link::RedisAddress;

const ADVICE: &str = "write `redis://cache:6379` or `rediss://cache:6379`";

/// A password that may be there, and the key that names it.
type Password<'a> = Option<&'a At<SecretReference>>;

impl Check<'_> {
    /// The address of Redis, where sessions live there.
    pub(super) fn redis(&mut self, store: &Store) -> Sound<Option<RedisAddress>> {
        let Store {
            database: _,
            database_password: _,
            sessions,
            sessions_password,
            sentinels_password,
        } = store;
        let has_sentinels = sessions.as_ref().is_some_and(|sessions| {
            matches!(&sessions.value, Sessions::Servers(table) if table.sentinels.is_some())
        });
        let unused = [
            (sessions_password, sessions.is_some(), "sessions"),
            (sentinels_password, has_sentinels, "sentinels"),
        ];
        for (password, is_used, whose) in unused {
            if let (Some(password), false) = (password, is_used) {
                let message = format!("a password for {whose} without `{whose}`");
                let advice = format!("add `{whose}`, or remove the password");
                self.findings.error(&password.span, message, advice);
            }
        }
        let Some(sessions) = sessions else {
            return Some(None);
        };
        let password = sessions_password.as_ref();
        let address = match &sessions.value {
            Sessions::Server(address) => {
                let address = At {
                    span: sessions.span.clone(),
                    value: address.clone(),
                };
                let url = self.redis_url(&address, password);
                url.map(|url| RedisAddress::Server(secret(url)))
            }
            Sessions::Servers(table) => {
                let passwords = (password, sentinels_password.as_ref());
                self.servers((table, sessions), passwords)
            }
        };
        address.map(Some)
    }

    fn servers(
        &mut self,
        (table, place): (&SessionsTable, &At<Sessions>),
        (password, sentinels_password): (Password<'_>, Password<'_>),
    ) -> Sound<RedisAddress> {
        let SessionsTable {
            sentinels,
            master,
            user,
            cluster,
        } = table;
        match (sentinels, master, cluster) {
            (Some(sentinels), Some(master), None) => {
                let urls = self.redis_urls((sentinels, place), sentinels_password)?;
                let mut template = urls.first()?.clone();
                template.set_path("");
                template
                    .set_username(user.as_ref().map_or("", |user| user.value.as_str()))
                    .ok()?;
                template.set_password(None).ok()?;
                let template = match password {
                    Some(password) => self.with_password(template, password)?,
                    None => template,
                };
                Some(RedisAddress::Sentinel {
                    sentinels: urls.into_iter().map(secret).collect(),
                    master: master.value.clone(),
                    template: secret(template),
                })
            }
            (None, None, Some(cluster)) if user.is_none() => {
                let urls = self.redis_urls((cluster, place), password)?;
                Some(RedisAddress::Cluster(
                    urls.into_iter().map(secret).collect(),
                ))
            }
            _ => {
                let advice = "write `{ sentinels = [\"redis://a:26379\"], master = \"sessions\" }`, \
                              or `{ cluster = [\"redis://a:6379\"] }`";
                let message = "neither a master that sentinels name, nor a Cluster";
                self.findings.error(&place.span, message, advice);
                None
            }
        }
    }

    fn redis_urls(
        &mut self,
        (addresses, place): (&[At<String>], &At<Sessions>),
        password: Password<'_>,
    ) -> Sound<Vec<Url>> {
        if addresses.is_empty() {
            let message = "no address is named";
            self.findings.error(&place.span, message, ADVICE);
            return None;
        }
        let urls: Vec<_> = addresses
            .iter()
            .map(|address| self.redis_url(address, password))
            .collect();
        urls.into_iter().collect()
    }

    fn redis_url(&mut self, address: &At<String>, password: Password<'_>) -> Sound<Url> {
        self.store_url(address, (&["redis", "rediss"], ADVICE), password)
    }
}

fn secret(url: Url) -> SecretString {
    SecretString::from(String::from(url))
}
