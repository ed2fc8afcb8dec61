//! Looks at everything that an installation needs, and says of each whether it works and what to do
//! where it does not. Nothing is changed, nothing is sent.

mod neighbours;
mod stores;

use std::error::Error;
use std::time::Duration;

use super::platforms::want_tokens;
use crate::config::Settings;

/// Whoever answers later does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub state: Health,
}

/// How something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It works; with what there is to say about it.
    Fine(String),
    /// It works, and should be looked at: what is odd, and what to do.
    Odd(String, String),
    /// It does not work: why, and what to do.
    Wrong(String, String),
}

impl Finding {
    fn new(what: impl Into<String>, state: Health) -> Self {
        Self {
            what: what.into(),
            state,
        }
    }

    fn fine(what: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(what, Health::Fine(about.into()))
    }

    fn odd(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(what, Health::Odd(why.into(), fix.into()))
    }

    fn wrong(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(what, Health::Wrong(why.into(), fix.into()))
    }
}

/// Looks at an installation whose configuration is sound.
pub async fn examine(settings: Settings) -> Vec<Finding> {
    let databases: Vec<_> = (0..settings.sites.len())
        .map(|site| settings.database_of(site))
        .collect();
    let Settings {
        listener: _,
        redirect: _,
        watch: _,
        proxy,
        admin,
        store,
        keys,
        providers,
        api_issuers,
        sites,
        mail,
        hooks,
        captchas: _,
        lifetimes: _,
        login_attempt: _,
        log: _,
        traces: _,
    } = settings;
    let mut all = vec![stores::keys(&keys)];
    if let Some(redis) = &store.redis {
        all.push(in_time("sessions", stores::redis(redis)).await);
    }
    all.extend(neighbours::providers(providers).await);
    all.extend(neighbours::api_issuers(api_issuers).await);
    let want_tokens = want_tokens(&proxy.upstreams);
    for (site, database) in sites.into_iter().zip(&databases) {
        let of_site = |found: Finding| match &site.part {
            None => found,
            Some(part) => Finding::new(format!("{}:{part}", found.what), found.state),
        };
        let looking = in_time("database", stores::database(database));
        all.push(of_site(looking.await));
        let looking = neighbours::platform(site.platform, (database, want_tokens));
        all.push(of_site(in_time("platform", looking).await));
    }
    all.push(in_time("mail", neighbours::mail(mail)).await);
    all.extend(neighbours::upstreams(&proxy).await);
    if let Some(hooks) = &hooks {
        all.extend(neighbours::hooks(hooks).await);
    }
    if admin.tokens.is_empty() {
        let why = "nobody can use the operator's commands";
        let fix = "write an [[admin.token]], for `vestibule registrations` and others";
        all.push(Finding::odd("admin", why, fix));
    }
    all
}

async fn in_time(what: &str, looking: impl Future<Output = Finding>) -> Finding {
    let found = tokio::time::timeout(ANSWER_WITHIN, looking).await;
    found.unwrap_or_else(|_| {
        let fix = "see whether it runs and a firewall lets the gateway through";
        Finding::wrong(what, "it does not answer in time", fix)
    })
}

/// An error and its causes in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    text
}
