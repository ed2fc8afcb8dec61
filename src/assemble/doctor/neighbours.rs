//! Identity providers with the clock, platform, mail server, upstreams, hooks.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::by_hand::platform_by_hand;
use super::super::platforms::elsewhere;
use super::{Finding, in_time, with_causes};
use crate::clock::SystemClock;
use crate::config::MailSettings;
use crate::database::DatabaseAddress;
use crate::hooks::HookSettings;
use crate::identity::EmailAddress;
use crate::login::openid::{ApiIssuer, ApiIssuerSettings, OpenIdProvider, OpenIdSettings};
use crate::login::provider::ProviderError;
use crate::mail::smtp::SmtpCourier;
use crate::outbound::{Outbound, OutboundError};
use crate::platform::{Platform, PlatformError, PlatformKind, PlatformSettings};
use crate::proxy::ProxySettings;

/// A clock that is further off, seconds, makes tokens look old, or not valid yet.
const MOST_SKEW: u64 = 20;

/// A connection to a server takes at most so long.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// An address that nobody has (RFC 2606, section 2).
const NOBODY: &str = "doctor@vestibule.invalid";

/// Each provider, and what the first one that tells the time says about it.
pub(super) async fn providers(all: Vec<OpenIdSettings>) -> Vec<Finding> {
    let (mut found, mut skew) = (Vec::new(), None);
    for settings in all {
        let what = format!("provider {}", settings.id);
        found.push(in_time(&what, provider(settings, &mut skew)).await);
    }
    found.extend(skew.map(clock));
    found
}

fn unfit_roots(what: String, error: &OutboundError) -> Finding {
    Finding::wrong(what, with_causes(error), "see the file that `ca` names")
}

fn unfound(what: String, places: &[Url], error: &ProviderError) -> Finding {
    let places: Vec<&str> = places.iter().map(Url::as_str).collect();
    let places = places.join(" or ");
    let fix = match error {
        // Some name a template, such as `{tenantid}`.
        ProviderError::ForeignMetadata { found }
            if found.len() < 200 && !found.contains('{') && Url::parse(found).is_ok() =>
        {
            format!("write `issuer = \"{found}\"`, if that is who you mean")
        }
        _ => format!("open {places} from this machine, and compare `issuer`"),
    };
    Finding::wrong(what, with_causes(error), fix)
}

async fn provider(settings: OpenIdSettings, skew: &mut Option<i64>) -> Finding {
    let what = format!("provider {}", settings.id);
    let (issuer, places) = (settings.issuer.to_string(), settings.metadata_addresses());
    let outbound = match Outbound::trusting(&settings.roots) {
        Ok(outbound) => outbound,
        Err(error) => return unfit_roots(what, &error),
    };
    let provider = OpenIdProvider::new(settings, outbound, Arc::new(SystemClock));
    if let Err(error) = provider.look().await {
        return unfound(what, &places, &error);
    }
    *skew = skew.or(provider.clock_skew());
    Finding::fine(what, format!("{issuer}, with metadata and keys"))
}

/// Each issuer of bearer tokens.
pub(super) async fn api_issuers(all: Vec<ApiIssuerSettings>) -> Vec<Finding> {
    let mut found = Vec::new();
    for settings in all {
        let what = format!("api issuer {}", settings.id);
        found.push(in_time(&what, api_issuer(settings)).await);
    }
    found
}

async fn api_issuer(settings: ApiIssuerSettings) -> Finding {
    let what = format!("api issuer {}", settings.id);
    let (issuer, audiences) = (settings.issuer.to_string(), settings.audiences.join(", "));
    let (places, asks) = (
        settings.metadata_addresses(),
        settings.introspection.is_some(),
    );
    let outbound = match Outbound::trusting(&settings.roots) {
        Ok(outbound) => outbound,
        Err(error) => return unfit_roots(what, &error),
    };
    let api_issuer = ApiIssuer::new(settings, outbound, Arc::new(SystemClock));
    if let Err(error) = api_issuer.look().await {
        return unfound(what, &places, &error);
    }
    let asked = if asks { ", lets the gateway ask" } else { "" };
    if asks && let Err(error) = api_issuer.try_asking().await {
        let fix = "correct `introspection` in [[api_issuer]]: client id, secret, how it is sent";
        return Finding::wrong(what, with_causes(&error), fix);
    }
    Finding::fine(what, format!("{issuer}, for {audiences}{asked}"))
}

/// The clock, so many seconds ahead of a provider's.
fn clock(skew: i64) -> Finding {
    let seconds = skew.unsigned_abs();
    if seconds > MOST_SKEW {
        let why = format!("this machine and the identity provider are {seconds} seconds apart");
        return Finding::wrong("clock", why, "let NTP set the clock of this machine");
    }
    Finding::fine("clock", "the same as the identity provider's")
}

