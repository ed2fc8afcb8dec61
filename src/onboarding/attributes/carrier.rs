//! The outbox's hand: writes what is due where the sign-in could not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::identity::{PlatformId, UserId};
use crate::onboarding::Onboarding;
use crate::onboarding::attribute_store::UserKey;
use crate::outbox::{Carrier, Delivery, Kind, NewDelivery, NotDelivered, Outbox, Prepared};
use crate::telemetry::with_causes;

/// How long the sign-in itself has before the outbox looks after it.
const HEAD_START: Duration = Duration::from_secs(5);

/// Of whom something is due; what it is, is kept elsewhere, and may change until then.
#[derive(Serialize, Deserialize)]
struct Errand {
    platform: PlatformId,
    user: UserId,
}

/// The delivery that sees to what is due of a user.
pub(super) fn delivery(outbox: &Outbox, of: &UserKey) -> Prepared {
    let errand = Errand {
        platform: of.platform.clone(),
        user: of.user.clone(),
    };
    let new = NewDelivery {
        kind: Kind::Attributes,
        name: "sign-in",
        // Two texts, which always serialise.
        content: serde_json::to_vec(&errand).unwrap_or_default(),
        valid_for: None,
    };
    outbox.prepare_for_later(&new, HEAD_START)
}

/// Writes what is due, for each platform of the installation.
pub struct AttributeCarrier(Vec<Arc<Onboarding>>);

impl std::fmt::Debug for AttributeCarrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AttributeCarrier(…)")
    }
}

impl AttributeCarrier {
    /// Writes through these.
    pub fn new(onboardings: Vec<Arc<Onboarding>>) -> Self {
        Self(onboardings)
    }
}

#[async_trait]
impl Carrier for AttributeCarrier {
    fn kind(&self) -> Kind {
        Kind::Attributes
    }

    async fn carry(&self, delivery: &Delivery) -> Result<(), NotDelivered> {
        let errand: Errand = serde_json::from_slice(&delivery.content)
            .map_err(|error| NotDelivered::Refused(error.to_string()))?;
        let mut all = self.0.iter();
        let onboarding = all.find(|one| one.platform_id() == &errand.platform);
        let onboarding = onboarding
            .ok_or_else(|| NotDelivered::Passing("the platform is not in use".to_owned()))?;
        let of = UserKey {
            platform: errand.platform,
            user: errand.user,
        };
        onboarding.write_due(&of).await.map_err(|error| {
            let reason = with_causes(&error);
            if error.is_passing() {
                NotDelivered::Passing(reason)
            } else {
                NotDelivered::Refused(reason)
            }
        })
    }
}
