//! Takes the facts of a request, once: host, canonical path, kind, client.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, Version, header};
use ipnet::IpNet;
use pingora_http::RequestHeader;

use super::answer::Problem;
use super::head::folds_to_framing;
use super::settings::{HostSettings, Hosts};
use crate::access::path::{CanonicalPath, PathProblem};
use crate::access::{RequestFacts, RequestKind};
use crate::clock::Timestamp;

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Fields by which browsers say that nobody may ever look at the answer.
const PURPOSES: [HeaderName; 3] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-moz"),
];

/// Takes the facts, or says what is wrong with the request.
pub(super) fn take<'a>(
    request: &RequestHeader,
    hosts: &'a Hosts,
    (client, kind, at): (IpAddr, RequestKind, Timestamp),
) -> Result<(RequestFacts, &'a Arc<HostSettings>), Problem> {
    let authority = authority(request)?;
    let host = find_host(hosts, authority).ok_or(Problem::UnknownHost)?;
    let (path, query) = target(request).ok_or(Problem::Path(PathProblem::NotAbsolute))?;
    let facts = RequestFacts {
        host: Arc::clone(&host.name),
        own_origin: Arc::clone(&host.origin),
        method: request.method.clone(),
        path: CanonicalPath::parse(path).map_err(Problem::Path)?,
        query: query.map(canonical_query).transpose()?,
        kind,
        client,
        at,
        origin: text(&request.headers, header::ORIGIN).map(str::to_owned),
    };
    Ok((facts, host))
}

/// What the judge of HTTP/1 heads says about fields, for HTTP/2 as well: how many there may be,
/// and none that a server folds to one that frames the body.
pub(super) fn check_fields(headers: &HeaderMap, most: usize) -> Result<(), Problem> {
    if headers.len() > most {
        return Err(Problem::HeadTooLarge);
    }
    let is_clear = !headers.keys().any(|name| {
        matches!(name.as_str().len(), 14 | 17)
            && *name != header::CONTENT_LENGTH
            && *name != header::TRANSFER_ENCODING
            && folds_to_framing(name.as_str().as_bytes())
    });
    is_clear.then_some(()).ok_or(Problem::Malformed)
}

/// `Host` or `:authority`; both, if they agree. The library has refused what contradicts itself.
fn authority(request: &RequestHeader) -> Result<&str, Problem> {
    let mut fields = request.headers.get_all(header::HOST).iter();
    let field = fields.next().map(http::HeaderValue::to_str).transpose();
    let field = field.map_err(|_| Problem::Host)?;
    if fields.next().is_some() {
        return Err(Problem::Host);
    }
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    match (authority, field) {
        (Some(authority), Some(field)) if !authority.eq_ignore_ascii_case(field) => {
            Err(Problem::Host)
        }
        (Some(text), _) | (None, Some(text)) => Ok(text),
        (None, None) => Err(Problem::Host),
    }
}

fn find_host<'a>(hosts: &'a Hosts, authority: &str) -> Option<&'a Arc<HostSettings>> {
    let name = without_port(authority)?;
    hosts
        .get(name)
        .or_else(|| hosts.get(name.to_ascii_lowercase().as_str()))
}

fn without_port(authority: &str) -> Option<&str> {
    let bracket = authority.rfind(']').unwrap_or(0);
    let Some(colon) = authority.get(bracket..)?.find(':') else {
        return Some(authority);
    };
    let (name, port) = authority.split_at_checked(bracket + colon)?;
    let digits = port.get(1..)?;
    (digits.len() <= 5 && digits.bytes().all(|octet| octet.is_ascii_digit())).then_some(name)
}

/// Path and query of origin-form and absolute-form targets.
fn target(request: &RequestHeader) -> Option<(&[u8], Option<&[u8]>)> {
    let raw = request.raw_path();
    let path_and_query = if raw.first() == Some(&b'/') {
        raw
    } else {
        after_authority(raw)?
    };
    Some(
        match path_and_query.iter().position(|octet| *octet == b'?') {
            Some(mark) => (path_and_query.get(..mark)?, path_and_query.get(mark + 1..)),
            None => (path_and_query, None),
        },
    )
}

fn after_authority(target: &[u8]) -> Option<&[u8]> {
    let scheme_end = target.windows(3).position(|octets| octets == b"://")?;
    let scheme = target.get(..scheme_end)?;
    let is_web = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let rest = target.get(scheme_end + 3..).filter(|_| is_web)?;
    let path_start = rest.iter().position(|octet| matches!(octet, b'/' | b'?'));
    match path_start {
        Some(start) if rest.get(start) == Some(&b'/') => rest.get(start..),
        Some(_) => None,
        None => Some(b"/"),
    }
}

