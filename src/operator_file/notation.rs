//! Texts with a notation of their own: spans of time, sizes, rates, addresses, expressions.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use url::Url;

use crate::expression::{Condition, Expression};
use crate::identity::EmailAddress;

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub advice: String,
}

impl Unreadable {
    fn new(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            advice: advice.into(),
        }
    }
}

/// A value that is written as text.
pub trait Notation: Sized {
    /// What the schema calls it.
    const FORMAT: &'static str;
    /// A text that reads well.
    const EXAMPLE: &'static str;

    /// Reads the text.
    fn read(text: &str) -> Result<Self, Unreadable>;

    /// The answer to a text that is something else altogether.
    fn unlike(text: &str, what: &str) -> Unreadable {
        let advice = format!("write it like `{}`", Self::EXAMPLE);
        Unreadable::new(format!("`{text}` is not {what}"), advice)
    }
}

/// `30s`, `5m`, `8h`, `1d`, `500ms`.
impl Notation for Duration {
    const FORMAT: &'static str = "duration";
    const EXAMPLE: &'static str = "5m";

    fn read(text: &str) -> Result<Self, Unreadable> {
        let unlike = || Self::unlike(text, "a span of time");
        let (number, unit) = split_number(text).ok_or_else(unlike)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(unlike()),
        };
        let span = number.checked_mul(millis).map(Self::from_millis);
        let longest = Self::from_hours(10 * 365 * 24);
        span.filter(|span| *span <= longest && !span.is_zero())
            .ok_or_else(|| {
                Unreadable::new(
                    format!("`{text}` is out of range"),
                    "write a span of time between 1ms and 3650d",
                )
            })
    }
}

/// A number of octets: `64KiB`, `10MiB`, `1GiB`, `512B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Octets(pub u64);

impl Notation for Octets {
    const FORMAT: &'static str = "size";
    const EXAMPLE: &'static str = "64KiB";

    fn read(text: &str) -> Result<Self, Unreadable> {
        let unlike = || Self::unlike(text, "a size");
        let (number, unit) = split_number(text).ok_or_else(unlike)?;
        let factor = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(unlike()),
        };
        let size = number.checked_mul(factor).filter(|size| *size > 0);
        size.map(Self).ok_or_else(unlike)
    }
}

/// Requests in a period: `10/s`, `100/min`, `1000/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub requests: u32,
    /// The period.
    pub period: Duration,
}

impl Notation for Rate {
    const FORMAT: &'static str = "rate";
    const EXAMPLE: &'static str = "10/s";

    fn read(text: &str) -> Result<Self, Unreadable> {
        let unlike = || Self::unlike(text, "a rate");
        let (requests, period) = text.split_once('/').ok_or_else(unlike)?;
        let requests: u32 = requests.trim().parse().map_err(|_| unlike())?;
        let period = match period.trim() {
            "s" => Duration::from_secs(1),
            "m" | "min" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "d" => Duration::from_hours(24),
            _ => return Err(unlike()),
        };
        if requests == 0 {
            return Err(Unreadable::new(
                "a rate of 0 lets nobody through",
                "write at least `1/h`",
            ));
        }
        Ok(Self { requests, period })
    }
}

impl Notation for Url {
    const FORMAT: &'static str = "uri";
    const EXAMPLE: &'static str = "https://idp.example.com/";

    fn read(text: &str) -> Result<Self, Unreadable> {
        Self::parse(text).map_err(|_| Self::unlike(text, "a URL"))
    }
}

impl Notation for SocketAddr {
    const FORMAT: &'static str = "socket-address";
    const EXAMPLE: &'static str = "0.0.0.0:8443";

    fn read(text: &str) -> Result<Self, Unreadable> {
        text.parse()
            .map_err(|_| Self::unlike(text, "an IP address with a port"))
    }
}

impl Notation for IpNet {
    const FORMAT: &'static str = "network";
    const EXAMPLE: &'static str = "10.0.0.0/8";

