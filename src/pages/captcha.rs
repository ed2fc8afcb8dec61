//! Robots are kept from asking for letters: a check in the page, and fewer letters for whoever
//! comes without one, which nobody is turned away for alone. Without scripts there is none; a
//! vendor may be down; a person can have the score of a robot.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::CONTENT_SECURITY_POLICY;

use super::Pages;
use super::response_headers::page_policy;
use super::submission::Fields;
use super::views::{CaptchaView, CheckView, WidgetView, WorkView};
use super::visit::Visit;
use crate::captcha::{self, Asked, Judgement, NotSolved, Solved, Vendor};
use crate::onboarding::OnboardingError;
use crate::policy::signup_form::Captcha;
use crate::rate_limit::Network;
use crate::seal;
use crate::session::StoreDown;
use crate::telemetry::with_causes;

/// The field with the sealed challenge.
const TOKEN: &str = "captcha_token";
/// The field with what the browser found; empty without a script.
const FOUND: &str = "captcha";

/// How long a vendor's answer is remembered that was used; no vendor's counts for longer than five
/// minutes.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);

/// Why a form is not taken.
#[derive(Debug)]
pub(super) enum NotAPerson {
    /// The answer is wrong.
    Wrong,
    /// The answer is too old, or was used.
    Spent,
    /// Too many forms came from this network without a check.
    TooMany,
    /// It cannot be told.
    Down(OnboardingError),
    /// It cannot be told.
    StoreDown(StoreDown),
}

/// What the form of a host asks for.
enum Wanted {
    Nothing,
    Work,
    Vendor(Arc<dyn captcha::Captcha>),
}

/// What the check came to, where it is not refused.
enum Checked {
    Solved(Solved),
    /// Not vouched for; the word is for metrics.
    Not(&'static str),
}

impl Pages {
    /// The check for a page, where the form of the host asks for one.
    pub(super) fn captcha_view(
        &self,
        visit: &Visit,
        problem: Option<String>,
    ) -> Option<CaptchaView> {
        let check = match self.wanted(visit) {
            Wanted::Nothing => return None,
            Wanted::Work => CheckView::Work(self.work_view(visit)),
            Wanted::Vendor(captcha) => widget_view(captcha.widget(), visit.language.tag()),
        };
        Some(CaptchaView { problem, check })
    }

