//! Holds the borders of the house: layers, homes of crates, purity, sizes and names.
//!
//! A plain text scan of `src/`, in milliseconds. Every failure names file and line and says what to
//! do instead. What each module is for stands in `ARCHITECTURE.md`.

use std::path::Path;

#[cfg(test)]
#[path = "architecture/source.rs"]
mod source;

use source::Source;

/// Layer, module, and what the module may import besides the words of layer 0.
const LAYERS: &[(u8, &str, &str)] = &[
    (0, "identity", "the other words"),
    (0, "clock", "the other words"),
    (0, "paths", "the other words"),
    (0, "seal", "the other words"),
    (0, "spelling", "the other words"),
    (0, "database", "the other words"),
    (0, "expression", "the other words"),
    (0, "in_hand", "the other words"),
    (0, "language", "the other words"),
    (0, "operator_file", "the other words"),
    (0, "outbound", "the other words"),
    (0, "outbox", "the other words"),
    (0, "redis_link", "the other words"),
    (0, "telemetry", "the other words"),
    // A limit is what policy names and the limiter draws from.
    (1, "policy", "rate_limit"),
    (1, "session", ""),
    (1, "mail", ""),
    (1, "rate_limit", ""),
    (1, "captcha", ""),
    (1, "platform", ""),
    (1, "audit", ""),
    (1, "hooks", ""),
    (1, "roster", ""),
    (2, "access", "policy session"),
    (
        3,
        "onboarding",
        "policy access platform mail audit rate_limit hooks",
    ),
    (
        4,
        "login",
        "policy access session platform onboarding audit roster",
    ),
    (5, "proxy", "everything below"),
    (5, "pages", "everything below"),
    (5, "admin", "everything below"),
    (6, "config", "everything below"),
    (7, "assemble", "everything below"),
    (8, "demo", "everything below"),
    (9, "cli", "everything below"),
];

/// Where each outside crate lives. A home is a file without `.rs`, or a folder.
const HOMES: &[(&str, &str)] = &[
    ("pingora_core", "proxy cli/serve"),
    ("pingora_http", "proxy cli/serve"),
    ("pingora_proxy", "proxy cli/serve"),
    ("axum", "pages admin proxy/bridge demo"),
    ("aws_lc_rs", "platform/handoff demo"),
    ("rustix", "assemble/handover cli/systemd"),
    ("listenfd", "assemble/sockets"),
    ("x509_parser", "proxy/certificates"),
    ("redis", "redis_link session/redis rate_limit/cluster"),
    (
        "sqlx",
        "database session/sql onboarding/sql outbox/kept platform/builtin audit roster/sql",
    ),
    ("openidconnect", "login/openid"),
    (
        "jsonwebtoken",
        "login/openid login/bearer platform/handoff demo",
    ),
    ("lettre", "mail/smtp mail/pickup mail/message"),
    ("askama", "pages mail/letters"),
    ("fluent_bundle", "language"),
    ("governor", "rate_limit/node"),
    ("cel", "expression"),
    ("reqwest", "outbound"),
    ("moka", "session rate_limit platform/tokens login/bearer"),
    ("argon2", "platform/builtin"),
    ("chacha20poly1305", "seal"),
    ("hkdf", "seal"),
    ("hmac", "seal"),
    ("subtle", "seal"),
    ("prometheus_client", "telemetry admin"),
    ("opentelemetry", "telemetry/traces"),
    ("opentelemetry_sdk", "telemetry/traces"),
    ("opentelemetry_otlp", "telemetry/traces"),
    ("opentelemetry_http", "telemetry/traces assemble/collector"),
    ("clap", "cli main"),
];

/// Adapters: only `assemble` imports them (and their own slice declares them).
const ADAPTERS: &str = "policy::folder session::redis session::sql login::openid onboarding::sql \
    platform::thingsboard platform::scim platform::rest platform::builtin mail::smtp mail::pickup \
    rate_limit::node rate_limit::cluster roster::sql captcha::proof_of_work captcha::siteverify";

