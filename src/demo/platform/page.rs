//! The pages of the platform.

use axum::response::{Html, IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{StatusCode, Uri};

use super::things::{THINGS, Thing};
use super::visitor::Visitor;
use crate::demo::markup::Escaped;

/// All things, and what to try.
pub(super) fn things(visitor: &Visitor) -> Response {
    let cards: String = THINGS.iter().map(card).collect();
    let body = format!(
        "<h1>Your things</h1><ul class=\"things\">{cards}</ul>\
         <section class=\"panel\"><h2>Worth a try</h2><ul>\
         <li>Open <a href=\"/things/17?tab=values#chart\">/things/17?tab=values#chart</a> in a \
         private window: after the login you are back on that very chart.</li>\
         <li><code>curl -i</code> this address with <code>/api/me</code>: without a session an API \
         call is answered with 401 and JSON, never with a login page. In here, \
         <a href=\"/api/me\">it says who you are</a>.</li>\
         <li><a href=\"/status\">/status</a> is open to everybody.</li>\
         </ul></section>"
    );
    page(StatusCode::OK, "Your things", Some(visitor), &body)
}

fn card(thing: &Thing) -> String {
    format!(
        "<li class=\"{state}\"><a href=\"/things/{id}?tab=values#chart\">\
         <span class=\"place\">{place}</span><strong>{name}</strong>\
         <svg viewBox=\"0 0 330 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <polyline points=\"{points}\"/></svg>\
         <span class=\"reading\">{latest:.1} {unit}</span>\
         <span class=\"note\">{note}</span></a></li>",
        state = if thing.attention { "attention" } else { "well" },
        id = thing.id,
        place = Escaped(thing.place),
        name = Escaped(thing.name),
        points = thing.polyline(),
        latest = thing.latest(),
        unit = Escaped(thing.unit),
        note = if thing.attention {
            "Needs a look"
        } else {
            "All is well"
        },
    )
}

/// One thing; the query chooses the tab, and the fragment leads to the chart.
pub(super) fn thing(visitor: &Visitor, thing: &Thing, query: &str, uri: &Uri) -> Response {
    let on_values = query.split('&').any(|pair| pair == "tab=values");
    let (values, about) = if on_values {
        ("page", "false")
    } else {
        ("false", "page")
    };
    let path_and_query = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let body = format!(
        "<p class=\"crumbs\"><a href=\"/things\">Your things</a> / {place}</p><h1>{name}</h1>\
         <nav class=\"tabs\" aria-label=\"Views\">\
         <a href=\"/things/{id}\" aria-current=\"{about}\">About</a>\
         <a href=\"/things/{id}?tab=values\" aria-current=\"{values}\">Values</a></nav>{tab}\
         <p class=\"landed\">You landed on <code>{address}<span id=\"fragment\"></span></code></p>",
        place = Escaped(thing.place),
        name = Escaped(thing.name),
        id = thing.id,
        tab = if on_values {
            chart(thing)
        } else {
            about_it(thing)
        },
        address = Escaped(path_and_query),
    );
    page(StatusCode::OK, thing.name, Some(visitor), &body)
}

fn chart(thing: &Thing) -> String {
    format!(
        "<section class=\"panel\" id=\"chart\"><h2>{measures}, last twelve hours</h2>\
         <svg class=\"chart\" viewBox=\"0 0 330 100\" role=\"img\" aria-label=\"{measures} over \
         twelve hours, {latest:.1} {unit} in the end\"><polyline points=\"{points}\"/></svg>\
         <p class=\"reading\">{latest:.1} {unit}</p></section>",
        measures = Escaped(thing.measures),
        latest = thing.latest(),
        unit = Escaped(thing.unit),
        points = thing.polyline(),
    )
}

fn about_it(thing: &Thing) -> String {
    format!(
        "<section class=\"panel\"><h2>About</h2><dl><dt>Stands in</dt><dd>{}</dd>\
         <dt>Measures</dt><dd>{}</dd></dl></section>",
        Escaped(thing.place),
        Escaped(thing.measures)
    )
}

/// What the platform is told about who is there, and their roles.
pub(super) fn me(visitor: &Visitor, roles: &[String]) -> Response {
    let body = format!(
        "<h1>Who you are</h1><section class=\"panel\"><p>This platform has no login of its own. \
         It is told by the gateway, in these headers:</p>{}</section>{}",
        identity(visitor),
        their_roles(roles)
    );
    page(StatusCode::OK, "Who you are", Some(visitor), &body)
}

/// Roles that came from groups at the identity provider, by `[[role]]` of `onboarding.toml`.
fn their_roles(roles: &[String]) -> String {
    if roles.is_empty() {
        return String::new();
    }
    let names: Vec<String> = roles.iter().map(|role| Escaped(role).to_string()).collect();
    format!(
        "<section class=\"panel\"><h2>Your roles</h2><p>The gateway keeps them as your groups at the \
         identity provider say, at each sign-in; <code>policies/onboarding.toml</code> says \
         how.</p><ul><li>{}</li></ul></section>",
        names.join("</li><li>")
    )
}

fn identity(visitor: &Visitor) -> String {
    let row = |name: &str, value: Option<&str>| match value {
        Some(value) => format!("<dt>{name}</dt><dd><code>{}</code></dd>", Escaped(value)),
        None => format!("<dt>{name}</dt><dd>not sent</dd>"),
    };
    format!(
        "<dl>{}{}{}</dl>",
        row("X-Vestibule-User", Some(&visitor.user)),
        row("X-Vestibule-Customer", visitor.customer.as_deref()),
        row("X-Vestibule-Email", visitor.email.as_deref()),
    )
}

/// A page that is open to everybody.
pub(super) fn status(visitor: Option<&Visitor>) -> Response {
    let body = "<h1>All systems are running</h1><section class=\"panel\"><p>A rule in \
        <code>policies/access.toml</code> makes this page public.</p></section>";
    page(StatusCode::OK, "Status", visitor, body)
}

/// There is no such page.
pub(super) fn not_found(visitor: Option<&Visitor>) -> Response {
    let body = "<h1>There is nothing here</h1><p><a href=\"/things\">Back to your things</a></p>";
    page(StatusCode::NOT_FOUND, "Nothing here", visitor, body)
}

/// No identity headers.
pub(super) fn stranger() -> Response {
    let body = "<h1>Nobody is signed in</h1><p>No identity header came with this request: you are \
        talking to the platform itself, around the gateway.</p>";
    page(StatusCode::UNAUTHORIZED, "Nobody is signed in", None, body)
}

fn page(status: StatusCode, title: &str, visitor: Option<&Visitor>, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · Brightwater</title>\
         <link rel=\"stylesheet\" href=\"/assets/brightwater.css\">\
         <script src=\"/assets/brightwater.js\" defer></script></head><body>\
         <header><a class=\"brand\" href=\"/things\"><svg viewBox=\"0 0 24 24\" aria-hidden=\"true\">\
         <path d=\"M12 2c4 5 7 8.5 7 12.5a7 7 0 0 1-14 0C5 10.5 8 7 12 2z\"/></svg>\
         Brightwater</a>{bar}</header><main>{body}</main></body></html>",
        title = Escaped(title),
        bar = visitor.map_or_else(String::new, bar),
    );
    (status, [(CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

fn bar(visitor: &Visitor) -> String {
    let customer = visitor.customer.as_deref().unwrap_or("no customer");
    format!(
        "<span class=\"clock\" id=\"clock\" title=\"Live, over a WebSocket\">--:--:--</span>\
         <a class=\"who\" href=\"/me\"><strong>{}</strong><small>{}</small></a>\
         <a class=\"out\" href=\"{}\">Log out</a>",
        Escaped(visitor.label()),
        Escaped(customer),
        crate::paths::LOGOUT,
    )
}