    fn read(text: &str) -> Result<Self, Unreadable> {
        text.parse()
            .or_else(|_| text.parse::<std::net::IpAddr>().map(Self::from))
            .map_err(|_| <Self as Notation>::unlike(text, "a network or an IP address"))
    }
}

impl Notation for HeaderName {
    const FORMAT: &'static str = "header-name";
    const EXAMPLE: &'static str = "X-Vestibule-User";

    fn read(text: &str) -> Result<Self, Unreadable> {
        text.parse()
            .map_err(|_| Self::unlike(text, "a header name"))
    }
}

impl Notation for Condition {
    const FORMAT: &'static str = "cel-condition";
    const EXAMPLE: &'static str = "'ops' in identity.groups";

    fn read(text: &str) -> Result<Self, Unreadable> {
        Self::compile(text).map_err(|error| {
            let advice = format!("write a CEL condition like `{}`", Self::EXAMPLE);
            Unreadable::new(error.to_string(), advice)
        })
    }
}

impl Notation for Expression {
    const FORMAT: &'static str = "cel";
    const EXAMPLE: &'static str = "identity.given_name + ' ' + identity.family_name";

    fn read(text: &str) -> Result<Self, Unreadable> {
        Self::compile(text).map_err(|error| {
            let advice = format!("write a CEL expression like `{}`", Self::EXAMPLE);
            Unreadable::new(error.to_string(), advice)
        })
    }
}

/// `Acme <no-reply@example.com>` or the address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The name shown.
    pub name: Option<String>,
    /// The address.
    pub address: EmailAddress,
}

impl Notation for Mailbox {
    const FORMAT: &'static str = "mailbox";
    const EXAMPLE: &'static str = "Acme <no-reply@example.com>";

    fn read(text: &str) -> Result<Self, Unreadable> {
        let (name, address) = match text.trim().strip_suffix('>') {
            Some(rest) => rest
                .split_once('<')
                .ok_or_else(|| Self::unlike(text, "a mail address"))?,
            None => ("", text),
        };
        let address = EmailAddress::parse(address.trim());
        let address = address.map_err(|_| Self::unlike(text, "a mail address"))?;
        let name = name.trim().trim_matches('"');
        if name.contains(char::is_control) {
            return Err(Self::unlike(text, "a mail address"));
        }
        Ok(Self {
            name: (!name.is_empty()).then(|| name.to_owned()),
            address,
        })
    }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_have_units() {
        assert_eq!(Duration::read("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(Duration::read("500ms"), Ok(Duration::from_millis(500)));
        for wrong in [
            "",
            "5",
            "5 minutes",
            "-1s",
            "0s",
            "99999999999999999999d",
            "9999d",
        ] {
            assert!(Duration::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(Octets::read("64KiB"), Ok(Octets(65536)));
        assert!(Octets::read("64kb").is_err());
        assert!(Octets::read("0B").is_err());
    }

    #[test]
    fn rates_are_requests_in_a_period() {
        let rate = Rate {
            requests: 10,
            period: Duration::from_secs(1),
        };
        assert_eq!(Rate::read("10/s"), Ok(rate));
        assert!(Rate::read("0/s").is_err());
        assert!(Rate::read("10").is_err());
        assert!(Rate::read("ten/s").is_err());
    }

    #[test]
    fn a_network_may_be_one_address() {
        assert_eq!(
            <IpNet as Notation>::read("::1").unwrap().to_string(),
            "::1/128"
        );
        assert!(<IpNet as Notation>::read("10.0.0.0/33").is_err());
    }

    #[test]
    fn a_mailbox_may_have_a_name() {
        let mailbox = Mailbox::read("Acme <no-reply@example.com>").unwrap();
        assert_eq!(mailbox.name.as_deref(), Some("Acme"));
        assert_eq!(Mailbox::read("a@example.com").unwrap().name, None);
        assert!(Mailbox::read("a@example.com>").is_err());
        assert!(Mailbox::read("nobody").is_err());
    }

    #[test]
    fn expressions_are_compiled() {
        assert!(Condition::read("'a' in identity.groups").is_ok());
        assert!(Condition::read("'a' in").is_err());
    }
}
