//! Partner organisations of the builtin platform.

use super::directory::new_id;
use super::{BuiltinPlatform, Listing, PartnerRecord, unreachable};
use crate::identity::PartnerId;
use crate::platform::PlatformError;
use crate::{sql_execute, sql_fetch_all, sql_fetch_optional};

/// A partner organisation to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartner {
    /// Its name.
    pub name: String,
    /// The code with which its people register.
    pub code: String,
}

impl BuiltinPlatform {
    /// Makes a partner organisation.
    pub async fn add_partner(&self, partner: &NewPartner) -> Result<PartnerId, PlatformError> {
        let id = new_id();
        let inserted = sql_execute!(
            &self.database,
            "INSERT INTO builtin_partners (id, name, code, created_at) VALUES ($1, $2, $3, $4)",
            &id,
            &partner.name,
            &partner.code,
            self.clock.now().millis(),
        );
        match inserted {
            Ok(_) => Ok(PartnerId::new(id)),
            Err(error) if error.is_unique_violation() => Err(PlatformError::CodeTaken),
            Err(error) => Err(unreachable(error)),
        }
    }

    /// Partner organisations in the order of their ids.
    pub async fn partners(&self, part: &Listing) -> Result<Vec<PartnerRecord>, PlatformError> {
        let rows = sql_fetch_all!(
            &self.database,
            PartnerRecord,
            "SELECT id, name, code, created_at
             FROM builtin_partners WHERE id > $1 ORDER BY id LIMIT $2",
            &part.after,
            i64::from(part.limit)
        );
        rows.map_err(unreachable)
    }

    /// The partner organisation with exactly this code.
    pub async fn partner_record_by_code(
        &self,
        code: &str,
    ) -> Result<Option<PartnerRecord>, PlatformError> {
        let row = sql_fetch_optional!(
            &self.database,
            PartnerRecord,
            "SELECT id, name, code, created_at FROM builtin_partners WHERE code = $1",
            code
        );
        row.map_err(unreachable)
    }
}
