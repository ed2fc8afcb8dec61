//! The way back from the identity provider, and from the registration.

use secrecy::SecretString;
use serde_json::json;

use super::attempt::{Attempt, State};
use super::callback::{Answer, CallbackQuery};
use super::provider::{ProviderError, Redemption};
use super::{CarryOn, Cookies, Finished, Login, LoginError, Retry, Wish, own_address};
use crate::access::{ClientContext, RequestKind, ReturnTo};
use crate::audit::{Event, EventKind};
use crate::identity::{Account, Cleared, VerifiedIdentity};
use crate::onboarding::{Arrival, NextStep, TurnedAway};
use crate::paths;
use crate::session::{
    Beginning, IdpTokens, OpenSession, SessionId, SessionStanding, Stage, cookie,
};
use crate::telemetry::with_causes;

/// How an attempt was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// This browser has no such attempt, or it is over.
    NotHere,
    /// It was consumed.
    Consumed,
}

/// Somebody who was shown to be somebody.
pub(super) struct Admission {
    pub(super) identity: VerifiedIdentity,
    pub(super) tokens: Option<IdpTokens>,
    pub(super) return_to: ReturnTo,
}

impl Login {
    /// Takes a provider's answer: whoever is proven gets a session, live or pending, or is turned
    /// away.
    pub async fn finish(
        &self,
        client: &ClientContext,
        query: CallbackQuery,
        cookies: &Cookies,
    ) -> Result<Finished, LoginError> {
        if client.kind != RequestKind::Page {
            return Err(LoginError::NotANavigation);
        }
        let attempts = self.attempts(client);
        let state = attempts
            .read_state(&query.state)
            .ok_or(LoginError::UnknownState)?;
        let Some(attempt) = attempts.find(&state, cookies) else {
            return self
                .start_over(client, &state, Lost::NotHere, cookies)
                .await;
        };
        let retry = retry(client, &state, &attempt.return_to);
        let code = match query.answer {
            Answer::Code(code) => code,
            Answer::Refusal(refusal) => {
                let provider = self.provider(&attempt.provider)?;
                return Err(
                    match provider.check_answer_issuer(query.issuer.as_deref()).await {
                        Ok(()) => LoginError::ProviderRefused { refusal, retry },
                        Err(cause) => LoginError::NotProven { cause, retry },
                    },
                );
            }
        };
        let ends_at = attempts.ends_at(attempt.began_at);
        if !self
            .parts
            .sessions
            .consume_attempt(&attempt.id, ends_at)
            .await?
        {
            return self
                .start_over(client, &state, Lost::Consumed, cookies)
                .await;
        }
        let redemption = redemption(client, &attempt, code, query.issuer)?;
        match self.provider(&attempt.provider)?.redeem(redemption).await {
            Ok(proven) => {
                let outcome = self.take_in(client, (&attempt, retry), proven, cookies);
                outcome.await
            }
            Err(cause) => {
                self.record_failure(client, &attempt, &cause).await;
                Err(LoginError::NotProven { cause, retry })
            }
        }
    }

    /// An answer to an attempt that is not under way in this browser. Whoever is signed in goes
    /// on; an attempt that took too long, or was crowded out by others, starts over once. A fresh
    /// answer in a browser that has never asked may be somebody else's: it gets a page.
    async fn start_over(
        &self,
        client: &ClientContext,
        state: &State,
        lost: Lost,
        cookies: &Cookies,
    ) -> Result<Finished, LoginError> {
        let retry = retry(client, state, state.return_to.as_deref().unwrap_or("/"));
        match self
            .parts
            .sessions
            .standing(cookies.session(), &client.host)
            .await
        {
            SessionStanding::Live(_) | SessionStanding::NeedsRefresh(_) => {
                return Ok(go_to(retry.return_to.as_str()));
            }
            SessionStanding::Pending(_) => return Ok(go_to(paths::REGISTER)),
            _ => {}
        }
        let attempts = self.attempts(client);
        let is_innocent =
            lost == Lost::Consumed || attempts.is_over(state.began_at) || attempts.has_any(cookies);
        if state.is_second || !is_innocent {
            return Err(LoginError::AttemptLost { retry });
        }
        let wish = Wish {
            is_second: true,
            ..Wish::to(retry.return_to)
        };
        let begun = self.start(client, &state.provider, wish, cookies).await?;
        Ok(Finished {
            go_to: begun.redirect.into(),
            set_cookies: begun.set_cookies,
        })
    }

