//! Journeys 3 and 7: people of a known customer join it, ask to, register anew, or are kept out;
//! partners come by code. In a browser, on both set-ups, with a real mail server.

use serde_json::{Value, json};

use super::harness::{
    GatewayBuilder, Letter, Mailbox, OPERATOR_TOKEN, OidcProvider, Page, TestGateway, Upstream,
    on_both_set_ups,
};

const DEEP_LINK: &str = "/things/17?tab=values";

/// The neighbours of a gateway under test.
pub struct Scene {
    pub gateway: TestGateway,
    pub provider: OidcProvider,
    pub upstream: Upstream,
    pub mailbox: Mailbox,
}

impl Scene {
    /// A gateway with this onboarding policy.
    pub async fn with(set_up: GatewayBuilder<'_>, onboarding: &str) -> Self {
        let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
        let mailbox = Mailbox::start().await;
        let set_up = set_up.policy("onboarding.toml", onboarding);
        let set_up = set_up
            .provider(&provider)
            .upstream(&upstream)
            .mail(&mailbox);
        let gateway = set_up.start().await;
        Self {
            gateway,
            provider,
            upstream,
            mailbox,
        }
    }

    /// Sends something to the back office's API.
    pub async fn back_office(&self, path: &str, body: Value) -> Value {
        back_office(&self.gateway, path, body).await
    }

    /// A company with one administrator, who has an account at the provider too.
    pub async fn company(&self) -> String {
        let company =
            json!({ "account_type": "business", "name": "Harbour Lights", "code": "HLH" });
        let made = self.back_office("/platform/v1/customers", company).await;
        let customer = made["id"].as_str().unwrap().to_owned();
        let boss = json!({
            "email": "amara@harbour.example", "name": "Amara Okafor", "customer": customer,
            "account_type": "business", "administrator": true,
        });
        self.back_office("/platform/v1/users", boss).await;
        customer
    }

    /// A colleague whom the provider knows and the platform does not.
    pub async fn kwame(&self) {
        let claims = json!({
            "name": "Kwame Mensah", "email": "kwame@harbour.example", "email_verified": true,
            "organization_code": "HLH",
        });
        self.provider.person("kwame", claims).await;
    }

    /// Opens the deep link and logs in.
    pub async fn arrives(&self, who: &str) -> Page {
        let page = self.gateway.browser().open(DEEP_LINK).await;
        page.login_at_provider(who).await
    }

    /// The customer of the user with this address.
    pub async fn customer_of(&self, email: &str) -> Option<String> {
        let path = format!("/platform/v1/users?email={email}");
        let found = get(&self.gateway, &path).await;
        let customer = found["items"][0]["customer"].as_str();
        customer.map(str::to_owned)
    }
}

