//! Audit events in the gateway's database (adapter).

use async_trait::async_trait;
use serde_json::Value;

use super::{Audit, Event};
use crate::database::{Database, DatabaseError};
use crate::sql_execute;

const INSERT: &str = "INSERT INTO audit_events (id, at, kind, issuer, subject, account, \
    registration_id, host, client_address, reference, detail) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// Keeps events in SQL.
#[derive(Debug, Clone)]
pub struct SqlAudit {
    database: Database,
}

impl SqlAudit {
    /// Over the gateway's database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Audit for SqlAudit {
    async fn record(&self, event: Event) -> Result<(), DatabaseError> {
        let (issuer, subject) = event
            .who
            .as_ref()
            .map_or((None, None), |(issuer, subject)| {
                (Some(issuer.as_str()), Some(subject.as_str()))
            });
        let account = event.account.as_ref().map(|account| account.user.as_str());
        sql_execute!(
            &self.database,
            INSERT,
            uuid::Uuid::now_v7().to_string(),
            event.at.millis(),
            event.kind.as_str(),
            issuer,
            subject,
            account,
            event.registration.as_deref(),
            event.host.as_deref(),
            event.client_address.map(|address| address.to_string()),
            event.reference.as_deref(),
            if event.detail == Value::Null {
                "{}".to_owned()
            } else {
                event.detail.to_string()
            },
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::EventKind;
    use crate::clock::Timestamp;
    use crate::database::DatabaseAddress;
    use crate::identity::{Issuer, Subject};
    use crate::sql_fetch_all;

    type Row = (i64, String, Option<String>, Option<String>, String);

    #[tokio::test]
    async fn events_last() {
        let folder = tempfile::tempdir().unwrap();
        let address = DatabaseAddress::Sqlite(folder.path().join("audit.db"));
        let database = Database::open(&address).await.unwrap();
        database.migrate().await.unwrap();
        let audit = SqlAudit::new(database.clone());
        let at = Timestamp::from_millis(7);
        audit
            .record(Event::new(at, EventKind::LoggedOut))
            .await
            .unwrap();
        let mut event = Event::new(at, EventKind::LoggedIn);
        event.who = Some((Issuer::new("https://idp.example"), Subject::new("mario")));
        event.client_address = Some([192, 0, 2, 1].into());
        event.detail = json!({"provider": "corp"});
        audit.record(event).await.unwrap();

        let sql = "SELECT at, kind, subject, client_address, detail FROM audit_events ORDER BY id";
        let rows = sql_fetch_all!(&database, Row, sql).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let expected = [
            (7, "logged_out".to_owned(), None, None, "{}".to_owned()),
            (
                7,
                "logged_in".to_owned(),
                text("mario"),
                text("192.0.2.1"),
                r#"{"provider":"corp"}"#.to_owned(),
            ),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_kind_has_one_word_everywhere() {
        let written = serde_json::to_value(EventKind::AccountGone).unwrap();
        assert_eq!(written, json!(EventKind::AccountGone.as_str()));
    }
}
