//! The one outgoing HTTP client: follows no redirect, waits no longer and reads no more than
//! asked, and speaks plain HTTP to loopback addresses only.
//!
//! It is not a general client: callers hand over a whole request and get a whole answer. Logs
//! name host and path of a request, never its query, headers or body.

use std::time::Duration;

use http::{HeaderMap, HeaderName, Request, Response, header};
use url::{Host, Url};

use crate::clock::Timestamp;
use crate::telemetry::traces::{self, Span, Step};

/// How long and how much an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerLimits {
    /// From the first octet sent to the last one read.
    pub time: Duration,
    /// The body, octets.
    pub size: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The client could not be set up.
    #[error("the HTTP client cannot be set up")]
    SetUp(#[source] reqwest::Error),
    /// The address is neither `https` nor plain `http` on a loopback address.
    #[error("`{host}` would be asked without TLS")]
    Insecure {
        /// The host.
        host: String,
    },
    /// The request cannot be sent as it is.
    #[error("the request is not valid")]
    Invalid(#[source] reqwest::Error),
    /// No connection, or it broke.
    #[error("`{host}` is out of reach")]
    Unreachable {
        /// The host.
        host: String,
        /// Why; without the address, which may hold secrets.
        #[source]
        cause: reqwest::Error,
    },
    /// The time was up.
    #[error("`{host}` did not answer in time")]
    Slow {
        /// The host.
        host: String,
    },
    /// The body is larger than asked for.
    #[error("the answer of `{host}` is larger than {limit} octets")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit.
        limit: usize,
    },
}

/// An HTTP client with the manners of the module.
#[derive(Debug, Clone)]
pub struct Outbound {
    client: reqwest::Client,
    /// Whether plain HTTP is spoken to other machines too.
    is_plain: bool,
}

impl Outbound {
    /// Sets the client up; the TLS provider must have been installed. Certificates are checked
    /// against the system's roots. No proxy is taken from the environment.
    pub fn new() -> Result<Self, OutboundError> {
        Self::trusting(&[])
    }

    /// [`Outbound::new`], with further roots as PEM; empty for none.
    pub fn trusting(roots: &[u8]) -> Result<Self, OutboundError> {
        let roots = reqwest::Certificate::from_pem_bundle(roots).map_err(OutboundError::SetUp)?;
        let client = reqwest::Client::builder()
            .tls_certs_merge(roots)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("vestibule/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(OutboundError::SetUp)?;
        Ok(Self {
            client,
            is_plain: false,
        })
    }

    /// The same; where `is_plain`, for a network of the operator's own on which nobody else listens:
    /// plain HTTP is spoken to its machines where their address says so.
    #[must_use]
    pub fn speaking_plain_http(self, is_plain: bool) -> Self {
        Self { is_plain, ..self }
    }

    /// Sends a request and reads the whole answer.
    pub async fn call(
        &self,
        request: Request<Vec<u8>>,
        limits: AnswerLimits,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let mut request: reqwest::Request = request.try_into().map_err(OutboundError::Invalid)?;
        let host = request.url().host_str().unwrap_or_default().to_owned();
        if !self.is_plain && !is_secure(request.url()) {
            return Err(OutboundError::Insecure { host });
        }
        let Some(span) = span_of(&request, &host) else {
            return self.exchange_within(request, host, limits).await;
        };
        request.headers_mut().extend(span.fields());
        let asking = self.exchange_within(request, host, limits);
        let outcome = span.clone().around(asking).await;
        match &outcome {
            Ok(answer) => span.says(
                "http.response.status_code",
                i64::from(answer.status().as_u16()),
            ),
            Err(_) => span.failed(),
        }
        outcome
    }

    async fn exchange_within(
        &self,
        request: reqwest::Request,
        host: String,
        limits: AnswerLimits,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        tokio::time::timeout(limits.time, self.exchange(request, &host, limits.size))
            .await
            .unwrap_or(Err(OutboundError::Slow { host }))
    }

    async fn exchange(
        &self,
        request: reqwest::Request,
        host: &str,
        limit: usize,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let unreachable = |cause: reqwest::Error| OutboundError::Unreachable {
            host: host.to_owned(),
            cause: cause.without_url(),
        };
        let mut answer = self.client.execute(request).await.map_err(unreachable)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > limit {
                return Err(OutboundError::TooLarge {
                    host: host.to_owned(),
                    limit,
                });
            }
            body.extend_from_slice(&chunk);
        }
        let mut whole = Response::new(body);
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(whole)
    }
}

/// The request as a step of the current trace, if it is kept.
fn span_of(request: &reqwest::Request, host: &str) -> Option<Span> {
    let span = traces::step("outbound", Step::Elsewhere)?;
    span.rename(format!("{} {host}", request.method()));
    span.says("http.request.method", request.method().to_string());
    span.says("server.address", host.to_owned());
    span.says("url.path", request.url().path().to_owned());
    Some(span)
}

