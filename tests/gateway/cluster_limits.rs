//! Limits that all nodes count together, in Redis: what passes in all, what is left when Redis goes
//! away, and what the way there costs.

use std::time::{Duration, Instant};

use vestibule::rate_limit::{ClusterLimits, Draw, Limit, Per, RateLimiter as _, Scope};
use vestibule::redis_link::{Link, RedisAddress};
use vestibule::telemetry::metrics::Metrics;

use super::harness::{OidcProvider, Redis, TestGateway, Upstream, wait_until_async, wire_client};

/// Nodes in this process, on one Redis.
struct Nodes {
    each: Vec<(ClusterLimits, Metrics)>,
}

impl Nodes {
    async fn start(count: usize, redis: &Redis) -> Self {
        let node = |_| {
            let metrics = Metrics::default();
            let link = Link::to(&RedisAddress::Server(redis.url(0).into()));
            let link = link.expect("an address");
            (ClusterLimits::new(link, None, metrics.clone()), metrics)
        };
        let nodes = Self {
            each: (0..count).map(node).collect(),
        };
        nodes.count_together(true).await;
        nodes
    }

    /// Waits until all nodes say that they count together, or alone.
    async fn count_together(&self, together: bool) {
        wait_until_async("nodes count together, or alone", async || {
            let wanted = i64::from(together);
            self.each
                .iter()
                .all(|(_, metrics)| metrics.cluster_limits().get() == wanted)
        })
        .await;
    }

    /// Draws until all nodes have found out that Redis does not answer. Everybody is let through, and
    /// nobody waits for long.
    async fn notice(&self, limit: &Limit) {
        wait_until_async("nodes notice that Redis is away", async || {
            for (node, _) in &self.each {
                let asked = Instant::now();
                let drawn = node.draw(limit, &uuid::Uuid::now_v7().to_string());
                assert!(drawn.outcome().await.is_ok());
                assert!(asked.elapsed() < Duration::from_secs(2));
            }
            let mut metrics = self.each.iter().map(|(_, metrics)| metrics);
            metrics.all(|metrics| metrics.cluster_limits().get() == 0)
        })
        .await;
    }

    fn unanswered(&self) -> u64 {
        let outcome = "unanswered";
        let of = |metrics: &Metrics| metrics.limit_asks.counter(outcome).get();
        self.each.iter().map(|(_, metrics)| of(metrics)).sum()
    }

    /// How many of so many draws pass, spread over the nodes and all at once. A Redis that a busy
    /// machine keeps from answering in time is asked again, about another key.
    async fn pass(&self, of: usize, limit: &Limit) -> usize {
        for attempt in 0.. {
            let before = self.unanswered();
            let key = format!("{} {attempt}", uuid::Uuid::now_v7());
            let draws: Vec<Draw> = (0..of)
                .map(|turn| self.each[turn % self.each.len()].0.draw(limit, &key))
                .collect();
            let outcomes = draws.into_iter().map(Draw::outcome);
            let outcomes = futures_util::future::join_all(outcomes).await;
            if self.unanswered() == before {
                return outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            }
            self.count_together(true).await;
        }
        unreachable!("it goes on until it is answered")
    }
}

