//! Two platforms behind one gateway, each with a host: nothing of the one holds on the other.

use reqwest::StatusCode;
use serde_json::Value;
use vestibule::session::cookie::SESSION_COOKIE;

use super::approvals::{fails, says};
use super::first_login::{giulia, registers};
use super::harness::{
    Browser, GatewayBuilder, Mailbox, OidcProvider, SECOND_HOST, TestGateway, Upstream,
    on_both_set_ups,
};
use super::joining::{back_office, link_in};

const USERS: &str = "/platform/v1/users";

struct TwoPlatforms {
    gateway: TestGateway,
    _provider: OidcProvider,
    things: Upstream,
    shop: Upstream,
    mailbox: Mailbox,
}

impl TwoPlatforms {
    async fn start(set_up: GatewayBuilder<'_>) -> Self {
        let (provider, mailbox) = (OidcProvider::start().await, Mailbox::start().await);
        let (things, shop) = (Upstream::start().await, Upstream::start().await);
        giulia(&provider).await;
        let further = format!(
            "[[host]]
             origin = \"http://{SECOND_HOST}:$PORT\"
             platform = \"the-shop\"
             [[platform]]
             [[platform]]
             id = \"the-shop\"
             policies = \"shop\"
             [[upstream]]
             name = \"shop\"
             hosts = [\"{SECOND_HOST}\"]
             servers = [\"{}\"]\n",
            shop.url(),
        );
        let form = "agreements = [\"terms\"]\nintro = { en = \"Welcome to the shop\" }\n\
                    [[field]]\nname = \"name\"\n[[field]]\nname = \"company\"\n\
                    [[field]]\nname = \"country\"\n";
        let set_up = set_up.policy("../shop/signup/default.toml", form);
        let terms = "# Terms of use\n\nPay in time.\n";
        let set_up = set_up.policy("../shop/agreements/terms.en.md", terms);
        let set_up = set_up.provider(&provider).upstream(&things).mail(&mailbox);
        let gateway = set_up.config(&further).start().await;
        Self {
            gateway,
            _provider: provider,
            things,
            shop,
            mailbox,
        }
    }

    fn shop_origin(&self) -> String {
        self.gateway.origin().replace("localhost", SECOND_HOST)
    }

    async fn users(&self, start: &str) -> Vec<Value> {
        let client = super::harness::wire_client();
        let request = client.get(self.gateway.admin(&format!("{start}{USERS}")));
        let answer = request.bearer_auth(super::harness::OPERATOR_TOKEN).send();
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let users: Value = answer.json().await.expect("JSON");
        users["items"].as_array().expect("a list").clone()
    }
}

on_both_set_ups!(a_user_of_one_platform_is_a_stranger_on_the_other);

async fn a_user_of_one_platform_is_a_stranger_on_the_other(set_up: GatewayBuilder<'_>) {
    let two = TwoPlatforms::start(set_up).await;
    let browser = two.gateway.browser();
    let page = browser.open("/things/1").await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/things/1").await;
    assert_eq!(
        (
            two.users("").await.len(),
            two.users("/platforms/the-shop").await.len()
        ),
        (1, 0)
    );

    let shop = Browser::at(&two.shop_origin());
    let session = browser.cookie(SESSION_COOKIE).expect("a session");
    shop.plant_cookie(SESSION_COOKIE, &session);
    let page = shop.open("/orders").await;
    assert_eq!(
        two.shop.requests().len(),
        0,
        "a session of the other platform is none"
    );
    let page = page.login_at_provider("giulia").await;
    let page = page.shows("Welcome to the shop");
    registers(page).await.waits_until_on("/orders").await;

    let user = |upstream: &Upstream| {
        let request = upstream.last_request();
        request
            .header("x-vestibule-user")
            .expect("a user")
            .to_owned()
    };
    let (here, there) = (user(&two.things), user(&two.shop));
    assert_ne!(here, there);
    assert_eq!(two.users("").await[0]["id"], here);
    assert_eq!(two.users("/platforms/the-shop").await[0]["id"], there);
    for platform in ["main", "the-shop"] {
        let list = ["registrations", "list", "--json", "--platform", platform];
        let listed: Value = serde_json::from_str(&says(&two.gateway, &list)).expect("JSON");
        assert_eq!(
            listed["items"].as_array().map(Vec::len),
            Some(1),
            "{listed}"
        );
    }
    let refused = fails(
        &two.gateway,
        &["registrations", "list", "--platform", "nowhere"],
    );
    assert!(refused.contains("there are: main, the-shop"), "{refused}");
}

on_both_set_ups!(a_mailed_link_of_one_platform_opens_nothing_on_the_other);

async fn a_mailed_link_of_one_platform_opens_nothing_on_the_other(set_up: GatewayBuilder<'_>) {
    let two = TwoPlatforms::start(set_up).await;
    let company = serde_json::json!({ "account_type": "business", "name": "Harbour Lights" });
    let made = back_office(&two.gateway, "/platform/v1/customers", company).await;
    let customer = made["id"].as_str().expect("an id");
    let invite = [
        "invitations",
        "create",
        "--email",
        "ines@guest.example",
        "--customer",
        customer,
    ];
    says(&two.gateway, &invite);
    let link = link_in(&two.mailbox.wait_for("ines@guest.example").await);
    let astray = link.replace(two.gateway.origin(), &two.shop_origin());
    assert_ne!(astray, link);
    let page = Browser::at(&two.shop_origin()).open(&astray).await;
    page.shows("This invitation is not valid");
    let page = two.gateway.browser().open(&link).await;
    page.shows("You are invited to Harbour Lights");
    let elsewhere = [&invite[..], &["--platform", "the-shop"]].concat();
    let refused = fails(&two.gateway, &elsewhere);
    assert!(refused.contains("customer"), "{refused}");
}
