//! The contract of session stores, one body for SQLite, PostgreSQL and Redis; and what sessions
//! promise over each of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vestibule::clock::{Clock as _, FrozenClock, SharedClock, SystemClock, Timestamp};
use vestibule::database::{Database, DatabaseAddress};
use vestibule::identity::{
    Account, AgreementPrint, Cleared, Issuer, PlatformId, ProviderId, Subject, UserId,
    VerifiedClaims, VerifiedIdentity,
};
use vestibule::redis_link::RedisAddress;
use vestibule::seal::{KeyRing, SealKey, random_token};
use vestibule::session::sql::SqlSessionStore;
use vestibule::session::{
    Beginning, IdpTokens, Lifetimes, SessionId, SessionIndex, SessionKey, SessionStanding,
    SessionStore, Sessions, Stage, StoredSession,
};

use crate::harness::{Postgres, Redis, RedisCluster, store_at};

pub const HOST: &str = "app.example.com";

/// A store that several nodes can open.
pub enum Place {
    Sqlite(Database, tempfile::TempDir),
    Postgres(Database),
    Redis(String),
    Cluster(String),
}

impl Place {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&DatabaseAddress::Sqlite(folder.path().join("v.db")))
            .await
            .unwrap();
        database.migrate().await.unwrap();
        Self::Sqlite(database, folder)
    }

    pub async fn postgres() -> Self {
        let url = Postgres::shared().fresh_database().await;
        let database = Database::open(&DatabaseAddress::Postgres(url))
            .await
            .unwrap();
        database.migrate().await.unwrap();
        Self::Postgres(database)
    }

    #[expect(clippy::unused_async, reason = "a store like the others")]
    pub async fn redis() -> Self {
        static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(400);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self::Redis(Redis::shared().url(number))
    }

    #[expect(clippy::unused_async, reason = "a store like the others")]
    pub async fn cluster() -> Self {
        static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self::Cluster(format!("part-{number}"))
    }

    /// The store as one node opens it.
    pub fn open(&self) -> Arc<dyn SessionStore> {
        match self {
            Self::Sqlite(database, _) | Self::Postgres(database) => {
                Arc::new(SqlSessionStore::new(database.clone()))
            }
            Self::Redis(url) => {
                let address = RedisAddress::Server(url.as_str().into());
                Arc::new(store_at(&address, None))
            }
            Self::Cluster(part) => {
                Arc::new(store_at(&RedisCluster::shared().address(), Some(part)))
            }
        }
    }
}

macro_rules! over_every_store {
    ($($name:ident),+ $(,)?) => { over!([sqlite, postgres, redis, cluster] $($name),+); };
}
macro_rules! over {
    ([$($place:ident),+] $name:ident $(, $more:ident)* $(,)?) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $place() {
                    super::contract::$name(super::Place::$place().await).await;
                }
            )+
        }
        over!([$($place),+] $($more),*);
    };
    ([$($place:ident),+]) => {};
}

over_every_store!(
    a_session_is_read_back_until_it_is_deleted,
    old_and_new_change_places_in_one_step,
    a_touch_moves_the_idle_end_and_revives_nothing,
    a_touch_of_whoever_read_before_brings_no_old_tokens_back,
    what_nobody_sees_ends,
    all_sessions_of_a_subject_end_or_those_with_one_sid,
    the_oldest_give_way,
    an_attempt_is_consumed_once,
    an_attempt_counts_until_its_end,
    sweeping_leaves_what_lives,
    the_bearer_of_the_cookie_is_known_on_its_host_only,
    promotion_gives_a_new_id_and_kills_the_old_one,
    what_was_done_first_is_written_into_a_session_that_lives,
    logging_in_again_ends_the_session_before,
    what_ended_stays_ended,
    sessions_end_absolutely,
    one_person_has_so_many_sessions,
);
over!([postgres, redis, cluster]
    an_end_is_known_on_every_node_within_a_second,
    what_was_done_first_is_known_on_every_node_within_a_second,
    an_end_by_subject_is_known_on_every_node_within_a_second,
);

