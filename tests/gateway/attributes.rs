//! What the identity provider says at each sign-in reaches the platform when it changed, and only
//! then: profile, language, own fields, and roles from groups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vestibule::clock::{Clock, FrozenClock};
use vestibule::expression::Condition;
use vestibule::identity::{Account, PlatformId, Role, UserId};
use vestibule::onboarding::Arrival;
use vestibule::policy::attributes::RoleRule;

use super::harness::office::{Office, policy, somebody};
use super::harness::thingsboard::{API_KEY, Fault, ThingsBoard};
use super::harness::{
    GatewayBuilder, OPERATOR_TOKEN, OidcProvider, Page, TestGateway, Upstream, on_both_set_ups,
    wait_until_async, wire_client,
};
#[cfg(feature = "fault-points")]
use super::interrupted_provisioning::FAULT;

const POLICY: &str = r#"
[[attribute]]
field = "name"
from = "name"
write = "always"

[[attribute]]
field = "language"
from = "locale"
write = "always"

[[attribute]]
field = "phone"
from = "zoneinfo"
write = "once"

[[attribute]]
field = "department"
kind = "text"
from = { cel = "identity.department + ' (' + identity.company + ')'" }
write = "always"

[[attribute]]
field = "badge"
kind = "text"
from = "nickname"

[[role]]
role = "operator"
when = "'ops' in identity.groups"

[[role]]
role = "auditor"
when = "has(identity.groups) && 'audit' in identity.groups"
"#;

const OPERATOR: &str = "operator";

struct Scene {
    provider: OidcProvider,
    upstream: Upstream,
}

impl Scene {
    async fn set() -> Self {
        Self {
            provider: OidcProvider::start_with_claims_in_id_token().await,
            upstream: Upstream::start().await,
        }
    }

    /// What the provider says of Giulia from now on.
    async fn says(&self, further: Value) {
        let mut claims = json!({
            "name": "Giulia Ferraro", "email": "giulia@ferraro.example", "email_verified": true,
        });
        let all = claims.as_object_mut().unwrap();
        all.extend(further.as_object().unwrap().clone());
        self.provider.person("giulia", claims).await;
    }

    async fn signs_in(&self, gateway: &TestGateway) -> Page {
        let page = gateway.browser().open("/things/17").await;
        page.login_at_provider("giulia").await
    }

    async fn registers(&self, gateway: &TestGateway) {
        let page = self.signs_in(gateway).await;
        let page = super::first_login::registers(page).await;
        page.waits_until_on("/things/17").await;
    }

    fn before<'a>(&'a self, set_up: GatewayBuilder<'a>) -> GatewayBuilder<'a> {
        let set_up = set_up.provider(&self.provider).upstream(&self.upstream);
        set_up.policy("onboarding.toml", POLICY)
    }
}

/// The only user of a gateway's builtin platform.
async fn the_user(gateway: &TestGateway) -> Value {
    gateway.platform_records("users").await.remove(0)
}

async fn has(gateway: &TestGateway, what: &str, is_so: impl Fn(&Value) -> bool) {
    wait_until_async(what, async || is_so(&the_user(gateway).await)).await;
}