    /// Gives whoever was shown to be somebody a session, live or pending, or turns them away.
    pub(super) async fn admit(
        &self,
        client: &ClientContext,
        admission: Admission,
        cookies: &Cookies,
    ) -> Result<Finished, LoginError> {
        let Admission {
            identity,
            tokens,
            return_to,
        } = admission;
        let onboarding = &self.parts.onboarding;
        let first = Box::pin(onboarding.first_step(&identity, &client.host));
        let next = match self.next_unless_blocked(&identity, first).await? {
            // A link in a letter is a way to register, and no way to sign in.
            NextStep::SignedIn(_) if identity.is_by_mail() => {
                NextStep::TurnedAway(TurnedAway::HasAccount)
            }
            next => next,
        };
        let (stage, go_to) = match next {
            NextStep::SignedIn(account) => (Stage::Live(account), return_to.as_str().to_owned()),
            NextStep::Register(_) | NextStep::Prove(_) | NextStep::UnderWay(_) => {
                let return_to = return_to.as_str().to_owned();
                (Stage::Pending { return_to }, paths::REGISTER.to_owned())
            }
            NextStep::TurnedAway(reason) => {
                return Err(self
                    .turned_away(client, (&identity, reason), return_to)
                    .await);
            }
        };
        if let Stage::Live(account) = &stage {
            let arrival = Arrival::SignedIn;
            onboarding.follow_claims(&identity, account, arrival).await;
        }
        let cleared = self.cleared(&stage).await?;
        let event = logged_in(self.event(EventKind::LoggedIn, &identity), &stage);
        let old = cookies.session().and_then(SessionId::from_cookie);
        let beginning = Beginning {
            identity: identity.clone(),
            stage,
            cleared,
            tokens,
            host: &client.host,
            device: &client.device,
            replaces: old.as_ref(),
        };
        let id = self.parts.sessions.begin(beginning).await?;
        if !self.goes_on(&identity, &id).await? {
            let who = (&identity, TurnedAway::Disabled);
            return Err(self.turned_away(client, who, return_to).await);
        }
        self.record(client, event).await;
        let set_cookies = vec![cookie::session_cookie(&id)];
        Ok(Finished { go_to, set_cookies })
    }

    /// The answer to somebody who is not let in; the refusal is kept.
    async fn turned_away(
        &self,
        client: &ClientContext,
        (identity, reason): (&VerifiedIdentity, TurnedAway),
        return_to: ReturnTo,
    ) -> LoginError {
        let event = self.event(EventKind::LoginRefused, identity);
        self.record(client, refused(event, &reason)).await;
        let retry = Retry {
            provider: identity.provider().cloned(),
            return_to,
        };
        LoginError::TurnedAway { reason, retry }
    }

    /// What somebody has done of what may come first.
    async fn cleared(&self, stage: &Stage) -> Result<Cleared, LoginError> {
        match stage {
            Stage::Live(account) => Ok(self.parts.onboarding.cleared(account).await?),
            Stage::Pending { .. } => Ok(Cleared::default()),
        }
    }

    /// Comes from a registration: once it is complete the session is promoted under a new id,
    /// whichever node did the work; until then the way leads back to the registration.
    pub async fn carry_on(
        &self,
        client: &ClientContext,
        cookies: &Cookies,
    ) -> Result<CarryOn, LoginError> {
        let open = match self
            .parts
            .sessions
            .standing(cookies.session(), &client.host)
            .await
        {
            SessionStanding::Pending(open) => open,
            SessionStanding::Live(_) | SessionStanding::NeedsRefresh(_) => {
                return Ok(go_to(ReturnTo::home().as_str()));
            }
            SessionStanding::Absent | SessionStanding::Expired | SessionStanding::Unreadable => {
                return Ok(go_to(paths::LOGIN));
            }
            SessionStanding::StoreDown => return Err(LoginError::StoreDown(None)),
        };
        let identity = &open.record.identity;
        let next = Box::pin(self.parts.onboarding.next_step(identity, &client.host));
        match self.next_unless_blocked(identity, next).await? {
            NextStep::SignedIn(account) => self.promote(client, &open, account, cookies).await,
            NextStep::Register(_) | NextStep::Prove(_) | NextStep::UnderWay(_) => {
                Ok(go_to(paths::REGISTER))
            }
            NextStep::TurnedAway(reason) => self.turn_away(client, &open, reason, cookies).await,
        }
    }

