//! Every page in its place: what people see, and where it leads.

mod captcha;
mod doorstep;

use std::time::Duration;

use axum::http::StatusCode;

use crate::platform::builtin::Listing;
use doorstep::{Guest, House, Seen, form};

/// What a first-time visitor sends.
const ANSWERS: [(&str, &str); 6] = [
    ("name", "Giulia Bianchi"),
    ("account_type", "business"),
    ("company", "Bianchi S.r.l."),
    ("phone", "06 6982 1234"),
    ("country", "IT"),
    ("agreement.terms", "v-en"),
];

async fn newcomer() -> (House, Guest, Seen) {
    let house = House::with_providers(1).await;
    let mut guest = house.guest();
    let back = guest.sign_in("giulia", "/things/17?tab=values#chart").await;
    assert_eq!(back.location(), "/auth/register");
    let page = guest.open("/auth/register").await;
    assert_eq!(page.status, 200, "{}", page.body);
    (house, guest, page)
}

fn with_token<'a>(token: &'a str, fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("form_token", token)], fields].concat()
}

#[tokio::test]
async fn one_provider_is_gone_to_by_itself_with_and_without_a_script() {
    let house = House::with_providers(1).await;
    let page = house
        .guest()
        .open("/auth/login?return_to=%2Fthings%3Fa%3D1")
        .await;
    assert_eq!(page.texts("h1"), ["Taking you to Acme single sign-on"]);
    let link = "/auth/login/corp?return_to=%2Fthings%3Fa%3D1";
    assert_eq!(
        page.attributes("a[data-go-on][data-keep-fragment]", "href"),
        [link]
    );
    assert!(page.body.contains(&format!(
        "<noscript><meta http-equiv=\"refresh\" content=\"0;url={link}\">"
    )));
}

#[tokio::test]
async fn several_providers_are_offered() {
    let house = House::with_providers(2).await;
    let mut guest = house.guest();
    guest.language = "de-CH,de;q=0.9".to_owned();
    let page = guest
        .open("/auth/login?return_to=https://evil.example/")
        .await;
    assert_eq!(page.texts("h1"), ["Bei Acme IoT anmelden"]);
    assert_eq!(
        page.texts(".choices a"),
        ["Weiter mit Acme single sign-on", "Weiter mit Partner login"]
    );
    let links = page.attributes(".choices a", "href");
    assert!(
        links.iter().all(|link| link.ends_with("?return_to=%2F")),
        "{links:?}"
    );
}

#[tokio::test]
async fn a_fragment_travels_to_the_end() {
    let house = House::with_providers(1).await;
    house.existing_user("nobody@bianchi.example", "x").await;
    let mut guest = house.guest();
    let begun = guest
        .open("/auth/login/corp?return_to=%2Fthings&fragment=chart%2F2")
        .await;
    assert_eq!(begun.status, 303);
    assert!(
        begun
            .location()
            .starts_with("https://idp.example/authorize?")
    );
}

#[tokio::test]
async fn a_newcomer_registers_and_lands_on_the_page_first_asked_for() {
    let (house, mut guest, page) = newcomer().await;
    assert_eq!(page.texts("h1"), ["Set up your account"]);
    assert_eq!(page.texts(".known dd"), ["giulia@bianchi.example"]);
    assert!(page.texts(".who p")[0].contains("Giulia Bianchi with Acme single sign-on"));
    let sent = guest
        .post("/auth/register", &with_token(&page.token(), &ANSWERS))
        .await;
    assert_eq!(
        (sent.status.as_u16(), sent.location()),
        (303, "/auth/register/progress"),
        "{}",
        sent.body
    );
    let progress = guest.open("/auth/register/progress").await;
    assert_eq!(progress.texts("h1"), ["Setting up your account"]);
    assert_eq!(
        progress.texts(".step .state"),
        ["In progress", "Waiting", "Waiting"]
    );
    house.provision().await;
    assert_eq!(
        guest.open("/auth/register/progress").await.location(),
        "/auth/continue"
    );
    let before = guest.cookies["__Host-vestibule"].clone();
    let onward = guest.open("/auth/continue").await;
    assert_eq!(onward.location(), "/things/17?tab=values#chart");
    assert_ne!(guest.cookies["__Host-vestibule"], before);
    assert_eq!(guest.open("/auth/register").await.location(), "/");
    let again = house.guest().sign_in("giulia", "/other").await;
    assert_eq!(again.location(), "/other");
}