/// The query as sent; what is not ASCII is encoded.
fn canonical_query(query: &[u8]) -> Result<String, Problem> {
    let text = std::str::from_utf8(query).map_err(|_| Problem::Path(PathProblem::NotUtf8))?;
    let is_clean = !text
        .bytes()
        .any(|octet| octet <= b' ' || octet == 0x7f || octet == b'#');
    if !is_clean {
        return Err(Problem::Path(PathProblem::Unencoded));
    }
    Ok(percent_encoding::utf8_percent_encode(text, &percent_encoding::AsciiSet::EMPTY).to_string())
}

/// What kind of answer the request expects.
pub(super) fn kind(request: &RequestHeader) -> RequestKind {
    if is_websocket(request) {
        return RequestKind::WebSocket;
    }
    let headers = &request.headers;
    let is_preflight = request.method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_preflight {
        return RequestKind::Preflight;
    }
    if is_grpc(headers) {
        return RequestKind::Grpc;
    }
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    if is_read && is_navigation(headers) && !is_speculative(headers) {
        RequestKind::Page
    } else {
        RequestKind::Api
    }
}

/// `application/grpc`, alone or with `+proto` and others (gRPC over HTTP/2, requests).
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .map(http::HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn is_navigation(headers: &HeaderMap) -> bool {
    match headers.get(FETCH_MODE) {
        Some(mode) => {
            mode == "navigate" && headers.get(FETCH_DEST).is_some_and(|to| to == "document")
        }
        None => {
            text(headers, header::ACCEPT)
                .is_some_and(|types| contains(types.as_bytes(), b"text/html"))
                && !headers.contains_key(REQUESTED_WITH)
        }
    }
}

fn is_speculative(headers: &HeaderMap) -> bool {
    PURPOSES.iter().any(|name| {
        headers.get_all(name).iter().any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            contains(&value, b"prefetch") || contains(&value, b"prerender")
        })
    })
}

