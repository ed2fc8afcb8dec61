//! What a sign-up form may say: conditions, composed names, options for the platform, a letter to
//! the operator, looks.

use serde_json::Value;

use super::first_login::giulia;
use super::harness::{
    GatewayBuilder, Mailbox, OPERATOR_TOKEN, OidcProvider, TestGateway, Upstream, on_both_set_ups,
    wire_client,
};

const FORM: &str = r##"
title = "Welcome to the weather"
intro = { en = "A minute, and you are in." }
customer_title = "form.company + ' (' + form.country + ')'"
notify = { email = "operator@acme.example", language = "it" }

[account_type.business]
label = "Company"
hint = "Everybody who pays by invoice."

[brand]
name = "Acme"
background = "#dde7f0"
links = [{ label = "Imprint", url = "https://acme.example/imprint" }]

[platform]
customer_group = "Self-registered"
parent_customer = "Acme"
roles = ["Reader", { name = "Viewer", entity_group = "Shared dashboards" }]
default_dashboard = { title = "Overview", full_screen = true }
home_dashboard = { title = "Home", hide_toolbar = true }
menu = "Visitors"

[[field]]
name = "name"
[[field]]
name = "company"
[[field]]
name = "country"
[[field]]
name = "vat_number"
required = false
required_when = "form.country == 'IT'"
[[field]]
name = "tax_code"
when = "form.country == 'IT'"
"##;

async fn listed(gateway: &TestGateway, what: &str) -> Vec<Value> {
    let address = gateway.admin(&format!("/platform/v1/{what}"));
    let request = wire_client().get(address).bearer_auth(OPERATOR_TOKEN);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["items"].as_array().unwrap().clone()
}

async fn is_made_as_the_form_says(gateway: &TestGateway) {
    let customer = listed(gateway, "customers").await.remove(0);
    assert_eq!(customer["name"], "Ferraro (IT)");
    assert_eq!(customer["fields"]["vat_number"], "IT01234567890");
    assert_eq!(customer["fields"]["tax_code"], "FRRGLI80A41L378X");
    assert_eq!(customer["options"]["group"], "Self-registered");
    assert_eq!(customer["options"]["parent"], "Acme");
    let user = listed(gateway, "users").await.remove(0);
    let options = &user["options"];
    assert_eq!(options["roles"][1]["entity_group"], "Shared dashboards");
    assert_eq!(options["default_dashboard"]["full_screen"], true);
    assert_eq!(options["home_dashboard"]["hide_toolbar"], true);
    assert_eq!(options["menu"], "Visitors");
}

on_both_set_ups!(a_form_asks_what_it_must_and_tells_the_platform_the_rest);

async fn a_form_asks_what_it_must_and_tells_the_platform_the_rest(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let mailbox = Mailbox::start().await;
    giulia(&provider).await;
    let set_up = set_up.policy("signup/default.toml", FORM).mail(&mailbox);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    let page = gateway.browser().open("/things").await;
    let page = page.login_at_provider("giulia").await;
    let page = page
        .shows("Welcome to the weather")
        .shows("A minute, and you are in.")
        .shows("Everybody who pays by invoice.")
        .shows("Imprint");
    assert_eq!(page.value_of("tax_code"), None, "not asked of everybody");

    let page = page
        .fill("account_type", "business")
        .fill("company", "Ferraro")
        .fill("Country", "Italy")
        .press("Create account")
        .await;
    let page = page
        .has_status(422)
        .shows("There is one more question: Tax code");
    assert_eq!(page.value_of("company").as_deref(), Some("Ferraro"));
    let page = page
        .fill("tax_code", "FRRGLI80A41L378X")
        .fill("vat_number", "123")
        .press("Create account")
        .await;
    let page = page.has_status(422).shows("as it is on an invoice");
    let page = page
        .fill("vat_number", "01234 567890")
        .press("Create account")
        .await;
    page.waits_until_on("/things").await;

    is_made_as_the_form_says(&gateway).await;
    let letter = mailbox.wait_for("operator@acme.example").await;
    assert!(letter.subject.starts_with("Nuova registrazione"));
    assert!(letter.text.contains("Ferraro (IT)"), "{}", letter.text);
}