#[tokio::test]
async fn what_was_typed_survives_problems_that_are_named_beside_their_fields() {
    let (_house, mut guest, page) = newcomer().await;
    let answers = [
        ("account_type", "business"),
        ("name", "Giulia Bianchi"),
        ("company", "Bianchi \"&\" Co"),
        ("phone", "12"),
    ];
    let seen = guest
        .post("/auth/register", &with_token(&page.token(), &answers))
        .await;
    assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(seen.texts("title")[0].starts_with("Error: "));
    let targets = seen.attributes(".summary a", "href");
    assert_eq!(
        targets,
        ["#field-phone", "#field-country", "#agreement-terms"]
    );
    for target in &targets {
        assert_eq!(seen.texts(target).len(), 1, "{target} is not on the page");
    }
    assert_eq!(
        seen.attributes("#field-company", "value"),
        ["Bianchi \"&\" Co"]
    );
    assert_eq!(seen.attributes("#field-phone", "value"), ["12"]);
    assert_eq!(
        seen.attributes("[name=account_type][checked]", "value"),
        ["business"]
    );
    assert_eq!(
        seen.attributes("#field-phone", "aria-describedby"),
        ["field-phone-hint field-phone-problem"]
    );
    assert_eq!(seen.attributes(".summary", "autofocus").len(), 1);
}

#[tokio::test]
async fn another_language_keeps_what_was_typed() {
    let (_house, mut guest, page) = newcomer().await;
    let links = page.attributes(".languages button", "formaction");
    assert_eq!(links, ["?language=en", "?language=it", "?language=de"]);
    let token = page.token();
    let fields = with_token(&token, &ANSWERS);
    let page = guest.post("/auth/register?language=de", &fields).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.texts("h1"), ["Ihr Konto einrichten"]);
    assert!(page.texts(".summary").is_empty());
    assert_eq!(page.attributes("#field-phone", "value"), ["06 6982 1234"]);
    assert_eq!(
        page.attributes("[name=account_type][checked]", "value"),
        ["business"]
    );
    assert_eq!(
        guest.open("/auth/register").await.texts("h1"),
        ["Ihr Konto einrichten"]
    );
}

#[tokio::test]
async fn the_country_of_the_browser_is_preselected() {
    let (_house, mut guest, _) = newcomer().await;
    guest.language = "de-AT,de;q=0.9".to_owned();
    let page = guest.open("/auth/register").await;
    assert_eq!(page.attributes("option[selected]", "value"), ["AT"]);
    assert_eq!(page.texts("option[selected]"), ["Österreich"]);
    assert_eq!(page.attributes("#agreement-terms", "value"), ["v-de"]);
}

#[tokio::test]
async fn a_form_is_taken_as_long_as_the_session_lives() {
    let (house, mut guest, page) = newcomer().await;
    house.clock.advance(Duration::from_mins(100));
    guest.open("/auth/register").await;
    let late = guest
        .post("/auth/register", &with_token("broken", &ANSWERS))
        .await;
    assert_eq!(late.status, 403);
    let sent = guest
        .post("/auth/register", &with_token(&page.token(), &ANSWERS))
        .await;
    assert_eq!(sent.location(), "/auth/register/progress");
}

