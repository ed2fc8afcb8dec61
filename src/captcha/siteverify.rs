//! The protocol that all vendors have in common: the answer of a widget is posted, with a secret,
//! to `siteverify`, which says in JSON what to think of it.

use std::net::IpAddr;

use async_trait::async_trait;
use http::{Request, Response, header};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::form_urlencoded;

use super::{Asked, Captcha, CaptchaDown, CaptchaSettings, Judgement, Vendor, Widget};
use crate::outbound::{AnswerLimits, Outbound};

/// The largest answer of a vendor, octets.
const LARGEST_ANSWER: usize = 16 * 1024;
/// How many verifications are under way at once; for more, the vendor counts as down.
const AT_ONCE: usize = 64;
/// The longest answer of a widget, octets; vendors' are below 4 KiB.
const LONGEST_TOKEN: usize = 8 * 1024;

/// What hCaptcha says instead of the host while there is an unusual number of challenges.
const HOST_NOT_PROVIDED: &str = "not-provided";

/// What is wrong with the answer of a widget; whatever else is wrong is between the vendor and the
/// operator.
const NOT_GENUINE: [&str; 2] = ["missing-input-response", "invalid-input-response"];
const SPENT: [&str; 4] = [
    "timeout-or-duplicate",
    "expired-input-response",
    "already-seen-response",
    "invalid-or-already-seen-response",
];

/// A vendor that is asked by `siteverify`.
#[derive(Debug)]
pub struct Siteverify {
    settings: CaptchaSettings,
    outbound: Outbound,
    turns: Semaphore,
}

/// What a vendor says.
#[derive(Debug, Deserialize)]
struct Said {
    success: bool,
    #[serde(default, rename = "error-codes")]
    error_codes: Option<Vec<String>>,
    hostname: Option<String>,
    action: Option<String>,
    score: Option<f64>,
}

#[async_trait]
impl Captcha for Siteverify {
    fn widget(&self) -> &Widget {
        &self.settings.widget
    }

    async fn judge(&self, asked: Asked<'_>) -> Result<Judgement, CaptchaDown> {
        if asked.answer.len() > LONGEST_TOKEN {
            return Ok(Judgement::Wrong);
        }
        let turn = self.turns.try_acquire();
        let _turn = turn.map_err(|_| CaptchaDown::TooBusy)?;
        let limits = AnswerLimits {
            time: self.settings.timeout,
            size: LARGEST_ANSWER,
        };
        let answer = self.outbound.call(self.request(asked)?, limits).await?;
        self.weigh(&read(&answer)?, asked.host)
    }
}