pub async fn back_office(gateway: &TestGateway, path: &str, body: Value) -> Value {
    let answer = reqwest::Client::new()
        .post(gateway.admin(path))
        .bearer_auth(OPERATOR_TOKEN)
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

pub async fn get(gateway: &TestGateway, path: &str) -> Value {
    let client = reqwest::Client::new();
    let request = client.get(gateway.admin(path)).bearer_auth(OPERATOR_TOKEN);
    let text = request.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The link in a letter.
pub fn link_in(letter: &Letter) -> String {
    let mut words = letter.text.split_whitespace();
    let link = words.find(|word| word.starts_with("http") && word.contains("?link="));
    link.unwrap_or_else(|| panic!("no link in {}", letter.text))
        .to_owned()
}

fn known(then: &str) -> String {
    format!("[[sso.known_customer]]\nclaim = \"organization_code\"\nthen = \"{then}\"\n")
}

on_both_set_ups!(a_colleague_joins_at_once);

async fn a_colleague_joins_at_once(set_up: GatewayBuilder<'_>) {
    let scene = Scene::with(set_up, &known("join")).await;
    let customer = scene.company().await;
    scene.kwame().await;
    let page = scene.arrives("kwame").await;
    page.shows("Your account will belong to Harbour Lights")
        .tick("I have read and accept: Terms of use")
        .press("Create account")
        .await
        .waits_until_on(DEEP_LINK)
        .await;
    assert_eq!(scene.gateway.count("builtin_customers").await, 1);
    let joined = scene.customer_of("kwame@harbour.example").await;
    assert_eq!(joined, Some(customer));
}

on_both_set_ups!(a_colleague_asks_and_an_administrator_approves);

async fn a_colleague_asks_and_an_administrator_approves(set_up: GatewayBuilder<'_>) {
    let scene = Scene::with(set_up, &known("ask_to_join")).await;
    let customer = scene.company().await;
    scene.kwame().await;
    let waiting = asks(scene.arrives("kwame").await).await;
    assert_eq!(scene.gateway.count("builtin_users").await, 1);
    assert!(scene.upstream.requests().is_empty());

    let letter = scene.mailbox.wait_for("amara@harbour.example").await;
    assert!(
        letter.subject.contains("Kwame Mensah"),
        "{}",
        letter.subject
    );
    let told = scene.mailbox.wait_for("kwame@harbour.example").await;
    assert!(told.text.contains("Harbour Lights"), "{}", told.text);

    let administrator = scene.gateway.browser();
    let page = administrator.open(&link_in(&letter)).await;
    let page = page
        .shows("Somebody wants to join Harbour Lights")
        .shows("kwame@harbour.example")
        .shows("Provider corp says that the address is theirs");
    page.press("Approve").await.shows("Approved");

    waiting.waits_until_on(DEEP_LINK).await;
    let joined = scene.customer_of("kwame@harbour.example").await;
    assert_eq!(joined, Some(customer));
    assert_eq!(scene.gateway.count("builtin_customers").await, 1);
    let ready = scene
        .wait_for_subject("kwame@harbour.example", "ready")
        .await;
    assert!(ready.text.contains("set up"), "{}", ready.text);
    scene
        .wait_for_subject("amara@harbour.example", "Answered")
        .await;

    let again = administrator.open(&link_in(&letter)).await;
    again.shows("already answered").shows("It was approved");
}

on_both_set_ups!(a_colleague_asks_and_is_rejected);

async fn a_colleague_asks_and_is_rejected(set_up: GatewayBuilder<'_>) {
    let scene = Scene::with(set_up, &known("ask_to_join")).await;
    scene.company().await;
    scene.kwame().await;
    let waiting = asks(scene.arrives("kwame").await).await;
    let letter = scene.mailbox.wait_for("amara@harbour.example").await;
    let page = scene.gateway.browser().open(&link_in(&letter)).await;
    page.press("Reject").await.shows("Rejected");
    scene
        .wait_for_subject("kwame@harbour.example", "Your request")
        .await;

    let page = waiting.follow("Look again").await;
    let page = page
        .shows("Your request was not accepted")
        .shows("Use another account");
    assert_eq!(scene.gateway.count("builtin_users").await, 1);
    assert_eq!(scene.gateway.count("account_links").await, 0);
    assert!(scene.upstream.requests().is_empty());
    // Asking again at once would be a way to press others.
    let again = scene.arrives("kwame").await;
    again.shows("Your request was not accepted");
    drop(page);
}

on_both_set_ups!(a_colleague_registers_anew_or_is_kept_out);

async fn a_colleague_registers_anew_or_is_kept_out(set_up: GatewayBuilder<'_>) {
    let mut scene = Scene::with(set_up, &known("register")).await;
    scene.company().await;
    scene.kwame().await;
    let page = scene.arrives("kwame").await;
    page.fill("account_type", "business")
        .fill("Company name", "Harbour Lights Two")
        .fill("Country", "Italy")
        .tick("I have read and accept: Terms of use")
        .press("Create account")
        .await
        .waits_until_on(DEEP_LINK)
        .await;
    assert_eq!(scene.gateway.count("builtin_customers").await, 2);

    scene
        .gateway
        .rewrite_policy("onboarding.toml", &known("deny"));
    let claims =
        json!({ "name": "Ama", "email": "ama@harbour.example", "organization_code": "HLH" });
    scene.provider.person("ama", claims).await;
    scene.gateway.node(0).signal("HUP");
    for _ in 0..20 {
        let page = scene.arrives("ama").await;
        if page.status() == 403 {
            page.shows("You do not have access");
            assert_eq!(scene.gateway.count("builtin_customers").await, 2);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the rewritten policy never took effect");
}

on_both_set_ups!(looking_at_a_link_does_nothing_and_forms_come_from_our_page);

async fn looking_at_a_link_does_nothing_and_forms_come_from_our_page(set_up: GatewayBuilder<'_>) {
    let scene = Scene::with(set_up, &known("ask_to_join")).await;
    scene.company().await;
    scene.kwame().await;
    asks(scene.arrives("kwame").await).await;
    let link = link_in(&scene.mailbox.wait_for("amara@harbour.example").await);
    let wire = reqwest::Client::new();
    for _ in 0..3 {
        wire.head(&link).send().await.unwrap();
        let prefetch = wire.get(&link).header("Sec-Purpose", "prefetch;prerender");
        prefetch.send().await.unwrap();
        scene.gateway.browser().open(&link).await.shows("Approve");
    }
    let (address, token) = link.split_once("?link=").unwrap();
    let origin = scene.gateway.origin();
    let forged = format!("link={token}&do=approve");
    for (origin, body) in [
        ("https://evil.example", forged.clone()),
        ("null", forged.clone()),
        (origin, forged),
    ] {
        let post = wire.post(address).header("Origin", origin);
        let post = post.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = post.header("Accept", "text/html").body(body).send().await;
        assert_eq!(answer.unwrap().status(), 403, "from {origin}");
    }
    // The token of one link opens no other one.
    let page = scene.gateway.browser().open(&link).await;
    let other = page.fill("link", "another-token").press("Approve").await;
    other.has_status(403);
    assert_eq!(scene.gateway.count("builtin_users").await, 1);
    let state = &get(&scene.gateway, "/operator/v1/registrations").await["items"][0]["state"];
    assert_eq!(state, "awaiting_approval");
    assert!(
        !scene.gateway.log().contains(token),
        "the token is in no log"
    );
    let unknown = scene
        .gateway
        .browser()
        .open(&format!("{address}?link=guess"))
        .await;
    unknown.shows("This link is not valid");
}

on_both_set_ups!(a_partner_comes_by_code);

async fn a_partner_comes_by_code(set_up: GatewayBuilder<'_>) {
    let policy = "[sso]\naccount_types = [\"business\", \"partner\"]\n";
    let scene = Scene::with(set_up, policy).await;
    let partner = json!({ "name": "Installers United", "code": "INST-7741" });
    scene.back_office("/platform/v1/partners", partner).await;
    let claims = json!({ "name": "Pia Partner", "email": "pia@installers.example",
                         "email_verified": true });
    scene.provider.person("pia", claims).await;
    let page = scene.arrives("pia").await;
    let gives = async |page: Page, code: &str| {
        let page = page
            .fill("account_type", "partner")
            .fill("Partner code", code)
            .tick("I have read and accept: Terms of use");
        page.press("Create account").await
    };
    let page = gives(page, "").await.has_status(422);
    let page = page.shows("Fill in “Partner code”");
    let page = gives(page, "INST-0000").await.has_status(422);
    assert_eq!(page.value_of("Partner code").as_deref(), Some("INST-0000"));
    gives(page, "INST-7741")
        .await
        .waits_until_on(DEEP_LINK)
        .await;
    assert_eq!(scene.gateway.count("builtin_customers").await, 0);
    assert_eq!(scene.gateway.count("builtin_locations").await, 0);
    let found = get(
        &scene.gateway,
        "/platform/v1/users?email=pia@installers.example",
    )
    .await;
    let user = &found["items"][0];
    assert_eq!(user["account_type"], "partner");
    assert!(
        user["customer"].is_null() && user["partner"].is_string(),
        "{user}"
    );
    assert_eq!(
        scene.upstream.last_request().header("x-vestibule-customer"),
        None
    );
}

/// Presses "Ask to join" and waits to be told that others are asked.
pub async fn asks(page: Page) -> Page {
    let page = page
        .shows("You are asking to join Harbour Lights")
        .tick("I have read and accept: Terms of use")
        .press("Ask to join")
        .await;
    page.shows("We have asked Harbour Lights")
}

impl Scene {
    /// The newest letter to an address whose subject has these words; waits for it.
    pub async fn wait_for_subject(&self, address: &str, words: &str) -> Letter {
        for _ in 0..200 {
            let letters = self.mailbox.letters().await;
            let to = |letter: &Letter| letter.to.iter().any(|to| to.eq_ignore_ascii_case(address));
            let found = letters.into_iter().rev();
            let mut found = found.filter(|letter| to(letter) && letter.subject.contains(words));
            if let Some(letter) = found.next() {
                return letter;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let letters = self.mailbox.letters().await;
        let subjects: Vec<_> = letters.iter().map(|one| (&one.to, &one.subject)).collect();
        panic!("no letter “{words}” to {address}: {subjects:?}");
    }
}
