//! The files that an operator would write, for the ports that the demo got.

use std::net::SocketAddr;

use url::Url;

use super::Stores;

/// What the files depend on.
#[derive(Debug)]
pub struct Installation<'a> {
    /// The gateway's origin.
    pub origin: &'a str,
    /// The port for traffic.
    pub port: u16,
    /// The port of the admin listener.
    pub admin_port: u16,
    /// Where the platform is.
    pub platform: SocketAddr,
    /// The identity provider's issuer identifier.
    pub issuer: &'a str,
    /// The gateway's client id there.
    pub client_id: &'a str,
    /// What is logged.
    pub log: &'a str,
    /// Where records and sessions are kept.
    pub stores: &'a Stores,
}

/// Policy files by their path beside `vestibule.toml`.
pub const POLICIES: [(&str, &str); 10] = [
    (
        "policies/access.toml",
        include_str!("files/policies/access.toml"),
    ),
    (
        "policies/onboarding.toml",
        include_str!("files/policies/onboarding.toml"),
    ),
    (
        "policies/signup/default.toml",
        include_str!("files/policies/signup/default.toml"),
    ),
    (
        "policies/signup/brightwater.svg",
        include_str!("files/policies/signup/brightwater.svg"),
    ),
    (
        "policies/agreements/terms.en.md",
        include_str!("files/policies/agreements/terms.en.md"),
    ),
    (
        "policies/agreements/terms.it.md",
        include_str!("files/policies/agreements/terms.it.md"),
    ),
    (
        "policies/agreements/terms.de.md",
        include_str!("files/policies/agreements/terms.de.md"),
    ),
    (
        "policies/agreements/privacy.en.md",
        include_str!("files/policies/agreements/privacy.en.md"),
    ),
    (
        "policies/agreements/privacy.it.md",
        include_str!("files/policies/agreements/privacy.it.md"),
    ),
    (
        "policies/agreements/privacy.de.md",
        include_str!("files/policies/agreements/privacy.de.md"),
    ),
];

impl Installation<'_> {
    /// `vestibule.toml`. No value has a character that TOML would need escaped.
    pub fn vestibule_toml(&self) -> String {
        let Self {
            origin,
            port,
            admin_port,
            platform,
            issuer,
            client_id,
            log,
            stores,
        } = self;
        include_str!("files/vestibule.toml")
            .replace("{origin}", origin)
            .replace("{port}", &port.to_string())
            .replace("{admin_port}", &admin_port.to_string())
            .replace("{platform}", &platform.to_string())
            .replace("{issuer}", issuer)
            .replace("{client_id}", client_id)
            .replace("{log}", log)
            .replace("{stores}", &stores_toml(stores))
    }
}

/// What an operator writes about stores of their own.
fn stores_toml(Stores { database, sessions }: &Stores) -> String {
    let address = |key: &str, url: &Option<Url>| {
        url.as_ref()
            .map(|url| format!("{key} = \"{url}\"\n"))
            .unwrap_or_default()
    };
    let stores = address("database", database) + &address("sessions", sessions);
    if stores.is_empty() {
        return stores;
    }
    format!("[store]\n{stores}\n[keys]\nseal = [{{ file = \"seal-key\" }}]\n\n")
}
