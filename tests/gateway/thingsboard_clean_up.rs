//! Tests against a ThingsBoard that really runs leave nothing behind, and touch nothing else.

use super::harness::thingsboard::{Site, Tenant, ThingsBoard};

/// The last step of `make test-thingsboard`, whatever came of the others.
#[tokio::test]
async fn what_a_run_made_is_removed() {
    let Some(site) = Site::live() else {
        return what_a_run_made_is_removed_and_nothing_else().await;
    };
    assert_eq!(Tenant::at(site).removes_what_the_run_made().await, 0);
}

async fn what_a_run_made_is_removed_and_nothing_else() {
    let server = ThingsBoard::community("4.3.0.1").await;
    let others = server.staff_makes_customer("Acme");
    server.staff_makes_user(&others, "mario@acme.example", None);
    for number in 0..3 {
        let tenant = Tenant::of(&server);
        let customer = tenant.makes_customer("Acme").await;
        let address = format!("mario{number}@acme.example");
        tenant
            .makes_user(&customer, &address, Some("correct horse"))
            .await;
        assert_eq!(tenant.counts().await, [1, 0, 1]);
    }
    assert_eq!(Tenant::of(&server).removes_what_the_run_made().await, 0);
    assert_eq!(server.counts(), [1, 0, 1]);
    assert!(server.user("mario@acme.example").is_some());
}