/// What time it was for whoever answered: `Date`, and how long caches have kept the answer since
/// (`Age`; RFC 9111, section 5.1). None where they do not say.
pub fn told_time(headers: &HeaderMap) -> Option<Timestamp> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let date = Timestamp::from_http_date(text(header::DATE)?)?;
    let age = text(header::AGE).and_then(|age| age.parse().ok());
    Some(date.plus(Duration::from_secs(age.unwrap_or_default())))
}

/// Whether an address may be asked: `https`, or plain `http` on a loopback address.
pub fn is_secure(address: &Url) -> bool {
    match address.scheme() {
        "https" => address.has_host(),
        "http" => match address.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for (address, secure) in [
            ("https://idp.example.com/", true),
            ("http://127.0.0.1:9000/", true),
            ("http://[::1]/", true),
            ("http://localhost:9000/", true),
            ("http://idp.localhost/", true),
            ("http://idp.example.com/", false),
            ("http://localhost.example.com/", false),
            ("http://169.254.169.254/", false),
            ("ftp://localhost/", false),
        ] {
            assert_eq!(
                is_secure(&Url::parse(address).unwrap()),
                secure,
                "{address}"
            );
        }
    }

    #[test]
    fn the_time_is_that_of_whoever_answered_also_out_of_a_cache() {
        let told = |fields: &[(HeaderName, &str)]| {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), value.parse().unwrap()));
            told_time(&fields.collect()).map(Timestamp::seconds)
        };
        let date = (header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(told(std::slice::from_ref(&date)), Some(784_111_777));
        assert_eq!(
            told(&[date.clone(), (header::AGE, "60")]),
            Some(784_111_837)
        );
        assert_eq!(told(&[date, (header::AGE, "-1")]), Some(784_111_777));
        assert_eq!(told(&[(header::DATE, "yesterday")]), None);
        assert_eq!(told(&[(header::AGE, "60")]), None);
    }

    /// A server that answers the first request with `answer` and then says nothing more.
    async fn server(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&answer).await;
            std::future::pending::<()>().await;
        });
        address
    }

    async fn ask(answer: &str, limits: AnswerLimits) -> Result<Response<Vec<u8>>, OutboundError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = server(answer.as_bytes().to_vec()).await;
        let request = Request::get(address).body(Vec::new()).unwrap();
        Outbound::new().unwrap().call(request, limits).await
    }

    const LIMITS: AnswerLimits = AnswerLimits {
        time: Duration::from_secs(5),
        size: 1000,
    };

    #[tokio::test]
    async fn a_redirect_is_an_answer() {
        let answer =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(ask(answer, LIMITS).await.unwrap().status(), 302);
    }

    #[tokio::test]
    async fn an_answer_may_be_so_large() {
        let fits = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{:1000}", "");
        assert_eq!(ask(&fits, LIMITS).await.unwrap().body().len(), 1000);
        let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{:1001}", "");
        let refused = ask(&large, LIMITS).await;
        assert!(matches!(
            refused,
            Err(OutboundError::TooLarge { limit: 1000, .. })
        ));
    }

    #[tokio::test]
    async fn an_answer_may_take_so_long() {
        let limits = AnswerLimits {
            time: Duration::from_millis(200),
            size: 1000,
        };
        let refused = ask("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", limits).await;
        assert!(matches!(refused, Err(OutboundError::Slow { .. })));
    }

    #[tokio::test]
    async fn errors_do_not_tell_the_address() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = Request::get("http://127.0.0.1:1/?code=secret")
            .body(Vec::new())
            .unwrap();
        let error = Outbound::new()
            .unwrap()
            .call(request, LIMITS)
            .await
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }

    /// A TLS server for `localhost` that answers every request; gives its address and certificate.
    async fn secure_server() -> (String, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let tls = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(tls.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        });
        (format!("https://localhost:{port}/"), made.cert.pem().into())
    }

    #[tokio::test]
    async fn a_private_authority_is_trusted_where_it_is_named_alone() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (address, roots) = secure_server().await;
        for (outbound, is_trusted) in [
            (Outbound::trusting(&roots).unwrap(), true),
            (Outbound::new().unwrap(), false),
        ] {
            let request = Request::get(&address).body(Vec::new()).unwrap();
            let answer = outbound.call(request, LIMITS).await;
            assert_eq!(answer.is_ok(), is_trusted, "{answer:?}");
        }
    }

    #[test]
    fn further_roots_are_certificates() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = rcgen::generate_simple_self_signed(["idp.example".to_owned()]).unwrap();
        assert!(Outbound::trusting(certificate.cert.pem().as_bytes()).is_ok());
        assert!(Outbound::trusting(b"-----BEGIN CERTIFICATE-----\nx\n-----END").is_err());
    }
}
