//! Checks by what the upstream learns who somebody is.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::{Check, Sound};
use crate::config::SiteSettings;
use crate::config::file::{
    AccessTokenTable, AssertionTable, AssertionWord, HandOff, OwnWayIn, ThingsBoardTable, Upstream,
};
use crate::operator_file::At;
use crate::platform::PlatformKind;
use crate::platform::handoff::{AssertionAlgorithm, AssertionSettings};
use crate::proxy::{ClosedWays, HandoffSettings, HostSettings};

const ASSERTION_LASTS: RangeInclusive<Duration> = Duration::from_mins(2)..=Duration::from_hours(1);

impl Check<'_> {
    pub(super) fn hand_off(&mut self, hand_off: &HandOff) -> HandoffSettings {
        let HandOff {
            user,
            customer,
            email,
            client,
            assertion,
            access_token,
            thingsboard,
        } = hand_off;
        let mut settings = HandoffSettings::default();
        let names = [
            (user, &mut settings.user),
            (customer, &mut settings.customer),
            (email, &mut settings.email),
            (client, &mut settings.client),
        ];
        let mut seen = Vec::new();
        for (name, setting) in names {
            if let Some(taken) = self.findings.take_optional(name.as_ref()) {
                *setting = taken;
            }
            if let (true, Some(name)) = (seen.contains(setting), name) {
                let message = format!("two hand-off headers are called `{setting}`");
                self.findings
                    .error(&name.span, message, "give each a name of its own");
            }
            seen.push(setting.clone());
        }
        settings.assertion = assertion
            .as_ref()
            .and_then(|assertion| self.assertion(assertion, &seen));
        if let Some(assertion) = &settings.assertion {
            seen.push(assertion.header.clone());
        }
        settings.access_token = access_token
            .as_ref()
            .map(|table| self.access_token(table, &seen));
        settings.thingsboard = thingsboard.as_ref().map(|table| closed(table));
        settings
    }

    fn access_token(&mut self, table: &At<AccessTokenTable>, taken: &[HeaderName]) -> HeaderName {
        let AccessTokenTable { header } = &table.value;
        let name = self.findings.take_optional(header.as_ref());
        let name = name.unwrap_or(AUTHORIZATION);
        if let (true, Some(header)) = (taken.contains(&name), header) {
            let message = format!("two hand-off headers are called `{name}`");
            self.findings
                .error(&header.span, message, "give each a name of its own");
        }
        name
    }

    /// A token of a platform's is made by that platform's adapter, for the users of its hosts.
    pub(super) fn token_makers(
        &mut self,
        upstreams: &[Upstream],
        hosts: &[HostSettings],
        sites: &[SiteSettings],
    ) {
        let makes_none = |host: &HostSettings| {
            let platform = sites.get(host.site).map(|site| &site.platform.kind);
            platform.is_some_and(|kind| !matches!(kind, PlatformKind::ThingsBoard(_)))
        };
        for upstream in upstreams {
            let Some(table) = &upstream.hand_off.thingsboard else {
                continue;
            };
            let own = |host: &&HostSettings| {
                let named = upstream.hosts.iter().any(|name| *name.value == *host.name);
                named || upstream.hosts.is_empty()
            };
            if let Some(host) = hosts.iter().filter(own).find(|host| makes_none(host)) {
                let message = format!(
                    "the platform of {} is no ThingsBoard, so that nobody makes its tokens",
                    host.name
                );
                let advice = "take `thingsboard` out, or set `[platform] kind = \"thingsboard\"`";
                self.findings.error(&table.span, message, advice);
            }
        }
    }

    fn assertion(
        &mut self,
        assertion: &At<AssertionTable>,
        taken: &[HeaderName],
    ) -> Sound<AssertionSettings> {
        let AssertionTable {
            audience,
            header,
            algorithm,
            valid_for,
        } = &assertion.value;
        let own = HeaderName::from_static("x-vestibule-assertion");
        let name = self.findings.take_optional(header.as_ref()).unwrap_or(own);
        if let (true, Some(header)) = (taken.contains(&name), header) {
            let message = format!("two hand-off headers are called `{name}`");
            self.findings
                .error(&header.span, message, "give each a name of its own");
        }
        let lasts = self.findings.take_optional(valid_for.as_ref());
        if let (Some(lasts), Some(valid_for)) = (lasts, valid_for)
            && !ASSERTION_LASTS.contains(&lasts)
        {
            let message = "an assertion is good for two minutes to an hour";
            self.findings.error(&valid_for.span, message, "write `5m`");
        }
        if audience.trim().is_empty() {
            let message = "an assertion is for somebody";
            let advice = "write what the upstream calls itself, such as its own address";
            self.findings.error(&audience.span, message, advice);
            return None;
        }
        Some(AssertionSettings {
            header: name,
            audience: audience.value.clone(),
            algorithm: match algorithm {
                AssertionWord::Es256 => AssertionAlgorithm::Es256,
                AssertionWord::EdDsa => AssertionAlgorithm::EdDsa,
            },
            valid_for: lasts.unwrap_or(Duration::from_mins(5)),
        })
    }
}

fn closed(table: &ThingsBoardTable) -> ClosedWays {
    let ThingsBoardTable { close } = table;
    let is_closed = |way| close.as_ref().is_none_or(|closed| closed.contains(&way));
    ClosedWays {
        login: is_closed(OwnWayIn::Login),
        sign_up: is_closed(OwnWayIn::SignUp),
        passwords: is_closed(OwnWayIn::Passwords),
    }
}
