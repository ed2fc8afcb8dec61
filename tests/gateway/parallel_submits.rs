//! Twenty submits of one registration at once, over two gateway processes on one PostgreSQL: one
//! customer, one location, one user.

use crate::first_login::{giulia, registers};
use crate::harness::{OidcProvider, TestGateway, Upstream};

const DEEP_LINK: &str = "/things/17";

#[tokio::test]
async fn twenty_submits_over_two_nodes_make_one_customer() {
    let provider = OidcProvider::start().await;
    let upstream = Upstream::start().await;
    // Twenty is what one identity may send in a minute, and nodes draw from that in portions.
    let gateway = TestGateway::distributed()
        .policy("limits.toml", "[abuse.form]\nsubject = [\"60/min\"]\n")
        .provider(&provider)
        .upstream(&upstream)
        .nodes(2)
        .start()
        .await;
    giulia(&provider).await;
    let browser = gateway.browser();
    let page = browser
        .open(DEEP_LINK)
        .await
        .login_at_provider("giulia")
        .await;
    let submits = (0..20).map(|_| tokio::spawn(registers(page.clone())));
    for submit in submits.collect::<Vec<_>>() {
        let answer = submit.await.unwrap();
        assert!(
            answer.status() < 400,
            "{}: {}",
            answer.status(),
            answer.text()
        );
    }
    browser
        .open(DEEP_LINK)
        .await
        .waits_until_on(DEEP_LINK)
        .await;
    assert_eq!(gateway.platform_counts().await, [1, 1, 1]);
}
