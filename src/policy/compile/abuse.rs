//! `[abuse]` of `limits.toml` to [`AbuseLimits`], and `[addresses]` of `onboarding.toml` to
//! [`AddressPolicy`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::EmailAddress;
use crate::operator_file::{At, Findings, Parsed, Rate};
use crate::policy::abuse::{AbuseLanes, AbuseLimits};
use crate::policy::addresses::AddressPolicy;
use crate::policy::document::{
    AbuseShape, Addresses, CodeLanes, FormLanes, LinkLanes, MailLanes, Welcome,
};
use crate::rate_limit::{Limit, Per, Scope};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A lane as the operator wrote it, and as it is where nothing is written.
type Lane<'a> = (&'a Option<Vec<Parsed<Rate>>>, &'a [(u32, Duration)]);

pub fn limits(shape: &AbuseShape, findings: &mut Findings<'_>) -> AbuseLimits {
    let AbuseShape {
        mail,
        link,
        code,
        form,
    } = shape;
    AbuseLimits {
        mail: mail_lanes(mail, findings),
        link: link_lanes(link, findings),
        code: code_lanes(code, findings),
        form: form_lanes(form, findings),
    }
}

fn mail_lanes(lanes: &MailLanes, findings: &mut Findings<'_>) -> AbuseLanes {
    let MailLanes {
        network,
        address,
        domain,
        total,
    } = lanes;
    let often = [(2, MINUTE), (5, HOUR), (10, DAY)];
    let mut of = |name, lane| lane_of(&format!("mail {name}"), lane, findings);
    AbuseLanes {
        network: of("network", (network, &[(10, MINUTE), (60, HOUR)])),
        address: of("address", (address, &often)),
        domain: of("domain", (domain, &[(100, MINUTE), (600, HOUR)])),
        subject: Vec::new(),
        total: of("total", (total, &[(300, MINUTE), (3000, HOUR)])),
    }
}

fn link_lanes(lanes: &LinkLanes, findings: &mut Findings<'_>) -> AbuseLanes {
    let LinkLanes { network, total } = lanes;
    let mut of = |name, lane| lane_of(&format!("link {name}"), lane, findings);
    AbuseLanes {
        network: of("network", (network, &[(30, MINUTE)])),
        total: of("total", (total, &[])),
        ..AbuseLanes::default()
    }
}

fn code_lanes(lanes: &CodeLanes, findings: &mut Findings<'_>) -> AbuseLanes {
    let CodeLanes {
        network,
        subject,
        total,
    } = lanes;
    let mut of = |name, lane| lane_of(&format!("code {name}"), lane, findings);
    AbuseLanes {
        network: of("network", (network, &[(10, MINUTE), (60, HOUR)])),
        subject: of("subject", (subject, &[(10, MINUTE), (30, HOUR)])),
        total: of("total", (total, &[(1000, HOUR)])),
        ..AbuseLanes::default()
    }
}

fn form_lanes(lanes: &FormLanes, findings: &mut Findings<'_>) -> AbuseLanes {
    let FormLanes {
        network,
        subject,
        total,
    } = lanes;
    let mut of = |name, lane| lane_of(&format!("form {name}"), lane, findings);
    AbuseLanes {
        network: of("network", (network, &[(60, MINUTE)])),
        subject: of("subject", (subject, &[(20, MINUTE)])),
        total: of("total", (total, &[])),
        ..AbuseLanes::default()
    }
}

fn lane_of(
    name: &str,
    (written, shipped): Lane<'_>,
    findings: &mut Findings<'_>,
) -> Vec<Arc<Limit>> {
    let rates: Vec<(u32, Duration)> = match written {
        None => shipped.to_vec(),
        Some(rates) => rates
            .iter()
            .filter_map(|rate| findings.take(rate))
            .map(|rate| (rate.requests, rate.period))
            .collect(),
    };
    let limit = |(place, (requests, period)): (usize, (u32, Duration))| {
        Arc::new(Limit {
            // No limit of the operator's has a space in its name.
            name: format!("abuse {name} {place}"),
            requests,
            period,
            burst: requests,
            per: Per::Ip,
            scope: Scope::Cluster,
        })
    };
    rates.into_iter().enumerate().map(limit).collect()
}

pub fn addresses(shape: &Addresses, findings: &mut Findings<'_>) -> AddressPolicy {
    let Addresses {
        disposable,
        role,
        disposable_too,
        not_disposable,
    } = shape;
    AddressPolicy {
        refuses_disposable: disposable.unwrap_or(Welcome::Refuse) == Welcome::Refuse,
        refuses_roles: role.unwrap_or(Welcome::Allow) == Welcome::Refuse,
        disposable_too: domains(disposable_too, findings),
        not_disposable: domains(not_disposable, findings),
    }
}

/// As addresses have them: lower case, ASCII.
fn domains(written: &[At<String>], findings: &mut Findings<'_>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for domain in written {
        if let Ok(address) = EmailAddress::parse(&format!("a@{}", domain.value)) {
            known.insert(address.domain().to_owned());
        } else {
            let message = format!("`{}` is not a whole domain", domain.value);
            findings.error(&domain.span, message, "write it like `example.com`");
        }
    }
    known
}
