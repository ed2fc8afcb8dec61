//! Tells the operator's endpoint what happened: a signed webhook out of the outbox, tried again
//! until it is taken.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use url::Url;

use super::endpoint::signed_request;
use super::signature::HookSecret;
use crate::clock::SharedClock;
use crate::outbound::{AnswerLimits, Outbound};
use crate::outbox::{Carrier, Delivery, Kind, NewDelivery, NotDelivered};

const LIMITS: AnswerLimits = AnswerLimits {
    time: Duration::from_secs(15),
    size: 1024 * 1024,
};

/// A registration that is complete.
#[derive(Debug, Clone, Serialize)]
pub struct RegistrationCompleted {
    /// The registration.
    pub registration: String,
    /// On which host.
    pub host: String,
    /// In which language.
    pub language: &'static str,
    /// `business`, `personal` or `partner`.
    pub account_type: &'static str,
    /// The platform's user.
    pub user: String,
    /// The platform's customer.
    pub customer: Option<String>,
    /// The user's address.
    pub email: String,
    /// The user's name.
    pub name: String,
}

/// The envelope that Standard Webhooks recommends.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: &'a RegistrationCompleted,
}

const COMPLETED: &str = "registration.completed";

impl RegistrationCompleted {
    /// The webhook, for the outbox.
    pub fn delivery(&self, clock: &SharedClock) -> NewDelivery {
        let event = Event {
            kind: COMPLETED,
            timestamp: clock.now().rfc3339(),
            data: self,
        };
        NewDelivery {
            kind: Kind::Webhook,
            name: COMPLETED,
            // Texts and words, which always serialise.
            content: serde_json::to_vec(&event).unwrap_or_default(),
            valid_for: None,
        }
    }
}

/// Carries webhooks to the operator's endpoint.
pub struct WebhookCarrier {
    /// Where it is.
    pub url: Url,
    /// Signs them.
    pub secret: HookSecret,
    /// Carries them.
    pub outbound: Outbound,
    /// The time in signatures.
    pub clock: SharedClock,
}

impl std::fmt::Debug for WebhookCarrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookCarrier(…)")
    }
}

#[async_trait]
impl Carrier for WebhookCarrier {
    fn kind(&self) -> Kind {
        Kind::Webhook
    }

    async fn carry(&self, delivery: &Delivery) -> Result<(), NotDelivered> {
        let now = self.clock.now();
        let signed = self.secret.sign(&delivery.id, now, &delivery.content);
        let request = signed_request(&self.url, signed, delivery.content.clone())
            .map_err(|error| NotDelivered::Refused(error.to_string()))?;
        match self.outbound.call(request, LIMITS).await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            // The endpoint wants no more of these.
            Ok(answer) if answer.status() == http::StatusCode::GONE => Err(NotDelivered::Refused(
                "the endpoint answered 410".to_owned(),
            )),
            Ok(answer) => {
                let status = answer.status().as_u16();
                Err(NotDelivered::Passing(format!(
                    "the endpoint answered {status}"
                )))
            }
            Err(error) => Err(NotDelivered::Passing(error.to_string())),
        }
    }
}