/// Asks for somebody and something that nobody has: that shows whether the gateway is let in, and
/// whether answers can be read.
pub(super) async fn platform(
    settings: PlatformSettings,
    (database, wants_tokens): (&DatabaseAddress, bool),
) -> Finding {
    let what = "platform";
    if matches!(settings.kind, PlatformKind::Builtin) && !database.is_there() {
        return Finding::fine(what, "builtin; the first start makes its tables");
    }
    let kind = kind(&settings.kind);
    match elsewhere(settings.clone(), Arc::new(SystemClock)) {
        Ok(Some(there)) => {
            if let Err(problem) = there.introduce(wants_tokens).await {
                return Finding::wrong(what, with_causes(&problem), "correct [platform]");
            }
        }
        Ok(None) => {}
        Err(error) => return Finding::wrong(what, with_causes(&error), "correct [platform]"),
    }
    let opened = match platform_by_hand(settings, database).await {
        Ok(opened) => opened,
        Err(problem) => return Finding::wrong(what, with_causes(&problem), "correct [platform]"),
    };
    match asked(&*opened.platform).await {
        Ok(()) => Finding::fine(what, format!("{kind}; {}", abilities(&*opened.platform))),
        Err(error) => Finding::wrong(what, with_causes(&error), advice(&error)),
    }
}

async fn asked(platform: &dyn Platform) -> Result<(), PlatformError> {
    if let Ok(nobody) = EmailAddress::parse(NOBODY) {
        platform.user_by_email(&nobody).await?;
    }
    platform.customer_by_code("vestibule-doctor").await?;
    if platform.capabilities().partners {
        platform.partner_by_code("vestibule-doctor").await?;
    }
    platform.password_rules().await?;
    Ok(())
}

fn kind(kind: &PlatformKind) -> String {
    match kind {
        PlatformKind::Builtin => "builtin".to_owned(),
        PlatformKind::Shared(remote) => format!("builtin, shared at {}", remote.url),
        PlatformKind::ThingsBoard(settings) => format!("ThingsBoard at {}", settings.url),
        PlatformKind::Rest(settings) => format!("REST at {}", settings.url),
        PlatformKind::Scim(settings) => format!("SCIM at {}", settings.url),
    }
}

fn abilities(platform: &dyn Platform) -> String {
    let can = platform.capabilities();
    let all = [
        ("locations", can.locations),
        ("partners", can.partners),
        ("passwords", can.passwords),
        ("new passwords", can.new_passwords),
        ("roles", can.roles),
    ];
    let can: Vec<&str> = all
        .iter()
        .filter(|(_, can)| *can)
        .map(|(what, _)| *what)
        .collect();
    if can.is_empty() {
        "customers and users".to_owned()
    } else {
        format!("customers, users, {}", can.join(", "))
    }
}

fn advice(error: &PlatformError) -> &'static str {
    match error {
        PlatformError::Unreachable(_) => {
            "see whether it runs, `[platform] url`, and whether a firewall is between"
        }
        PlatformError::Busy { .. } => "try again later, or have its limits raised for the gateway",
        PlatformError::NotAllowed => "correct the gateway's own credentials in [platform]",
        _ => "try one operation by hand: `vestibule platform try user-by-email you@example.com`",
    }
}

/// Connects and signs in, and sends nothing.
pub(super) async fn mail(settings: MailSettings) -> Finding {
    let place = settings.place();
    let fix = "see [mail]; `vestibule mail test --to you@example.com` sends a letter";
    let smtp = match settings {
        MailSettings::Smtp(smtp) => smtp,
        MailSettings::Pickup(_) => {
            let why = format!("letters go into the folder {place} and to nobody");
            return Finding::odd(
                "mail",
                why,
                "write `smtp` into [mail] where people are to get them",
            );
        }
        MailSettings::Nowhere => {
            let why = "no letters are sent: nobody can prove an address, or connect by a code";
            return Finding::odd("mail", why, "write a [mail] section");
        }
    };
    let courier = match SmtpCourier::new(smtp) {
        Ok(courier) => courier,
        Err(problem) => return Finding::wrong("mail", with_causes(&problem), fix),
    };
    match courier.is_let_in().await {
        Ok(()) => Finding::fine("mail", format!("{place} lets the gateway in")),
        Err(error) => Finding::wrong("mail", with_causes(&error), fix),
    }
}

/// Whether each server takes connections.
pub(super) async fn upstreams(proxy: &ProxySettings) -> Vec<Finding> {
    let mut found = Vec::new();
    for upstream in &proxy.upstreams {
        for server in &upstream.servers {
            let what = format!("upstream {}", upstream.name);
            let (host, port) = server.address();
            let fix = "start it, or correct `servers` in [upstream]";
            found.push(connected(what, (host, port), fix).await);
        }
    }
    found
}

/// Whether the operator's endpoints take connections; they are not called.
pub(super) async fn hooks(settings: &HookSettings) -> Vec<Finding> {
    let urls = [("before", &settings.before), ("after", &settings.after)];
    let mut found = Vec::new();
    for (word, url) in urls {
        let url: Option<&Url> = url.as_ref();
        let place = url.and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
        if let Some(place) = place {
            let fix = "start it, or correct [hooks]";
            found.push(connected(format!("hook {word}"), place, fix).await);
        }
    }
    found
}

async fn connected(what: String, (host, port): (&str, u16), fix: &str) -> Finding {
    let host = host.trim_matches(['[', ']']);
    let connecting = tokio::net::TcpStream::connect((host, port));
    match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
        Ok(Ok(_)) => Finding::fine(what, format!("{host}:{port} takes connections")),
        Ok(Err(error)) => Finding::wrong(what, format!("{host}:{port}: {error}"), fix),
        Err(_) => Finding::wrong(what, format!("{host}:{port} does not answer in time"), fix),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_wrong_either_way() {
        let is_fine = |skew| matches!(clock(skew).state, Health::Fine(_));
        assert!(is_fine(15) && is_fine(-15));
        assert!(!is_fine(60) && !is_fine(-60));
    }
}
