//! The same first-time user, by the same shipped policy folder, before each kind of platform: the
//! same pages, and the same result, read back through the platform itself.

use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;
use vestibule::identity::{AccountType, EmailAddress, PlatformId};
use vestibule::outbound::Outbound;
use vestibule::platform::builtin::remote::RemoteBuiltinPlatform;
use vestibule::platform::{Platform, Profile, RemoteSettings, ScimCustomers};

use super::harness::rest_platform::{RestServer, Tongue};
use super::harness::scim::{Kind, SCIM_TOKEN, ScimServer};
use super::harness::thingsboard::{API_KEY, ThingsBoard};
use super::harness::{
    GatewayBuilder, Mailbox, OPERATOR_TOKEN, OidcProvider, Page, TestGateway, Upstream,
};
use super::platform_contract::places::{adapter, by_api_key, rest_adapter, scim_adapter};

const FOLDER: &str = "policies/examples/servitly-user-onboarding";
const DEEP_LINK: &str = "/machines/17?tab=values";
const ADDRESS: &str = "giulia@ferraro.example";
const CODE: &str = "FER-7";

/// What becomes of a first-time user, in the words that all platforms share.
#[derive(Debug, PartialEq)]
struct Outcome {
    email: EmailAddress,
    account_type: Option<AccountType>,
    enabled: bool,
    company: String,
    company_type: AccountType,
    /// Whether colleagues find the company by its code.
    is_found_by_code: bool,
    decides: Vec<(EmailAddress, String)>,
    profile: Profile,
    target: String,
    told_email: Option<String>,
    is_told_ids: bool,
}

/// A platform that a gateway can be put before.
enum Neighbour {
    Builtin,
    ThingsBoard(ThingsBoard),
    Rest(RestServer),
    Scim(ScimServer),
}

impl Neighbour {
    /// One of each.
    async fn all() -> [Self; 4] {
        [
            Self::Builtin,
            Self::ThingsBoard(ThingsBoard::community("4.3.0.1").await),
            Self::Rest(RestServer::start(Tongue::Crud).await),
            Self::Scim(ScimServer::start(Kind::Full).await),
        ]
    }

    /// The installation that has it as its platform.
    fn configured<'a>(&self, set_up: GatewayBuilder<'a>) -> GatewayBuilder<'a> {
        let (url, rest, secret) = match self {
            Self::Builtin => return set_up,
            Self::ThingsBoard(server) => {
                let rest = "kind = \"thingsboard\"\napi_key = { env = \"SECRET\" }".to_owned();
                (server.url(), rest, API_KEY)
            }
            Self::Rest(server) => {
                let [(name, secret)] = server.secrets()[..] else {
                    panic!("a CRUD service takes one secret")
                };
                let file = server.file();
                let rest = format!(
                    "kind = \"rest\"\nfile = \"{file}\"\nsecrets = {{ {name} = {{ env = \"SECRET\" }} }}"
                );
                (server.url(), rest, secret)
            }
            Self::Scim(server) => {
                let rest = "kind = \"scim\"\ntoken = { env = \"SECRET\" }".to_owned();
                (server.url(), rest, SCIM_TOKEN)
            }
        };
        let platform = format!("[platform]\nid = \"directory\"\nurl = \"{url}\"\n{rest}\n");
        set_up.config(&platform).environment("SECRET", secret)
    }

    /// The platform itself, past the gateway.
    async fn itself(&self, gateway: &TestGateway) -> Arc<dyn Platform> {
        match self {
            Self::Builtin => {
                let settings = RemoteSettings {
                    url: gateway.admin("").parse().unwrap(),
                    token: SecretString::from(OPERATOR_TOKEN),
                };
                let outbound = Outbound::new().unwrap();
                let id = PlatformId::new("builtin");
                Arc::new(RemoteBuiltinPlatform::new(id, settings, outbound))
            }
            Self::ThingsBoard(server) => Arc::new(adapter(server, by_api_key())),
            Self::Rest(server) => Arc::new(rest_adapter(server)),
            Self::Scim(server) => {
                let platform = scim_adapter(server, ScimCustomers::Groups);
                platform.introduce().await.expect("a SCIM server");
                Arc::new(platform)
            }
        }
    }
}

