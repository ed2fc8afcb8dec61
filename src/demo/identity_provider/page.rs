//! The pages of the identity provider: whom to be, signed out, something is wrong.

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use url::Url;

use crate::demo::markup::Escaped;
use crate::demo::people::{EVERYBODY, Person};

const STYLE: &str = include_str!("style.css");

/// The stylesheet.
pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// `GET /`: what this is.
pub(super) async fn front() -> Response {
    let body = "<h1>Lighthouse ID</h1><p class=\"lead\">This is the identity provider of the \
        Vestibule demo. Open the demo’s own address, and you will be sent here to sign in.</p>";
    page(StatusCode::OK, "Lighthouse ID", body, "'self'")
}

/// Whom to be. The form repeats the request, so that nothing has to be kept in between.
pub(super) fn people(query: &str, redirect_uri: &str) -> Response {
    let action = format!("/authorize?{query}");
    let cards: String = EVERYBODY
        .iter()
        .map(|person| card(person, &action))
        .collect();
    let body = format!(
        "<h1>Who would you like to be?</h1>\
         <p class=\"lead\">Everybody here is invented, and nobody needs a password.</p>\
         <ul class=\"people\">{cards}</ul>\
         <form method=\"post\" action=\"{}\"><button class=\"quiet\" name=\"back\" value=\"1\">\
         Cancel and go back</button></form>",
        Escaped(&action)
    );
    // Chromium applies form-action to the redirect that follows as well.
    let back = Url::parse(redirect_uri).map(|url| url.origin().ascii_serialization());
    let targets = format!("'self' {}", back.unwrap_or_default());
    page(StatusCode::OK, "Choose a person", &body, &targets)
}

fn card(person: &Person, action: &str) -> String {
    let employer = person
        .employer
        .map(|employer| format!(" · {}", employer.name));
    let initials: String = [person.given_name, person.family_name]
        .iter()
        .filter_map(|name| name.chars().next())
        .collect();
    format!(
        "<li><form method=\"post\" action=\"{action}\">\
         <button class=\"person\" name=\"person\" value=\"{subject}\">\
         <span class=\"face face-{subject}\" aria-hidden=\"true\">{initials}</span>\
         <span class=\"who\"><span class=\"name\"><strong>{name}</strong><span class=\"role\">{role}</span></span>\
         <span class=\"contact\">{email}{employer}</span>\
         <span class=\"shows\">{shows}</span></span></button></form></li>",
        action = Escaped(action),
        subject = Escaped(person.subject),
        initials = Escaped(&initials),
        name = Escaped(&person.name()),
        role = Escaped(person.role),
        email = Escaped(person.email),
        employer = Escaped(&employer.unwrap_or_default()),
        shows = Escaped(person.shows),
    )
}

/// The session is over.
pub(super) fn signed_out() -> Response {
    let body = "<h1>You are signed out</h1><p class=\"lead\">You can close this page.</p>";
    page(StatusCode::OK, "Signed out", body, "'self'")
}

/// Anybody could have sent one here, so that one is asked.
pub(super) fn ask_to_sign_out() -> Response {
    let body = "<h1>Sign out of Lighthouse ID?</h1>\
        <form method=\"post\" action=\"/end-session\">\
        <button class=\"plain\" name=\"confirmed\" value=\"1\">Sign out</button></form>";
    page(StatusCode::OK, "Sign out?", body, "'self'")
}

/// Something is wrong, and there is nobody to send the answer to.
pub(super) fn problem(status: StatusCode, sentence: &str) -> Response {
    let body = format!(
        "<h1>This did not work</h1><p class=\"lead\">{}</p>\
         <p>Go back to the application and try again.</p>",
        Escaped(sentence)
    );
    page(status, "This did not work", &body, "'self'")
}

fn page(status: StatusCode, title: &str, body: &str, form_action: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action {form_action}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{} · Lighthouse ID</title><link rel=\"stylesheet\" href=\"/style.css\"></head>\
         <body><header><span class=\"beam\" aria-hidden=\"true\"></span>Lighthouse ID\
         <span class=\"demo\">demo identity provider</span></header><main>{body}</main></body></html>",
        Escaped(title)
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, policy.as_str()),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, Html(html)).into_response()
}
