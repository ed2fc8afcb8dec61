//! The endpoint that is asked before a registration is accepted.

use async_trait::async_trait;
use http::{Request, header};
use url::Url;

use super::signature::HookSecret;
use super::{Answer, HookDown, Patience, Question, RegistrationHook};
use crate::clock::SharedClock;
use crate::outbound::{AnswerLimits, Outbound};

/// The largest answer, octets.
const LARGEST_ANSWER: usize = 64 * 1024;

/// An endpoint of the operator's.
pub struct HookEndpoint {
    /// Where it is.
    pub url: Url,
    /// Signs questions.
    pub secret: HookSecret,
    /// Carries them.
    pub outbound: Outbound,
    /// The time in signatures.
    pub clock: SharedClock,
}

impl std::fmt::Debug for HookEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookEndpoint(…)")
    }
}

#[async_trait]
impl RegistrationHook for HookEndpoint {
    async fn ask(&self, question: &Question, patience: Patience) -> Result<Answer, HookDown> {
        let id = uuid::Uuid::now_v7().to_string();
        let body = serde_json::to_vec(question);
        let body = body.map_err(|error| HookDown::NoAnswer(Box::new(error)))?;
        let mut retries = patience.retries;
        loop {
            match self.ask_once(&id, question, (&body, patience)).await {
                Err(HookDown::NoAnswer(_) | HookDown::Status(500..)) if retries > 0 => retries -= 1,
                outcome => return outcome,
            }
        }
    }
}

impl HookEndpoint {
    async fn ask_once(
        &self,
        id: &str,
        question: &Question,
        (body, patience): (&[u8], Patience),
    ) -> Result<Answer, HookDown> {
        let limits = AnswerLimits {
            time: patience.timeout,
            size: LARGEST_ANSWER,
        };
        let signed = self.secret.sign(id, self.clock.now(), body);
        let request = signed_request(&self.url, signed, body.to_vec())?;
        let answer = self.outbound.call(request, limits).await;
        let answer = answer.map_err(|error| HookDown::NoAnswer(Box::new(error)))?;
        match answer.status().as_u16() {
            200 => Answer::read(question.moment, answer.body()),
            other => Err(HookDown::Status(other)),
        }
    }
}

/// A call with its signature.
pub(super) fn signed_request(
    url: &Url,
    signed: [(header::HeaderName, Option<header::HeaderValue>); 3],
    body: Vec<u8>,
) -> Result<Request<Vec<u8>>, HookDown> {
    let mut request = Request::post(url.as_str()).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in signed {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let request = request.body(body);
    request.map_err(|error| HookDown::NoAnswer(Box::new(error)))
}
