//! Fills the session store of a gateway, for `bench/stored_sessions.mjs`.
//!
//! `stored_sessions REDIS KEY_FILE HOST COUNT TOLD` makes so many sessions, each of somebody else,
//! as a login does, and prints the cookies of the first ones.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use vestibule::clock::{Clock as _, SystemClock};
use vestibule::identity::{
    Account, Cleared, CustomerId, Issuer, PlatformId, ProviderId, Subject, UserId, VerifiedClaims,
    VerifiedIdentity,
};
use vestibule::redis_link::{Link, RedisAddress};
use vestibule::seal::{KeyRing, SealKey};
use vestibule::session::redis::RedisSessionStore;
use vestibule::session::{Beginning, IdpTokens, Lifetimes, Sessions, Stage};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How many are made at once.
const AT_ONCE: usize = 256;

/// As long as an ID token of a common provider, octets.
const ID_TOKEN: usize = 900;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [redis, key_file, host, count, told] = arguments.as_slice() else {
        return Err("usage: stored_sessions REDIS KEY_FILE HOST COUNT TOLD".into());
    };
    let (count, told): (usize, usize) = (count.parse()?, told.parse()?);
    let key = SealKey::from_text(std::fs::read_to_string(key_file)?.trim());
    let keys = KeyRing::new(key.ok_or("this is no key")?, Vec::new());
    let link = Arc::new(Link::to(&RedisAddress::Server(redis.as_str().into()))?);
    let sessions = Sessions::new(
        Arc::new(RedisSessionStore::new(link, None)),
        Arc::new(keys),
        Arc::new(SystemClock),
        Lifetimes::default(),
    );
    let mut made = stream::iter(0..count)
        .map(|number| begin(&sessions, host, number))
        .buffered(AT_ONCE);
    let mut out = std::io::stdout().lock();
    let mut left = told;
    while let Some(cookie) = made.next().await {
        let cookie = cookie?;
        if left > 0 {
            writeln!(out, "{cookie}")?;
            left -= 1;
        }
    }
    Ok(())
}

async fn begin(sessions: &Sessions, host: &str, number: usize) -> Outcome<String> {
    let claims = serde_json::json!({
        "email": format!("somebody.{number}@customer-{}.example.org", number % 5000),
        "email_verified": true,
        "name": format!("Somebody Number {number}"),
        "groups": ["staff", "technicians"],
        "sid": format!("provider-session-{number}"),
    });
    let identity = VerifiedIdentity::from_verified(VerifiedClaims {
        provider: ProviderId::new("bench"),
        issuer: Issuer::new("https://idp.example.org"),
        subject: Subject::new(format!("248289761001-{number}")),
        claims: claims.as_object().cloned().unwrap_or_default(),
        email_trusted: true,
        authenticated_at: SystemClock.now(),
    });
    let tokens = IdpTokens {
        id_token: "x".repeat(ID_TOKEN).into(),
        access_token: None,
        access_until: None,
        refresh_token: None,
    };
    let account = Account {
        platform: PlatformId::new("builtin"),
        user: UserId::new(format!("0199c0de-0000-7000-8000-{number:012}")),
        customer: Some(CustomerId::new(format!("customer-{}", number % 5000))),
        account_type: None,
    };
    let beginning = Beginning {
        identity,
        stage: Stage::Live(account),
        cleared: Cleared::default(),
        tokens: Some(tokens),
        host,
        device: "Firefox on Linux",
        replaces: None,
    };
    Ok(sessions.begin(beginning).await?.to_cookie_value())
}
