//! The yardstick of `make bench`: the least that a pingora proxy can be, in the gateway's own
//! build profile. Usage: `minimal_proxy LISTEN UPSTREAM [EXTRA_HEADERS]`.
//!
//! With `EXTRA_HEADERS` (a number of octets) it adds request headers of that size, so that the
//! gateway's hand-off headers can be told from the gateway's own work.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use http::header::HeaderName;
use pingora_core::Result;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Minimal {
    upstream: String,
    extra: Vec<(HeaderName, HeaderValue)>,
}

#[async_trait]
impl ProxyHttp for Minimal {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(
            self.upstream.as_str(),
            false,
            String::new(),
        )))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        (): &mut (),
    ) -> Result<()> {
        for (name, value) in &self.extra {
            request.insert_header(name, value)?;
        }
        Ok(())
    }
}

/// Six headers, as the gateway sends them, that share `octets` of value.
fn extra_headers(octets: usize) -> Vec<(HeaderName, HeaderValue)> {
    const NAMES: [&str; 6] = [
        "x-bench-user",
        "x-bench-customer",
        "x-bench-email",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
    ];
    if octets == 0 {
        return Vec::new();
    }
    let value = "v".repeat(octets / NAMES.len());
    let header = |name| {
        Some((
            HeaderName::from_static(name),
            HeaderValue::from_str(&value).ok()?,
        ))
    };
    NAMES.into_iter().filter_map(header).collect()
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let upstream = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let octets = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let conf = ServerConf {
        threads: 2,
        grace_period_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let proxy = Minimal {
        upstream,
        extra: extra_headers(octets),
    };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), proxy);
    service.add_tcp(&listen);
    server.add_service(service);
    server.run_forever()
}
