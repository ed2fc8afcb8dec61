//! Calls to ThingsBoard's REST API: with the gateway's own authentication, a bounded number at
//! once, bounded answers, and repeated with pauses where that can do no harm.

use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, header};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

use super::session::Session;
use super::trouble::{Refusal, Trouble, code};
use crate::outbound::{AnswerLimits, Outbound};
use crate::platform::{PlatformError, ThingsBoardSettings};

/// More calls than this wait.
const AT_ONCE: usize = 16;

/// The most octets that are read of an answer.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Pauses before a call is repeated; ThingsBoard never says how long to wait.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    is_repeatable: bool,
}

impl Call {
    fn new(method: Method, path: &[&str]) -> Self {
        Self {
            is_repeatable: method.is_idempotent(),
            method,
            path: path.iter().map(|&part| part.to_owned()).collect(),
            query: Vec::new(),
            body: None,
        }
    }

    pub(super) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// A call that may make something: it is not repeated when its outcome is unknown.
    pub(super) fn post(path: &[&str]) -> Self {
        Self::new(Method::POST, path)
    }

    /// Doing it twice is doing it once.
    pub(super) fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    pub(super) fn by(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// With a JSON body.
    pub(super) fn with(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).ok();
        self
    }
}

/// The REST API of one installation, as one tenant's administrator.
pub(super) struct Client {
    url: Url,
    outbound: Outbound,
    limits: AnswerLimits,
    places: Semaphore,
    session: Session,
}

impl Client {
    pub(super) fn new(settings: &ThingsBoardSettings, outbound: Outbound) -> Self {
        Self {
            url: settings.url.clone(),
            outbound,
            limits: AnswerLimits {
                time: settings.timeout,
                size: LARGEST_ANSWER,
            },
            places: Semaphore::new(AT_ONCE),
            session: Session::new(settings.credentials.clone()),
        }
    }

    /// What is answered, read as `T`.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, Trouble> {
        read(&self.answer(call).await?)
    }

    /// What is answered, none where there is no such thing.
    pub(super) async fn find<T: DeserializeOwned>(&self, call: Call) -> Result<Option<T>, Trouble> {
        match self.ask(call).await {
            Err(trouble) if trouble.is_absence() => Ok(None),
            found => found.map(Some),
        }
    }

    /// The text that is answered.
    pub(super) async fn ask_text(&self, call: Call) -> Result<String, Trouble> {
        let answer = self.answer(call).await?;
        Ok(String::from_utf8_lossy(answer.body()).into_owned())
    }

    /// Has something done; what is answered does not matter.
    pub(super) async fn tell(&self, call: Call) -> Result<(), Trouble> {
        self.answer(call).await.map(|_| ())
    }

    /// A call without the gateway's own authentication.
    pub(super) async fn ask_openly<T: DeserializeOwned>(&self, call: Call) -> Result<T, Trouble> {
        read(&self.patiently(&call, None).await?)
    }

    /// Has something done as somebody else, once.
    pub(super) async fn tell_as(
        &self,
        authorization: &HeaderValue,
        call: &Call,
    ) -> Result<(), Trouble> {
        self.once(call, Some(authorization)).await.map(|_| ())
    }

    async fn answer(&self, call: Call) -> Result<Response<Vec<u8>>, Trouble> {
        let authorization = self.session.authorization(self).await?;
        match self.patiently(&call, Some(&authorization)).await {
            // A call that was not let in was not carried out.
            Err(Trouble::Refused(refusal)) if self.session.can_begin_anew(&refusal) => {
                let is_expired = refusal.code == code::EXPIRED;
                self.session.drop_token(&authorization, is_expired).await;
                let authorization = self.session.authorization(self).await?;
                self.patiently(&call, Some(&authorization)).await
            }
            answered => answered,
        }
    }

    /// Repeats what may be repeated.
    async fn patiently(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Vec<u8>>, Trouble> {
        for pause in PAUSES {
            match self.once(call, authorization).await {
                Err(trouble) if may_pass(&trouble, call.is_repeatable) => {
                    tokio::time::sleep(pause).await;
                }
                answered => return answered,
            }
        }
        self.once(call, authorization).await
    }

    async fn once(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Vec<u8>>, Trouble> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(&call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(url.as_str())
            .header(header::ACCEPT, "application/json, text/plain");
        if let Some(authorization) = authorization {
            request = request.header("X-Authorization", authorization);
        }
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(call.body.clone().unwrap_or_default());
        let request = request.map_err(|error| PlatformError::Garbled(Box::new(error)))?;
        // Never closed, so that there is a place sooner or later.
        let _place = self.places.acquire().await;
        let answer = self.outbound.call(request, self.limits).await?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(Trouble::Refused(Refusal::of(&answer)))
        }
    }
}

fn may_pass(trouble: &Trouble, is_repeatable: bool) -> bool {
    match trouble {
        Trouble::Refused(refusal) => refusal.passes(is_repeatable),
        Trouble::Other(PlatformError::Unreachable(_)) => is_repeatable,
        Trouble::SecondFactor | Trouble::Other(_) => false,
    }
}

fn read<T: DeserializeOwned>(answer: &Response<Vec<u8>>) -> Result<T, Trouble> {
    let body = answer.body();
    let read = if body.is_empty() {
        serde_json::from_value(Value::Null)
    } else {
        serde_json::from_slice(body)
    };
    read.map_err(|error| PlatformError::Garbled(Box::new(error)).into())
}

/// A header value that is never printed.
pub(super) fn hidden(text: &secrecy::SecretString) -> Result<HeaderValue, Trouble> {
    let mut value = HeaderValue::from_str(text.expose_secret())
        .map_err(|error| PlatformError::Garbled(Box::new(error)))?;
    value.set_sensitive(true);
    Ok(value)
}