#[tokio::test]
async fn forms_of_others_are_refused() {
    let (house, mut guest, page) = newcomer().await;
    let token = page.token();
    let fields = with_token(&token, &ANSWERS);
    let mut stranger = house.guest();
    assert_eq!(stranger.post("/auth/register", &fields).await.status, 403);
    stranger.sign_in("mallory", "/").await;
    assert_eq!(stranger.post("/auth/register", &fields).await.status, 403);
    let foreign = guest
        .request("POST", "/auth/register")
        .header("origin", "https://evil.example")
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(guest.send(foreign, form(&fields)).await.status, 403);
    let more = [fields.as_slice(), &[("role", "admin")]].concat();
    assert_eq!(guest.post("/auth/register", &more).await.status, 400);
    let twice = [fields.as_slice(), &[("company", "Other")]].concat();
    assert_eq!(guest.post("/auth/register", &twice).await.status, 400);
    let huge = "x".repeat(70_000);
    let huge = [fields.as_slice(), &[("note", &huge)]].concat();
    assert_eq!(guest.post("/auth/register", &huge).await.status, 413);
    assert_eq!(
        house
            .platform
            .customers(&Listing {
                after: String::new(),
                limit: 9
            })
            .await
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test]
async fn an_existing_account_is_connected_by_a_mailed_code() {
    let house = House::with_providers(1).await;
    house
        .existing_user("giulia@bianchi.example", "correct horse")
        .await;
    let mut guest = house.guest();
    guest.sign_in("giulia", "/things").await;
    assert_eq!(
        guest.open("/auth/register").await.location(),
        "/auth/register/prove"
    );
    let page = guest.open("/auth/register/prove").await;
    assert!(page.texts(".lead")[0].contains("g•••@bianchi.example"));
    let token = page.token();
    let mut prove = async |fields: &[(&str, &str)]| {
        guest
            .post("/auth/register/prove", &with_token(&token, fields))
            .await
    };
    assert_eq!(
        prove(&[("do", "send")]).await.location(),
        "/auth/register/prove?sent"
    );
    let wrong = prove(&[("do", "code"), ("code", "12")]).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.attributes(".summary a", "href"), ["#code"]);
    let letter = house.newest_letter();
    let code = letter
        .lines()
        .map(str::trim)
        .find(|line| line.len() >= 6 && line.bytes().all(|octet| octet.is_ascii_digit()));
    let spaced = code
        .unwrap()
        .chars()
        .flat_map(|digit| [digit, ' '])
        .collect::<String>();
    assert_eq!(
        prove(&[("do", "code"), ("code", &spaced)]).await.location(),
        "/auth/continue"
    );
    assert_eq!(guest.open("/auth/continue").await.location(), "/things");
}

#[tokio::test]
async fn an_existing_account_is_connected_by_its_password() {
    let house = House::with_providers(1).await;
    house
        .existing_user("giulia@bianchi.example", "correct horse")
        .await;
    let mut guest = house.guest();
    guest.sign_in("giulia", "/things").await;
    let token = guest.open("/auth/register/prove").await.token();
    let mut prove = async |password: &str| {
        let fields = [
            ("form_token", token.as_str()),
            ("do", "password"),
            ("password", password),
        ];
        guest.post("/auth/register/prove", &fields).await
    };
    let wrong = prove("wrong").await;
    assert_eq!(wrong.status, 422);
    assert_eq!(
        wrong.texts("details[open] .error"),
        ["This password is not right. Try again, or use a code by e-mail"]
    );
    assert!(!wrong.body.contains("value=\"wrong\""));
    assert_eq!(prove("").await.status, 422);
    assert_eq!(prove("correct horse").await.location(), "/auth/continue");
}

#[tokio::test]
async fn staff_are_told_what_to_do_and_can_use_another_account() {
    let house = House::with_providers(1).await;
    let mut guest = house.guest();
    let page = guest.sign_in("staff", "/things").await;
    assert_eq!(page.status, 403);
    assert_eq!(page.texts("h1"), ["This sign-in is not for customers"]);
    assert_eq!(page.texts(".reference code"), ["r-1"]);
    let way_on = page.attributes(".actions a", "href");
    assert_eq!(way_on, ["/auth/login/corp?return_to=%2Fthings&another=yes"]);
    let again = guest.open(&way_on[0]).await;
    assert!(again.location().contains("prompt=select_account"));
    assert!(!guest.cookies.contains_key("__Host-vestibule"));
}

#[tokio::test]
async fn whoever_is_not_this_person_leaves_and_keeps_the_way() {
    let (_house, mut guest, page) = newcomer().await;
    let fields = [("form_token", &*page.token()), ("then", "login")];
    let left = guest.post("/auth/logout", &fields).await;
    assert_eq!(
        left.location(),
        "/auth/login?return_to=%2Fthings%2F17%3Ftab%3Dvalues%23chart&another=yes"
    );
    assert!(!guest.cookies.contains_key("__Host-vestibule"));
}

#[tokio::test]
async fn signing_out_is_asked_first_and_leads_through_the_provider() {
    let (_house, mut guest, _) = newcomer().await;
    let page = guest.open("/auth/logout").await;
    assert_eq!(page.texts("h1"), ["Do you want to sign out?"]);
    assert!(guest.cookies.contains_key("__Host-vestibule"));
    assert_eq!(guest.post("/auth/logout", &[]).await.status, 403);
    let left = guest
        .post("/auth/logout", &[("form_token", &*page.token())])
        .await;
    assert_eq!(
        left.attributes("a[data-go-on]", "href"),
        ["https://idp.example/logout"]
    );
    assert_eq!(left.headers["clear-site-data"], "\"cache\"");
    assert!(!guest.cookies.contains_key("__Host-vestibule"));
    assert_eq!(
        guest.open("/auth/logout").await.location(),
        "/auth/logged-out"
    );
    assert_eq!(
        guest.open("/auth/logged-out").await.texts("h1"),
        ["You are signed out"]
    );
}

