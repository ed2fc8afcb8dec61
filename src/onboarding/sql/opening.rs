//! Transactions that open a registration or write a link: at most one of either per identity.
//!
//! In each, the row that unique keys guard is written first and the other table is looked at in a
//! later statement, so that under PostgreSQL's READ COMMITTED a concurrent close-and-link is either
//! waited for or seen.

use super::SqlRegistrationStore;
use super::batch::Batch;
use super::duties::{Occasion, add_receipt};
use super::invitations::USE_INVITATION;
use crate::clock::Timestamp;
use crate::database::{Database, DatabaseError};
use crate::identity::{Account, AccountType, CustomerId};
use crate::onboarding::progress::{RegistrationId, State};
use crate::onboarding::store::{
    NewLink, NewRegistration, Opened, RegistrationStore as _, RegistrationStoreDown, Who,
};
use crate::{sql_fetch_optional, sql_transaction};

pub(super) async fn open(
    store: &SqlRegistrationStore,
    new: &NewRegistration,
) -> Result<Opened, RegistrationStoreDown> {
    match insert(&store.database, new).await {
        Ok(()) => Ok(Opened::Opened),
        Err(error) if error.is_unmet() => Ok(Opened::Linked),
        Err(error) if error.is_unique_violation() => why_taken(store, &new.who).await,
        Err(error) => Err(error.into()),
    }
}

async fn insert(database: &Database, new: &NewRegistration) -> Result<(), DatabaseError> {
    let mut batch = Batch::default();
    if let Some(stale) = &new.stale_link {
        let who = &new.who;
        batch.add(FORGET_LINK).text(who.platform.as_str());
        batch.text(who.issuer.as_str()).text(who.subject.as_str());
        batch.text(stale.user.as_str());
    }
    batch.add(INSERT_REGISTRATION).text(new.id.as_str());
    batch.text(new.who.platform.as_str());
    batch.text(new.who.issuer.as_str());
    batch.text(new.who.subject.as_str());
    batch.text(&new.email_digest).text(&new.host);
    batch.text(new.language).text(&new.sealed);
    batch.text(&new.policy_version).number(new.at.millis());
    batch.text(match new.asking {
        Some(_) => State::AwaitingApproval.as_str(),
        None => State::Provisioning.as_str(),
    });
    batch.maybe_text(new.sealed_password.as_deref());
    batch
        .add(STILL_UNLINKED)
        .text(new.id.as_str())
        .must_change(1);
    for (position, kind) in (0_i64..).zip(&new.steps) {
        batch
            .add(INSERT_STEP)
            .text(new.id.as_str())
            .number(position);
        batch.text(kind.as_str()).number(new.at.millis());
    }
    let occasion = Occasion {
        id: new.id.as_str(),
        who: &new.who,
        host: &new.host,
        at: new.at.millis(),
    };
    for receipt in &new.receipts {
        add_receipt(&mut batch, &occasion, receipt);
    }
    if let Some((asked, asking)) = &new.asking {
        batch.add(INSERT_APPROVAL).text(new.id.as_str());
        batch.text(asked.as_str()).number(asking.remind_at.millis());
        batch.number(asking.expires_at.millis());
    }
    if let Some(invitation) = &new.invitation {
        batch.add(USE_INVITATION).text(new.id.as_str());
        batch.text(invitation.as_str()).number(new.at.millis());
        batch.must_change(1);
    }
    batch.run(database).await
}

const FORGET_LINK: &str = "DELETE FROM account_links
    WHERE platform = $1 AND issuer = $2 AND subject = $3 AND user_id = $4";

const INSERT_REGISTRATION: &str = "INSERT INTO registrations
        (id, platform, issuer, subject, email_digest, host, language, state, open_key, sealed,
         policy_version, created_at, updated_at, sealed_password)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $11, 'open', $8, $9, $10, $10, $12)";

const STILL_UNLINKED: &str = "UPDATE registrations SET open_key = 'open'
    WHERE id = $1 AND NOT EXISTS (
        SELECT 1 FROM account_links
        WHERE account_links.platform = registrations.platform
          AND account_links.issuer = registrations.issuer
          AND account_links.subject = registrations.subject)";