fn roles(user: &Value) -> Vec<String> {
    let roles = user["options"]["roles"].as_array();
    let names = roles
        .into_iter()
        .flatten()
        .filter_map(|role| role["name"].as_str());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

/// What the back office changes of the only user.
async fn back_office_changes(gateway: &TestGateway, what: &str, change: Value) {
    let id = the_user(gateway).await["id"].as_str().unwrap().to_owned();
    let address = gateway.admin(&format!("/platform/v1/users/{id}/{what}"));
    let asking = wire_client().patch(address).bearer_auth(OPERATOR_TOKEN);
    let answer = asking.json(&change).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

async fn metrics(gateway: &TestGateway) -> String {
    let asking = wire_client().get(gateway.admin("/metrics")).send();
    asking.await.unwrap().text().await.unwrap()
}

on_both_set_ups!(claims_reach_the_platform_once_for_each_change);

async fn claims_reach_the_platform_once_for_each_change(set_up: GatewayBuilder<'_>) {
    let scene = Scene::set().await;
    let gateway = scene.before(set_up).start().await;
    scene
        .says(json!({
            "locale": "it-IT", "department": "Pumps", "company": "Trento", "nickname": "Giu",
            "groups": ["ops", "football"],
        }))
        .await;
    scene.registers(&gateway).await;
    let user = the_user(&gateway).await;
    assert_eq!(roles(&user), [OPERATOR], "she has it as she comes in");
    has(&gateway, "her language", |user| user["language"] == "it").await;
    let fields = the_user(&gateway).await["fields"].clone();
    assert_eq!(fields["department"], "Pumps (Trento)");
    assert_eq!(fields.get("badge"), None, "never is never");

    back_office_changes(&gateway, "profile", json!({ "user_name": "Giulia F." })).await;
    back_office_changes(&gateway, "roles", json!({ "give": ["viewer"] })).await;
    scene.signs_in(&gateway).await.lands_on("/things/17");
    let written = gateway
        .count("audit_events WHERE kind = 'attributes_written'")
        .await;
    assert_eq!(written, 1, "nothing changed, so nothing is written");
    assert_eq!(the_user(&gateway).await["name"], "Giulia F.");

    let claims = json!({ "name": "Giulia Rossi", "groups": [] });
    scene.says(claims).await;
    scene.signs_in(&gateway).await.lands_on("/things/17");
    let user = the_user(&gateway).await;
    assert_eq!(roles(&user), ["viewer"], "she lost it before she came in");
    has(&gateway, "her name", |user| user["name"] == "Giulia Rossi").await;
    assert!(
        metrics(&gateway)
            .await
            .contains("vestibule_attributes_total{outcome=\"written\",platform=\"main\"} 2")
    );
}

on_both_set_ups!(what_is_not_said_stays_and_once_is_once);

async fn what_is_not_said_stays_and_once_is_once(set_up: GatewayBuilder<'_>) {
    let scene = Scene::set().await;
    let gateway = scene.before(set_up).start().await;
    scene
        .says(json!({ "locale": "it", "groups": ["ops"], "email": "giulia@ferraro.example" }))
        .await;
    scene.registers(&gateway).await;
    has(&gateway, "her language", |user| user["language"] == "it").await;

    let claims = json!({
        "locale": null, "zoneinfo": "+390461234567", "email": "victim@acme.example",
    });
    scene.says(claims).await;
    scene.signs_in(&gateway).await.lands_on("/things/17");
    let phone = |user: &Value| user["fields"]["phone"] == "+390461234567";
    has(&gateway, "her phone number", phone).await;
    let user = the_user(&gateway).await;
    assert_eq!(roles(&user), [OPERATOR], "absent groups say nothing");
    assert_eq!(user["language"], "it");
    assert_eq!(user["email"], "giulia@ferraro.example");

    let claims = json!({ "zoneinfo": "+390461999999", "locale": "de" });
    scene.says(claims).await;
    scene.signs_in(&gateway).await.lands_on("/things/17");
    has(&gateway, "her language", |user| user["language"] == "de").await;
    assert!(phone(&the_user(&gateway).await), "once is once");
}

/// A ThingsBoard PE in front of which Giulia is registered, without groups so far.
async fn in_front_of(
    scene: &Scene,
    server: &ThingsBoard,
    set_up: GatewayBuilder<'_>,
) -> (TestGateway, String) {
    let platform = format!(
        "[platform]\nkind = \"thingsboard\"\nid = \"things\"\nurl = \"{}\"\n\
         api_key = {{ env = \"TB_API_KEY\" }}\n",
        server.url()
    );
    let GatewayAndUser(gateway, user) = registered(
        scene,
        server,
        set_up.config(&platform).environment("TB_API_KEY", API_KEY),
    )
    .await;
    for group in [OPERATOR, "auditor"] {
        let customer = server.customers()[0]["id"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        server.add_customer_group(&customer, group);
    }
    server.forget();
    (gateway, user)
}

struct GatewayAndUser(TestGateway, String);

async fn registered(
    scene: &Scene,
    server: &ThingsBoard,
    set_up: GatewayBuilder<'_>,
) -> GatewayAndUser {
    let set_up = set_up.provider(&scene.provider).upstream(&scene.upstream);
    let gateway = set_up.policy("onboarding.toml", POLICY).start().await;
    scene.says(json!({})).await;
    scene.registers(&gateway).await;
    let user = server.user("giulia@ferraro.example").unwrap();
    let id = user["id"]["id"].as_str().unwrap().to_owned();
    GatewayAndUser(gateway, id)
}

fn has_role(server: &ThingsBoard, user: &str, role: &str) -> bool {
    server.groups_of(user).iter().any(|name| name == role)
}

fn writes(server: &ThingsBoard) -> Vec<String> {
    let asked = server.asked().into_iter();
    let writes = asked.filter(|one| one.method != "GET" && !one.path.starts_with("/api/auth"));
    writes.map(|one| one.path).collect()
}

async fn is_over(gateway: &TestGateway) {
    wait_until_async("what is due is written", async || {
        gateway
            .count("attribute_writes WHERE due IS NOT NULL")
            .await
            == 0
    })
    .await;
}

on_both_set_ups!(a_platform_hears_nothing_of_claims_that_did_not_change);

async fn a_platform_hears_nothing_of_claims_that_did_not_change(set_up: GatewayBuilder<'_>) {
    let (scene, server) = (
        Scene::set().await,
        ThingsBoard::professional("4.3.0PE").await,
    );
    let (gateway, user) = in_front_of(&scene, &server, set_up).await;
    scene.signs_in(&gateway).await.lands_on("/things/17");
    let silent = server.asked().len();
    server.forget();
    scene
        .says(json!({ "groups": ["ops"], "locale": "de" }))
        .await;
    scene.signs_in(&gateway).await.lands_on("/things/17");
    assert!(has_role(&server, &user, OPERATOR));
    is_over(&gateway).await;
    let information = server.user("giulia@ferraro.example").unwrap()["additionalInfo"].clone();
    assert_eq!(information["lang"], "de_DE");
    server.forget();
    scene.signs_in(&gateway).await.lands_on("/things/17");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.asked().len(), silent, "{:?}", server.asked());
    assert_eq!(writes(&server), Vec::<String>::new());
}

on_both_set_ups!(a_platform_that_is_down_hears_of_it_later);

async fn a_platform_that_is_down_hears_of_it_later(set_up: GatewayBuilder<'_>) {
    let (scene, server) = (
        Scene::set().await,
        ThingsBoard::professional("4.3.0PE").await,
    );
    let (gateway, user) = in_front_of(&scene, &server, set_up).await;
    for _ in 0..20 {
        server.strikes(Fault::LostBefore, "POST", "/api/user");
        server.strikes(Fault::LostBefore, "POST", "/addEntities");
    }
    scene
        .says(json!({ "groups": ["ops"], "locale": "de" }))
        .await;
    scene.signs_in(&gateway).await.lands_on("/things/17");
    assert!(!has_role(&server, &user, OPERATOR));
    wait_until_async("the failure is kept", async || {
        gateway
            .count("audit_events WHERE kind = 'attributes_not_written'")
            .await
            == 1
    })
    .await;
    server.is_well();
    is_over(&gateway).await;
    assert!(has_role(&server, &user, OPERATOR));
    let information = server.user("giulia@ferraro.example").unwrap()["additionalInfo"].clone();
    assert_eq!(information["lang"], "de_DE");
}

#[tokio::test]
async fn a_slow_platform_holds_nobody_up_for_long() {
    let (scene, server) = (
        Scene::set().await,
        ThingsBoard::professional("4.3.0PE").await,
    );
    let (gateway, user) = in_front_of(&scene, &server, TestGateway::embedded()).await;
    scene.says(json!({ "groups": ["ops"] })).await;
    scene.signs_in(&gateway).await.lands_on("/things/17");
    assert!(has_role(&server, &user, OPERATOR));
    server.strikes(
        Fault::Slow(Duration::from_secs(6)),
        "POST",
        "/deleteEntities",
    );
    scene.says(json!({ "groups": [] })).await;
    let began = Instant::now();
    scene.signs_in(&gateway).await.lands_on("/things/17");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    is_over(&gateway).await;
    assert!(!has_role(&server, &user, OPERATOR));
}

#[tokio::test]
async fn a_role_that_the_platform_does_not_know_is_given_once_it_is_there() {
    let (scene, server) = (
        Scene::set().await,
        ThingsBoard::professional("4.3.0PE").await,
    );
    let (gateway, user) = in_front_of(&scene, &server, TestGateway::embedded()).await;
    let operators = "[[role]]\nrole = \"engineer\"\nwhen = \"'ops' in identity.groups\"\n\
                     [[attribute]]\nfield = \"language\"\nfrom = \"locale\"\nwrite = \"always\"\n";
    gateway.rewrite_policy("onboarding.toml", operators);
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene
        .says(json!({ "groups": ["ops"], "locale": "de" }))
        .await;
    scene.signs_in(&gateway).await.lands_on("/things/17");
    wait_until_async("the log says so", async || {
        gateway
            .log()
            .contains("the platform has no group `engineer`")
    })
    .await;
    let information = server.user("giulia@ferraro.example").unwrap()["additionalInfo"].clone();
    assert_eq!(information["lang"], "de_DE", "the rest is written");
    let customer = server.customers()[0]["id"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    server.add_customer_group(&customer, "engineer");
    is_over(&gateway).await;
    assert!(has_role(&server, &user, "engineer"));
}

#[tokio::test]
async fn two_nodes_write_once_and_the_newest_claims_last() {
    let (scene, server) = (
        Scene::set().await,
        ThingsBoard::professional("4.3.0PE").await,
    );
    let set_up = TestGateway::distributed().nodes(2);
    let (gateway, user) = in_front_of(&scene, &server, set_up).await;
    scene.says(json!({ "groups": ["ops"] })).await;
    let at_once = (0..6).map(|_| scene.signs_in(&gateway));
    for page in futures_util::future::join_all(at_once).await {
        page.lands_on("/things/17");
    }
    assert!(has_role(&server, &user, OPERATOR));
    is_over(&gateway).await;
    let given = writes(&server).into_iter();
    let given = given.filter(|path| path.ends_with("/addEntities"));
    assert_eq!(given.count(), 1);
    for (groups, is_one) in [
        (json!([]), false),
        (json!(["ops"]), true),
        (json!([]), false),
    ] {
        scene.says(json!({ "groups": groups })).await;
        scene.signs_in(&gateway).await.lands_on("/things/17");
        assert_eq!(has_role(&server, &user, OPERATOR), is_one);
    }
}

#[cfg(feature = "fault-points")]
#[tokio::test]
async fn a_crash_neither_loses_nor_doubles_anything() {
    for point in [
        "attributes.kept",
        "attributes.written",
        "attributes.recorded",
    ] {
        let (scene, server) = (
            Scene::set().await,
            ThingsBoard::professional("4.3.0PE").await,
        );
        let (mut gateway, user) = in_front_of(&scene, &server, TestGateway::embedded()).await;
        gateway.kill9();
        gateway.node(0).set(FAULT, point);
        gateway.restart().await;
        scene
            .says(json!({ "groups": ["ops"], "locale": "de" }))
            .await;
        let page = gateway.browser().open("/things/17").await;
        // The gateway is gone before it answers.
        let _ = tokio::spawn(page.login_at_provider("giulia")).await;
        gateway.node(0).ends().await;
        gateway.node(0).unset(FAULT);
        gateway.restart().await;
        is_over(&gateway).await;
        assert!(has_role(&server, &user, OPERATOR), "{point}");
        let members = server.groups_of(&user);
        assert_eq!(members.iter().filter(|name| *name == OPERATOR).count(), 1);
        let information = server.user("giulia@ferraro.example").unwrap()["additionalInfo"].clone();
        assert_eq!(information["lang"], "de_DE", "{point}");
        scene.signs_in(&gateway).await.lands_on("/things/17");
    }
}

#[tokio::test]
async fn an_older_sign_in_that_comes_late_changes_nothing() {
    let when = Condition::compile("'ops' in identity.groups").unwrap();
    let rule = RoleRule {
        provider: None,
        role: OPERATOR.to_owned(),
        claims: when.paths("identity").unwrap(),
        when,
    };
    let policy = policy(|onboarding| onboarding.attributes.roles.push(rule));
    for office in Office::on_both(&policy).await {
        let who = |groups: Value| {
            let claims = json!({ "email": "mario@acme.example", "groups": groups });
            somebody("mario", claims)
        };
        office.register(&who(json!([]))).await;
        let all = vestibule::platform::builtin::Listing {
            after: String::new(),
            limit: 10,
        };
        let user = office.platform.users(None, &all).await.unwrap().remove(0);
        let account = Account {
            platform: PlatformId::new("builtin"),
            user: UserId::new(&user.id),
            customer: None,
            account_type: None,
        };
        let late = office_at(&office, &policy);
        office.clock.advance(Duration::from_secs(1));
        let arrival = Arrival::SignedIn;
        let newer = who(json!([]));
        office
            .onboarding
            .follow_claims(&newer, &account, arrival)
            .await;
        let older = who(json!(["ops"]));
        late.follow_claims(&older, &account, arrival).await;
        let user = office
            .platform
            .user_record(&account.user)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(user.options.roles, Vec::<Role>::new());
        office.clock.advance(Duration::from_secs(1));
        office
            .onboarding
            .follow_claims(&older, &account, arrival)
            .await;
        let user = office
            .platform
            .user_record(&account.user)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(user.options.roles[0].name, OPERATOR);
    }
}

/// Another node of the office, whose clock stands still from now on.
fn office_at(
    office: &Office,
    policy: &Arc<vestibule::policy::Policy>,
) -> Arc<vestibule::onboarding::Onboarding> {
    office.another_node(
        Arc::new(FrozenClock::at(office.clock.now())),
        Arc::clone(policy),
    )
}