    async fn promote(
        &self,
        client: &ClientContext,
        open: &OpenSession,
        account: Account,
        cookies: &Cookies,
    ) -> Result<CarryOn, LoginError> {
        let Some(old) = cookies.session().and_then(SessionId::from_cookie) else {
            return Ok(go_to(paths::LOGIN));
        };
        let identity = open.record.identity.clone().with_account(&account);
        let mut event = self.event(EventKind::LoggedIn, &identity);
        event.account = Some(account.clone());
        let onboarding = &self.parts.onboarding;
        let arrival = Arrival::Registered {
            host: &client.host,
            signed_in_at: open.record.created_at,
        };
        onboarding.follow_claims(&identity, &account, arrival).await;
        let cleared = onboarding.cleared(&account).await?;
        let promoting = self.parts.sessions.promote(open, &old, (account, cleared));
        let Some(id) = promoting.await? else {
            return Ok(go_to(paths::LOGIN));
        };
        let return_to = pending_target(open, client);
        if !self.goes_on(&identity, &id).await? {
            let who = (&identity, TurnedAway::Disabled);
            return Err(self.turned_away(client, who, return_to).await);
        }
        self.record(client, event).await;
        Ok(Finished {
            go_to: return_to.as_str().to_owned(),
            set_cookies: vec![cookie::session_cookie(&id)],
        })
    }

    async fn turn_away(
        &self,
        client: &ClientContext,
        open: &OpenSession,
        reason: TurnedAway,
        cookies: &Cookies,
    ) -> Result<CarryOn, LoginError> {
        if let Some(id) = cookies.session().and_then(SessionId::from_cookie) {
            self.parts.sessions.end(&id).await?;
        }
        let who = (&open.record.identity, reason);
        let return_to = pending_target(open, client);
        Err(self.turned_away(client, who, return_to).await)
    }

    async fn record_failure(
        &self,
        client: &ClientContext,
        attempt: &Attempt,
        cause: &ProviderError,
    ) {
        let mut event = Event::new(self.parts.clock.now(), EventKind::LoginRefused);
        event.detail = json!({ "provider": attempt.provider, "reason": with_causes(cause) });
        self.record(client, event).await;
    }
}

fn go_to(place: &str) -> Finished {
    Finished {
        go_to: place.to_owned(),
        set_cookies: Vec::new(),
    }
}

fn retry(client: &ClientContext, state: &State, return_to: &str) -> Retry {
    Retry {
        provider: Some(state.provider.clone()),
        return_to: ReturnTo::parse(return_to, &client.own_origin),
    }
}

fn redemption(
    client: &ClientContext,
    attempt: &Attempt,
    code: SecretString,
    answer_issuer: Option<String>,
) -> Result<Redemption, LoginError> {
    Ok(Redemption {
        code,
        answer_issuer,
        redirect_uri: own_address(client, paths::CALLBACK)?,
        verifier: attempt.verifier.clone().into(),
        nonce: attempt.nonce.clone(),
    })
}

fn pending_target(open: &OpenSession, client: &ClientContext) -> ReturnTo {
    match &open.record.stage {
        Stage::Pending { return_to } => ReturnTo::parse(return_to, &client.own_origin),
        Stage::Live(_) => ReturnTo::home(),
    }
}

fn logged_in(mut event: Event, stage: &Stage) -> Event {
    match stage {
        Stage::Live(account) => event.account = Some(account.clone()),
        Stage::Pending { .. } => {
            if let Some(detail) = event.detail.as_object_mut() {
                detail.insert("registration".to_owned(), json!("needed"));
            }
        }
    }
    event
}

fn refused(mut event: Event, reason: &TurnedAway) -> Event {
    let word = match reason {
        TurnedAway::Excluded { .. } => "excluded",
        TurnedAway::Disabled => "disabled",
        TurnedAway::Denied => "denied",
        TurnedAway::HasAccount => "has_account",
    };
    give_reason(&mut event, word);
    event
}

pub(super) fn give_reason(event: &mut Event, word: &str) {
    if let Some(detail) = event.detail.as_object_mut() {
        detail.insert("reason".to_owned(), json!(word));
    }
}
