//! Which partner somebody belongs to, by code. Wrong codes are counted per network and in all;
//! whether a code is wrong or one too many makes no difference to the answer.

use std::net::IpAddr;
use std::time::Duration;

use super::answers::Answers;
use super::store::{NewCode, ProofLimits};
use super::{Onboarding, OnboardingError};
use crate::identity::PartnerId;
use crate::policy::PartnerPolicy;
use crate::rate_limit::Network;
use crate::seal;

/// Wrong codes are counted over this time.
const COUNTED_OVER: Duration = Duration::from_hours(1);

/// What a code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CodeSays {
    /// The user is made inside this partner.
    Belongs(PartnerId),
    /// It is not valid, or one too many was tried.
    Nothing,
}

impl Onboarding {
    /// The partner that the answers of a partner's user lead to.
    pub(super) async fn partner_of(
        &self,
        answers: &Answers,
        policy: &PartnerPolicy,
        client: IpAddr,
    ) -> Result<CodeSays, OnboardingError> {
        let Some(code) = &answers.partner_code else {
            let without = policy.without_code.clone();
            return Ok(without.map_or(CodeSays::Nothing, CodeSays::Belongs));
        };
        let now = self.parts.clock.now();
        let platform = self.parts.platform.id().as_str();
        let guess = NewCode {
            id: uuid::Uuid::now_v7().to_string(),
            context: seal::digest(format!("{platform} {}", Network::of(client)).as_bytes()),
            target: seal::digest(platform.as_bytes()),
            sealed: String::new(),
            tries: 0,
            at: now,
            expires_at: now.plus(COUNTED_OVER),
        };
        let limits = ProofLimits {
            since: now.minus(COUNTED_OVER),
            per_context: policy.wrong_codes_per_network,
            per_target: policy.wrong_codes_in_total,
        };
        // Counted before it is looked up, so that many at once are not all free.
        if !self.parts.proofs.count_code_guess(&guess, limits).await? {
            tracing::warn!("too many wrong partner codes were tried");
            return Ok(CodeSays::Nothing);
        }
        let Some(partner) = self.parts.platform.partner_by_code(code).await? else {
            return Ok(CodeSays::Nothing);
        };
        self.parts.proofs.forgive_code_guess(&guess.id).await?;
        Ok(CodeSays::Belongs(partner.id))
    }
}
