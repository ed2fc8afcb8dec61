//! Redis as it is run where it must not fail: a master that sentinels watch over, and a Cluster.
//! Losing a master logs nobody out, and an end is an end on every node.

use std::time::Duration;

use super::harness::{Browser, Page, RedisCluster, TestGateway, WatchedRedis};
use super::known_user::{Stage, registered};

/// How long a node may take to find a new master, on a busy machine.
const FOUND_WITHIN: Duration = Duration::from_secs(20);

/// Asks until a page comes; until then there is nothing but 503.
async fn opens(browser: &Browser) -> Page {
    let asking = async {
        loop {
            let page = browser.open("/").await;
            if page.status() != 503 {
                return page.has_status(200).shows("The platform");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(FOUND_WITHIN, asking).await;
    found.expect("the new master was not found")
}

/// Logs in as often as it takes: what is in memory is answered before the new master is found.
async fn logs_in(gateway: &TestGateway) -> Browser {
    let asking = async {
        loop {
            let browser = gateway.browser();
            let page = browser.open("/").await.login_at_provider("mario").await;
            if page.status() != 503 {
                page.lands_on("/").shows("The platform");
                return browser;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(FOUND_WITHIN, asking).await;
    found.expect("the new master was not found")
}

/// Two nodes, one person with two browsers; a master is lost, and then the person logs out.
async fn a_lost_master_logs_nobody_out(sessions: String, lose: impl FnOnce()) {
    let stage = Stage::set().await;
    let gateway = stage
        .start(TestGateway::distributed_with(sessions).nodes(2))
        .await;
    let browser = registered(&gateway).await;
    lose();
    for _ in 0..4 {
        opens(&browser).await;
    }
    let another = logs_in(&gateway).await;
    let thief = browser.with_stolen_cookies();
    opens(&thief).await;
    browser.open("/auth/logout").await.press("Sign out").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..4 {
        thief.fetch("GET", "/", None).await.has_status(401);
    }
    opens(&another).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_lost_under_sentinels_logs_nobody_out() {
    let redis = WatchedRedis::start();
    redis.silence_a_sentinel();
    a_lost_master_logs_nobody_out(redis.setting(), || redis.lose_the_master()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_lost_in_a_cluster_logs_nobody_out() {
    let redis = RedisCluster::start();
    a_lost_master_logs_nobody_out(redis.setting(), || redis.lose_the_master_of("*session*")).await;
}