/// The builtin platform's own API is served by the admin door, so that door knows its types; the
/// configuration makes the settings of adapters.
const ADAPTER_GUESTS: &[(&str, &str)] = &[
    ("admin", "platform::builtin"),
    ("config", "login::openid"),
    ("config", "platform::rest"),
    // Its settings hold what its file says.
    ("platform", "platform::rest"),
    ("config", "mail::smtp"),
    ("config", "mail::pickup"),
    // The demo plants its seed before the gateway is assembled.
    ("demo", "platform::builtin"),
    ("demo", "onboarding::sql"),
];

/// Files and folders that decide and do nothing else.
const PURE: &[&str] = &[
    "access",
    "identity",
    "paths",
    "session/lifetime",
    "session/cookie",
    "onboarding/resolve",
    "onboarding/progress",
    "onboarding/plan",
    "onboarding/form",
    "onboarding/answers",
    "onboarding/conditions",
    "onboarding/values",
    "onboarding/vat",
    "policy/duties",
    "policy/step_up",
    "login/step_up",
    "onboarding/attributes/claimed",
    "onboarding/attributes/due",
    "onboarding/draft",
    "policy/route",
];

/// What a pure file does not write, and what it does instead.
const IMPURE: &[(&str, &str)] = &[
    ("async", "fetch at the caller and pass the value in"),
    ("await", "fetch at the caller and pass the value in"),
    ("tokio", "leave waiting to the caller"),
    ("SystemTime", "take a `Timestamp`"),
    ("Instant", "take a `Timestamp`"),
    ("Clock", "take a `Timestamp`"),
    ("SystemClock", "take a `Timestamp`"),
    ("getrandom", "take the random bytes as an argument"),
    ("std::env", "take the value as an argument"),
    ("std::fs", "take the content as an argument"),
    ("File", "take the content as an argument"),
    ("TcpStream", "take the bytes as an argument"),
    ("TcpListener", "take the bytes as an argument"),
    ("UdpSocket", "take the bytes as an argument"),
];

const EMPTY_NAMES: &str = "util utils helper helpers common misc manager base";

const LONGEST_FILE: usize = 400;

#[test]
fn modules_import_only_what_lies_below_them() {
    assert_none(sources().iter().flat_map(wrong_layers));
}

#[test]
fn words_import_each_other_without_circles() {
    assert_none(circles(&sources()));
}

#[test]
fn every_outside_crate_stays_in_its_home() {
    assert_none(sources().iter().flat_map(strayed_crates));
}

#[test]
fn only_assemble_imports_adapters() {
    assert_none(sources().iter().flat_map(named_adapters));
}

#[test]
fn pure_files_hold_no_effects() {
    assert_none(sources().iter().flat_map(effects));
}

#[test]
fn secrets_are_compared_in_constant_time() {
    assert_none(sources().iter().flat_map(leaky_comparisons));
}

#[test]
fn files_fit_one_idea() {
    assert_none(sources().iter().filter_map(too_long));
}

#[test]
fn names_say_the_business() {
    assert_none(
        sources()
            .iter()
            .chain(&test_sources())
            .flat_map(empty_names),
    );
}

#[test]
fn every_file_opens_with_a_sentence() {
    assert_none(
        sources()
            .iter()
            .chain(&test_sources())
            .filter_map(no_opening),
    );
}

fn sources() -> Vec<Source> {
    Source::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

fn test_sources() -> Vec<Source> {
    Source::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"))
}

fn assert_none(violations: impl IntoIterator<Item = String>) {
    let violations: Vec<String> = violations.into_iter().collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

fn violation(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path)
}

fn layer_of(module: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(_, name, _)| *name == module)
        .map(|(layer, _, _)| *layer)
}

fn is_word(module: &str) -> bool {
    layer_of(module) == Some(0)
}

/// Whether `module` may import `other`; a name that is no module is nobody's business here.
fn may_import(module: &str, other: &str) -> bool {
    let (Some(own_layer), Some(layer)) = (layer_of(module), layer_of(other)) else {
        return true;
    };
    let allowed = LAYERS
        .iter()
        .find(|(_, name, _)| *name == module)
        .map_or("", |(_, _, a)| *a);
    match allowed {
        "everything below" => layer < own_layer || module == other,
        names => layer == 0 || module == other || names.split(' ').any(|name| name == other),
    }
}

