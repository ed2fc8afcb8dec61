//! Customer verification: a user whom the back office made confirms at first access what the
//! platform knows, and puts it right. Asked once; the platform has the last word on the values.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::answers::{Confirmed, judge_fields};
use super::duties::{DutyError, SignedIn};
use super::duty_store::Confirmation;
use super::form::{FormField, RegistrationForm};
use super::{Onboarding, OnboardingError};
use crate::audit::EventKind;
use crate::identity::Cleared;
use crate::platform::{Profile, ProfileChange};
use crate::policy::Field;
use crate::policy::signup_form::FieldTarget;

impl Onboarding {
    /// What somebody has to confirm, with what the platform knows; none when there is nothing.
    pub async fn to_verify(
        &self,
        who: SignedIn<'_>,
        cleared: &Cleared,
    ) -> Result<Option<RegistrationForm>, OnboardingError> {
        let policy = self.parts.policy.current();
        let declared = self.form_of(who);
        let is_asked = policy.onboarding.duties.verification.is_some()
            && !cleared.verified
            && !declared.verified.is_empty();
        if !is_asked {
            return Ok(None);
        }
        let Some(profile) = self.parts.platform.profile(&who.account.user).await? else {
            return Ok(None);
        };
        let fields = declared.verified.iter().filter(|field| {
            field.account_types.is_empty()
                || who
                    .account
                    .account_type
                    .is_some_and(|kind| field.is_asked_for(kind))
        });
        let fields: Vec<_> = fields
            .filter_map(|field| with_known_value(field, &profile))
            .collect();
        Ok((!fields.is_empty()).then(|| RegistrationForm::of_fields(fields)))
    }

    /// What a session may be told once there is nothing to confirm.
    pub fn nothing_to_verify(cleared: Cleared) -> Cleared {
        Cleared {
            verified: true,
            ..cleared
        }
    }

    /// Takes what somebody confirms, writes it to the platform, and remembers that it was asked.
    pub async fn verify(
        &self,
        who: SignedIn<'_>,
        input: &BTreeMap<String, String>,
    ) -> Result<Cleared, DutyError> {
        let cleared = self.cleared(who.account).await?;
        let Some(form) = self.to_verify(who, &cleared).await? else {
            return Ok(Self::nothing_to_verify(cleared));
        };
        let confirmed = judge_fields(&form, input)?;
        let change = change(confirmed);
        let user = &who.account.user;
        let written = self.parts.platform.update_profile(user, &change).await;
        written.map_err(OnboardingError::from)?;
        let names = form.fields.iter().map(|field| field.declared.name.clone());
        let confirmation = Confirmation {
            who: self.who(who.identity),
            account: who.account.clone(),
            fields: names.collect(),
            client: who.client.client,
            at: self.parts.clock.now(),
        };
        let kept = self.parts.duties.confirm(&confirmation).await;
        kept.map_err(OnboardingError::from)?;
        let detail = serde_json::json!({ "fields": confirmation.fields });
        self.note_duty(EventKind::CustomerVerified, who, &confirmation.who, detail)
            .await;
        Ok(Self::nothing_to_verify(cleared))
    }
}

/// The field with what the platform has; none where the platform has nothing that it belongs to.
fn with_known_value(field: &Arc<Field>, profile: &Profile) -> Option<FormField> {
    let customer = profile.customer.as_ref();
    let in_map = |fields: &Map<String, Value>| fields.get(&field.name).and_then(text_of);
    let value = match field.goes_to {
        FieldTarget::UserName => Some(profile.user_name.clone()),
        FieldTarget::User => in_map(&profile.user),
        FieldTarget::CustomerName => Some(customer?.name.clone()),
        FieldTarget::Customer => in_map(&customer?.fields),
        FieldTarget::Location => in_map(profile.location.as_ref()?),
        FieldTarget::UserEmail | FieldTarget::PartnerCode => return None,
    };
    Some(FormField {
        declared: Arc::clone(field),
        value,
        locked: false,
    })
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn change(confirmed: Confirmed) -> ProfileChange {
    let Confirmed {
        name,
        customer_name,
        customer,
        location,
        user,
    } = confirmed;
    ProfileChange {
        user_name: name,
        language: None,
        user,
        customer_name,
        customer,
        location,
    }
}