fn stored(subject: &str, sid: Option<&str>, lives: Duration) -> StoredSession {
    let now = SystemClock.now();
    StoredSession {
        key: SessionId::random().key(),
        sealed: random_token(),
        index: SessionIndex {
            issuer: Issuer::new("https://idp.example"),
            subject: Subject::new(subject),
            idp_sid: sid.map(str::to_owned),
            host: HOST.to_owned(),
            account: Some("account-1".to_owned()),
            device: "Firefox on Linux".to_owned(),
            created_at: now,
        },
        idle_until: now.plus(lives),
        ends_at: now.plus(Duration::from_hours(1)),
    }
}

const MINUTE: Duration = Duration::from_mins(1);

pub fn identity(subject: &str) -> VerifiedIdentity {
    let claims = json!({"email": "mario.rossi@acme.example", "name": "Mario Rossi", "sid": "s-1"});
    VerifiedIdentity::from_verified(VerifiedClaims {
        provider: ProviderId::new("corp"),
        issuer: Issuer::new("https://idp.example"),
        subject: Subject::new(subject),
        claims: claims.as_object().unwrap().clone(),
        email_trusted: true,
        authenticated_at: SystemClock.now(),
    })
}

pub fn account() -> Account {
    Account {
        platform: PlatformId::new("main"),
        user: UserId::new("u-1"),
        customer: None,
        account_type: None,
    }
}

pub fn beginning<'a>(subject: &str, stage: Stage) -> Beginning<'a> {
    let tokens = IdpTokens {
        id_token: "the-id-token".into(),
        access_token: Some("the-access-token".into()),
        access_until: None,
        refresh_token: None,
    };
    Beginning {
        identity: identity(subject),
        stage,
        cleared: Cleared::default(),
        tokens: Some(tokens),
        host: HOST,
        device: "Firefox on Linux",
        replaces: None,
    }
}

pub fn pending() -> Stage {
    Stage::Pending {
        return_to: "/things".to_owned(),
    }
}

pub fn node(place: &Place) -> Sessions {
    node_at(place, Arc::new(SystemClock))
}

pub fn node_at(place: &Place, clock: SharedClock) -> Sessions {
    Sessions::new(place.open(), ring(), clock, Lifetimes::default())
}

/// All nodes have the same ring.
pub fn ring() -> Arc<KeyRing> {
    Arc::new(KeyRing::new(SealKey::from_bytes([7; 32]), vec![]))
}

pub fn word(standing: &SessionStanding) -> &'static str {
    match standing {
        SessionStanding::Absent => "absent",
        SessionStanding::Live(_) => "live",
        SessionStanding::NeedsRefresh(_) => "needs refresh",
        SessionStanding::Pending(_) => "pending",
        SessionStanding::Expired => "expired",
        SessionStanding::Unreadable => "unreadable",
        SessionStanding::StoreDown => "store down",
    }
}

pub async fn standing(node: &Sessions, id: &SessionId) -> &'static str {
    word(&node.standing(Some(&id.to_cookie_value()), HOST).await)
}