fn wrong_layers(source: &Source) -> Vec<String> {
    let top = source.top();
    if top.is_empty() || source.is_test() {
        return Vec::new();
    }
    if layer_of(&top).is_none() {
        return vec![violation(
            source,
            1,
            &format!("give the module `{top}` a layer"),
        )];
    }
    source
        .mentions()
        .iter()
        .filter_map(|mention| mention.segments.first().map(|name| (mention.line, name)))
        .filter(|(_, name)| !may_import(&top, name))
        .map(|(line, name)| {
            let advice = "move what both need to a lower layer, or take a trait";
            violation(
                source,
                line,
                &format!("`{top}` may not import `{name}`: {advice}"),
            )
        })
        .collect()
}

/// Words that import each other in a circle, found by taking away those that import nobody left.
fn circles(sources: &[Source]) -> Vec<String> {
    let mut left: Vec<(&str, Vec<String>)> = LAYERS
        .iter()
        .filter(|(layer, ..)| *layer == 0)
        .map(|(_, word, _)| (*word, words_imported_by(word, sources)))
        .collect();
    loop {
        let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
        let before = left.len();
        left.retain(|(_, imports)| imports.iter().any(|i| names.contains(&i.as_str())));
        if left.len() == before {
            break;
        }
    }
    left.iter()
        .map(|(name, imports)| {
            format!("`{name}` imports {imports:?} in a circle: one of them has to give way")
        })
        .collect()
}

