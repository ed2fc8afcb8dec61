//! What the vendors of captchas document: the field that a widget fills in, the script and the
//! origins that its page needs, where answers are verified. Pure.
//!
//! Sources: <https://developers.google.com/recaptcha/docs/verify>, `/docs/v3`
//! and `/docs/faq`; <https://docs.hcaptcha.com>; <https://developers.cloudflare.com/turnstile>.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// Whose captcha it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Vendor {
    /// Google's reCAPTCHA v2: a box to tick.
    RecaptchaV2,
    /// Google's reCAPTCHA v3: nothing to tick, but a score.
    RecaptchaV3,
    /// hCaptcha: a box to tick.
    Hcaptcha,
    /// Cloudflare's Turnstile: a box that mostly ticks itself.
    Turnstile,
}

impl Vendor {
    /// The word for it in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecaptchaV2 => "recaptcha-v2",
            Self::RecaptchaV3 => "recaptcha-v3",
            Self::Hcaptcha => "hcaptcha",
            Self::Turnstile => "turnstile",
        }
    }

    /// The field that its widget fills in.
    pub const fn answer_field(self) -> &'static str {
        match self {
            Self::RecaptchaV2 | Self::RecaptchaV3 => "g-recaptcha-response",
            Self::Hcaptcha => "h-captcha-response",
            Self::Turnstile => "cf-turnstile-response",
        }
    }

    /// The class of the element that its script fills.
    pub const fn class(self) -> &'static str {
        match self {
            Self::RecaptchaV2 | Self::RecaptchaV3 => "g-recaptcha",
            Self::Hcaptcha => "h-captcha",
            Self::Turnstile => "cf-turnstile",
        }
    }

    /// Whether answers come with a score.
    pub const fn gives_scores(self) -> bool {
        matches!(self, Self::RecaptchaV3)
    }

    /// Whether answers say what they are for.
    pub const fn names_actions(self) -> bool {
        matches!(self, Self::RecaptchaV3 | Self::Turnstile)
    }

    /// Whether it can come from another origin: reCAPTCHA has one for where the first is not
    /// reached.
    pub const fn has_origins(self) -> bool {
        matches!(self, Self::RecaptchaV2 | Self::RecaptchaV3)
    }

    /// Where everything of it comes from, unless the operator says otherwise.
    pub const fn usual_origin(self) -> &'static str {
        match self {
            Self::RecaptchaV2 | Self::RecaptchaV3 => GOOGLE,
            Self::Hcaptcha => "https://js.hcaptcha.com",
            Self::Turnstile => "https://challenges.cloudflare.com",
        }
    }

    /// Where answers are verified, unless the operator says otherwise.
    pub fn verify_address(self, origin: &str) -> String {
        match self {
            Self::RecaptchaV2 | Self::RecaptchaV3 => format!("{origin}/recaptcha/api/siteverify"),
            Self::Hcaptcha => "https://api.hcaptcha.com/siteverify".to_owned(),
            Self::Turnstile => format!("{origin}/turnstile/v0/siteverify"),
        }
    }
}

const GOOGLE: &str = "https://www.google.com";

/// What a page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widget {
    /// Whose it is.
    pub vendor: Vendor,
    /// The key that the vendor knows the page by; not a secret.
    pub site_key: String,
    /// What the answer is for, in the vendor's statistics and in its answers.
    pub action: String,
    /// Where it comes from: scheme, host and port, without a slash at the end.
    pub origin: String,
}

/// The origins that a page with a widget loads from, besides its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins {
    /// Scripts.
    pub scripts: Vec<String>,
    /// Frames.
    pub frames: Vec<String>,
    /// Style sheets.
    pub styles: Vec<String>,
    /// Requests of scripts.
    pub connections: Vec<String>,
}

impl Widget {
    /// The address of the vendor's script, in a language.
    pub fn script(&self, language: &str) -> String {
        let Self {
            origin, site_key, ..
        } = self;
        match self.vendor {
            Vendor::RecaptchaV2 => format!("{origin}/recaptcha/api.js?hl={language}"),
            Vendor::RecaptchaV3 => {
                format!("{origin}/recaptcha/api.js?render={site_key}&hl={language}")
            }
            Vendor::Hcaptcha => {
                format!("{origin}/1/api.js?hl={language}&recaptchacompat=off")
            }
            // The language is the widget's own, see the page.
            Vendor::Turnstile => format!("{origin}/turnstile/v0/api.js"),
        }
    }