/// A handshake (RFC 6455, section 4.1): nothing follows its head until the upstream agrees.
fn is_websocket(request: &RequestHeader) -> bool {
    request.version == Version::HTTP_11
        && request.method == Method::GET
        && text(&request.headers, header::UPGRADE)
            .is_some_and(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
        && !request.headers.contains_key(header::CONTENT_LENGTH)
        && !request.headers.contains_key(header::TRANSFER_ENCODING)
}

fn contains(octets: &[u8], wanted: &[u8]) -> bool {
    octets.windows(wanted.len()).any(|window| window == wanted)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The client: the peer, or, when the peer is a configured proxy, the right-most address in
/// `X-Forwarded-For` that is none. Where an address does not parse, what forwarded it counts.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    let fields: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    for entry in fields.iter().rev().flat_map(|field| field.rsplit(',')) {
        if !is_trusted(&client) {
            break;
        }
        match address(entry.trim()) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

fn address(entry: &str) -> Option<IpAddr> {
    let plain = entry.trim_start_matches('[').trim_end_matches(']');
    plain.parse().ok().or_else(|| {
        entry
            .parse::<std::net::SocketAddr>()
            .ok()
            .map(|address| address.ip())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        [
            "https://app.example.com",
            "http://localhost:8080",
            "https://[2001:db8::1]",
        ]
        .into_iter()
        .map(|origin| HostSettings::from_origin(origin).unwrap())
        .map(|host| (Arc::clone(&host.name), Arc::new(host)))
        .collect()
    }

    fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build(method, target.as_bytes(), None).unwrap();
        for (name, value) in fields {
            request.append_header((*name).to_owned(), *value).unwrap();
        }
        request
    }

    fn somebody() -> (IpAddr, RequestKind, Timestamp) {
        let at = Timestamp::from_millis(0);
        (IpAddr::from([192, 0, 2, 10]), RequestKind::Api, at)
    }

    fn facts(target: &str, host: &str) -> Result<RequestFacts, Problem> {
        let request = request("GET", target, &[("host", host)]);
        take(&request, &hosts(), somebody()).map(|(facts, _)| facts)
    }

    #[test]
    fn hosts_are_known_by_name_whatever_the_port_or_case() {
        for host in [
            "app.example.com",
            "APP.example.com:8443",
            "localhost",
            "[2001:db8::1]:1",
        ] {
            assert!(facts("/", host).is_ok(), "{host}");
        }
        for host in [
            "evil.example",
            "app.example.com.evil.example",
            "b.app.example.com",
            "",
        ] {
            assert!(
                matches!(facts("/", host), Err(Problem::UnknownHost)),
                "{host}"
            );
        }
        assert!(facts("/", "app.example.com:x").is_err());
    }

    #[test]
    fn several_or_no_hosts_are_refused() {
        let two = request("GET", "/", &[("host", "localhost"), ("host", "localhost")]);
        assert!(matches!(
            take(&two, &hosts(), somebody()),
            Err(Problem::Host)
        ));
        assert!(matches!(
            take(&request("GET", "/", &[]), &hosts(), somebody()),
            Err(Problem::Host)
        ));
    }

    #[test]
    fn fields_have_a_bound_and_none_looks_like_framing() {
        let headers = |fields: &[(&str, &str)]| request("GET", "/", fields).headers.clone();
        assert!(check_fields(&headers(&[("content-length", "1"), ("host", "a")]), 2).is_ok());
        let two = headers(&[("a", "1"), ("b", "2")]);
        assert_eq!(check_fields(&two, 1), Err(Problem::HeadTooLarge));
        for name in ["content_length", "transfer_encoding", "Transfer.Encoding"] {
            let folded = headers(&[(name, "1")]);
            assert_eq!(check_fields(&folded, 9), Err(Problem::Malformed), "{name}");
        }
    }

    #[test]
    fn the_query_takes_no_part_in_the_path() {
        let facts = facts("/admin?x=/public/..%2f&u=ü?", "localhost").unwrap();
        assert_eq!(facts.path.as_str(), "/admin");
        assert_eq!(facts.query.as_deref(), Some("x=/public/..%2f&u=%C3%BC?"));
    }

    #[test]
    fn an_absolute_target_counts_by_its_path() {
        let facts = facts("http://localhost/admin?x", "localhost").unwrap();
        assert_eq!(facts.path.as_str(), "/admin");
        for target in ["ftp://localhost/", "localhost", "*", "http://localhost?x"] {
            let mut request = request("GET", "/", &[("host", "localhost")]);
            request.set_raw_path(target.as_bytes()).unwrap();
            assert!(take(&request, &hosts(), somebody()).is_err(), "{target}");
        }
    }

    #[test]
    fn only_navigations_are_pages() {
        let kind_of = |method, fields: &[(&str, &str)]| kind(&request(method, "/", fields));
        let html = ("accept", "text/html,*/*");
        let navigate = ("sec-fetch-mode", "navigate");
        let document = ("sec-fetch-dest", "document");
        assert_eq!(kind_of("GET", &[html]), RequestKind::Page);
        assert_eq!(kind_of("HEAD", &[html]), RequestKind::Page);
        assert_eq!(kind_of("GET", &[navigate, document]), RequestKind::Page);
        for (method, fields) in [
            ("POST", &[html][..]),
            ("GET", &[("accept", "*/*")]),
            ("GET", &[]),
            ("GET", &[html, ("x-requested-with", "XMLHttpRequest")]),
            ("GET", &[html, ("sec-fetch-mode", "cors"), document]),
            ("GET", &[html, navigate, ("sec-fetch-dest", "iframe")]),
            ("GET", &[html, navigate, ("sec-fetch-dest", "image")]),
            (
                "GET",
                &[
                    html,
                    navigate,
                    document,
                    ("sec-purpose", "prefetch;prerender"),
                ],
            ),
            ("GET", &[html, ("purpose", "prefetch")]),
            ("GET", &[html, ("x-moz", "prefetch")]),
        ] {
            assert_eq!(
                kind_of(method, fields),
                RequestKind::Api,
                "{method} {fields:?}"
            );
        }
        let upgrade = ("upgrade", "WebSocket");
        assert_eq!(kind_of("GET", &[upgrade]), RequestKind::WebSocket);
        assert_eq!(kind_of("POST", &[upgrade]), RequestKind::Api);
        assert_eq!(
            kind_of("GET", &[upgrade, ("content-length", "9")]),
            RequestKind::Api
        );
        let (origin, asked) = (
            ("origin", "https://a"),
            ("access-control-request-method", "PUT"),
        );
        assert_eq!(kind_of("OPTIONS", &[origin, asked]), RequestKind::Preflight);
        assert_eq!(kind_of("OPTIONS", &[origin]), RequestKind::Api);
        assert_eq!(kind_of("GET", &[origin, asked]), RequestKind::Api);
    }

    #[test]
    fn forwarded_addresses_count_only_from_configured_proxies() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let client_of = |peer: &str, fields: &[(&str, &str)], trusted: &[IpNet]| {
            client(
                peer.parse().unwrap(),
                &request("GET", "/", fields).headers,
                trusted,
            )
            .to_string()
        };
        let lie = ("x-forwarded-for", "1.2.3.4");
        assert_eq!(client_of("192.0.2.10", &[lie], &trusted), "192.0.2.10");
        assert_eq!(client_of("10.1.1.1", &[lie], &[]), "10.1.1.1");
        assert_eq!(client_of("10.1.1.1", &[lie], &trusted), "1.2.3.4");
        for (fields, expected) in [
            (
                &[("x-forwarded-for", "10.9.9.9, 192.0.2.10")][..],
                "192.0.2.10",
            ),
            (
                &[("x-forwarded-for", "1.2.3.4, 192.0.2.10, 10.2.2.2")],
                "192.0.2.10",
            ),
            (&[lie, ("x-forwarded-for", "192.0.2.10")], "192.0.2.10"),
            (&[("x-forwarded-for", "1.2.3.4, unknown")], "10.1.1.1"),
            (&[("x-forwarded-for", "")], "10.1.1.1"),
            (&[("x-forwarded-for", "192.0.2.10:1234")], "192.0.2.10"),
            (&[("x-forwarded-for", "[2001:db8::7]:99")], "2001:db8::7"),
            (&[("x-forwarded-for", "10.3.3.3")], "10.3.3.3"),
        ] {
            assert_eq!(
                client_of("10.1.1.1", fields, &trusted),
                expected,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn fuzzed_forwarding_fields_name_nobody_whom_a_proxy_did_not_see() {
        let fuzz = crate::fuzz::Fuzz {
            name: "forwarded_for",
            corpus: include_str!("../../tests/fuzz/corpus/forwarded_for.txt"),
            words: &["10.0.0.1", "192.0.2.10", "::ffff:", "[::1]", ", ", ":80"],
        };
        fuzz.run(|octets| {
            let mut request = request("GET", "/", &[]);
            for field in octets.split(|octet| *octet == b'\n') {
                if let Ok(value) = http::HeaderValue::from_bytes(field) {
                    request.append_header("x-forwarded-for", value).unwrap();
                }
            }
            let trusted = ["10.0.0.0/8".parse().unwrap()];
            let (stranger, proxy) = (IpAddr::from([192, 0, 2, 99]), IpAddr::from([10, 1, 1, 1]));
            assert_eq!(client(stranger, &request.headers, &trusted), stranger);
            assert_eq!(client(proxy, &request.headers, &[]), proxy);
            let told = client(proxy, &request.headers, &trusted);
            assert_eq!(told, told.to_canonical());
            // Only what the last proxy of ours wrote counts: nothing to the left of a stranger.
            let mut forged = request;
            let all = forged.headers.get_all("x-forwarded-for").iter().cloned();
            let all: Vec<http::HeaderValue> = all.collect();
            forged.remove_header("x-forwarded-for");
            forged
                .append_header("x-forwarded-for", "203.0.113.7")
                .unwrap();
            for value in all {
                forged.append_header("x-forwarded-for", value).unwrap();
            }
            let is_trusted = trusted[0].contains(&told);
            if !is_trusted {
                assert_eq!(client(proxy, &forged.headers, &trusted), told);
            }
            (told == proxy, is_trusted, told.is_ipv6())
        });
    }

    #[test]
    fn fuzzed_requests_have_facts_or_a_problem() {
        let fuzz = crate::fuzz::Fuzz {
            name: "heads",
            corpus: include_str!("../../tests/fuzz/corpus/heads.txt"),
            words: &[
                "Host: app.example.com\r\n",
                "Upgrade: websocket\r\n",
                "Origin: https://a\r\n",
                "Sec-Fetch-Mode: navigate\r\n",
                "Accept: text/html\r\n",
                "GET ",
                "http://",
            ],
        };
        fuzz.run(|octets| {
            let mut fields = [httparse::EMPTY_HEADER; 32];
            let mut head = httparse::Request::new(&mut fields);
            let Ok(httparse::Status::Complete(_)) = head.parse(octets) else {
                return (0, 0);
            };
            let (method, target) = (head.method.unwrap(), head.path.unwrap());
            let Ok(mut request) = RequestHeader::build(method, target.as_bytes(), None) else {
                return (1, 0);
            };
            for field in &*head.headers {
                if request
                    .append_header(field.name.to_owned(), field.value)
                    .is_err()
                {
                    return (1, 0);
                }
            }
            let (client, _, at) = somebody();
            let (hosts, kind) = (hosts(), kind(&request));
            match take(&request, &hosts, (client, kind, at)) {
                Ok((facts, host)) => {
                    assert_eq!(facts.kind, kind);
                    assert_eq!(facts.host, host.name);
                    assert!(facts.path.as_str().starts_with('/') && facts.path.as_str().is_ascii());
                    let query = facts.query.as_deref().unwrap_or_default();
                    assert!(
                        query.bytes().all(|octet| octet.is_ascii_graphic()),
                        "{query:?}"
                    );
                    let is_page = kind == RequestKind::Page;
                    assert!(!is_page || matches!(method, "GET" | "HEAD"));
                    (2, u16::from(is_page) + 2 * u16::from(facts.query.is_some()))
                }
                Err(problem) => (3, problem.status().as_u16()),
            }
        });
    }
}
