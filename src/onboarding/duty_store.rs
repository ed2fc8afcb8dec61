//! Keeps what people accepted and confirmed after they were registered, and every receipt.

use std::net::IpAddr;

use async_trait::async_trait;
use serde::Serialize;

use super::store::{Receipt, RegistrationStoreDown, Who};
use crate::clock::Timestamp;
use crate::identity::{Account, Cleared};

/// Agreements that somebody accepted while signed in.
#[derive(Debug, Clone)]
pub struct LaterAcceptance {
    /// Who.
    pub who: Who,
    /// The receipts.
    pub receipts: Vec<Receipt>,
    /// On which host.
    pub host: String,
    /// When.
    pub at: Timestamp,
}

/// Data that somebody confirmed.
#[derive(Debug, Clone)]
pub struct Confirmation {
    /// Who.
    pub who: Who,
    /// Whose data.
    pub account: Account,
    /// The names of the fields.
    pub fields: Vec<String>,
    /// From where.
    pub client: IpAddr,
    /// When.
    pub at: Timestamp,
}

/// A receipt as it is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptReceipt {
    /// Its id; receipts come in its order.
    pub id: String,
    /// The agreement.
    pub agreement: String,
    /// The language of the text.
    pub language: String,
    /// The digest of the text that was shown: `sha256:` and base64url.
    pub version: String,
    /// The version as the operator named it, if so.
    pub named_version: Option<String>,
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The platform's user, once there is one.
    pub user: Option<String>,
    /// On which host; not known of the oldest.
    pub host: Option<String>,
    /// From where.
    pub client_address: String,
    /// When, UTC milliseconds.
    pub accepted_at: i64,
}

/// The first line of receipts as CSV (RFC 4180).
pub const RECEIPTS_HEAD: &str = "id,agreement,language,version,named_version,issuer,subject,user,\
     host,client_address,accepted_at\r\n";

impl KeptReceipt {
    /// The receipt as a line of CSV, in the order of [`RECEIPTS_HEAD`].
    pub fn to_csv(&self) -> String {
        let at = Timestamp::from_millis(self.accepted_at).rfc3339();
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            self.id.clone(),
            self.agreement.clone(),
            self.language.clone(),
            self.version.clone(),
            or_empty(&self.named_version),
            self.issuer.clone(),
            self.subject.clone(),
            or_empty(&self.user),
            or_empty(&self.host),
            self.client_address.clone(),
            at,
        ];
        cells.map(|cell| csv_cell(&cell)).join(",") + "\r\n"
    }
}

/// A cell that no spreadsheet takes for a formula or for two cells.
fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// A text that somebody accepted once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptText {
    /// Its language.
    pub language: String,
    /// The Markdown source.
    pub markdown: String,
}

/// Keeps what people accepted and confirmed.
#[async_trait]
pub trait DutyStore: Send + Sync {
    /// What the user of an account has done, by whichever of their identities.
    async fn cleared(&self, account: &Account) -> Result<Cleared, RegistrationStoreDown>;

    /// Keeps receipts and their texts, all or nothing; one that is there already stays as it is.
    async fn accept(&self, acceptance: &LaterAcceptance) -> Result<(), RegistrationStoreDown>;

    /// Keeps a confirmation; the first of a user stays.
    async fn confirm(&self, confirmation: &Confirmation) -> Result<(), RegistrationStoreDown>;

    /// The receipts after this id, in the order of ids.
    async fn receipts(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<KeptReceipt>, RegistrationStoreDown>;

    /// A text by its digest, if somebody accepted it.
    async fn text(
        &self,
        agreement: &str,
        version: &str,
    ) -> Result<Option<KeptText>, RegistrationStoreDown>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_are_never_formulas() {
        for (text, cell) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(csv_cell(text), cell);
        }
    }
}