fn words_imported_by(word: &str, sources: &[Source]) -> Vec<String> {
    let mut found: Vec<String> = sources
        .iter()
        .filter(|source| source.top() == word && !source.is_test())
        .flat_map(Source::mentions)
        .filter_map(|mention| mention.segments.first().cloned())
        .filter(|name| name != word && is_word(name))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Whether a file is `home.rs` or lies in the folder `home/`.
fn is_at(source: &Source, home: &str) -> bool {
    let stem = source.path.trim_end_matches(".rs");
    stem == home
        || stem
            .strip_prefix(home)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn strayed_crates(source: &Source) -> Vec<String> {
    HOMES
        .iter()
        .filter(|(_, homes)| !source.is_test() && !homes.split(' ').any(|home| is_at(source, home)))
        .flat_map(|(name, homes)| {
            source.uses_of_crate(name).into_iter().map(move |line| {
                violation(
                    source,
                    line,
                    &format!("`{name}` lives in {homes}: go through those"),
                )
            })
        })
        .collect()
}

fn named_adapters(source: &Source) -> Vec<String> {
    let top = source.top();
    if top == "assemble" || source.is_test() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for mention in source.mentions() {
        let Some(adapter) = ADAPTERS
            .split_whitespace()
            .find(|a| is_inside(&mention.segments, a))
        else {
            continue;
        };
        let own = is_inside(&source.module(), adapter);
        let guest = ADAPTER_GUESTS
            .iter()
            .any(|(who, whom)| *who == top && *whom == adapter);
        if !own && !guest {
            let advice = "take the trait; `assemble` chooses the adapter";
            found.push(violation(
                source,
                mention.line,
                &format!("imports `{adapter}`: {advice}"),
            ));
        }
    }
    found
}

fn is_inside(segments: &[String], module: &str) -> bool {
    let words: Vec<&str> = module.split("::").collect();
    segments.len() >= words.len() && segments.iter().zip(&words).all(|(a, b)| a == b)
}

fn effects(source: &Source) -> Vec<String> {
    if source.is_test() || !PURE.iter().any(|home| is_at(source, home)) {
        return Vec::new();
    }
    IMPURE
        .iter()
        .flat_map(|(word, instead)| {
            source.lines_with(word).into_iter().map(move |line| {
                violation(source, line, &format!("`{word}` in a pure file: {instead}"))
            })
        })
        .collect()
}

/// Secrets are `SecretString`, which has no `==`: to compare one takes what it exposes. Neither that
/// nor a name that is bound to it is compared by anything but `seal::equal`.
fn leaky_comparisons(source: &Source) -> Vec<String> {
    if source.is_test() {
        return Vec::new();
    }
    let statements = source.statements();
    let exposes = |code: &str| code.contains("expose_secret()");
    let bound: Vec<String> = statements
        .iter()
        .filter(|(_, code)| exposes(code))
        .filter_map(|(_, code)| bound_name(code))
        .collect();
    let leaks = |code: &str| {
        COMPARISONS.iter().any(|how| code.contains(how))
            && (exposes(code) || bound.iter().any(|name| compares(code, name)))
    };
    let found = statements.iter().filter(|(_, code)| leaks(code));
    let advice = "compares a secret by what differs first: take `seal::equal`";
    found
        .map(|(line, _)| violation(source, *line, advice))
        .collect()
}

/// Ways to compare that stop at the first difference.
const COMPARISONS: &[&str] = &[
    "==",
    "!=",
    ".eq(",
    ".ne(",
    ".cmp(",
    ".starts_with(",
    ".contains(&",
];

/// The name that a `let` gives to something.
fn bound_name(code: &str) -> Option<String> {
    let (_, name) = code.split_once("let ")?;
    let name = name.trim_start_matches("mut ");
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(name[..end].to_owned()).filter(|name| !name.is_empty())
}

/// Whether a name stands beside a comparison.
fn compares(code: &str, name: &str) -> bool {
    let words: Vec<&str> = code.split_whitespace().collect();
    let is_it = |word: &&str| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_') == name;
    let infix = words.windows(3).any(|three| match three {
        [left, "==" | "!=", right] => is_it(left) || is_it(right),
        _ => false,
    });
    let method = |how: &&str| how.starts_with('.') && code.contains(&format!("{name}{how}"));
    infix || COMPARISONS.iter().any(method)
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.production_lines();
    let advice = "find the second idea in it and give it a file";
    (!source.is_test() && lines > LONGEST_FILE).then(|| {
        violation(
            source,
            lines,
            &format!("{lines} lines before the tests: {advice}"),
        )
    })
}

fn empty_names(source: &Source) -> Vec<String> {
    let own = source.module().into_iter().map(|name| (1, name));
    own.chain(source.declared_modules())
        .filter(|(_, name)| {
            name.split('_')
                .any(|word| EMPTY_NAMES.split(' ').any(|empty| empty == word))
        })
        .map(|(line, name)| {
            violation(
                source,
                line,
                &format!("`{name}` says nothing: name what it is about"),
            )
        })
        .collect()
}

fn no_opening(source: &Source) -> Option<String> {
    let first = source.text.lines().next().unwrap_or("");
    let opens = first
        .strip_prefix("//! ")
        .is_some_and(|sentence| sentence.len() > 10);
    (!opens).then(|| violation(source, 1, "open with a `//!` sentence: what this is"))
}

/// The rules themselves, on files that break them.
mod the_scan_catches {
    use super::*;

    fn file(path: &str, text: &str) -> Source {
        Source::new(path, text)
    }

    #[test]
    fn an_import_of_a_higher_layer() {
        let found = wrong_layers(&file(
            "session/mod.rs",
            "//! x\nuse crate::login::Attempt;\n",
        ));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("session/mod.rs:2: `session` may not import `login`"));
    }

    #[test]
    fn an_import_inside_a_group() {
        let text = "use crate::{\n    clock::Clock,\n    pages::{self, views::Card},\n};\n";
        assert_eq!(wrong_layers(&file("policy/mod.rs", text)).len(), 2);
    }

    #[test]
    fn a_path_without_an_import() {
        let text = "fn f() { crate::proxy::start(); }";
        assert_eq!(wrong_layers(&file("pages/mod.rs", text)).len(), 1);
    }

    #[test]
    fn a_path_that_climbs_out_of_its_slice() {
        let text = "use super::super::login::{Attempt, State as S};";
        assert_eq!(wrong_layers(&file("session/cache.rs", text)).len(), 2);
        assert!(wrong_layers(&file("session/cache.rs", "use super::Session;")).is_empty());
    }

    #[test]
    fn a_module_without_a_layer() {
        assert_eq!(wrong_layers(&file("billing/mod.rs", "")).len(), 1);
    }

    #[test]
    fn words_in_a_circle() {
        let sources = [
            file("seal.rs", "use crate::clock::Timestamp;"),
            file("clock.rs", "use crate::seal::Digest;"),
            file("paths.rs", "use crate::clock::Timestamp;"),
        ];
        assert_eq!(circles(&sources).len(), 3);
        assert!(circles(&sources[..1]).is_empty());
    }

    #[test]
    fn a_crate_away_from_home() {
        let text = "use redis::Client;\nuse self::redis::Own;\nfn f() { axum::Router::new(); }";
        let found = strayed_crates(&file("session/mod.rs", text));
        assert_eq!(found.len(), 2);
        assert!(
            found
                .iter()
                .any(|v| v.starts_with("session/mod.rs:1: `redis`"))
        );
        assert!(
            found
                .iter()
                .any(|v| v.starts_with("session/mod.rs:3: `axum`"))
        );
        assert!(strayed_crates(&file("session/redis.rs", "use redis::Client;")).is_empty());
        assert!(strayed_crates(&file("login/openid/flow.rs", "use openidconnect;")).is_empty());
    }

    #[test]
    fn an_adapter_named_by_a_use_case() {
        let text = "use crate::mail::smtp::Smtp;";
        assert_eq!(named_adapters(&file("onboarding/mod.rs", text)).len(), 1);
        assert_eq!(
            named_adapters(&file("mail/mod.rs", "use super::mail::smtp::A;")).len(),
            1
        );
        assert!(named_adapters(&file("assemble.rs", text)).is_empty());
        assert!(named_adapters(&file("mail/smtp/tls.rs", text)).is_empty());
    }

    #[test]
    fn an_effect_in_a_pure_file() {
        let text = "pub async fn decide() { x.await; std::fs::read(\"x\"); }";
        assert_eq!(effects(&file("access/mod.rs", text)).len(), 3);
        assert!(effects(&file("login/mod.rs", text)).is_empty());
    }

    #[test]
    fn nothing_in_comments_strings_and_tests() {
        let text = "//! async\n/* await */ const A: &str = \"async \\\" await\"; const B: char = '\"';\n\
                    const C: &str = r#\"await \" \"#; fn f<'a>(x: &'a str) {}\n\
                    #[cfg(test)]\nmod tests { async fn f() {} }\n";
        assert_eq!(effects(&file("access/mod.rs", text)), Vec::<String>::new());
    }

    #[test]
    fn an_effect_after_a_lifetime() {
        let text = "fn f<'a>(x: &'a str) -> char { 'x' }\nasync fn g() {}";
        assert_eq!(effects(&file("paths.rs", text)).len(), 1);
    }

    #[test]
    fn a_secret_that_is_compared_by_its_octets() {
        for code in [
            "fn f() { if a.expose_secret() == b { } }",
            "fn f() { a\n.expose_secret()\n!= b }",
            "fn f() { let own = a.expose_secret(); x(); if given == own { } }",
            "fn f() { let own = a.expose_secret().as_bytes(); x(); own.eq(given) }",
            "fn f() { list.iter().any(|one| one.expose_secret().eq(given)) }",
        ] {
            assert_eq!(
                leaky_comparisons(&file("login/mod.rs", code)).len(),
                1,
                "{code}"
            );
        }
        let sound = "fn f() { let own = a.expose_secret(); seal::equal(own, b); if x == y { } }";
        assert!(leaky_comparisons(&file("login/mod.rs", sound)).is_empty());
    }

    #[test]
    fn a_file_with_too_many_lines() {
        assert!(too_long(&file("seal.rs", &"//\n".repeat(401))).is_some());
        let with_tests = format!("{}#[cfg(test)]\nmod tests {{}}\n", "//\n".repeat(400));
        assert!(too_long(&file("seal.rs", &with_tests)).is_none());
    }

    #[test]
    fn a_name_that_says_nothing() {
        assert_eq!(
            empty_names(&file("session/session_manager.rs", "")).len(),
            1
        );
        assert_eq!(
            empty_names(&file("session/mod.rs", "mod helpers;")).len(),
            1
        );
        assert!(empty_names(&file("database.rs", "mod baseline;")).is_empty());
    }

    #[test]
    fn a_file_without_an_opening() {
        assert!(no_opening(&file("seal.rs", "use std::fmt;")).is_some());
        assert!(no_opening(&file("seal.rs", "//! The one place of cryptography.")).is_none());
    }
}
