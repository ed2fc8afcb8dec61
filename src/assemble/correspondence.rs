//! What leaves this installation for people and for the operator's own systems: letters, hooks,
//! webhooks, and the outbox that keeps them.

use std::sync::Arc;

use super::foundation::Foundation;
use crate::config::MailSettings;
use crate::database::Node;
use crate::hooks::webhook::WebhookCarrier;
use crate::hooks::{HookEndpoint, HookSettings, RegistrationHook};
use crate::mail::pickup::PickupCourier;
use crate::mail::queue::{LetterCarrier, QueueCourier};
use crate::mail::smtp::{SmtpCourier, SmtpProblem};
use crate::mail::{Courier, NoCourier};
use crate::onboarding::{AttributeCarrier, Onboarding};
use crate::outbound::{Outbound, OutboundError};
use crate::outbox::{Carrier, Outbox, OutboxParts};

/// How this installation writes.
pub(super) struct Correspondence {
    /// Takes letters from use cases.
    pub(super) desk: Arc<dyn Courier>,
    /// The operator's endpoints.
    pub(super) hooks: Hooks,
    /// Keeps what is on its way.
    pub(super) outbox: Arc<Outbox>,
    /// Those who deliver it.
    pub(super) carriers: Vec<Arc<dyn Carrier>>,
}

/// The operator's endpoints, as they are used.
#[derive(Default)]
pub(super) struct Hooks {
    /// Asked before a registration is accepted.
    pub(super) before: Option<Arc<dyn RegistrationHook>>,
    /// Where webhooks wait, if anybody wants them.
    pub(super) webhooks: Option<Arc<Outbox>>,
}

impl Foundation {
    /// Without a mail server no letter is queued: whoever asks is told at once that it cannot be
    /// sent.
    pub(super) fn correspondence(
        &self,
        (courier, hooks): (Option<Arc<dyn Courier>>, Option<HookSettings>),
        node: &Node,
    ) -> Result<Correspondence, OutboundError> {
        let outbox = self.outbox(node);
        let mut carriers: Vec<Arc<dyn Carrier>> = Vec::new();
        let desk: Arc<dyn Courier> = match courier {
            Some(courier) => {
                carriers.push(Arc::new(LetterCarrier::new(courier)));
                Arc::new(QueueCourier::new(Arc::clone(&outbox)))
            }
            None => Arc::new(NoCourier),
        };
        let mut used = Hooks::default();
        if let Some(settings) = hooks {
            let (before, carrier) = self.endpoints(settings)?;
            used.before = before;
            used.webhooks = carrier.is_some().then(|| Arc::clone(&outbox));
            carriers.extend(carrier);
        }
        Ok(Correspondence {
            desk,
            hooks: used,
            outbox,
            carriers,
        })
    }

    /// What waits for delivery.
    pub(super) fn outbox(&self, node: &Node) -> Arc<Outbox> {
        Arc::new(Outbox::new(OutboxParts {
            database: self.database.clone(),
            keys: Arc::clone(&self.keys),
            clock: self.clock(),
            metrics: self.metrics.clone(),
            node: node.clone(),
        }))
    }

    fn endpoints(&self, settings: HookSettings) -> Result<Endpoints, OutboundError> {
        let HookSettings {
            before,
            after,
            secret,
        } = settings;
        let outbound = Outbound::new()?;
        let carrier = after.map(|url| {
            Arc::new(WebhookCarrier {
                url,
                secret: secret.clone(),
                outbound: outbound.clone(),
                clock: self.clock(),
            }) as _
        });
        let before = before.map(|url| {
            Arc::new(HookEndpoint {
                url,
                secret,
                outbound,
                clock: self.clock(),
            }) as _
        });
        Ok((before, carrier))
    }
}

/// Who is asked before, and who tells afterwards.
type Endpoints = (Option<Arc<dyn RegistrationHook>>, Option<Arc<dyn Carrier>>);

/// Those who deliver, and the one who brings to the platform what claims say about users.
pub(super) fn and_follower(
    mut carriers: Vec<Arc<dyn Carrier>>,
    onboarding: &Arc<Onboarding>,
) -> Vec<Arc<dyn Carrier>> {
    let follower = AttributeCarrier::new(vec![Arc::clone(onboarding)]);
    carriers.push(Arc::new(follower));
    carriers
}

/// The mail server as it is configured; none where none is.
pub fn courier(settings: MailSettings) -> Result<Option<Arc<dyn Courier>>, SmtpProblem> {
    Ok(match settings {
        MailSettings::Smtp(smtp) => Some(Arc::new(SmtpCourier::new(smtp)?)),
        MailSettings::Pickup(pickup) => Some(Arc::new(PickupCourier::new(pickup))),
        MailSettings::Nowhere => None,
    })
}
