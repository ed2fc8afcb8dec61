//! What happens to sessions when their store is raced, frozen, stopped, or stolen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use vestibule::seal::{KeyRing, Purpose, from_base64};
use vestibule::session::{SessionId, SessionStanding, Sessions, Stage};

use crate::harness::Redis;
use crate::session_stores::{HOST, Place, account, beginning, node, ring, standing, word};

async fn live(node: &Sessions, subject: &str) -> SessionId {
    node.begin(beginning(subject, Stage::Live(account())))
        .await
        .unwrap()
}

fn in_memory(node: &Sessions, id: &SessionId) -> Option<&'static str> {
    node.cached_standing(Some(&id.to_cookie_value()), HOST)
        .as_ref()
        .map(word)
}

/// Readers on one node ask for sessions while another node ends them: a reply that was on its way
/// when the session ended must not put it back into memory.
async fn race(place: Place, rounds: usize) -> usize {
    const SESSIONS: usize = 20;
    let (reading, ending) = (Arc::new(node(&place)), Arc::new(node(&place)));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut stale = 0;
    for _ in 0..rounds {
        let mut ids = Vec::new();
        for number in 0..SESSIONS {
            ids.push(live(&ending, &format!("person-{number}")).await);
        }
        let ids = Arc::new(ids);
        let is_over = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (node, ids, is_over) =
                    (Arc::clone(&reading), Arc::clone(&ids), Arc::clone(&is_over));
                tokio::spawn(async move {
                    while !is_over.load(Ordering::Relaxed) {
                        for id in ids.iter() {
                            // A fresh trip to the store whenever nothing is in memory.
                            standing(&node, id).await;
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for id in ids.iter() {
            ends(&ending, id).await;
        }
        is_over.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await.unwrap();
        }
        stale += left_in_memory(&reading, &ids).await;
    }
    stale
}

/// Ends a session; a busy machine may need more than one try within the store's deadline.
async fn ends(node: &Sessions, id: &SessionId) {
    for _ in 0..5 {
        if node.end(id).await.is_ok() {
            return;
        }
    }
    panic!("the store did not end a session in five tries");
}

/// How many ended sessions a node still holds once it must know of their end, within a second; one
/// that was put back by a late reply would stay for longer.
async fn left_in_memory(node: &Sessions, ids: &[SessionId]) -> usize {
    let ended = Instant::now();
    loop {
        let held = ids.iter().filter(|id| in_memory(node, id).is_some());
        let held = held.count();
        if held == 0 || ended.elapsed() > Duration::from_secs(1) {
            return held;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_late_reply_revives_a_session_in_redis() {
    assert_eq!(race(Place::redis().await, 50).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_late_reply_revives_a_session_in_postgresql() {
    assert_eq!(race(Place::postgres().await, 10).await, 0);
}

/// Asks until the answer is `wanted`; every answer must come within a second.
async fn becomes(node: &Sessions, id: &SessionId, wanted: &str, within: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = standing(node, id).await;
        assert!(
            asked.elapsed() < Duration::from_secs(1),
            "an answer took {:?}",
            asked.elapsed()
        );
        if answer == wanted {
            return begun.elapsed();
        }
        assert!(
            ["live", "store down"].contains(&answer),
            "{answer} is no answer in an outage"
        );
        assert!(
            begun.elapsed() < within,
            "still {answer} after {:?}",
            begun.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_redis_that_stops_is_no_logout_and_is_found_again_at_once() {
    let mut redis = Redis::start_lasting();
    let node = node(&Place::Redis(redis.url(0)));
    let id = live(&node, "mario").await;
    assert_eq!(standing(&node, &id).await, "live");
    for _ in 0..2 {
        redis.stop();
        becomes(&node, &id, "store down", Duration::from_millis(2500)).await;
        let asked = Instant::now();
        assert!(
            node.begin(beginning("luigi", Stage::Live(account())))
                .await
                .is_err()
        );
        assert!(node.end(&id).await.is_err());
        assert!(asked.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_secs(1)).await;
        redis.resume_after_stop();
        let took = becomes(&node, &id, "live", Duration::from_millis(500)).await;
        println!("known again after {took:?}");
        live(&node, "luigi").await;
    }
}

#[tokio::test]
async fn the_first_request_after_an_outage_is_answered() {
    let mut redis = Redis::start_lasting();
    let node = node(&Place::Redis(redis.url(0)));
    let id = live(&node, "mario").await;
    redis.stop();
    assert_eq!(standing(&node, &id).await, "store down");
    tokio::time::sleep(Duration::from_millis(200)).await;
    redis.resume_after_stop();
    assert_eq!(standing(&node, &id).await, "live");
}

#[tokio::test]
async fn a_redis_that_freezes_is_given_up_within_a_second() {
    let redis = Redis::start();
    let node = node(&Place::Redis(redis.url(0)));
    let id = live(&node, "mario").await;
    assert_eq!(standing(&node, &id).await, "live");
    redis.freeze();
    becomes(&node, &id, "store down", Duration::from_millis(3500)).await;
    redis.thaw();
    becomes(&node, &id, "live", Duration::from_millis(1500)).await;
}

/// While no push channel stands, an entry lives two seconds and no longer.
#[tokio::test]
async fn without_news_a_session_is_trusted_for_two_seconds() {
    let redis = Redis::start();
    let place = Place::Redis(redis.url(0));
    let node = node(&place);
    let id = live(&node, "mario").await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(standing(&node, &id).await, "live");
    redis.freeze();
    let frozen = Instant::now();
    while in_memory(&node, &id).is_some() {
        assert!(
            frozen.elapsed() < Duration::from_millis(2100),
            "trusted without news"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    redis.thaw();
}

/// Everything in a store, as a thief finds it.
async fn dump(place: &Place) -> String {
    match place {
        Place::Sqlite(_, folder) => std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .collect(),
        Place::Postgres(database) => {
            let sql = "SELECT CAST(sessions AS TEXT) FROM sessions";
            let rows = vestibule::sql_fetch_all!(database, (String,), sql).unwrap();
            rows.into_iter().map(|(row,)| row).collect()
        }
        Place::Redis(url) => {
            let client = redis::Client::open(url.as_str()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let keys: Vec<String> = redis::cmd("KEYS")
                .arg("*")
                .query_async(&mut connection)
                .await
                .unwrap();
            let mut all = keys.join(" ");
            for key in keys.iter().filter(|key| !key.contains(":subject:")) {
                let value: String = redis::cmd("GET")
                    .arg(key)
                    .query_async(&mut connection)
                    .await
                    .unwrap();
                all.push_str(&value);
            }
            all
        }
        Place::Cluster(_) => panic!("a Cluster keeps what a server keeps"),
    }
}

#[tokio::test]
async fn a_stolen_store_opens_nothing() {
    for place in [
        Place::sqlite().await,
        Place::postgres().await,
        Place::redis().await,
    ] {
        let node = node(&place);
        let id = live(&node, "mario").await;
        let all = dump(&place).await;
        assert!(
            all.contains("mario") && all.contains(id.key().as_str()),
            "not the whole store"
        );
        let secrets = [
            id.to_cookie_value(),
            "mario.rossi@acme.example".to_owned(),
            "Mario Rossi".to_owned(),
            "the-id-token".to_owned(),
            "the-access-token".to_owned(),
        ];
        for secret in secrets {
            assert!(!all.contains(&secret), "{secret} is readable in the store");
        }
        // The digest is what the store shows; it is not what the browser shows.
        let digest = id.key().as_str().to_owned();
        let SessionStanding::Expired = node.standing(Some(&digest), HOST).await else {
            panic!("a digest from the store was taken for a cookie");
        };
    }
}

#[tokio::test]
async fn neither_the_ring_nor_the_cookie_alone_opens_a_record() {
    let place = Place::sqlite().await;
    let id = live(&node(&place), "mario").await;
    let long_ago = vestibule::clock::Timestamp::from_millis(0);
    let stored = place
        .open()
        .load(&id.key(), long_ago)
        .await
        .unwrap()
        .unwrap();
    let sealed = from_base64(&stored.sealed).unwrap();
    let digest = from_base64(id.key().as_str()).unwrap();
    let secret = from_base64(&id.to_cookie_value()).unwrap();
    let context = [digest.as_slice(), HOST.as_bytes()].concat();
    let opens = |ring: &KeyRing, secret: &[u8]| {
        ring.open_with_secret(Purpose::Session, secret, &context, &sealed)
            .is_ok()
    };
    assert!(opens(&ring(), &secret), "this is how a record is sealed");
    assert!(
        !opens(&ring(), &digest),
        "the ring with the digest from the store"
    );
    assert!(!opens(&ring(), b""), "the ring alone");
    let foreign = KeyRing::new(vestibule::seal::SealKey::random(), vec![]);
    assert!(!opens(&foreign, &secret), "the cookie with another ring");
}

#[tokio::test]
async fn a_postgresql_that_drops_every_connection_is_no_logout() {
    let place = Place::postgres().await;
    let Place::Postgres(database) = &place else {
        panic!("not PostgreSQL")
    };
    let (here, there) = (node(&place), node(&place));
    let id = live(&here, "mario").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(standing(&there, &id).await, "live");
    let drop_all = "SELECT CAST(COUNT(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let dropped = vestibule::sql_fetch_optional!(database, (i64,), drop_all).unwrap();
    assert!(dropped.unwrap().0 >= 2, "the listeners were not dropped");
    becomes(&there, &id, "live", Duration::from_secs(1)).await;
    // The push channel comes back as well.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(standing(&there, &id).await, "live");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(
        in_memory(&there, &id),
        Some("live"),
        "no push channel covers the entry"
    );
    here.end(&id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(in_memory(&there, &id), None);
}

#[tokio::test]
async fn a_postgresql_that_is_not_there_is_given_up_within_a_second() {
    use vestibule::database::{Database, DatabaseAddress};
    let nowhere = DatabaseAddress::Postgres("postgres://nobody@127.0.0.1:1/none".to_owned());
    let node = node(&Place::Postgres(Database::open(&nowhere).await.unwrap()));
    let id = SessionId::random();
    for _ in 0..3 {
        let asked = Instant::now();
        assert_eq!(standing(&node, &id).await, "store down");
        assert!(asked.elapsed() < Duration::from_millis(1200));
    }
}

#[tokio::test]
async fn a_database_closes_at_once_whatever_listens() {
    let place = Place::postgres().await;
    let Place::Postgres(database) = &place else {
        panic!("not PostgreSQL")
    };
    let node = node(&place);
    let id = live(&node, "mario").await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let closing = tokio::time::timeout(Duration::from_secs(2), database.close());
    assert!(
        closing.await.is_ok(),
        "the push channel held the database open"
    );
    assert_eq!(standing(&node, &id).await, "store down");
}