    /// What the vendor asks content policies to allow.
    pub fn origins(&self) -> Origins {
        let own = || vec![self.origin.clone()];
        match self.vendor {
            Vendor::RecaptchaV2 | Vendor::RecaptchaV3 => self.recaptcha_origins(),
            Vendor::Hcaptcha => {
                let all = ["https://hcaptcha.com", "https://*.hcaptcha.com"].map(str::to_owned);
                Origins {
                    scripts: all.to_vec(),
                    frames: all.to_vec(),
                    styles: all.to_vec(),
                    connections: all.to_vec(),
                }
            }
            Vendor::Turnstile => Origins {
                scripts: own(),
                frames: own(),
                ..Origins::default()
            },
        }
    }

    /// Of the frequently asked questions; `www.recaptcha.net` stands for `www.google.com` in all
    /// of them, and sends visitors in China on to `www.gstatic.cn` for the script proper.
    fn recaptcha_origins(&self) -> Origins {
        let own = format!("{}/recaptcha/", self.origin);
        let further = |address: &str| address.to_owned();
        let is_google = self.origin == GOOGLE;
        let mut scripts = vec![own.clone(), further("https://www.gstatic.com/recaptcha/")];
        let mut frames = vec![own];
        if is_google {
            frames.push(further("https://recaptcha.google.com/recaptcha/"));
        } else {
            scripts.push(further("https://www.gstatic.cn/recaptcha/"));
        }
        Origins {
            scripts,
            frames,
            ..Origins::default()
        }
    }
}

/// An origin as it is written into pages; none for what is more than an origin.
pub fn origin_of(address: &Url) -> Option<String> {
    let is_bare = address.path() == "/"
        && address.query().is_none()
        && address.fragment().is_none()
        && address.username().is_empty()
        && address.password().is_none();
    is_bare.then(|| address.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widget(vendor: Vendor, origin: &str) -> Widget {
        Widget {
            vendor,
            site_key: "site".to_owned(),
            action: "send_link".to_owned(),
            origin: origin.to_owned(),
        }
    }

    #[test]
    fn everything_that_is_loaded_is_allowed() {
        let net = "https://www.recaptcha.net";
        for (vendor, origin) in [
            (Vendor::RecaptchaV2, GOOGLE),
            (Vendor::RecaptchaV3, net),
            (Vendor::Hcaptcha, Vendor::Hcaptcha.usual_origin()),
            (Vendor::Turnstile, Vendor::Turnstile.usual_origin()),
        ] {
            let widget = widget(vendor, origin);
            let script = widget.script("it");
            let allows = |source: &String| {
                let source = source.replace("https://*.", "https://js.");
                script.starts_with(&source)
            };
            let origins = widget.origins();
            assert!(origins.scripts.iter().any(allows), "{script}: {origins:?}");
            assert!(!origins.frames.is_empty());
            let all = [origins.scripts, origins.frames, origins.styles].concat();
            assert!(all.iter().all(|source| source.starts_with("https://")));
        }
    }

    #[test]
    fn nothing_of_google_com_is_loaded_where_it_is_not_reached() {
        let widget = widget(Vendor::RecaptchaV2, "https://www.recaptcha.net");
        let all = format!("{:?} {}", widget.origins(), widget.script("de"));
        assert!(!all.contains("google.com"), "{all}");
    }

    #[test]
    fn an_origin_has_no_path() {
        let of = |text: &str| origin_of(&Url::parse(text).unwrap());
        assert_eq!(
            of("https://www.recaptcha.net/").as_deref(),
            Some("https://www.recaptcha.net")
        );
        assert_eq!(
            of("http://127.0.0.1:9/").as_deref(),
            Some("http://127.0.0.1:9")
        );
        for text in [
            "https://a.example/x",
            "https://a.example/?x",
            "https://a:b@a.example",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
