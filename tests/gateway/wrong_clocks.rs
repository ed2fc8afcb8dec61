//! Nodes whose clocks disagree, and a clock that is set back: nobody is logged out by it, and nothing
//! that ended lives again.

use std::sync::Arc;
use std::time::Duration;

use vestibule::clock::{Clock, FrozenClock, SharedClock, SystemClock, Timestamp};
use vestibule::session::{SessionId, Sessions, Stage};

use crate::session_stores::{Place, account, beginning, node_at, standing};

const FIVE_MINUTES: Duration = Duration::from_mins(5);

/// A node whose clock shows this moment until it is moved.
fn node_showing(place: &Place, moment: Timestamp) -> (Sessions, Arc<FrozenClock>) {
    let clock = Arc::new(FrozenClock::at(moment));
    let shared: SharedClock = clock.clone();
    (node_at(place, shared), clock)
}

async fn live(node: &Sessions) -> SessionId {
    let beginning = beginning("mario", Stage::Live(account()));
    node.begin(beginning).await.unwrap()
}

async fn places() -> [(&'static str, Place); 3] {
    [
        ("SQLite", Place::sqlite().await),
        ("PostgreSQL", Place::postgres().await),
        ("Redis", Place::redis().await),
    ]
}

/// FT-09: a node that is five minutes ahead and one that is five behind know each other's sessions,
/// and an end on either is an end on both.
#[tokio::test]
async fn nodes_that_disagree_on_the_time_agree_on_sessions() {
    for (name, place) in places().await {
        let now = SystemClock.now();
        let (ahead, _) = node_showing(&place, now.plus(FIVE_MINUTES));
        let (behind, _) = node_showing(&place, now.minus(FIVE_MINUTES));
        for (here, there) in [(&ahead, &behind), (&behind, &ahead)] {
            let id = live(here).await;
            assert_eq!(standing(there, &id).await, "live", "{name}");
            assert_eq!(standing(here, &id).await, "live", "{name}");
            there.end(&id).await.unwrap();
            assert_eq!(standing(there, &id).await, "expired", "{name}");
            let asked = std::time::Instant::now();
            while standing(here, &id).await != "expired" {
                assert!(
                    asked.elapsed() < Duration::from_secs(10),
                    "{name}: still live"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// FT-09: a clock that is set back by ten minutes ends nothing, and revives nothing.
#[tokio::test]
async fn a_clock_that_is_set_back_ends_and_revives_nothing() {
    for (name, place) in places().await {
        let now = SystemClock.now();
        let (before, _) = node_showing(&place, now);
        let (id, ended) = (live(&before).await, live(&before).await);
        assert_eq!(standing(&before, &id).await, "live", "{name}");
        before.end(&ended).await.unwrap();
        let (after, clock) = node_showing(&place, now.minus(Duration::from_mins(10)));
        assert_eq!(standing(&after, &id).await, "live", "{name}");
        assert_eq!(standing(&after, &ended).await, "expired", "{name}");
        assert_eq!(
            standing(&after, &live(&after).await).await,
            "live",
            "{name}"
        );
        // However the clock went, a day is the end of it.
        clock.advance(Duration::from_hours(25));
        assert_eq!(standing(&after, &id).await, "expired", "{name}");
    }
}