#[tokio::test]
async fn a_language_is_remembered() {
    let house = House::with_providers(1).await;
    let mut guest = house.guest();
    let fields = [("language", "it"), ("return_to", "/auth/logged-out")];
    let chosen = guest.post("/auth/language", &fields).await;
    assert_eq!(chosen.location(), "/auth/logged-out");
    let page = guest.open("/auth/logged-out").await;
    assert_eq!(page.texts("h1"), ["Sei uscito"]);
    assert_eq!(page.attributes("html", "lang"), ["it"]);
    assert_eq!(
        page.attributes(".languages input", "value"),
        ["/auth/logged-out"]
    );
    assert_eq!(
        guest
            .post("/auth/language", &[("language", "xx")])
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn files_may_be_kept_and_pages_may_not() {
    let house = House::with_providers(1).await;
    let mut guest = house.guest();
    let page = guest.open("/auth/login").await;
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let sheet = page.attributes("link[rel=stylesheet]", "href").remove(0);
    let file = guest.open(&sheet).await;
    assert_eq!(file.headers["content-type"], "text/css; charset=utf-8");
    assert!(
        file.headers["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    assert!(file.body.starts_with(":root{--brand:"));
    let older = guest.open("/auth/assets/pages.000000000000.css").await;
    assert_eq!(
        (older.status.as_u16(), &older.headers["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    assert_eq!(guest.open("/auth/assets/pages.exe").await.status, 404);
}

#[tokio::test]
async fn agreements_can_be_read_by_everybody() {
    let house = House::with_providers(1).await;
    let mut guest = house.guest();
    guest.language = "it".to_owned();
    let page = guest.open("/auth/agreements/terms").await;
    assert_eq!(page.texts("h1"), ["Terms"]);
    assert_eq!(page.attributes("article", "lang"), ["en"]);
    assert!(page.body.contains("Be &lt;b&gt;kind&lt;/b&gt;."));
    assert_eq!(guest.open("/auth/agreements/none").await.status, 404);
}

#[tokio::test]
async fn strangers_to_the_registration_are_sent_to_sign_in() {
    let house = House::with_providers(1).await;
    let mut guest = house.guest();
    for path in [
        "/auth/register",
        "/auth/register/progress",
        "/auth/register/prove",
        "/auth/continue",
    ] {
        assert_eq!(guest.open(path).await.location(), "/auth/login", "{path}");
    }
}

#[tokio::test]
async fn programs_get_problem_details() {
    let house = House::with_providers(1).await;
    let mut guest = house.guest();
    let seen = guest
        .request("GET", "/auth/nothing")
        .header("accept", "application/json");
    let mut seen = seen.body(axum::body::Body::empty()).unwrap();
    seen.headers_mut().remove("accept");
    seen.extensions_mut()
        .get_mut::<crate::access::ClientContext>()
        .unwrap()
        .kind = crate::access::RequestKind::Api;
    let (parts, body) = seen.into_parts();
    let mut request = axum::http::Request::builder().uri(parts.uri);
    *request.headers_mut().unwrap() = parts.headers;
    *request.extensions_mut().unwrap() = parts.extensions;
    let seen = guest.send(request, body).await;
    assert_eq!(seen.status, 404);
    assert_eq!(seen.headers["content-type"], "application/problem+json");
    assert!(seen.body.contains("\"reference\":\"r-1\""));
}

#[tokio::test]
async fn a_callback_that_nobody_asked_for_has_a_way_on() {
    let house = House::with_providers(1).await;
    let mut guest = house.guest();
    for query in [
        "",
        "?code=x",
        "?state=x",
        "?code=x&state=y",
        "?error=access_denied&state=y",
        "?code=x&code=y&state=z",
    ] {
        let seen = guest.open(&format!("/auth/callback{query}")).await;
        assert_eq!(seen.status, 400, "{query}");
        assert_eq!(
            seen.attributes(".actions a", "href"),
            ["/auth/login"],
            "{query}"
        );
    }
    let head = guest.request("HEAD", "/auth/callback?code=x&state=y");
    assert_eq!(
        guest.send(head, axum::body::Body::empty()).await.status,
        405
    );
    assert!(guest.cookies.is_empty());
}
