//! Checks the captchas of vendors.

use std::time::Duration;

use url::Url;

use super::{Check, Sound};
use crate::captcha::{CaptchaSettings, Vendor, Widget, origin_of};
use crate::config::file::Captcha;
use crate::operator_file::{At, Parsed};
use crate::outbound::is_secure;

const MIN_SCORE: f64 = 0.5;
const ACTION: &str = "send_link";
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest site key and action, characters.
const LONGEST_KEY: usize = 200;
const LONGEST_ACTION: usize = 32;
/// What sign-up files say without a vendor.
const TAKEN: [&str; 2] = ["none", "proof-of-work"];

impl Check<'_> {
    pub(super) fn captchas(&mut self, captchas: &[Captcha]) -> Vec<CaptchaSettings> {
        let ids: Vec<At<String>> = captchas.iter().map(id_of).collect();
        self.findings.no_doubles("captcha", ids.iter());
        let both = captchas.iter().zip(&ids);
        both.filter_map(|(captcha, id)| self.captcha(captcha, id))
            .collect()
    }

    fn captcha(&mut self, captcha: &Captcha, id: &At<String>) -> Sound<CaptchaSettings> {
        let Captcha {
            id: _,
            kind,
            site_key,
            secret,
            min_score,
            action,
            hostnames,
            origin,
            verify_url,
            send_client_address,
            timeout,
        } = captcha;
        let vendor = kind.value;
        let is_named = self.captcha_id(id);
        let site_key = self.site_key(site_key);
        let secret = self.secret(secret, 1);
        let min_score = self.min_score(vendor, min_score.as_ref());
        let action = self.action(vendor, action.as_ref());
        let hostnames = self.hostnames(hostnames.as_ref());
        let origin = self.captcha_origin(vendor, origin.as_ref());
        let verify_url = self.verify_url((vendor, origin.as_deref()), verify_url.as_ref());
        let timeout = self.findings.take_optional(timeout.as_ref());
        let settings = CaptchaSettings {
            id: id.value.clone(),
            widget: Widget {
                vendor,
                site_key: site_key?,
                action: action?,
                origin: origin?,
            },
            secret: secret?,
            verify_url: verify_url?,
            hostnames,
            min_score: min_score?,
            sends_client_address: send_client_address.unwrap_or(true),
            timeout: timeout.unwrap_or(TIMEOUT),
        };
        is_named.then_some(settings)
    }

    fn captcha_id(&mut self, id: &At<String>) -> bool {
        if TAKEN.contains(&id.as_str()) {
            let message = format!("`{}` is what sign-up files say for no vendor", id.value);
            self.findings.error(&id.span, message, "give it another id");
            return false;
        }
        self.short_name("a captcha", id)
    }

    fn site_key(&mut self, key: &At<String>) -> Sound<String> {
        if is_word(key, LONGEST_KEY, "_-") {
            return Some(key.value.clone());
        }
        let message = format!("`{}` is not a site key", key.value);
        let advice = "copy it from the vendor's console";
        self.findings.error(&key.span, message, advice);
        None
    }

    fn min_score(&mut self, vendor: Vendor, score: Option<&At<f64>>) -> Sound<f64> {
        let Some(score) = score else {
            return Some(MIN_SCORE);
        };
        if !vendor.gives_scores() {
            let message = format!("{} gives no scores", vendor.as_str());
            let advice = "remove `min_score`, or use the kind `recaptcha-v3`";
            self.findings.error(&score.span, message, advice);
            return None;
        }
        if (0.0..=1.0).contains(&score.value) {
            return Some(score.value);
        }
        let message = format!("{} is not a score", score.value);
        let advice = "write a number from 0 (robot) to 1 (person), such as 0.5";
        self.findings.error(&score.span, message, advice);
        None
    }

    fn action(&mut self, vendor: Vendor, action: Option<&At<String>>) -> Sound<String> {
        let Some(action) = action else {
            return Some(ACTION.to_owned());
        };
        if !vendor.names_actions() {
            let message = format!("{} knows no actions", vendor.as_str());
            self.findings
                .error(&action.span, message, "remove `action`");
            return None;
        }
        if is_word(action, LONGEST_ACTION, "_") {
            return Some(action.value.clone());
        }
        let message = format!("`{}` is not an action", action.value);
        let advice = "use letters, digits and `_`, 32 at most";
        self.findings.error(&action.span, message, advice);
        None
    }

    fn hostnames(&mut self, names: Option<&At<Vec<String>>>) -> Option<Vec<String>> {
        let names = names?;
        let is_name = |name: &String| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
            !name.is_empty() && name.chars().all(is_plain)
        };
        if names.is_empty() {
            let advice = "name one, or remove `hostnames`: then the page's own host counts";
            self.findings
                .error(&names.span, "it could be solved nowhere", advice);
        }
        if let Some(other) = names.iter().find(|name| !is_name(name)) {
            let message = format!("`{other}` is not a host");
            let advice = "write names alone, like `app.example.com`";
            self.findings.error(&names.span, message, advice);
        }
        Some(names.value.clone())
    }

    fn captcha_origin(&mut self, vendor: Vendor, origin: Option<&Parsed<Url>>) -> Sound<String> {
        let Some(written) = origin else {
            return Some(vendor.usual_origin().to_owned());
        };
        let url = self.findings.take(written)?;
        if !vendor.has_origins() {
            let message = format!("{} comes from one origin alone", vendor.as_str());
            self.findings
                .error(&written.span, message, "remove `origin`");
            return None;
        }
        let origin = origin_of(&url).filter(|_| is_secure(&url));
        if origin.is_none() {
            let message = "this is not an origin that a captcha comes from";
            let advice = "write `https://www.recaptcha.net`, without a path";
            self.findings.error(&written.span, message, advice);
        }
        origin
    }

    fn verify_url(
        &mut self,
        (vendor, origin): (Vendor, Option<&str>),
        written: Option<&Parsed<Url>>,
    ) -> Sound<Url> {
        if written.is_some() {
            return self.endpoint(written).flatten();
        }
        Url::parse(&vendor.verify_address(origin?)).ok()
    }
}

/// What becomes part of pages and addresses; all vendors keep to letters, digits and some marks.
fn is_word(text: &str, longest: usize, marks: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    (1..=longest).contains(&text.len()) && text.chars().all(is_plain)
}

/// A captcha without an id is called what it is.
fn id_of(captcha: &Captcha) -> At<String> {
    let of_kind = || At {
        span: captcha.kind.span.clone(),
        value: captcha.kind.as_str().to_owned(),
    };
    captcha.id.clone().unwrap_or_else(of_kind)
}
