//! Claims of every odd shape in the condition of a rule: whoever is not clearly a member is not let
//! in.

use super::harness::{Front, SignedIn, status};
use serde_json::{Value, json};
use vestibule::identity::{Account, PlatformId, UserId};
use vestibule::session::Stage;

async fn with_claims(front: &Front, claims: Value) -> SignedIn {
    let stage = Stage::Live(Account {
        platform: PlatformId::new("demo"),
        user: UserId::new("user-1"),
        customer: None,
        account_type: None,
    });
    front.begin("app.example.com", stage, claims).await
}

async fn asks_for_admin(front: &Front, claims: Value) -> u16 {
    asks(front, "GET /admin/x", claims).await
}

async fn asks(front: &Front, line: &str, claims: Value) -> u16 {
    let cookie = with_claims(front, claims).await.cookie;
    let answer = front.request(line, &[&format!("Cookie: {cookie}")]).await;
    status(&answer)
}

/// PO-01: missing, empty, of another type, or almost the name: no.
#[tokio::test]
async fn who_is_not_clearly_a_member_is_not_let_in() {
    let front = Front::start().await;
    for groups in [
        json!({}),
        json!({ "groups": null }),
        json!({ "groups": [] }),
        json!({ "groups": "adm" }),
        json!({ "groups": "administrators,adm" }),
        json!({ "groups": ["administrators"] }),
        json!({ "groups": ["ADM", "Adm", " adm", "adm ", "adm\u{0}", "аdm"] }),
        json!({ "groups": [["adm"]] }),
        json!({ "groups": [{ "name": "adm" }] }),
        json!({ "groups": [1, true, null] }),
        json!({ "groups": 1 }),
        json!({ "groups": true }),
        json!({ "group": ["adm"], "Groups": ["adm"] }),
    ] {
        let status = asks_for_admin(&front, groups.clone()).await;
        assert!(matches!(status, 403 | 503 | 500), "{groups} got {status}");
    }
    assert_eq!(front.upstream.requests().len(), 0);
    assert_eq!(
        asks_for_admin(&front, json!({ "groups": ["adm"] })).await,
        200
    );
}

/// PO-05: a token says that groups are elsewhere, or has many, or names one twice.
#[tokio::test]
async fn groups_that_are_elsewhere_let_nobody_in() {
    let front = Front::start().await;
    for claims in [
        json!({ "_claim_names": { "groups": "src1" },
                "_claim_sources": { "src1": { "endpoint": "https://graph.example/groups" } } }),
        json!({ "hasgroups": true }),
        json!({ "hasgroups": "true", "groups": [] }),
    ] {
        let status = asks_for_admin(&front, claims.clone()).await;
        assert!(matches!(status, 403 | 503 | 500), "{claims} got {status}");
    }
    let mut many: Vec<String> = (0..1000).map(|number| format!("group-{number}")).collect();
    assert_eq!(asks_for_admin(&front, json!({ "groups": many })).await, 403);
    assert_eq!(front.upstream.requests().len(), 0);
    many.push("adm".to_owned());
    many.push("adm".to_owned());
    assert_eq!(asks_for_admin(&front, json!({ "groups": many })).await, 200);
}

/// PO-05: of whom it is not known whether they are in a group, it is not held that they are not.
#[tokio::test]
async fn groups_that_are_elsewhere_are_not_taken_for_none() {
    let front = Front::start().await;
    let line = "GET /others/x";
    for claims in [
        json!({ "groups": [], "hasgroups": true }),
        json!({ "groups": ["other"], "hasgroups": "true" }),
        json!({ "groups": ["other"], "_claim_names": { "groups": "src1" } }),
        json!({ "_claim_names": { "groups": "src1" } }),
    ] {
        let status = asks(&front, line, claims.clone()).await;
        assert_eq!(status, 403, "{claims}");
    }
    assert_eq!(front.upstream.requests().len(), 0);
    let whole = json!({ "groups": ["other"] });
    assert_eq!(asks(&front, line, whole).await, 200);
    assert_eq!(asks(&front, line, json!({ "groups": ["adm"] })).await, 403);
}
