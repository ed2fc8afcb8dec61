//! Taking in whoever a trip has proven, who may have been asked to sign in once more.

use super::attempt::{self, Attempt};
use super::finish::{Admission, give_reason};
use super::provider::Proven;
use super::{Cookies, Finished, Login, LoginError, Retry, StepUpProblem};
use crate::access::ClientContext;
use crate::audit::EventKind;
use crate::identity::VerifiedIdentity;

impl Login {
    /// Admits whoever an attempt has proven; who was to sign in once more must have done so as a
    /// rule asks.
    pub(super) async fn take_in(
        &self,
        client: &ClientContext,
        (attempt, retry): (&Attempt, Retry),
        Proven { identity, tokens }: Proven,
        cookies: &Cookies,
    ) -> Result<Finished, LoginError> {
        if let Some(stepping) = &attempt.step_up
            && let Err(problem) = stepping.judge(&identity, self.parts.clock.now())
        {
            let refused = self.not_stepped_up(client, &identity, (problem, retry));
            return Err(refused.await);
        }
        let admission = Admission {
            identity,
            tokens: Some(tokens),
            return_to: retry.return_to,
        };
        let mut finished = self.admit(client, admission, cookies).await?;
        finished.set_cookies.push(attempt::forget(&attempt.id));
        Ok(finished)
    }

    /// The answer to somebody who has not signed in as a rule asks; the refusal is kept.
    async fn not_stepped_up(
        &self,
        client: &ClientContext,
        identity: &VerifiedIdentity,
        (problem, retry): (StepUpProblem, Retry),
    ) -> LoginError {
        let mut event = self.event(EventKind::LoginRefused, identity);
        give_reason(&mut event, problem.as_str());
        self.record(client, event).await;
        LoginError::NotSteppedUp { problem, retry }
    }
}
