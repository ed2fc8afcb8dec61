//! Acceptances, confirmations and receipts in SQL.

use async_trait::async_trait;

use super::SqlRegistrationStore;
use super::batch::Batch;
use crate::identity::{Account, AgreementPrint, Cleared};
use crate::onboarding::duty_store::{
    Confirmation, DutyStore, KeptReceipt, KeptText, LaterAcceptance,
};
use crate::onboarding::store::{Receipt, RegistrationStoreDown, Who};
use crate::seal;
use crate::{sql_execute, sql_fetch_all, sql_fetch_optional};

/// How many accepted versions a session carries, the newest ones.
const NEWEST: i64 = 64;

/// By whichever identity it was accepted that leads to the user, or in the registration that made
/// the user: an applicant by mail has another identity then.
const ACCEPTED: &str = "SELECT agreement,
        CASE WHEN named_version = '' THEN version ELSE named_version END AS counted,
        MAX(accepted_at) AS newest
    FROM (
        SELECT agreement, version, named_version, accepted_at
        FROM acceptances JOIN account_links ON account_links.issuer = acceptances.issuer
         AND account_links.subject = acceptances.subject
        WHERE account_links.platform = $1 AND account_links.user_id = $2
        UNION ALL
        SELECT agreement, version, named_version, accepted_at
        FROM acceptances JOIN registration_steps ON registration_id = occasion
        WHERE step = 'create_user' AND outcome = $2
    ) AS accepted
    GROUP BY agreement, CASE WHEN named_version = '' THEN version ELSE named_version END
    ORDER BY newest DESC LIMIT $3";

/// Whoever registered here gave the data themselves.
const VERIFIED: &str = "SELECT user_id FROM customer_verifications
        WHERE platform = $1 AND user_id = $2
    UNION ALL
    SELECT user_id FROM account_links
        WHERE platform = $1 AND user_id = $2 AND linked_by IN ('registration', 'unproven_registration')
    LIMIT 1";

pub(super) const INSERT_AGREEMENT: &str =
    "INSERT INTO agreements (id, language, version, text, first_seen)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id, language, version) DO NOTHING";

/// Two tabs may accept at once, and a registration is submitted twice.
const INSERT_ACCEPTANCE: &str = "INSERT INTO acceptances
        (id, occasion, agreement, language, version, issuer, subject, client_address,
         accepted_at, named_version, host)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (occasion, agreement) DO NOTHING";

const RECEIPTS: &str = "SELECT id, agreement, language, version, named_version,
        acceptances.issuer, acceptances.subject,
        COALESCE(MAX(account_links.user_id), MAX(outcome)) AS user_id, host,
        client_address, accepted_at
    FROM acceptances LEFT JOIN account_links ON account_links.issuer = acceptances.issuer
     AND account_links.subject = acceptances.subject
    LEFT JOIN registration_steps ON registration_id = occasion AND step = 'create_user'
    WHERE id > $1
    GROUP BY id, agreement, language, version, named_version, acceptances.issuer,
        acceptances.subject, host, client_address, accepted_at
    ORDER BY id LIMIT $2";

/// Where receipts come from: a registration, or somebody who is signed in.
pub(super) struct Occasion<'a> {
    pub(super) id: &'a str,
    pub(super) who: &'a Who,
    pub(super) host: &'a str,
    pub(super) at: i64,
}

/// Adds the receipt of one agreement, and its text.
pub(super) fn add_receipt(batch: &mut Batch, on: &Occasion<'_>, receipt: &Receipt) {
    let accepted = &receipt.accepted;
    batch
        .add(INSERT_AGREEMENT)
        .text(&accepted.agreement)
        .text(&accepted.language);
    batch
        .text(&accepted.version)
        .text(&receipt.text)
        .number(on.at);
    batch.add(INSERT_ACCEPTANCE);
    batch.text(&uuid::Uuid::now_v7().to_string());
    batch.text(on.id).text(&accepted.agreement);
    batch.text(&accepted.language).text(&accepted.version);
    batch.text(on.who.issuer.as_str());
    batch.text(on.who.subject.as_str());
    batch.text(&receipt.client.to_string()).number(on.at);
    batch
        .text(receipt.named_version.as_deref().unwrap_or_default())
        .text(on.host);
}