    /// Lets a page load what its check needs from the vendor, and nothing else.
    pub(super) fn with_captcha(&self, visit: &Visit, mut page: Response<Body>) -> Response<Body> {
        if let Wanted::Vendor(captcha) = self.wanted(visit)
            && let Some(policy) = page_policy(&captcha.widget().origins())
        {
            page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        page
    }

    /// Whether a form may have been sent by a person.
    pub(super) async fn check_captcha(
        &self,
        visit: &Visit,
        fields: &Fields,
    ) -> Result<(), NotAPerson> {
        let checked = match self.wanted(visit) {
            Wanted::Nothing => return Ok(()),
            Wanted::Work => self.judge_work(visit, fields),
            Wanted::Vendor(captcha) => self.ask_vendor(captcha.as_ref(), visit, fields).await,
        };
        let (word, outcome) = match checked {
            Ok(Checked::Solved(solved)) => ("solved", self.count_once(&solved).await),
            Ok(Checked::Not(why)) => (why, self.count_unchecked(visit).await),
            Err(refusal) => ("", Err(refusal)),
        };
        let word = outcome.as_ref().map_or_else(NotAPerson::word, |()| word);
        self.parts.metrics.captchas.count(word);
        outcome
    }

    fn work_view(&self, visit: &Visit) -> WorkView {
        let (host, now) = (&visit.client.host, self.parts.clock.now());
        let challenge = captcha::challenge(&self.parts.keys, host, now);
        WorkView {
            token: challenge.token,
            salt: challenge.salt,
            target: challenge.target,
            bound: challenge.bound.to_string(),
        }
    }

    fn judge_work(&self, visit: &Visit, fields: &Fields) -> Result<Checked, NotAPerson> {
        let answer = (field(fields, TOKEN), field(fields, FOUND));
        if answer.1.is_empty() {
            return Ok(Checked::Not("unchecked"));
        }
        let (host, now) = (&visit.client.host, self.parts.clock.now());
        match captcha::judge(&self.parts.keys, host, answer, now) {
            Ok(solved) => Ok(Checked::Solved(solved)),
            Err(NotSolved::Wrong) => Err(NotAPerson::Wrong),
            Err(NotSolved::Over) => Err(NotAPerson::Spent),
        }
    }

    async fn ask_vendor(
        &self,
        captcha: &dyn captcha::Captcha,
        visit: &Visit,
        fields: &Fields,
    ) -> Result<Checked, NotAPerson> {
        let vendor = captcha.widget().vendor;
        let answer = field(fields, vendor.answer_field());
        if answer.is_empty() {
            return Ok(Checked::Not("unchecked"));
        }
        let asked = Asked {
            answer,
            host: &visit.client.host,
            client: visit.client.client,
        };
        match captcha.judge(asked).await {
            Ok(Judgement::Person) => Ok(Checked::Solved(Solved {
                id: format!("captcha {}", seal::digest(answer.as_bytes())),
                ends_at: self.parts.clock.now().plus(REMEMBERED_FOR),
            })),
            Ok(Judgement::Doubtful) => Ok(Checked::Not("doubtful")),
            Ok(Judgement::Wrong) => Err(NotAPerson::Wrong),
            Ok(Judgement::Spent) => Err(NotAPerson::Spent),
            Err(error) => {
                let error = with_causes(&error);
                let vendor = vendor.as_str();
                tracing::error!(error, vendor, "a captcha cannot be judged");
                Ok(Checked::Not("down"))
            }
        }
    }

    /// Vendors take an answer once, too; two requests at the same time may be too fast for them.
    async fn count_once(&self, solved: &Solved) -> Result<(), NotAPerson> {
        let sessions = &self.parts.sessions;
        let first = sessions.consume_attempt(&solved.id, solved.ends_at).await;
        let first = first.map_err(NotAPerson::StoreDown)?;
        first.then_some(()).ok_or(NotAPerson::Spent)
    }

    async fn count_unchecked(&self, visit: &Visit) -> Result<(), NotAPerson> {
        let network = Network::of(visit.client.client).to_string();
        let onboarding = &self.parts.onboarding;
        let counted = onboarding.count_unchecked(&network).await;
        let counted = counted.map_err(NotAPerson::Down)?;
        counted.then_some(()).ok_or(NotAPerson::TooMany)
    }

    /// Policies name captchas that there are; should one not be there, the gateway's own is.
    fn wanted(&self, visit: &Visit) -> Wanted {
        let policy = self.parts.policy.current();
        match &policy.forms.of(&visit.client.host).captcha {
            Captcha::None => Wanted::Nothing,
            Captcha::ProofOfWork => Wanted::Work,
            Captcha::Of(id) => match self.parts.captchas.get(id) {
                Some(captcha) => Wanted::Vendor(Arc::clone(captcha)),
                None => Wanted::Work,
            },
        }
    }
}

impl NotAPerson {
    /// The word for it in metrics.
    const fn word(&self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Spent => "spent",
            Self::TooMany => "held_back",
            Self::Down(_) | Self::StoreDown(_) => "down",
        }
    }
}

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map_or("", String::as_str)
}

fn widget_view(widget: &captcha::Widget, language: &str) -> CheckView {
    let vendor = widget.vendor;
    let view = WidgetView {
        script: widget.script(language),
        class: vendor.class(),
        field: vendor.answer_field(),
        site_key: widget.site_key.clone(),
        action: vendor.names_actions().then(|| widget.action.clone()),
    };
    match vendor {
        Vendor::RecaptchaV3 => CheckView::Score(view),
        _ => CheckView::Widget(view),
    }
}