/// Every file of the shipped folder.
fn with_policies(mut set_up: GatewayBuilder<'_>) -> GatewayBuilder<'_> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    for below in ["", "signup", "agreements"] {
        for entry in std::fs::read_dir(folder.join(below)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(&folder).unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                set_up = set_up.policy(&name.to_string_lossy(), &text);
            }
        }
    }
    set_up
}

/// Comes through the provider; where the platform has passwords there is a choice before.
async fn logs_in(gateway: &TestGateway) -> Page {
    let mut page = gateway.browser().open(DEEP_LINK).await;
    if page.text().contains("Continue with Provider corp") {
        page = page.follow("Continue with Provider corp").await;
    }
    page.login_at_provider("giulia").await
}

/// Fills in what the shipped form asks of a business, less what the provider said; of one in Italy
/// it then asks one thing more.
async fn registers(page: Page) {
    let page = page
        .fill("account_type", "business")
        .fill("Company name", "Müller & Söhne")
        .fill("Country", "Italy")
        .fill("VAT number", "IT00743110157")
        .fill("Phone number", "+39 0461 234567")
        .fill("Street and number", "Via Roma 1")
        .fill("Postcode", "41121")
        .fill("Town or city", "Modena")
        .tick("I have read and accept: Terms of service")
        .tick("I have read and accept: Privacy policy")
        .tick("I have read and accept: Data processing agreement");
    let page = page.press("Create account").await.has_status(422);
    let page = page.fill("Tax code", "00743110157");
    let page = page.press("Create account").await;
    assert_eq!(page.all(".error"), Vec::<String>::new());
    page.waits_until_on(DEEP_LINK).await;
}

async fn first_login_before(neighbour: &Neighbour) -> Outcome {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let mailbox = Mailbox::start().await;
    let claims = json!({
        "given_name": "Giulia", "family_name": "Ferraro", "name": "Giulia Ferraro",
        "email": ADDRESS, "email_verified": true,
        "organization_code": CODE, "locale": "it",
    });
    provider.person("giulia", claims).await;
    let set_up = TestGateway::embedded()
        .provider(&provider)
        .upstream(&upstream)
        .mail(&mailbox);
    let gateway = neighbour.configured(with_policies(set_up)).start().await;
    registers(logs_in(&gateway).await).await;

    let platform = neighbour.itself(&gateway).await;
    let request = upstream.last_request();
    let field = |name: &str| request.header(name).map(str::to_owned);
    let address = EmailAddress::parse(ADDRESS).unwrap();
    let user = platform.user_by_email(&address).await.unwrap().unwrap();
    let customer = user.customer.expect("she belongs to a customer");
    let company = platform.customer(&customer).await.unwrap().unwrap();
    let coded = platform.customer_by_code(CODE).await.unwrap();
    let deciders = platform.administrators(&customer).await.unwrap();
    let mut profile = platform.profile(&user.id).await.unwrap().unwrap();
    profile.language = profile.language.map(|tag| tag[..2].to_owned());
    Outcome {
        is_told_ids: field("x-vestibule-user").as_deref() == Some(user.id.as_str())
            && field("x-vestibule-customer").as_deref() == Some(customer.as_str()),
        email: user.email,
        account_type: user.account_type,
        enabled: user.enabled,
        company: company.name,
        company_type: company.account_type,
        is_found_by_code: coded.is_some_and(|coded| coded.id == customer),
        decides: deciders
            .into_iter()
            .map(|one| (one.email, one.name))
            .collect(),
        profile,
        told_email: field("x-vestibule-email"),
        target: request.target,
    }
}

#[tokio::test]
async fn a_first_time_user_becomes_the_same_before_each() {
    let [builtin, others @ ..] = Neighbour::all().await;
    let expected = first_login_before(&builtin).await;
    assert!(expected.is_told_ids && expected.is_found_by_code && expected.enabled);
    assert_eq!(expected.company, "Müller & Söhne");
    assert_eq!(expected.decides.len(), 1);
    assert_eq!(expected.target, DEEP_LINK);
    let location = expected.profile.location.as_ref().expect("a location");
    assert_eq!(location["city"], "Modena");
    let mut different = Vec::new();
    for neighbour in &others {
        let outcome = first_login_before(neighbour).await;
        different.extend((outcome != expected).then_some(outcome));
    }
    assert!(different.is_empty(), "{expected:#?}\n{different:#?}");
}