/// The same for everybody who accepts the same version as the same person.
fn occasion_of(who: &Who, receipt: &Receipt) -> String {
    let version = receipt.named_version.as_ref();
    let parts = [
        who.platform.as_str(),
        who.issuer.as_str(),
        who.subject.as_str(),
        version.unwrap_or(&receipt.accepted.version),
    ];
    seal::digest(parts.join("\0").as_bytes())
}

#[derive(sqlx::FromRow)]
struct ReceiptRow {
    id: String,
    agreement: String,
    language: String,
    version: String,
    named_version: String,
    issuer: String,
    subject: String,
    user_id: Option<String>,
    host: String,
    client_address: String,
    accepted_at: i64,
}

impl From<ReceiptRow> for KeptReceipt {
    fn from(row: ReceiptRow) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            id: row.id,
            agreement: row.agreement,
            language: row.language,
            version: format!("sha256:{}", row.version),
            named_version: some(row.named_version),
            issuer: row.issuer,
            subject: row.subject,
            user: row.user_id,
            host: some(row.host),
            client_address: row.client_address,
            accepted_at: row.accepted_at,
        }
    }
}

#[async_trait]
impl DutyStore for SqlRegistrationStore {
    async fn cleared(&self, account: &Account) -> Result<Cleared, RegistrationStoreDown> {
        let (platform, user) = (account.platform.as_str(), account.user.as_str());
        let rows = sql_fetch_all!(
            &self.database,
            (String, String, i64),
            ACCEPTED,
            platform,
            user,
            NEWEST
        )?;
        let verified =
            sql_fetch_optional!(&self.database, (String,), VERIFIED, platform, user)?.is_some();
        Ok(Cleared {
            agreements: rows
                .iter()
                .map(|(agreement, version, _)| AgreementPrint::of(agreement, version))
                .collect(),
            verified,
        })
    }

    async fn accept(&self, acceptance: &LaterAcceptance) -> Result<(), RegistrationStoreDown> {
        let mut batch = Batch::default();
        for receipt in &acceptance.receipts {
            let occasion = Occasion {
                id: &occasion_of(&acceptance.who, receipt),
                who: &acceptance.who,
                host: &acceptance.host,
                at: acceptance.at.millis(),
            };
            add_receipt(&mut batch, &occasion, receipt);
        }
        Ok(batch.run(&self.database).await?)
    }

    async fn confirm(&self, confirmation: &Confirmation) -> Result<(), RegistrationStoreDown> {
        let Confirmation {
            who,
            account,
            fields,
            client,
            at,
        } = confirmation;
        sql_execute!(
            &self.database,
            "INSERT INTO customer_verifications
                 (platform, user_id, issuer, subject, fields, client_address, verified_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (platform, user_id) DO NOTHING",
            account.platform.as_str(),
            account.user.as_str(),
            who.issuer.as_str(),
            who.subject.as_str(),
            serde_json::json!(fields).to_string(),
            client.to_string(),
            at.millis()
        )?;
        Ok(())
    }

    async fn receipts(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<KeptReceipt>, RegistrationStoreDown> {
        let rows = sql_fetch_all!(
            &self.database,
            ReceiptRow,
            RECEIPTS,
            after,
            i64::from(limit)
        )?;
        Ok(rows.into_iter().map(KeptReceipt::from).collect())
    }

    async fn text(
        &self,
        agreement: &str,
        version: &str,
    ) -> Result<Option<KeptText>, RegistrationStoreDown> {
        let row = sql_fetch_optional!(
            &self.database,
            (String, String),
            "SELECT language, text FROM agreements WHERE id = $1 AND version = $2 LIMIT 1",
            agreement,
            version
        )?;
        Ok(row.map(|(language, markdown)| KeptText { language, markdown }))
    }
}
