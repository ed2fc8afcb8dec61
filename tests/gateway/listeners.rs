//! What a listener does before and around HTTP: certificates by name, the way on to https, answers
//! that keep browsers there, and none that are compressed.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::first_login::giulia;
use super::harness::{
    Answer, OidcProvider, TestGateway, Upstream, free_port, send_raw, wait_until_async, wire_client,
};

/// Hosts besides the one of the tests.
const HOSTS: &str = "[[host]]\norigin = \"https://iot.acme.example\"\n\
     [[host]]\norigin = \"https://app.other.example\"\n";

/// Writes a self-signed certificate for a name, and its key, as `<file>.crt` and `<file>.key`.
fn certify(folder: &Path, file: &str, name: &str) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let write =
        |end: &str, text: String| std::fs::write(folder.join(format!("{file}.{end}")), text);
    write("crt", made.cert.pem()).unwrap();
    write("key", made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// The connection of a client that believes in one certificate only; none where it gets another.
async fn believing(
    address: &str,
    name: &str,
    certificate: &CertificateDer<'static>,
) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .ok()
}

async fn ask(stream: &mut TlsStream<TcpStream>, host: &str) -> String {
    let request = format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

async fn metrics(gateway: &TestGateway) -> String {
    let answer = wire_client().get(gateway.admin("/metrics")).send().await;
    answer.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn each_host_has_its_certificate_and_new_ones_come_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let first = certify(folder.path(), "acme", "*.acme.example");
    let second = certify(folder.path(), "other", "app.other.example");
    let upstream = Upstream::start().await;
    let pair = |name: &str| {
        let (certificate, key) = (file(&format!("{name}.crt")), file(&format!("{name}.key")));
        format!("{{ certificate = \"{certificate}\", key = \"{key}\" }}")
    };
    let mut gateway = TestGateway::embedded()
        .upstream(&upstream)
        .config(HOSTS)
        .config("[[identity_provider]]\nid = \"corp\"\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"a\"")
        .listen(&format!("tls = [{}, {}]", pair("acme"), pair("other")))
        .start_unready()
        .await;
    let address = gateway.node(0).address();
    let shows = |name: &'static str, certificate: CertificateDer<'static>| {
        let address = address.clone();
        async move { believing(&address, name, &certificate).await.is_some() }
    };
    let mut old = believing(&address, "iot.acme.example", &first)
        .await
        .unwrap();
    assert!(
        ask(&mut old, "iot.acme.example")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(shows("app.other.example", second.clone()).await);
    assert!(!shows("app.other.example", first.clone()).await);
    let unknown = believing(&address, "unknown.example", &first).await;
    assert!(
        unknown.is_none(),
        "the first certificate is not for that name either"
    );

    let renewed = certify(folder.path(), "other", "app.other.example");
    std::fs::write(file("acme.crt"), "broken").unwrap();
    gateway.node(0).signal("HUP");
    wait_until_async("the renewed certificate", async || {
        shows("app.other.example", renewed.clone()).await
    })
    .await;
    assert!(
        shows("iot.acme.example", first).await,
        "the broken one is not taken"
    );
    assert!(
        ask(&mut old, "iot.acme.example")
            .await
            .starts_with("HTTP/1.1 200")
    );
    tells_of_one_load_and_one_refusal(&gateway, "acme.crt").await;
}

async fn tells_of_one_load_and_one_refusal(gateway: &TestGateway, refused: &str) {
    let metrics = metrics(gateway).await;
    for outcome in ["loaded", "refused"] {
        let line =
            format!("vestibule_certificate_loads_total{{outcome=\"{outcome}\",platform=\"\"}} 1");
        assert!(metrics.contains(&line), "{line} is missing in {metrics}");
    }
    let ends = "vestibule_certificate_expires_timestamp_seconds{file=";
    assert_eq!(metrics.matches(ends).count(), 2, "{metrics}");
    let log = gateway.log();
    assert!(log.contains("the certificate cannot be used; the old one stays in use"));
    assert!(log.contains(refused), "{log}");
}

#[tokio::test]
async fn files_that_change_are_read_again_where_that_is_wanted() {
    let upstream = Upstream::start().await;
    let provider = OidcProvider::start().await;
    let gateway = TestGateway::embedded()
        .upstream(&upstream)
        .provider(&provider)
        .watching()
        .start()
        .await;
    let address = gateway.origin().replace("http://", "");
    let status = async || {
        let request = "GET /opened HTTP/1.1\r\nHost: localhost\r\n\r\n";
        send_raw(&address, request).await.unwrap().status
    };
    assert_eq!(status().await, 401);
    let file = gateway.folder().join("policies/access.toml");
    let rule = "[[rule]]\nname = \"opened\"\npath = \"/opened\"\naccess = \"public\"\n";
    std::fs::write(&file, rule).unwrap();
    wait_until_async("the new rule", async || status().await == 200).await;

    std::fs::write(&file, rule.replace("public", "pubic")).unwrap();
    let refused = "vestibule_policy_loads_total{outcome=\"refused\",platform=\"main\"} 1";
    wait_until_async("the refusal", async || {
        metrics(&gateway).await.contains(refused)
    })
    .await;
    assert_eq!(status().await, 200, "the old policy stays in force");
    assert!(
        gateway
            .log()
            .contains("the policy has mistakes and is not taken")
    );
}

#[tokio::test]
async fn plain_requests_are_sent_on_to_https_and_nowhere_else() {
    let upstream = Upstream::start().await;
    let provider = OidcProvider::start().await;
    let port = free_port();
    let _gateway = TestGateway::embedded()
        .upstream(&upstream)
        .provider(&provider)
        .config(HOSTS)
        .listen(&format!(
            "redirect = \"127.0.0.1:{port}\"\nhsts = {{ max_age = \"365d\" }}"
        ))
        .start()
        .await;
    let ask = async |line: &str, host: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
        send_raw(&format!("127.0.0.1:{port}"), request)
            .await
            .unwrap()
    };
    for (line, host, place) in [
        (
            "GET /a/b?c=d%2F",
            "iot.acme.example",
            "https://iot.acme.example/a/b?c=d%2F",
        ),
        (
            "POST /public/x",
            "IOT.acme.example:80",
            "https://iot.acme.example/public/x",
        ),
        (
            "GET /auth/login",
            "app.other.example",
            "https://app.other.example/auth/login",
        ),
    ] {
        let answer = ask(line, host).await;
        assert_eq!(answer.status, 308, "{}", answer.head);
        assert_eq!(answer.header("location"), Some(place));
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    for (line, host, status) in [
        ("GET /", "evil.example", 421),
        ("GET /", "localhost", 421),
        ("GET //evil.example/", "iot.acme.example", 400),
        ("GET /\\evil.example", "iot.acme.example", 400),
    ] {
        let answer = ask(line, host).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (status, None),
            "{line}"
        );
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn https_answers_of_every_kind_say_that_browsers_stay_there() {
    let upstream = Upstream::start().await;
    let own =
        "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n";
    upstream.answers("/public/own", Answer::raw(own));
    let provider = OidcProvider::start().await;
    let gateway = TestGateway::embedded()
        .upstream(&upstream)
        .provider(&provider)
        .config(HOSTS)
        .listen("hsts = { max_age = \"365d\", subdomains = true }")
        .start()
        .await;
    let address = gateway.origin().replace("http://", "");
    let said = async |host: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = send_raw(&address, request).await.unwrap();
        answer
            .header("strict-transport-security")
            .map(str::to_owned)
    };
    let expected = Some("max-age=31536000; includeSubDomains".to_owned());
    for path in ["/public/x", "/auth/login", "/private", "/auth/nothing"] {
        assert_eq!(said("iot.acme.example", path).await, expected, "{path}");
        assert_eq!(said("localhost", path).await, None, "{path}");
    }
    let own = said("iot.acme.example", "/public/own").await;
    assert_eq!(
        own.as_deref(),
        Some("max-age=1"),
        "the platform knows better"
    );
}

/// Whoever can have a page made with words of theirs in it, and sees how long it is, could guess
/// what else is in it if it were compressed (BREACH).
#[tokio::test]
async fn pages_with_tokens_are_never_compressed() {
    let upstream = Upstream::start().await;
    let provider = OidcProvider::start().await;
    giulia(&provider).await;
    let gateway = TestGateway::embedded()
        .upstream(&upstream)
        .provider(&provider)
        .start()
        .await;
    let browser = gateway.browser();
    let form = browser.open("/").await.login_at_provider("giulia").await;
    let tokens = form.all("input[type=hidden][value]");
    assert!(
        !tokens.is_empty(),
        "the form holds a token:\n{}",
        form.body()
    );

    let cookie = browser.cookie("__Host-vestibule").unwrap();
    let address = gateway.origin().replace("http://", "");
    for path in ["/auth/register", "/auth/login", "/auth/logout", "/public/x"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-vestibule={cookie}\r\n\
             Accept: text/html\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\r\n"
        );
        let answer = send_raw(&address, request).await.unwrap();
        assert_eq!(answer.header("content-encoding"), None, "{path}");
        let is_text = std::str::from_utf8(&answer.body).is_ok_and(|text| !text.is_empty());
        assert!(is_text || answer.status == 303, "{path}: {}", answer.head);
    }
}
