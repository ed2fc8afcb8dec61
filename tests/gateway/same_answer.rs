//! Nobody learns from the gateway which addresses are known: the same answer, header by header, made
//! by the same questions to database and platform. Whether it takes the same time is measured by
//! `bench/same_time.mjs`.

use std::time::Duration;

use super::harness::{GatewayBuilder, Page, on_both_set_ups};
use super::self_registration::Open;

const KNOWN: &str = "mario@rossi.example";
const UNKNOWN: &str = "maria@rossi.example";
const LOGS_STATEMENTS: &str = "[log]\nfilter = \"info,sqlx::query=debug\"\n";

/// What came back, and what the database was asked for it; the builtin platform asks it too.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    statements: Vec<String>,
}

on_both_set_ups!(answers_do_not_tell_which_addresses_are_known);

async fn answers_do_not_tell_which_addresses_are_known(set_up: GatewayBuilder<'_>) {
    let limits = "[abuse.mail]\naddress = [\"9/h\"]\n";
    let set_up = set_up.policy("limits.toml", limits).config(LOGS_STATEMENTS);
    let open = Open::start(set_up).await;
    open.register(KNOWN).await;
    for (page, button) in [
        ("/auth/register/email", "Send me the link"),
        ("/auth/password", "Send me the link"),
        ("/auth/login", "Sign in"),
    ] {
        let known = answer(&open, (page, button), KNOWN).await;
        let unknown = answer(&open, (page, button), UNKNOWN).await;
        assert_eq!(known, unknown, "{page}");
        let asks_at_once = page == "/auth/login";
        assert_eq!(!known.statements.is_empty(), asks_at_once, "{page}");
    }
}

/// Sends the form of a page, and looks at the answer to that alone.
async fn answer(open: &Open, (page, button): (&str, &str), address: &str) -> Answer {
    let browser = open.gateway.browser();
    let page = browser.open(page).await.fill("email", address);
    let page = match page.value_of("password") {
        Some(_) => page.fill("password", "not the right one"),
        None => page,
    };
    // Until what was asked for before is written, half a second after its answer.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let before = open.gateway.log().len();
    let (answer, sent) = (page.press(button).await, open.gateway.log());
    Answer {
        status: answer.status(),
        headers: headers(&answer),
        body: without_token(answer.body()).replace(address, "…"),
        statements: statements(&sent[before..]),
    }
}

fn headers(page: &Page) -> Vec<(String, String)> {
    let text = |(name, value): (&_, &_)| (format!("{name}"), format!("{value:?}"));
    let all = page.headers().iter();
    all.filter(|(name, _)| *name != "date").map(text).collect()
}

fn without_token(body: &str) -> String {
    let lines = body.lines().filter(|line| !line.contains("form_token"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The statements until the form was answered, but for those that workers make now and then.
fn statements(log: &str) -> Vec<String> {
    let lines = log
        .lines()
        .take_while(|line| !line.contains("method=\"POST\""));
    let statements = lines.filter_map(|line| line.split_once("summary=")?.1.split_once(" db."));
    let statements = statements.map(|(summary, _)| summary.to_owned());
    let is_workers =
        |one: &String| one.contains("outbox") || one.starts_with("\"SELECT id FROM registrations");
    statements.filter(|one| !is_workers(one)).collect()
}
