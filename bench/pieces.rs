//! The steps of a forwarded request one by one, for `bench/pieces.mjs` to count their instructions.
//!
//! `pieces NAME COUNT` takes a step so many times; `pieces` lists the names.

use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use vestibule::access::header_hygiene::{ManagedNames, clean_response, forwarded_cookies};
use vestibule::access::path::CanonicalPath;
use vestibule::access::{RequestFacts, RequestKind, Standing, decide, rule_for};
use vestibule::clock::{SystemClock, Timestamp};
use vestibule::database::{Database, DatabaseAddress};
use vestibule::identity::{
    Account, Cleared, Issuer, PlatformId, ProviderId, Subject, UserId, VerifiedClaims,
    VerifiedIdentity,
};
use vestibule::operator_file::Problems;
use vestibule::policy::{Policy, Surroundings, compile};
use vestibule::seal::{KeyRing, SealKey};
use vestibule::session::cookie::{self, SESSION_COOKIE};
use vestibule::session::sql::SqlSessionStore;
use vestibule::session::{Beginning, Lifetimes, SessionStanding, Sessions, Stage};

type Outcome<T> = Result<T, Box<dyn Error>>;

const HOST: &str = "app.example.com";
const PATH: &str = "/parts/7/devices/42";

/// A step: its name, and how it is made ready once and then taken so many times.
type Piece = (&'static str, fn(usize) -> Outcome<()>);

const PIECES: [Piece; 7] = [
    ("canonical path", canonical_path),
    ("decide, 10 rules", |count| decide_with(10, "", count)),
    ("decide, 1,000 rules", |count| decide_with(1000, "", count)),
    ("decide, a rule with a condition", |count| {
        decide_with(10, "require = \"'staff' in identity.groups\"\n", count)
    }),
    ("session cookie to session in memory", session_cookie),
    ("request fields", request_fields),
    ("response fields", response_fields),
];

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, count] = arguments.as_slice() else {
        for (name, _) in PIECES {
            println!("{name}");
        }
        return Ok(());
    };
    let (_, take) = PIECES
        .into_iter()
        .find(|(own, _)| own == name)
        .ok_or("there is no such step")?;
    take(count.parse()?)
}

fn canonical_path(count: usize) -> Outcome<()> {
    for _ in 0..count {
        black_box(CanonicalPath::parse(black_box(PATH.as_bytes()))?);
    }
    Ok(())
}

fn decide_with(rules: usize, condition: &str, count: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let policy = policy(folder.path(), rules, condition)?;
    let standing = runtime()?.block_on(async {
        let (sessions, cookie) = signed_in(folder.path()).await?;
        let standing = sessions.standing(Some(&cookie), HOST).await;
        Outcome::Ok(Standing::Session(standing))
    })?;
    let facts = RequestFacts {
        host: HOST.into(),
        own_origin: format!("https://{HOST}").into(),
        method: Method::GET,
        path: CanonicalPath::parse(PATH.as_bytes())?,
        query: None,
        kind: RequestKind::Api,
        client: [192, 0, 2, 1].into(),
        at: Timestamp::from_millis(0),
        origin: None,
    };
    for _ in 0..count {
        let facts = black_box(&facts);
        let rule = rule_for(facts, &policy)?;
        let _ = black_box(decide(facts, rule, &standing, &policy));
    }
    Ok(())
}

fn session_cookie(count: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    runtime()?.block_on(async {
        let (sessions, value) = signed_in(folder.path()).await?;
        sessions.standing(Some(&value), HOST).await;
        let headers = request_headers(&value)?;
        for _ in 0..count {
            let found = cookie::find(headers.get_all(header::COOKIE), SESSION_COOKIE);
            let standing = sessions.cached_standing(black_box(found), HOST);
            if !matches!(black_box(standing), Some(SessionStanding::Live(_))) {
                return Err("the session is not in memory".into());
            }
        }
        Ok(())
    })
}