fn limit(requests: u32, period: Duration, burst: u32) -> Limit {
    Limit {
        name: "careful".to_owned(),
        requests,
        period,
        burst,
        per: Per::Ip,
        scope: Scope::Cluster,
    }
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn nodes_together_let_through_what_one_would() {
    let redis = Redis::start();
    let nodes = Nodes::start(3, &redis).await;
    for burst in [1, 10, 100] {
        let limit = limit(burst, HOUR, burst);
        assert_eq!(nodes.pass(300, &limit).await, burst as usize);
    }
    let alone = Limit {
        scope: Scope::Node,
        ..limit(10, HOUR, 10)
    };
    assert_eq!(nodes.pass(300, &alone).await, 30);
}

#[tokio::test]
async fn a_changed_limit_has_buckets_of_its_own() {
    let redis = Redis::start();
    let nodes = Nodes::start(2, &redis).await;
    let (node, _) = &nodes.each[0];
    let draw = async |limit: &Limit| node.draw(limit, "mario").outcome().await.is_ok();
    assert!(draw(&limit(1, HOUR, 1)).await);
    assert!(!draw(&limit(1, HOUR, 1)).await);
    assert!(draw(&limit(2, HOUR, 2)).await);
}

#[tokio::test]
async fn whoever_waits_as_told_is_let_through() {
    let redis = Redis::start();
    let nodes = Nodes::start(2, &redis).await;
    let limit = limit(4, Duration::from_secs(1), 1);
    for turn in 0..6 {
        let (node, _) = &nodes.each[turn % 2];
        if let Err(slow_down) = node.draw(&limit, "mario").outcome().await {
            assert!(slow_down.retry_after <= Duration::from_millis(251));
            tokio::time::sleep(slow_down.retry_after + Duration::from_millis(20)).await;
            assert!(node.draw(&limit, "mario").outcome().await.is_ok());
        }
    }
}

/// Never off: what is left is the limit of each node, and nobody waits for Redis.
#[tokio::test]
async fn while_redis_is_away_each_node_counts_alone() {
    let mut redis = Redis::start();
    let nodes = Nodes::start(2, &redis).await;
    let limit = limit(5, HOUR, 5);
    assert_eq!(nodes.pass(40, &limit).await, 5);
    redis.stop();
    nodes.notice(&limit).await;
    for round in 0..20 {
        let key = format!("away {round}");
        let draws = (0..40).map(|turn| nodes.each[turn % 2].0.draw(&limit, &key));
        let known = draws.filter(|draw| match draw {
            Draw::Known(outcome) => outcome.is_ok(),
            Draw::Asked { .. } => panic!("Redis is asked"),
        });
        assert_eq!(known.count(), 10);
    }
    redis.resume_after_stop();
    nodes.count_together(true).await;
    assert_eq!(nodes.pass(40, &limit).await, 5);
}

#[tokio::test]
async fn a_redis_that_freezes_holds_nobody_up_for_long() {
    let redis = Redis::start();
    let nodes = Nodes::start(1, &redis).await;
    let limit = limit(5, HOUR, 5);
    redis.freeze();
    nodes.notice(&limit).await;
    redis.thaw();
    nodes.count_together(true).await;
}

/// What an outage leaves is no fresh burst: a node goes on from what it let through before.
#[tokio::test]
async fn an_outage_is_no_fresh_start() {
    let mut redis = Redis::start();
    let nodes = Nodes::start(1, &redis).await;
    let limit = limit(5, HOUR, 5);
    let (node, _) = &nodes.each[0];
    let draw = async || node.draw(&limit, "mario").outcome().await.is_ok();
    for _ in 0..5 {
        assert!(draw().await);
    }
    redis.stop();
    for _ in 0..20 {
        assert!(!draw().await);
    }
}

#[tokio::test]
async fn many_draws_are_few_questions_to_redis() {
    let redis = Redis::start();
    let nodes = Nodes::start(1, &redis).await;
    let (node, metrics) = &nodes.each[0];
    let limit = limit(100_000, Duration::from_secs(1), 100_000);
    for _ in 0..20_000 {
        assert!(node.draw(&limit, "mario").outcome().await.is_ok());
    }
    let outcome = "granted";
    let asked = metrics.limit_asks.counter(outcome).get();
    assert!(asked < 2_000, "{asked} questions");
    // A bucket that is empty is not asked about again.
    let strict = self::limit(1, HOUR, 1);
    let before = redis.key_commands().await;
    for _ in 0..1000 {
        let _ = node.draw(&strict, "mario").outcome().await;
    }
    let commands = redis.key_commands().await - before;
    assert!(commands <= 10, "{commands} commands");
}

#[tokio::test]
async fn who_is_counted_cannot_be_read_in_redis_and_is_forgotten() {
    let redis = Redis::start();
    let nodes = Nodes::start(1, &redis).await;
    let (node, _) = &nodes.each[0];
    let limit = limit(2, Duration::from_secs(1), 2);
    assert!(
        node.draw(&limit, "anna@rossi.example")
            .outcome()
            .await
            .is_ok()
    );
    let client = redis::Client::open(redis.url(0)).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys = async || {
        let mut asking = redis::cmd("KEYS");
        let keys = asking.arg("*").query_async(&mut connection.clone()).await;
        keys.unwrap()
    };
    let kept: Vec<String> = keys().await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].starts_with("vestibule:limit:"), "{kept:?}");
    assert!(
        !kept[0].contains("rossi") && !kept[0].contains("careful"),
        "{kept:?}"
    );
    wait_until_async("a full bucket is forgotten", async || {
        keys().await.is_empty()
    })
    .await;
}

const LIMITS: &str = "[limit.careful]\nrate = \"5/h\"\nscope = \"cluster\"\n\
    [limit.alone]\nrate = \"5/h\"\n\
    [limit.login]\nrate = \"3/h\"\nscope = \"cluster\"\n[apply]\nlogin = \"login\"\n\
    [abuse.link]\nnetwork = [\"4/h\"]\n";

const RULES: &str = "[[rule]]\nname = \"careful\"\npath = \"/careful\"\naccess = \"public\"\n\
    limit = \"careful\"\n\
    [[rule]]\nname = \"alone\"\npath = \"/alone\"\naccess = \"public\"\nlimit = \"alone\"\n";

/// Two nodes of the real program on one Redis, asked in turn from one network after another.
struct TwoNodes {
    gateway: TestGateway,
    addresses: [String; 2],
    upstream: Upstream,
    _provider: OidcProvider,
}

impl TwoNodes {
    async fn start(redis: &Redis) -> Self {
        let (upstream, provider) = (Upstream::start().await, OidcProvider::start().await);
        let set_up = TestGateway::distributed_over(redis)
            .nodes(2)
            .upstream(&upstream);
        let set_up = set_up
            .policy("limits.toml", LIMITS)
            .policy("access.toml", RULES);
        let set_up = set_up.provider(&provider).behind_a_proxy();
        let mut gateway = set_up.start().await;
        let addresses = [0, 1].map(|number| gateway.node(number).address());
        let nodes = Self {
            gateway,
            addresses,
            upstream,
            _provider: provider,
        };
        nodes.count_together(true).await;
        nodes
    }

