//! The queue of letters: taken in here, kept in the outbox, delivered by whichever node comes first.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Courier, CourierError, Letter};
use crate::outbox::{Carrier, Delivery, Kind, NewDelivery, NotDelivered, NotTaken, Outbox};
use crate::telemetry::with_causes;

/// Puts letters into the outbox. Its `Ok` means that the letter is on its way, not that it has
/// arrived.
#[derive(Debug)]
pub struct QueueCourier(Arc<Outbox>);

impl QueueCourier {
    /// Over this outbox.
    pub fn new(outbox: Arc<Outbox>) -> Self {
        Self(outbox)
    }
}

#[async_trait]
impl Courier for QueueCourier {
    async fn send(&self, letter: &Letter) -> Result<(), CourierError> {
        let content = serde_json::to_vec(letter);
        let delivery = NewDelivery {
            kind: Kind::Letter,
            name: letter.kind.as_str(),
            content: content.map_err(|error| CourierError::Refused(Box::new(error)))?,
            valid_for: letter.valid_for,
        };
        match self.0.put(&delivery).await {
            Ok(_) => Ok(()),
            Err(NotTaken::Full) => Err(CourierError::QueueFull),
            Err(NotTaken::Down(error)) => Err(CourierError::QueueDown(error)),
        }
    }
}

/// Takes letters out of the outbox and hands them to a courier that knows a mail server.
pub struct LetterCarrier(Arc<dyn Courier>);

impl LetterCarrier {
    /// In front of this courier.
    pub fn new(courier: Arc<dyn Courier>) -> Self {
        Self(courier)
    }
}

#[async_trait]
impl Carrier for LetterCarrier {
    fn kind(&self) -> Kind {
        Kind::Letter
    }

    async fn carry(&self, delivery: &Delivery) -> Result<(), NotDelivered> {
        let letter = opened(&delivery.content);
        // A newer node may have written it, and can deliver it.
        let letter = letter.ok_or_else(|| NotDelivered::Passing(UNREADABLE.to_owned()))?;
        self.0.send(&letter).await.map_err(|error| match error {
            CourierError::Refused(_) => NotDelivered::Refused(with_causes(&error)),
            passing => NotDelivered::Passing(with_causes(&passing)),
        })
    }
}

const UNREADABLE: &str = "this version of the gateway does not know such a letter";

/// The letter in a delivery.
pub fn opened(content: &[u8]) -> Option<Letter> {
    serde_json::from_slice(content).ok()
}
