//! The outbox over SQLite, with a clock that stands still; over PostgreSQL and a mail server in
//! `tests/gateway/mail_delivery.rs`.

use std::sync::Mutex;

use super::*;
use crate::clock::{Clock as _, FrozenClock};
use crate::database::{DatabaseAddress, Node};
use crate::seal::SealKey;
use crate::telemetry::metrics::render;

/// A carrier that notes what it carries and answers as it is told.
#[derive(Default)]
struct Noting {
    carried: Mutex<Vec<Delivery>>,
    answer: Mutex<Option<NotDelivered>>,
}

#[async_trait]
impl Carrier for Noting {
    fn kind(&self) -> Kind {
        Kind::Letter
    }

    async fn carry(&self, delivery: &Delivery) -> Result<(), NotDelivered> {
        self.carried.lock().unwrap().push(delivery.clone());
        self.answer.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

struct Scene {
    outbox: Outbox,
    carrier: Arc<Noting>,
    clock: Arc<FrozenClock>,
    metrics: Metrics,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = DatabaseAddress::Sqlite(folder.path().join("outbox.db"));
        let database = Database::open(&address).await.unwrap();
        database.migrate().await.unwrap();
        let clock = Arc::new(FrozenClock::at(Timestamp::from_millis(1_000_000)));
        let metrics = Metrics::default();
        Self {
            outbox: Outbox::new(OutboxParts {
                database,
                keys: Arc::new(KeyRing::new(SealKey::from_bytes([7; 32]), vec![])),
                clock: clock.clone(),
                metrics: metrics.clone(),
                node: Node::at("one"),
            }),
            carrier: Arc::default(),
            clock,
            metrics,
            _folder: folder,
        }
    }

    /// Another node on the same database.
    fn other_node(&self) -> Outbox {
        Outbox::new(OutboxParts {
            database: self.outbox.parts.database.clone(),
            keys: self.outbox.parts.keys.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            node: Node::at("two"),
        })
    }

    fn answers(&self, answer: NotDelivered) {
        *self.carrier.answer.lock().unwrap() = Some(answer);
    }

    fn recovers(&self) {
        *self.carrier.answer.lock().unwrap() = None;
    }

    fn carried(&self) -> usize {
        self.carrier.carried.lock().unwrap().len()
    }

    async fn put(&self, valid_for: Option<Duration>) -> String {
        let delivery = NewDelivery {
            valid_for,
            ..letter()
        };
        self.outbox.put(&delivery).await.unwrap()
    }

    /// Delivers what is due, as the worker does.
    async fn work(&self) {
        let carriers = [Arc::clone(&self.carrier) as Arc<dyn Carrier>];
        let now = self.clock.now();
        let due = kept::due(&self.outbox.parts.database, now, 100).await;
        for id in due.unwrap() {
            self.outbox.deliver(&carriers, &id).await.unwrap();
        }
    }

    async fn entries(&self) -> Vec<Entry> {
        self.outbox.entries(Kind::Letter, 100).await.unwrap()
    }
}

fn letter() -> NewDelivery {
    NewDelivery {
        kind: Kind::Letter,
        name: "proof-code",
        content: b"the code is 42".to_vec(),
        valid_for: None,
    }
}

fn passing() -> NotDelivered {
    NotDelivered::Passing("451 try later".to_owned())
}

const MINUTES: Duration = Duration::from_mins(15);

#[tokio::test]
async fn what_arrived_is_gone() {
    let scene = Scene::set().await;
    let id = scene.put(None).await;
    scene.work().await;
    scene.work().await;
    assert_eq!(scene.carried(), 1);
    let carried = scene.carrier.carried.lock().unwrap()[0].clone();
    assert_eq!((carried.id, carried.content), (id, letter().content));
    assert_eq!(scene.entries().await, []);
}

#[tokio::test]
async fn what_is_kept_is_sealed() {
    let scene = Scene::set().await;
    scene.answers(NotDelivered::Refused("no anna@example.org here".to_owned()));
    scene.put(None).await;
    scene.work().await;
    let database = &scene.outbox.parts.database;
    let sql = "SELECT sealed, reason FROM outbox";
    let (sealed, reason) = crate::sql_fetch_optional!(database, (String, String), sql)
        .unwrap()
        .unwrap();
    assert!(!sealed.contains("code") && !reason.contains("anna"));
    let entries = scene.entries().await;
    assert_eq!(
        entries[0].reason.as_deref(),
        Some("no anna@example.org here")
    );
    assert_eq!(entries[0].content, Some(letter().content));
}

#[tokio::test]
async fn what_failed_is_tried_again_under_the_same_id() {
    let scene = Scene::set().await;
    scene.answers(passing());
    let id = scene.put(None).await;
    scene.work().await;
    assert_eq!(scene.entries().await[0].attempts, 1);
    scene.work().await;
    assert_eq!(scene.carried(), 1, "not before its pause is over");
    scene.recovers();
    scene.clock.advance(Duration::from_secs(2));
    scene.work().await;
    let ids: Vec<String> = scene
        .carrier
        .carried
        .lock()
        .unwrap()
        .iter()
        .map(|delivery| delivery.id.clone())
        .collect();
    assert_eq!(ids, [id.clone(), id]);
    assert_eq!(scene.entries().await, []);
}

#[tokio::test]
async fn a_refusal_is_final_until_an_operator_tries_again() {
    let scene = Scene::set().await;
    scene.answers(NotDelivered::Refused("550 no such user".to_owned()));
    let id = scene.put(None).await;
    scene.work().await;
    scene.clock.advance(Duration::from_hours(1));
    scene.work().await;
    assert_eq!(scene.carried(), 1);
    assert!(scene.entries().await[0].has_failed);
    scene.recovers();
    let other = scene.outbox.retry(Kind::Webhook, Some(&id)).await.unwrap();
    let own = scene.outbox.retry(Kind::Letter, Some(&id)).await.unwrap();
    assert_eq!((other, own), (0, 1));
    scene.work().await;
    assert_eq!((scene.carried(), scene.entries().await.len()), (2, 0));
}

#[tokio::test]
async fn what_is_over_is_not_sent_and_is_erased() {
    let scene = Scene::set().await;
    scene.put(Some(MINUTES)).await;
    scene.clock.advance(MINUTES);
    scene.work().await;
    assert_eq!(scene.carried(), 0);
    let entries = scene.entries().await;
    assert!(entries[0].has_failed);
    assert_eq!(entries[0].content, None);
    let again = scene.outbox.retry(Kind::Letter, None).await.unwrap();
    assert_eq!(again, 0, "a code that is over is of no use to anybody");
}

#[tokio::test]
async fn trying_ends_when_it_is_over_or_after_a_day() {
    for (valid_for, longest) in [(Some(MINUTES), MINUTES), (None, Kind::Letter.patience())] {
        let scene = Scene::set().await;
        scene.answers(passing());
        scene.put(valid_for).await;
        let began = scene.clock.now();
        let mut tries = 0;
        while !scene.entries().await[0].has_failed {
            scene.work().await;
            scene.clock.advance(longest / 900);
            tries += 1;
            assert!(tries < 1000);
        }
        assert!(scene.clock.now().since(began) <= longest);
        // Pauses double up to their whole length, and the clock here moves in steps.
        assert!(scene.carried() >= 5, "{} tries", scene.carried());
    }
}

#[tokio::test]
async fn many_nodes_deliver_everything_once() {
    let scene = Scene::set().await;
    for _ in 0..40 {
        scene.put(None).await;
    }
    let nodes: Vec<Arc<Outbox>> = (0..4).map(|_| Arc::new(scene.other_node())).collect();
    let due = kept::due(&scene.outbox.parts.database, scene.clock.now(), 100).await;
    let mut tasks = tokio::task::JoinSet::new();
    for id in due.unwrap() {
        for node in &nodes {
            let (node, id) = (Arc::clone(node), id.clone());
            let carrier = Arc::clone(&scene.carrier) as Arc<dyn Carrier>;
            tasks.spawn(async move { node.deliver(&[carrier], &id).await.unwrap() });
        }
    }
    tasks.join_all().await;
    assert_eq!(scene.carried(), 40);
}

#[tokio::test]
async fn what_a_dead_node_held_is_delivered_by_another_and_by_itself_at_once() {
    for restarts in [false, true] {
        let scene = Scene::set().await;
        let id = scene.put(None).await;
        let dead = kept::Lease {
            id: &id,
            owner: "two/earlier/x",
        };
        let (database, now) = (&scene.outbox.parts.database, scene.clock.now());
        let until = now.plus(Duration::from_mins(3));
        let taken = kept::take(database, &dead, now, until).await.unwrap();
        assert!(taken.is_some());
        scene.work().await;
        assert_eq!(scene.carried(), 0, "another node has it in hand");
        if restarts {
            kept::release(database, &Node::at("two")).await.unwrap();
        } else {
            scene.clock.advance(Duration::from_mins(3));
        }
        scene.work().await;
        assert_eq!(scene.carried(), 1);
        assert!(!kept::forget(database, &dead).await.unwrap());
    }
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let scene = Scene::set().await;
    let row = |id| kept::NewRow {
        id,
        kind: Kind::Letter,
        name: "proof-code",
        sealed: "",
        give_up_at: scene.clock.now(),
        valid_until: None,
        at: scene.clock.now(),
    };
    let database = &scene.outbox.parts.database;
    assert!(kept::insert(database, &row("1"), 2).await.unwrap());
    assert!(kept::insert(database, &row("2"), 2).await.unwrap());
    assert!(!kept::insert(database, &row("3"), 2).await.unwrap());
}

#[tokio::test]
async fn operators_see_what_waits_and_what_failed() {
    let scene = Scene::set().await;
    scene.answers(passing());
    scene.put(None).await;
    scene.answers(NotDelivered::Refused("550".to_owned()));
    scene.put(None).await;
    scene.work().await;
    scene.answers(passing());
    scene.put(None).await;
    scene.work().await;
    scene.outbox.sweep().await;
    let text = render(&scene.metrics.registry());
    for line in [
        "vestibule_deliveries_total{kind=\"letter\",outcome=\"taken\",platform=\"\"} 3",
        "vestibule_deliveries_total{kind=\"letter\",outcome=\"failed\",platform=\"\"} 2",
        "vestibule_deliveries_kept{kind=\"letter\",outcome=\"failed\",platform=\"\"} 2",
        "vestibule_deliveries_kept{kind=\"letter\",outcome=\"waiting\",platform=\"\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    scene.clock.advance(Duration::from_hours(8 * 24));
    scene.outbox.sweep().await;
    assert_eq!(scene.entries().await.len(), 1, "failures are forgotten");
}
