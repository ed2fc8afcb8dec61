//! A session store at the end of a bad cable: answers come in time, nobody is logged out, and nobody
//! passes as somebody else or as nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use vestibule::redis_link::RedisAddress;

use super::harness::{Cable, Front, FrontSettings, Redis, read_answer, status, store_at};

const HOST: &str = "app.example.com";

async fn front_at(url: &str) -> Front {
    let store = store_at(&RedisAddress::Server(url.into()), None);
    Front::with(FrontSettings {
        session_store: Some(Arc::new(store)),
        ..FrontSettings::default()
    })
    .await
}

/// Two nodes on one Redis: the first has a sound cable, the second is the one under test.
struct Scene {
    redis: Redis,
    cable: Cable,
    sound: Front,
    front: Arc<Front>,
}

impl Scene {
    async fn set() -> Self {
        let redis = Redis::start();
        let port = redis.url(0).rsplit([':', '/']).nth(1).unwrap().parse();
        let cable = Cable::to(port.unwrap()).await;
        Self {
            sound: front_at(&redis.url(0)).await,
            front: Arc::new(front_at(&format!("redis://127.0.0.1:{}/0", cable.port())).await),
            redis,
            cable,
        }
    }

    /// A request of somebody whom the node under test has not in memory: it must ask the store.
    async fn stranger(&self) -> u16 {
        let cookie = self.sound.sign_in(HOST).await.cookie;
        self.asks(&cookie).await
    }

    async fn asks(&self, cookie: &str) -> u16 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = format!("/asked/{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let began = Instant::now();
        let cookie = format!("Cookie: {cookie}");
        let answer = self.front.request(&format!("GET {path}"), &[&cookie]).await;
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        let head = answer.to_ascii_lowercase();
        assert!(
            !head.contains("set-cookie:"),
            "the cookie was touched: {answer}"
        );
        let received = self.front.upstream.requests();
        let passed = received.iter().any(|request| request.target == path);
        match status(&answer) {
            200 => assert!(passed),
            503 => assert!(head.contains("retry-after:") && !passed, "{answer}"),
            other => panic!("{other} in a fault of the store: {answer}"),
        }
        status(&answer)
    }

    /// The fault is over: soon everybody is known again, the one from before too.
    async fn recovers(&self, before: &str) {
        let began = Instant::now();
        while self.stranger().await != 200 || self.asks(before).await != 200 {
            assert!(began.elapsed() < Duration::from_secs(10), "still not back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// FT-01: resets, idle connections that end, short and long silences.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_cable_to_the_store_logs_nobody_out() {
    let scene = Scene::set().await;
    let alice = scene.sound.sign_in(HOST).await.cookie;
    scene.recovers(&alice).await;
    for _ in 0..5 {
        scene.cable.resets();
        scene.stranger().await;
        scene.asks(&alice).await;
    }
    scene.recovers(&alice).await;
    for _ in 0..5 {
        scene.cable.ends_connections();
        tokio::time::sleep(Duration::from_millis(50)).await;
        scene.stranger().await;
    }
    scene.recovers(&alice).await;
    let mut waited_for = 0;
    for _ in 0..5 {
        scene.cable.falls_silent();
        let cookie = scene.sound.sign_in(HOST).await.cookie;
        let asking = scene.asks(&cookie);
        let blip = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            scene.cable.speaks_again();
        };
        let (status, ()) = tokio::join!(asking, blip);
        waited_for += u32::from(status == 200);
    }
    assert!(waited_for > 0, "not even a tenth of a second is waited for");
    scene.cable.falls_silent();
    let silent = Instant::now();
    while silent.elapsed() < Duration::from_secs(5) {
        scene.stranger().await;
        scene.asks(&alice).await;
    }
    assert_eq!(
        scene.stranger().await,
        503,
        "who is not known is not let in"
    );
    scene.cable.speaks_again();
    scene.recovers(&alice).await;
}

/// FT-03: whoever gives up while the store is asked harms no session, and the next one is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_gives_up_while_the_store_is_asked_changes_nothing() {
    let scene = Scene::set().await;
    let alice = scene.sound.sign_in(HOST).await.cookie;
    scene.recovers(&alice).await;
    let bob = scene.sound.sign_in(HOST).await.cookie;
    scene.cable.falls_silent();
    for _ in 0..20 {
        let mut stream = scene.front.connect().await;
        let request = format!("GET /things HTTP/1.1\r\nHost: {HOST}\r\nCookie: {bob}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(stream);
    }
    scene.cable.speaks_again();
    scene.recovers(&bob).await;
    assert_eq!(scene.asks(&bob).await, 200);
    let cookie = format!("Cookie: {bob}");
    let again = scene.sound.request("GET /things", &[&cookie]).await;
    assert_eq!(status(&again), 200);
}

/// FT-05: a page with 500 assets, asked for over 50 connections by somebody who is not in memory:
/// nobody is asked to log in, and the store hears of it a few times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_assets_of_one_page_ask_the_store_a_few_times() {
    let scene = Scene::set().await;
    let warm = scene.sound.sign_in(HOST).await.cookie;
    scene.recovers(&warm).await;
    let alice = scene.sound.sign_in(HOST).await.cookie;
    let before = scene.redis.key_commands().await;
    let mut loading = JoinSet::new();
    for _ in 0..50 {
        let (front, cookie) = (Arc::clone(&scene.front), alice.clone());
        loading.spawn(async move {
            let mut stream = front.connect().await;
            let mut statuses = Vec::new();
            for number in 0..10 {
                let request = format!(
                    "GET /assets/{number} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n"
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                statuses.push(status(&read_answer(&mut stream).await));
            }
            statuses
        });
    }
    let statuses: Vec<u16> = loading.join_all().await.into_iter().flatten().collect();
    assert_eq!(statuses, vec![200; 500]);
    let asked = scene.redis.key_commands().await - before;
    println!("the store was asked {asked} times");
    // A question is four commands: MULTI, GET, PTTL, EXEC.
    assert!(asked <= 4 * 5, "the store was asked {asked} times");
}

/// A cookie of another host is nobody's, and cannot be kept: whoever asks meanwhile gets that answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_of_another_host_holds_nobody_up() {
    let scene = Scene::set().await;
    let alice = scene.sound.sign_in(HOST).await.cookie;
    scene.recovers(&alice).await;
    let before = scene.redis.key_commands().await;
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let (front, cookie) = (Arc::clone(&scene.front), alice.clone());
        asking.spawn(async move {
            let mut stream = front.connect().await;
            let request = format!(
                "GET /things HTTP/1.1\r\nHost: b.example.com\r\nCookie: {cookie}\r\n\
                 Accept: application/json\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            status(&read_answer(&mut stream).await)
        });
    }
    let statuses = asking.join_all().await;
    assert_eq!(statuses, vec![401; 100]);
    let asked = scene.redis.key_commands().await - before;
    assert!(asked <= 4 * 50, "the store was asked {asked} times");
}