/// How long until a node that has the session in memory knows that it ended.
async fn until_known(node: &Sessions, id: &SessionId) -> Duration {
    let begun = Instant::now();
    while standing(node, id).await != "expired" {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "the end never became known"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    begun.elapsed()
}

/// A node on which a session is in memory and covered by the push channel.
async fn covered_node(place: &Place, id: &SessionId) -> Sessions {
    let node = node(place);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(standing(&node, id).await, "live");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let cached = node.cached_standing(Some(&id.to_cookie_value()), HOST);
    assert_eq!(
        cached.as_ref().map(word),
        Some("live"),
        "no push channel covers the entry"
    );
    node
}

mod contract {
    use super::*;

    pub async fn a_session_is_read_back_until_it_is_deleted(place: Place) {
        let store = place.open();
        let session = stored("mario", Some("s"), MINUTE);
        assert!(
            store
                .insert(&session, Some("sealed tokens"), None)
                .await
                .unwrap()
        );
        let loaded = store
            .load(&session.key, SystemClock.now())
            .await
            .unwrap()
            .unwrap();
        assert!(loaded.idle_until.since(session.idle_until) < Duration::from_secs(1));
        assert!(session.idle_until.since(loaded.idle_until) < Duration::from_secs(1));
        assert_eq!(
            StoredSession {
                idle_until: session.idle_until,
                ..loaded
            },
            session
        );
        let tokens = store.tokens(&session.key, SystemClock.now()).await.unwrap();
        assert_eq!(tokens.as_deref(), Some("sealed tokens"));
        store.delete(&session.key).await.unwrap();
        store.delete(&session.key).await.unwrap();
        assert_eq!(
            store.load(&session.key, SystemClock.now()).await.unwrap(),
            None
        );
        assert_eq!(
            store.tokens(&session.key, SystemClock.now()).await.unwrap(),
            None
        );
    }

    pub async fn old_and_new_change_places_in_one_step(place: Place) {
        let store = place.open();
        let (old, new, late) = (
            stored("m", None, MINUTE),
            stored("m", None, MINUTE),
            stored("m", None, MINUTE),
        );
        store.insert(&old, None, None).await.unwrap();
        assert!(store.insert(&new, None, Some(&old.key)).await.unwrap());
        assert!(!store.insert(&late, None, Some(&old.key)).await.unwrap());
        let now = SystemClock.now();
        assert_eq!(store.load(&old.key, now).await.unwrap(), None);
        assert!(store.load(&new.key, now).await.unwrap().is_some());
        assert_eq!(store.load(&late.key, now).await.unwrap(), None);
    }

    pub async fn a_touch_moves_the_idle_end_and_revives_nothing(place: Place) {
        let store = place.open();
        let (kept, ended) = (stored("m", None, MINUTE), stored("m", None, MINUTE));
        store.insert(&kept, None, None).await.unwrap();
        store.insert(&ended, None, None).await.unwrap();
        store.delete(&ended.key).await.unwrap();
        let now = SystemClock.now();
        store
            .touch(&kept.key, now, now.plus(10 * MINUTE))
            .await
            .unwrap();
        store
            .touch(&ended.key, now, now.plus(10 * MINUTE))
            .await
            .unwrap();
        let loaded = store.load(&kept.key, now).await.unwrap().unwrap();
        assert!(loaded.idle_until.since(now) > 9 * MINUTE);
        assert_eq!(store.load(&ended.key, now).await.unwrap(), None);
    }

    /// SF-07: whoever read a session before its tokens were renewed writes none of what it read.
    pub async fn a_touch_of_whoever_read_before_brings_no_old_tokens_back(place: Place) {
        let (late, store) = (place.open(), place.open());
        let session = stored("m", None, MINUTE);
        store.insert(&session, Some("old"), None).await.unwrap();
        let now = SystemClock.now();
        let read = late.load(&session.key, now).await.unwrap().unwrap();
        assert!(store.keep_tokens(&session.key, "new").await.unwrap());
        let later = now.plus(10 * MINUTE);
        late.touch(&read.key, now, later).await.unwrap();
        assert!(late.reseal(&read).await.unwrap());
        let kept = store.tokens(&session.key, now).await.unwrap();
        assert_eq!(kept.as_deref(), Some("new"));
    }

    pub async fn what_nobody_sees_ends(place: Place) {
        let store = place.open();
        let session = stored("m", None, Duration::from_millis(300));
        store.insert(&session, Some("t"), None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        let now = SystemClock.now();
        assert_eq!(store.load(&session.key, now).await.unwrap(), None);
        assert_eq!(store.tokens(&session.key, now).await.unwrap(), None);
        store
            .touch(&session.key, now, now.plus(MINUTE))
            .await
            .unwrap();
        assert_eq!(store.load(&session.key, now).await.unwrap(), None);
        let new = stored("m", None, MINUTE);
        assert!(!store.insert(&new, None, Some(&session.key)).await.unwrap());
    }

    pub async fn all_sessions_of_a_subject_end_or_those_with_one_sid(place: Place) {
        let store = place.open();
        let here = stored("mario", Some("one"), MINUTE);
        let there = stored("mario", Some("two"), MINUTE);
        let unsaid = stored("mario", None, MINUTE);
        let other = stored("luigi", Some("one"), MINUTE);
        for session in [&here, &there, &unsaid, &other] {
            store.insert(session, Some("t"), None).await.unwrap();
        }
        let (issuer, subject) = (&here.index.issuer, &here.index.subject);
        let foreign = Issuer::new("https://other.example");
        assert_eq!(store.delete_of(&foreign, subject, None).await.unwrap(), []);
        let ended = store.delete_of(issuer, subject, Some("one")).await.unwrap();
        assert_eq!(ended, std::slice::from_ref(&here.key));
        let ended: BTreeSet<SessionKey> = store
            .delete_of(issuer, subject, None)
            .await
            .unwrap()
            .into_iter()
            .collect();
        assert_eq!(ended, BTreeSet::from([there.key, unsaid.key]));
        assert!(
            store
                .load(&other.key, SystemClock.now())
                .await
                .unwrap()
                .is_some()
        );
    }

    pub async fn the_oldest_give_way(place: Place) {
        let store = place.open();
        let mut keys = Vec::new();
        for age in (0_i64..5).rev() {
            let mut session = stored("mario", None, MINUTE);
            let created_at = session.index.created_at.millis() - age * 1000;
            session.index.created_at = Timestamp::from_millis(created_at);
            store.insert(&session, None, None).await.unwrap();
            keys.push(session);
        }
        let index = &keys[0].index;
        let mut gone = store.evict(&index.issuer, &index.subject, 3).await.unwrap();
        gone.sort();
        let mut oldest = vec![keys[0].key.clone(), keys[1].key.clone()];
        oldest.sort();
        assert_eq!(gone, oldest);
        assert!(
            store
                .load(&keys[4].key, SystemClock.now())
                .await
                .unwrap()
                .is_some()
        );
        assert_eq!(
            store.load(&keys[0].key, SystemClock.now()).await.unwrap(),
            None
        );
    }

    pub async fn an_attempt_is_consumed_once(place: Place) {
        let store = place.open();
        let now = SystemClock.now();
        let tries = (0..20).map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.consume_attempt("a", now, now.plus(MINUTE)).await })
        });
        let mut wins = 0;
        for attempt in tries.collect::<Vec<_>>() {
            wins += usize::from(attempt.await.unwrap().unwrap());
        }
        assert_eq!(wins, 1);
        assert!(
            store
                .consume_attempt("b", now, now.plus(MINUTE))
                .await
                .unwrap()
        );
    }

    pub async fn an_attempt_counts_until_its_end(place: Place) {
        let store = place.open();
        let (now, moment) = (SystemClock.now(), Duration::from_millis(300));
        assert!(
            store
                .consume_attempt("c", now, now.plus(moment))
                .await
                .unwrap()
        );
        assert!(
            !store
                .consume_attempt("c", now, now.plus(moment))
                .await
                .unwrap()
        );
        tokio::time::sleep(moment * 2).await;
        let later = SystemClock.now();
        assert!(
            store
                .consume_attempt("c", later, later.plus(MINUTE))
                .await
                .unwrap()
        );
        assert!(
            !store
                .consume_attempt("c", later, later.plus(MINUTE))
                .await
                .unwrap()
        );
    }

    pub async fn sweeping_leaves_what_lives(place: Place) {
        let store = place.open();
        let now = SystemClock.now();
        let session = stored("m", None, MINUTE);
        store.insert(&session, None, None).await.unwrap();
        store
            .consume_attempt("a", now, now.plus(MINUTE))
            .await
            .unwrap();
        store.sweep(now).await.unwrap();
        assert!(store.load(&session.key, now).await.unwrap().is_some());
        assert!(
            !store
                .consume_attempt("a", now, now.plus(MINUTE))
                .await
                .unwrap()
        );
        store.ping().await.unwrap();
    }

    pub async fn the_bearer_of_the_cookie_is_known_on_its_host_only(place: Place) {
        let node = node(&place);
        let id = node
            .begin(beginning("mario", Stage::Live(account())))
            .await
            .unwrap();
        let cookie = id.to_cookie_value();
        for _ in 0..2 {
            let SessionStanding::Live(open) = node.standing(Some(&cookie), HOST).await else {
                panic!("not live");
            };
            assert_eq!(open.record.account(), Some(&account()));
            assert_eq!(open.record.identity, identity_as_of(&open.record.identity));
            assert_eq!(
                word(&node.standing(Some(&cookie), "b.example.com").await),
                "unreadable"
            );
        }
        let fresh = super::node(&place);
        assert_eq!(
            word(&fresh.standing(Some(&cookie), "b.example.com").await),
            "unreadable"
        );
        assert_eq!(word(&node.standing(None, HOST).await), "absent");
        assert_eq!(
            word(&node.standing(Some("garbage"), HOST).await),
            "unreadable"
        );
        assert_eq!(standing(&node, &SessionId::random()).await, "expired");
        let tokens = node.tokens(&id, HOST).await.unwrap().unwrap();
        assert_eq!(
            secrecy::ExposeSecret::expose_secret(&tokens.id_token),
            "the-id-token"
        );
        assert!(node.tokens(&id, "b.example.com").await.unwrap().is_none());
    }

    fn identity_as_of(read: &VerifiedIdentity) -> VerifiedIdentity {
        VerifiedIdentity::from_verified(VerifiedClaims {
            provider: read.provider().cloned().unwrap(),
            issuer: read.issuer().clone(),
            subject: Subject::new("mario"),
            claims: identity("mario").claims().to_object(),
            email_trusted: true,
            authenticated_at: read.authenticated_at(),
        })
    }

    pub async fn promotion_gives_a_new_id_and_kills_the_old_one(place: Place) {
        let node = node(&place);
        let old = node.begin(beginning("mario", pending())).await.unwrap();
        let SessionStanding::Pending(open) =
            node.standing(Some(&old.to_cookie_value()), HOST).await
        else {
            panic!("not pending");
        };
        let new = node
            .promote(&open, &old, (account(), Cleared::default()))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(standing(&node, &old).await, "expired");
        assert_eq!(standing(&node, &new).await, "live");
        assert!(node.tokens(&new, HOST).await.unwrap().is_some());
        assert!(node.tokens(&old, HOST).await.unwrap().is_none());
        assert_eq!(
            node.promote(&open, &old, (account(), Cleared::default()))
                .await
                .unwrap(),
            None
        );
    }

    fn done() -> Cleared {
        Cleared {
            agreements: vec![AgreementPrint::of("terms", "2")],
            verified: true,
        }
    }

    async fn cleared(node: &Sessions, id: &SessionId) -> Option<Cleared> {
        match node.standing(Some(&id.to_cookie_value()), HOST).await {
            SessionStanding::Live(open) => Some(open.record.cleared.clone()),
            _ => None,
        }
    }

    pub async fn what_was_done_first_is_written_into_a_session_that_lives(place: Place) {
        let node = node(&place);
        let live = Stage::Live(account());
        let id = node.begin(beginning("mario", live)).await.unwrap();
        assert_eq!(cleared(&node, &id).await, Some(Cleared::default()));
        assert!(node.clear(&id, HOST, done()).await.unwrap());
        assert_eq!(cleared(&node, &id).await, Some(done()));
        assert_eq!(cleared(&super::node(&place), &id).await, Some(done()));
        assert!(node.tokens(&id, HOST).await.unwrap().is_some());

        assert!(!node.clear(&id, "b.example.com", done()).await.unwrap());
        node.end(&id).await.unwrap();
        assert!(!node.clear(&id, HOST, done()).await.unwrap());
        assert_eq!(cleared(&node, &id).await, None, "nothing revives it");
    }

    pub async fn what_was_done_first_is_known_on_every_node_within_a_second(place: Place) {
        let (here, there) = (node(&place), super::node(&place));
        let live = Stage::Live(account());
        let id = here.begin(beginning("mario", live)).await.unwrap();
        assert_eq!(cleared(&there, &id).await, Some(Cleared::default()));
        assert!(here.clear(&id, HOST, done()).await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(cleared(&there, &id).await, Some(done()));
    }

    pub async fn logging_in_again_ends_the_session_before(place: Place) {
        let node = node(&place);
        let before = node
            .begin(beginning("mario", Stage::Live(account())))
            .await
            .unwrap();
        assert_eq!(standing(&node, &before).await, "live");
        let again = Beginning {
            replaces: Some(&before),
            ..beginning("luigi", Stage::Live(account()))
        };
        let after = node.begin(again).await.unwrap();
        assert_eq!(standing(&node, &before).await, "expired");
        assert_eq!(standing(&node, &after).await, "live");
        let once_more = Beginning {
            replaces: Some(&before),
            ..beginning("luigi", Stage::Live(account()))
        };
        assert!(
            node.begin(once_more).await.is_ok(),
            "a session that is over stops no login"
        );
    }

    pub async fn what_ended_stays_ended(place: Place) {
        let node = node(&place);
        let id = node
            .begin(beginning("mario", Stage::Live(account())))
            .await
            .unwrap();
        assert_eq!(standing(&node, &id).await, "live");
        node.end(&id).await.unwrap();
        assert!(
            node.cached_standing(Some(&id.to_cookie_value()), HOST)
                .is_none()
        );
        assert_eq!(standing(&node, &id).await, "expired");
        let other = node
            .begin(beginning("mario", Stage::Live(account())))
            .await
            .unwrap();
        assert_eq!(standing(&node, &other).await, "live");
        let (issuer, subject) = (Issuer::new("https://idp.example"), Subject::new("mario"));
        assert_eq!(
            node.end_of(&issuer, &subject, Some("another"))
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            node.end_of(&issuer, &subject, Some("s-1")).await.unwrap(),
            1
        );
        assert_eq!(standing(&node, &other).await, "expired");
    }

    pub async fn sessions_end_absolutely(place: Place) {
        let clock = Arc::new(FrozenClock::at(SystemClock.now()));
        let node = node_at(&place, Arc::clone(&clock) as SharedClock);
        let live = node
            .begin(beginning("mario", Stage::Live(account())))
            .await
            .unwrap();
        let waiting = node.begin(beginning("mario", pending())).await.unwrap();
        assert_eq!(standing(&node, &waiting).await, "pending");
        clock.advance(Lifetimes::default().pending);
        assert_eq!(standing(&node, &waiting).await, "expired");
        assert_eq!(standing(&node, &live).await, "live");
        clock.advance(Lifetimes::default().absolute);
        assert_eq!(standing(&node, &live).await, "expired");
    }

    pub async fn one_person_has_so_many_sessions(place: Place) {
        let node = node(&place);
        let first = node
            .begin(beginning("mario", Stage::Live(account())))
            .await
            .unwrap();
        let other = node
            .begin(beginning("luigi", Stage::Live(account())))
            .await
            .unwrap();
        assert_eq!(standing(&node, &first).await, "live");
        tokio::time::sleep(Duration::from_millis(2)).await;
        let mut last = None;
        for _ in 0..50 {
            last = Some(
                node.begin(beginning("mario", Stage::Live(account())))
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(standing(&node, &first).await, "expired");
        assert_eq!(standing(&node, &last.unwrap()).await, "live");
        assert_eq!(standing(&node, &other).await, "live");
    }

    pub async fn an_end_is_known_on_every_node_within_a_second(place: Place) {
        let here = node(&place);
        let id = here
            .begin(beginning("mario", Stage::Live(account())))
            .await
            .unwrap();
        let there = covered_node(&place, &id).await;
        here.end(&id).await.unwrap();
        let took = until_known(&there, &id).await;
        assert!(took < Duration::from_secs(1), "it took {took:?}");
    }

    pub async fn an_end_by_subject_is_known_on_every_node_within_a_second(place: Place) {
        let here = node(&place);
        let id = here
            .begin(beginning("mario", Stage::Live(account())))
            .await
            .unwrap();
        let there = covered_node(&place, &id).await;
        let (issuer, subject) = (Issuer::new("https://idp.example"), Subject::new("mario"));
        assert_eq!(here.end_of(&issuer, &subject, None).await.unwrap(), 1);
        let took = until_known(&there, &id).await;
        assert!(took < Duration::from_secs(1), "it took {took:?}");
    }
}
