//! Being asked to wait: a page says until when, and keeps what was sent, to be sent again.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::Pages;
use super::error_page::ErrorText;
use super::problem::Problem;
use super::stop::{self, Stop};
use super::submission::{self, Fields};
use super::views::{Frame, ResendPage};
use super::visit::Visit;
use crate::language::Texts;
use crate::onboarding::{HeldBack, abuse_key};
use crate::session::OpenSession;

const TITLE: &str = "error-429-title";

/// What somebody has to wait for.
#[derive(Debug)]
pub struct Waiting {
    held_back: HeldBack,
    /// The form that was sent from our own page, with a token to send it again.
    sent: Option<(Fields, String)>,
}

impl Waiting {
    /// A form that waits. It must have come with a right token: one press of a button sends it
    /// again with this one.
    pub(super) fn with_form(held_back: HeldBack, sent: &Fields, token: String) -> Self {
        Self {
            held_back,
            sent: Some((sent.clone(), token)),
        }
    }
}

impl From<HeldBack> for Stop {
    fn from(held_back: HeldBack) -> Self {
        Self::HeldBack(Waiting {
            held_back,
            sent: None,
        })
    }
}

impl From<Waiting> for Stop {
    fn from(waiting: Waiting) -> Self {
        Self::HeldBack(waiting)
    }
}

impl Pages {
    /// Before a mailed link is looked at.
    pub(super) async fn may_open_link(&self, visit: &Visit) -> Result<(), HeldBack> {
        let abuse = self.parts.onboarding.abuse();
        abuse.may_open_link(visit.client.client).await
    }

    /// Reads a form of somebody who has no session yet.
    pub(super) async fn stranger_form(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Fields, Stop> {
        let mut fields = submission::read(visit, body)?;
        self.check_stranger_token(visit, &mut fields)?;
        let submitted = self.may_submit(visit, None).await;
        submitted.map_err(|held_back| {
            Waiting::with_form(held_back, &fields, self.stranger_token(visit))
        })?;
        Ok(fields)
    }

    /// Before a form is judged; `subject` is who sent it, where that is known.
    pub(super) async fn may_submit(
        &self,
        visit: &Visit,
        subject: Option<&str>,
    ) -> Result<(), HeldBack> {
        let abuse = self.parts.onboarding.abuse();
        abuse.may_submit(visit.client.client, subject).await
    }

    /// Before the form of somebody who registers is judged.
    pub(super) async fn applicant_may_submit(
        &self,
        visit: &Visit,
        open: &OpenSession,
        sent: &Fields,
    ) -> Result<(), Waiting> {
        let subject = abuse_key(&open.record.identity);
        let submitted = self.may_submit(visit, Some(&subject)).await;
        submitted.map_err(|held_back| self.applicant_waits(visit, open, (held_back, sent)))
    }

    /// The form of somebody who registers has to wait.
    pub(super) fn applicant_waits(
        &self,
        visit: &Visit,
        open: &OpenSession,
        (held_back, sent): (HeldBack, &Fields),
    ) -> Waiting {
        Waiting::with_form(held_back, sent, self.form_token(visit, open))
    }

    /// The answer to somebody who has to wait.
    pub(super) fn asks_to_wait(&self, visit: &Visit, waiting: &Waiting) -> Response<Body> {
        let (status, held_back) = (StatusCode::TOO_MANY_REQUESTS, waiting.held_back);
        let mut response = match &waiting.sent {
            _ if !visit.wants_page => Problem::of(status, &visit.client.reference)
                .with_code("slow_down")
                .into_response(),
            None => self.error_response(visit, status, text_of(visit, held_back)),
            Some(sent) => {
                let page = waiting_page(self.titled(visit, TITLE), visit, (held_back, sent));
                stop::show(status, &page).unwrap_or_else(|stop| self.stopped(visit, stop))
            }
        };
        stop::ask_to_wait(&mut response, held_back.retry_after);
        response
    }
}

fn waiting_page(
    frame: Frame,
    visit: &Visit,
    (held_back, (sent, token)): (HeldBack, &(Fields, String)),
) -> ResendPage {
    ResendPage {
        frame,
        lead: when(visit.texts(), held_back),
        action: visit.here.clone(),
        form_token: token.clone(),
        fields: submission::to_send_again(sent),
        reference: visit.client.reference.clone(),
    }
}

fn text_of(visit: &Visit, held_back: HeldBack) -> ErrorText {
    ErrorText::written(TITLE, when(visit.texts(), held_back))
}

/// When another try can succeed, as people say it.
pub(super) fn when(texts: Texts, held_back: HeldBack) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    let seconds = stop::whole_seconds(held_back.retry_after);
    let (key, unit) = if seconds <= MINUTE {
        ("held-back-seconds", 1)
    } else if seconds <= HOUR {
        ("held-back-minutes", MINUTE)
    } else {
        ("held-back-hours", HOUR)
    };
    let number = usize::try_from(seconds.div_ceil(unit)).unwrap_or(usize::MAX);
    texts.count(key, "number", number).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::language::Language;

    #[test]
    fn when_to_try_again_is_said_in_round_numbers_and_never_too_early() {
        let says = |language: Language, seconds: f64| {
            let retry_after = Duration::from_secs_f64(seconds);
            when(language.texts(), HeldBack { retry_after })
        };
        for (seconds, words) in [
            (0.2, "in one second."),
            (39.5, "in 40 seconds."),
            (60.0, "in 60 seconds."),
            (61.0, "in 2 minutes."),
            (3600.0, "in 60 minutes."),
            (3601.0, "in 2 hours."),
        ] {
            let sentence = says(Language::En, seconds);
            assert!(sentence.ends_with(words), "{seconds}: {sentence}");
        }
        assert!(says(Language::De, 61.0).contains("in 2 Minuten"));
        assert!(says(Language::It, 1.0).contains("tra un secondo"));
    }
}