impl Siteverify {
    /// Asks the vendor of these settings.
    pub fn new(settings: CaptchaSettings, outbound: Outbound) -> Self {
        Self {
            settings,
            outbound,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    fn request(&self, asked: Asked<'_>) -> Result<Request<Vec<u8>>, http::Error> {
        let settings = &self.settings;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("secret", settings.secret.expose_secret())
            .append_pair("response", asked.answer);
        if settings.sends_client_address {
            form.append_pair("remoteip", &address(asked.client));
        }
        if settings.widget.vendor == Vendor::Hcaptcha {
            form.append_pair("sitekey", &settings.widget.site_key);
        }
        Request::post(settings.verify_url.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish().into_bytes())
    }

    fn weigh(&self, said: &Said, host: &str) -> Result<Judgement, CaptchaDown> {
        if !said.success {
            return refusal(said.error_codes.as_deref().unwrap_or_default());
        }
        let widget = &self.settings.widget;
        if !self.is_from(said.hostname.as_deref(), host) {
            let (captcha, hostname) = (&self.settings.id, &said.hostname);
            tracing::warn!(%captcha, ?hostname, "a captcha was solved on another host");
            return Ok(Judgement::Wrong);
        }
        if !self.is_for(said.action.as_deref()) {
            let (captcha, action) = (&self.settings.id, &said.action);
            tracing::warn!(%captcha, ?action, "a captcha was solved for another action");
            return Ok(Judgement::Wrong);
        }
        if !widget.vendor.gives_scores() {
            return Ok(Judgement::Person);
        }
        match said.score {
            None => Err(CaptchaDown::NoScore),
            Some(score) if score >= self.settings.min_score => Ok(Judgement::Person),
            Some(_) => Ok(Judgement::Doubtful),
        }
    }

    /// Test keys of Turnstile know no action; real ones always say one, be it empty.
    fn is_for(&self, said: Option<&str>) -> bool {
        let widget = &self.settings.widget;
        match said {
            _ if !widget.vendor.names_actions() => true,
            Some(action) => action == widget.action,
            None => widget.vendor == Vendor::Turnstile,
        }
    }

    fn is_from(&self, said: Option<&str>, host: &str) -> bool {
        let Some(said) = said else { return false };
        let is = |host: &str| said.eq_ignore_ascii_case(host);
        match &self.settings.hostnames {
            _ if said == HOST_NOT_PROVIDED => self.settings.widget.vendor == Vendor::Hcaptcha,
            Some(hostnames) => hostnames.iter().any(|one| is(one)),
            None => is(host),
        }
    }
}

/// Some vendors say with 200 what is wrong, others with 400.
fn read(answer: &Response<Vec<u8>>) -> Result<Said, CaptchaDown> {
    let status = answer.status();
    let said: Result<Said, _> = serde_json::from_slice(answer.body());
    match said {
        Ok(said) if status.is_success() || (status.is_client_error() && !said.success) => Ok(said),
        _ if status.is_success() => Err(CaptchaDown::Garbled),
        _ => Err(CaptchaDown::Status(status.as_u16())),
    }
}

fn refusal(codes: &[String]) -> Result<Judgement, CaptchaDown> {
    let is_other = |code: &&String| {
        let code = code.as_str();
        !NOT_GENUINE.contains(&code) && !SPENT.contains(&code)
    };
    if let Some(other) = codes.iter().find(is_other) {
        return Err(CaptchaDown::Refused(printable(other)));
    }
    if codes.iter().any(|code| SPENT.contains(&code.as_str())) {
        return Ok(Judgement::Spent);
    }
    Ok(Judgement::Wrong)
}

/// A code as a log line holds it.
fn printable(code: &str) -> String {
    let is_word = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    code.chars().filter(is_word).take(60).collect()
}

fn address(client: IpAddr) -> String {
    client.to_canonical().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;
    use serde_json::{Value, json};

    use super::*;

    const HOST: &str = "app.example.com";
    const ALL: [Vendor; 4] = [
        Vendor::RecaptchaV2,
        Vendor::RecaptchaV3,
        Vendor::Hcaptcha,
        Vendor::Turnstile,
    ];

    fn siteverify(vendor: Vendor) -> Siteverify {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let origin = vendor.usual_origin().to_owned();
        let settings = CaptchaSettings {
            id: "one".to_owned(),
            verify_url: vendor.verify_address(&origin).parse().unwrap(),
            widget: Widget {
                vendor,
                site_key: "site-key".to_owned(),
                action: "send_link".to_owned(),
                origin,
            },
            secret: SecretString::from("a&b=c"),
            hostnames: None,
            min_score: 0.5,
            sends_client_address: true,
            timeout: Duration::from_secs(5),
        };
        Siteverify::new(settings, Outbound::new().unwrap())
    }

    fn solved() -> Value {
        json!({
            "success": true, "challenge_ts": "2026-11-21T15:00:00Z", "hostname": HOST,
            "action": "send_link", "score": 0.9, "error-codes": [],
        })
    }

    /// What is thought of an answer that differs from a right one.
    fn weighed(vendor: Vendor, key: &str, value: Value) -> Result<Judgement, CaptchaDown> {
        let mut answer = solved();
        answer[key] = value;
        let said = serde_json::from_value(answer).unwrap();
        siteverify(vendor).weigh(&said, HOST)
    }

    #[test]
    fn a_right_answer_is_a_persons() {
        for vendor in ALL {
            let weighed = weighed(vendor, "hostname", json!("APP.example.com"));
            assert_eq!(weighed.unwrap(), Judgement::Person, "{vendor:?}");
        }
    }

    #[test]
    fn an_answer_of_another_host_is_wrong() {
        for vendor in ALL {
            for host in [json!("evil.example"), json!(""), json!(null)] {
                let weighed = weighed(vendor, "hostname", host);
                assert_eq!(weighed.unwrap(), Judgement::Wrong, "{vendor:?}");
            }
            let unknown = weighed(vendor, "hostname", json!("not-provided")).unwrap();
            let may_be_unknown = vendor == Vendor::Hcaptcha;
            assert_eq!(unknown == Judgement::Person, may_be_unknown, "{vendor:?}");
        }
    }

    #[test]
    fn hosts_can_be_named() {
        let mut siteverify = siteverify(Vendor::Turnstile);
        siteverify.settings.hostnames = Some(vec!["example.com".to_owned()]);
        assert!(siteverify.is_from(Some("example.com"), HOST));
        assert!(!siteverify.is_from(Some(HOST), HOST));
    }

    #[test]
    fn an_answer_for_another_action_is_wrong_where_there_are_actions() {
        for vendor in ALL {
            for action in [json!("login"), json!("")] {
                let is_wrong = weighed(vendor, "action", action).unwrap() == Judgement::Wrong;
                assert_eq!(is_wrong, vendor.names_actions(), "{vendor:?}");
            }
        }
    }

    #[test]
    fn test_keys_of_turnstile_know_no_action() {
        let weighed = |vendor| weighed(vendor, "action", json!(null)).unwrap();
        assert_eq!(weighed(Vendor::Turnstile), Judgement::Person);
        assert_eq!(weighed(Vendor::RecaptchaV3), Judgement::Wrong);
    }

    #[test]
    fn scores_count_for_v3_alone() {
        for (score, judgement) in [
            (0.0, Judgement::Doubtful),
            (0.49, Judgement::Doubtful),
            (0.5, Judgement::Person),
            (1.0, Judgement::Person),
        ] {
            for vendor in ALL {
                let weighed = weighed(vendor, "score", json!(score)).unwrap();
                let is_v3 = vendor == Vendor::RecaptchaV3;
                let expected = if is_v3 { judgement } else { Judgement::Person };
                assert_eq!(weighed, expected, "{vendor:?} {score}");
            }
        }
        let none = weighed(Vendor::RecaptchaV3, "score", json!(null));
        assert!(matches!(none, Err(CaptchaDown::NoScore)));
    }

    #[test]
    fn error_codes_say_whose_fault_it_is() {
        let judged = |codes: &[&str]| {
            let codes: Vec<String> = codes.iter().map(|&code| code.to_owned()).collect();
            refusal(&codes)
        };
        assert_eq!(judged(&[]).unwrap(), Judgement::Wrong);
        for code in NOT_GENUINE {
            assert_eq!(judged(&[code]).unwrap(), Judgement::Wrong, "{code}");
        }
        for code in SPENT {
            assert_eq!(judged(&[code]).unwrap(), Judgement::Spent, "{code}");
        }
        for code in ["invalid-input-secret", "internal-error", "of-tomorrow"] {
            let codes = ["invalid-input-response", code];
            let down = judged(&codes).unwrap_err().to_string();
            assert!(down.ends_with(code), "{down}");
        }
        let hostile = judged(&["\n\u{1b}[31m<b>"]).unwrap_err().to_string();
        assert!(hostile.ends_with(": 31mb"), "{hostile}");
    }

    #[test]
    fn what_is_not_documented_is_no_answer() {
        let read = |status: u16, body: &str| {
            let answer = Response::builder().status(status);
            read(&answer.body(body.as_bytes().to_vec()).unwrap())
        };
        assert!(read(200, r#"{"success":true}"#).unwrap().success);
        let refused = r#"{"success":false,"error-codes":["bad-request"]}"#;
        assert!(!read(400, refused).unwrap().success);
        for (status, body) in [
            (200, ""),
            (200, "<html>"),
            (200, r#"{"success":"true"}"#),
            (302, r#"{"success":true}"#),
            (400, r#"{"success":true}"#),
            (500, r#"{"success":true}"#),
            (503, refused),
        ] {
            assert!(read(status, body).is_err(), "{status} {body}");
        }
    }

    #[test]
    fn the_vendor_is_told_what_it_documents() {
        let asked = Asked {
            answer: "x&y",
            host: HOST,
            client: "::ffff:192.0.2.1".parse().unwrap(),
        };
        let body = |siteverify: &Siteverify| {
            let request = siteverify.request(asked).unwrap();
            String::from_utf8(request.into_body()).unwrap()
        };
        let common = "secret=a%26b%3Dc&response=x%26y";
        for vendor in ALL {
            let mut siteverify = siteverify(vendor);
            let sitekey = if vendor == Vendor::Hcaptcha {
                "&sitekey=site-key"
            } else {
                ""
            };
            let expected = format!("{common}&remoteip=192.0.2.1{sitekey}");
            assert_eq!(body(&siteverify), expected);
            siteverify.settings.sends_client_address = false;
            assert_eq!(body(&siteverify), format!("{common}{sitekey}"));
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", siteverify(Vendor::Hcaptcha)).contains("a&b=c"));
    }
}