const INSERT_STEP: &str = "INSERT INTO registration_steps
        (registration_id, position, step, state, updated_at)
    VALUES ($1, $2, $3, 'planned', $4)";

const INSERT_APPROVAL: &str = "INSERT INTO approvals
        (registration_id, asked, remind_at, expires_at)
    VALUES ($1, $2, $3, $4)";

/// Which unique key refused a submission: this identity's, or the address's.
async fn why_taken(
    store: &SqlRegistrationStore,
    who: &Who,
) -> Result<Opened, RegistrationStoreDown> {
    let row = sql_fetch_optional!(
        &store.database,
        (String,),
        "SELECT id FROM registrations
         WHERE platform = $1 AND issuer = $2 AND subject = $3 AND open_key = 'open'",
        who.platform.as_str(),
        who.issuer.as_str(),
        who.subject.as_str()
    )?;
    if let Some((id,)) = row {
        return Ok(Opened::UnderWay(RegistrationId::new(id)));
    }
    // The other one of a pair of parallel submissions may be complete by now.
    Ok(if store.link(who).await?.is_some() {
        Opened::Linked
    } else {
        Opened::EmailBusy
    })
}

/// Whoever typed an address into a registration does not share the user with whoever proves that
/// the address is theirs.
const UNPROVEN_GIVES_WAY: &str = "DELETE FROM account_links
    WHERE platform = $1 AND user_id = $2 AND linked_by = 'unproven_registration' AND $3 = 'proof'";

pub(super) async fn add_link(
    database: &Database,
    link: &NewLink,
    stale: Option<&Account>,
) -> Result<bool, RegistrationStoreDown> {
    let (who, account) = (&link.who, &link.account);
    let outcome = sql_transaction!(
        database,
        [
            (
                FORGET_LINK,
                who.platform.as_str(),
                who.issuer.as_str(),
                who.subject.as_str(),
                stale.map(|stale| stale.user.as_str())
            ),
            (
                UNPROVEN_GIVES_WAY,
                who.platform.as_str(),
                account.user.as_str(),
                link.by.as_str()
            ),
            (
                "INSERT INTO account_links (platform, issuer, subject, user_id, customer_id,
                                            account_type, linked_by, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                who.platform.as_str(), who.issuer.as_str(), who.subject.as_str(),
                account.user.as_str(), account.customer.as_ref().map(CustomerId::as_str),
                account.account_type.map(AccountType::as_str), link.by.as_str(),
                link.at.millis(); must change 1
            ),
            (
                "UPDATE account_links SET user_id = user_id
                 WHERE platform = $1 AND issuer = $2 AND subject = $3 AND NOT EXISTS (
                     SELECT 1 FROM registrations
                     WHERE registrations.platform = $1 AND registrations.issuer = $2
                       AND registrations.subject = $3 AND open_key = 'open')",
                who.platform.as_str(), who.issuer.as_str(), who.subject.as_str(); must change 1
            ),
        ]
    )
    .await;
    had_effect(outcome)
}

pub(super) async fn retry(
    database: &Database,
    id: &RegistrationId,
    now: Timestamp,
) -> Result<bool, RegistrationStoreDown> {
    let outcome = sql_transaction!(
        database,
        [
            (
                "UPDATE registrations SET state = 'provisioning', open_key = 'open', reason = NULL,
                     attempts = 0, next_try_at = $1, updated_at = $1
                 WHERE id = $2 AND state = 'failed'
                   AND COALESCE(reason, '') NOT IN ('rejected', 'not_answered')",
                now.millis(), id.as_str(); must change 1
            ),
            (STILL_UNLINKED, id.as_str(); must change 1),
            (
                "UPDATE registration_steps SET state = 'planned', outcome = NULL, updated_at = $1
                 WHERE registration_id = $2",
                now.millis(),
                id.as_str()
            ),
        ]
    )
    .await;
    had_effect(outcome)
}

/// A transaction that was refused by a condition or a unique key changed nothing.
fn had_effect(outcome: Result<Vec<u64>, DatabaseError>) -> Result<bool, RegistrationStoreDown> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if error.is_unmet() || error.is_unique_violation() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
