//! Which partner somebody belongs to, by code. How many codes are tried is limited before.

use super::answers::Answers;
use super::{Onboarding, OnboardingError};
use crate::identity::PartnerId;
use crate::policy::PartnerPolicy;

/// What a code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CodeSays {
    /// The user is made inside this partner.
    Belongs(PartnerId),
    /// It is not valid.
    Nothing,
}

impl Onboarding {
    /// The partner that the answers of a partner's user lead to.
    pub(super) async fn partner_of(
        &self,
        answers: &Answers,
        policy: &PartnerPolicy,
    ) -> Result<CodeSays, OnboardingError> {
        let partner = match &answers.partner_code {
            None => policy.without_code.clone(),
            Some(code) => {
                let found = self.parts.platform.partner_by_code(code).await?;
                found.map(|partner| partner.id)
            }
        };
        Ok(partner.map_or(CodeSays::Nothing, CodeSays::Belongs))
    }
}