fn request_fields(count: usize) -> Outcome<()> {
    let managed = ManagedNames::new([
        "x-vestibule-user",
        "x-vestibule-customer",
        "x-vestibule-email",
        "x-vestibule-assertion",
    ]);
    let headers = request_headers("the-value-of-a-session-cookie-43-octets-long")?;
    for _ in 0..count {
        let headers = black_box(&headers);
        black_box(managed.nominated_in(headers));
        black_box(managed.found_in(headers));
        black_box(forwarded_cookies(headers, SESSION_COOKIE.as_bytes()));
    }
    Ok(())
}

fn response_fields(count: usize) -> Outcome<()> {
    let headers = fields(&[
        ("server", "nginx"),
        ("date", "Sat, 21 Nov 2026 22:00:00 GMT"),
        ("content-type", "application/json"),
        ("content-length", "1024"),
        ("cache-control", "no-cache"),
        ("etag", "\"6920e2a0-400\""),
        ("vary", "accept-encoding"),
    ])?;
    for _ in 0..count {
        black_box(clean_response(
            black_box(&headers),
            SESSION_COOKIE.as_bytes(),
        ));
    }
    Ok(())
}

/// What a browser sends to an API.
fn request_headers(session: &str) -> Outcome<HeaderMap> {
    fields(&[
        ("host", HOST),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
        ),
        ("accept", "application/json"),
        ("accept-language", "de,en-US;q=0.7,en;q=0.3"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("referer", "https://app.example.com/parts/7"),
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "same-origin"),
        ("connection", "keep-alive"),
        (
            "cookie",
            &format!("theme=dark; {SESSION_COOKIE}={session}; wide=1"),
        ),
    ])
}

fn fields(fields: &[(&'static str, &str)]) -> Outcome<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    }
    Ok(headers)
}

/// A policy with so many rules, of which one in the middle is for [`PATH`].
fn policy(folder: &Path, rules: usize, condition: &str) -> Outcome<Policy> {
    let mut text = String::new();
    for number in 0..rules {
        writeln!(
            text,
            "[[rule]]\nname = \"part-{number}\"\npath = \"/parts/{number}/**\"\n{condition}"
        )?;
    }
    std::fs::write(folder.join("access.toml"), text)?;
    let mut problems = Problems::default();
    let policy = compile(folder, &Surroundings::default(), &mut problems);
    policy.ok_or_else(|| format!("{:?}", problems.all()).into())
}

/// A session of somebody who has an account, and the value of its cookie.
async fn signed_in(folder: &Path) -> Outcome<(Sessions, String)> {
    let database = Database::open(&DatabaseAddress::Sqlite(folder.join("sessions.db"))).await?;
    database.migrate().await?;
    let keys = KeyRing::new(SealKey::random(), Vec::new());
    let sessions = Sessions::new(
        Arc::new(SqlSessionStore::new(database)),
        Arc::new(keys),
        Arc::new(SystemClock),
        Lifetimes::default(),
    );
    let claims = serde_json::json!({ "email": "mario@example.org", "groups": ["staff"] });
    let identity = VerifiedIdentity::from_verified(VerifiedClaims {
        provider: ProviderId::new("corp"),
        issuer: Issuer::new("https://idp.example"),
        subject: Subject::new("mario"),
        claims: claims.as_object().cloned().unwrap_or_default(),
        email_trusted: false,
        authenticated_at: Timestamp::from_millis(0),
    });
    let id = sessions
        .begin(Beginning {
            identity,
            stage: Stage::Live(Account {
                platform: PlatformId::new("main"),
                user: UserId::new("u-1"),
                customer: None,
                account_type: None,
            }),
            cleared: Cleared::default(),
            tokens: None,
            host: HOST,
            device: "",
            replaces: None,
        })
        .await?;
    Ok((sessions, id.to_cookie_value()))
}

fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}
