//! The running gateway's admin API, for commands that change what is going on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use http::{Method, Request, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::Installation;
use crate::outbound::{AnswerLimits, Outbound};

const LIMITS: AnswerLimits = AnswerLimits {
    time: Duration::from_secs(30),
    size: 16 * 1024 * 1024,
};

/// The admin listener of the installation on this machine.
#[derive(Debug)]
pub struct AdminApi {
    address: SocketAddr,
    /// What all paths begin with.
    start: String,
    token: SecretString,
    outbound: Outbound,
}

impl AdminApi {
    /// That of the installation, opened with its own first token, for one of its platforms.
    pub fn at(installation: &Installation) -> anyhow::Result<Self> {
        let settings = installation.settings()?;
        let site = settings.site(installation.platform.as_deref())?;
        let part = settings.sites.get(site).and_then(|site| site.part.as_ref());
        let token = settings.admin.tokens.first().cloned().context(
            "the admin API needs a token: add [[admin.token]] to vestibule.toml and restart",
        )?;
        Ok(Self {
            address: reachable(settings.admin.address),
            start: part.map_or_else(String::new, |part| format!("/platforms/{part}")),
            token,
            outbound: Outbound::new()?,
        })
    }

    /// Asks for a JSON document.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await
    }

    /// Gives an order without a body.
    pub async fn post(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::POST, path, None).await
    }

    /// Asks by any method, with a body where there is one; the answer is null where there is none.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let token = self.token.expose_secret();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{}{path}", self.address, self.start))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Vec::new, |body| body.to_string().into_bytes()))?;
        let answer = self.outbound.call(request, LIMITS).await;
        let answer =
            answer.context("the gateway's admin listener does not answer; does it run?")?;
        let status = answer.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let value = serde_json::from_slice::<Value>(answer.body());
        if !status.is_success()
            && let Some(detail) = value.as_ref().ok().and_then(|one| one["detail"].as_str())
        {
            anyhow::bail!("{detail}");
        }
        anyhow::ensure!(status.is_success(), "the admin API answered {status}");
        value.context("the admin API's answer is not JSON")
    }
}

/// An address that listens everywhere is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_listens_everywhere_is_asked_on_loopback() {
        for (listened, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.0.0.1:9090", "10.0.0.1:9090"),
        ] {
            assert_eq!(reachable(listened.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