    async fn metrics(&self) -> String {
        let mut all = String::new();
        for number in [0, 1] {
            let url = self.gateway.admin_of(number, "/metrics");
            let answer = reqwest::get(url).await.expect("metrics");
            all.push_str(&answer.text().await.expect("text"));
        }
        all
    }

    async fn count_together(&self, together: bool) {
        wait_until_async("nodes count together, or alone", async || {
            self.all_count_together(together).await
        })
        .await;
    }

    async fn all_count_together(&self, together: bool) -> bool {
        let value = format!(" {}", u8::from(together));
        let metrics = self.metrics().await;
        let lines = metrics.lines();
        let says_so =
            |line: &&str| line.starts_with("vestibule_cluster_limits{") && line.ends_with(&value);
        lines.filter(says_so).count() == 2
    }

    /// Asks until both nodes have found out that Redis does not answer.
    async fn notice(&self) {
        wait_until_async("both nodes notice that Redis is away", async || {
            for node in [0, 1] {
                let id = uuid::Uuid::now_v7().as_u128();
                let network = std::net::Ipv6Addr::from(id.rotate_right(64));
                self.ask(node, "/careful", &network.to_string()).await;
            }
            self.all_count_together(false).await
        })
        .await;
    }

    async fn ask(&self, node: usize, path: &str, network: &str) -> reqwest::Response {
        let origin = self
            .gateway
            .origin()
            .trim_start_matches("http://")
            .to_owned();
        wire_client()
            .get(format!("http://{}{path}", self.addresses[node]))
            .header("host", origin)
            .header("x-forwarded-for", network)
            .send()
            .await
            .expect("an answer")
    }

    /// How many of twelve requests from a network of their own are not asked to wait.
    async fn pass(&self, path: &str) -> usize {
        for attempt in 0..250 {
            let before = unanswered(&self.metrics().await);
            let network = format!("198.51.{attempt}.{}", path.len());
            let mut passed = 0;
            for turn in 0..12 {
                let answer = self.ask(turn % 2, path, &network).await;
                passed += usize::from(answer.status() != 429);
            }
            if unanswered(&self.metrics().await) == before {
                return passed;
            }
            self.count_together(true).await;
        }
        panic!("Redis never answers in time")
    }
}

/// How many questions Redis left unanswered.
fn unanswered(metrics: &str) -> u64 {
    let asks = metrics.lines().filter(|line| {
        line.starts_with("vestibule_limit_asks_total{") && line.contains("\"unanswered\"")
    });
    asks.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}

#[tokio::test]
async fn two_nodes_slow_one_client_down_together() {
    let redis = Redis::start();
    let nodes = TwoNodes::start(&redis).await;
    assert_eq!(nodes.pass("/careful").await, 5);
    assert_eq!(nodes.pass("/alone").await, 10);
    // Logins, and the links that strangers open.
    assert_eq!(nodes.pass("/auth/callback").await, 3);
    assert_eq!(nodes.pass("/auth/register/link?token=guess").await, 4);
}

#[tokio::test]
async fn the_limits_of_nodes_hold_while_redis_is_away() {
    let mut redis = Redis::start();
    let nodes = TwoNodes::start(&redis).await;
    redis.stop();
    nodes.notice().await;
    for path in ["/careful", "/auth/register/link?token=guess"] {
        let mut passed = 0;
        for turn in 0..12 {
            let answer = nodes.ask(turn % 2, path, "198.51.100.1").await;
            passed += usize::from(answer.status() != 429);
        }
        assert_eq!(passed, if path == "/careful" { 10 } else { 8 }, "{path}");
    }
    redis.resume_after_stop();
    nodes.count_together(true).await;
    assert_eq!(nodes.pass("/careful").await, 5);
}

#[tokio::test]
async fn clients_are_told_what_is_left() {
    let redis = Redis::start();
    let nodes = TwoNodes::start(&redis).await;
    let field = |answer: &reqwest::Response, name: &str| {
        let value = answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    };
    let first = nodes.ask(0, "/careful", "198.51.100.1").await;
    assert_eq!(first.status(), 200);
    assert_eq!(field(&first, "ratelimit-policy"), "\"careful\";q=5;w=3600");
    assert_eq!(field(&first, "ratelimit"), "\"careful\";r=4;t=720");
    let mut last = first;
    for turn in 0..12 {
        last = nodes.ask(turn % 2, "/careful", "198.51.100.1").await;
    }
    assert_eq!(last.status(), 429);
    assert_eq!(field(&last, "ratelimit"), "\"careful\";r=0;t=3600");
    let pause: u64 = field(&last, "retry-after").parse().unwrap();
    assert!((1..=720).contains(&pause), "{pause}");
    let free = nodes.ask(0, "/auth/login", "198.51.100.1").await;
    assert_eq!(field(&free, "ratelimit"), "");
    assert_eq!(nodes.upstream.requests().len(), 5);
}
