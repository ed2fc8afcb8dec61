//! The pages over the real use cases, an SQLite file and the builtin platform; the identity
//! provider alone is played. A [`Guest`] is a browser without the network.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use scraper::{Html, Selector};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use url::{Url, form_urlencoded};

use crate::access::{ClientContext, RequestKind};
use crate::audit::sql::SqlAudit;
use crate::captcha::Captchas;
use crate::clock::{FrozenClock, SharedClock, Timestamp};
use crate::database::{Database, DatabaseAddress, Node};
use crate::expression::Condition;
use crate::identity::{
    AccountType, CustomerOptions, EmailAddress, Issuer, PlatformId, ProviderId, Subject,
    UserOptions, VerifiedClaims, VerifiedIdentity,
};
use crate::login::provider::{
    AuthorizationRequest, EndSession, IdentityProvider, Proven, ProviderError, Readiness,
    Redemption, Renewed,
};
use crate::login::{ATTEMPT_LIFETIME, Login, LoginParts};
use crate::mail::letters::TemplateLetters;
use crate::mail::pickup::{PickupCourier, PickupSettings};
use crate::onboarding::sql::SqlRegistrationStore;
use crate::onboarding::{Abuse, Onboarding, OnboardingParts};
use crate::outbox::{Outbox, OutboxParts};
use crate::pages::{Pages, PagesParts, router};
use crate::platform::builtin::{Added, BuiltinPlatform};
use crate::platform::{BelongsTo, NewCustomer, NewUser};
use crate::policy::duties::Duties;
use crate::policy::onboarding::{Exclusion, LocalLogin, SelfRegistration};
use crate::policy::signup_form::{AgreementText, FieldTarget};
use crate::policy::{
    Agreement, ApprovalPolicy, Brand, Field, FieldKind, Forms, Limits, OnboardingPolicy,
    PartnerPolicy, Policy, PolicySource, Rules, SignupForm,
};
use crate::rate_limit::NodeLimits;
use crate::roster::Roster;
use crate::roster::sql::SqlRoster;
use crate::seal::{KeyRing, SealKey};
use crate::session::sql::SqlSessionStore;
use crate::session::{IdpTokens, Lifetimes, Sessions};
use crate::telemetry::metrics::Metrics;

pub const ORIGIN: &str = "https://app.example.com";

/// Everything behind the pages.
pub struct House {
    folder: tempfile::TempDir,
    router: Router,
    pub onboarding: Arc<Onboarding>,
    pub platform: Arc<BuiltinPlatform>,
    pub clock: Arc<FrozenClock>,
}

/// A policy that does not change.
struct Fixed(Arc<Policy>);

impl PolicySource for Fixed {
    fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.0)
    }
}

/// An identity provider that believes the code: its claims are the code's.
struct Played {
    id: ProviderId,
    name: &'static str,
}

#[async_trait]
impl IdentityProvider for Played {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn name(&self) -> &str {
        self.name
    }

    async fn authorization_url(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<Url, ProviderError> {
        let mut url = Url::parse("https://idp.example/authorize").unwrap();
        url.query_pairs_mut().append_pair("state", &request.state);
        if request.another_account {
            url.query_pairs_mut()
                .append_pair("prompt", "select_account");
        }
        Ok(url)
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Proven, ProviderError> {
        let subject = redemption.code.expose_secret().to_owned();
        let claims = json!({
            "name": "Giulia Bianchi",
            "email": format!("{subject}@bianchi.example"),
            "email_verified": true,
            "groups": if subject == "staff" { json!(["staff"]) } else { json!([]) },
        });
        let Value::Object(claims) = claims else {
            return Err(ProviderError::CodeRefused);
        };
        let identity = VerifiedIdentity::from_verified(VerifiedClaims {
            provider: self.id.clone(),
            issuer: Issuer::new("https://idp.example"),
            subject: Subject::new(subject),
            claims,
            email_trusted: true,
            authenticated_at: Timestamp::from_millis(0),
        });
        Ok(Proven {
            identity,
            tokens: IdpTokens::default(),
        })
    }

    async fn check_answer_issuer(&self, _: Option<&str>) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn refresh(
        &self,
        _: &SecretString,
        _: &Subject,
    ) -> Result<Option<Renewed>, ProviderError> {
        Ok(None)
    }

    async fn revoke(&self, _: &IdpTokens) -> Result<(), ProviderError> {
        Ok(())
    }

    fn end_session_url(&self, _: &EndSession) -> Option<Url> {
        Url::parse("https://idp.example/logout").ok()
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }
}

fn field(name: &str, kind: FieldKind, goes_to: FieldTarget, kinds: &[AccountType]) -> Arc<Field> {
    Arc::new(Field {
        name: name.to_owned(),
        required: kind != FieldKind::Phone,
        when: None,
        required_when: None,
        kind,
        label: BTreeMap::new(),
        hint: BTreeMap::new(),
        account_types: kinds.to_vec(),
        goes_to,
        prefill: None,
        locked_when_verified: true,
        max_length: 200,
        autocomplete: None,
    })
}

fn signup_form() -> SignupForm {
    let text = |title: &str, version: &str| AgreementText {
        title: title.to_owned(),
        markdown: format!("# {title}\n\nBe <b>kind</b>."),
        version: version.to_owned(),
    };
    let texts = [
        ("en", text("Terms", "v-en")),
        ("de", text("Bedingungen", "v-de")),
    ];
    let texts = texts.map(|(tag, text)| (tag.to_owned(), text)).into();
    let agreement = Agreement::new("terms", texts, None);
    let business = [AccountType::Business];
    SignupForm {
        fields: vec![
            field(
                "company",
                FieldKind::Text,
                FieldTarget::CustomerName,
                &business,
            ),
            field("phone", FieldKind::Phone, FieldTarget::User, &[]),
            field("country", FieldKind::Country, FieldTarget::Location, &[]),
        ],
        agreements: vec![Arc::new(agreement)],
        brand: Brand {
            name: "Acme IoT".to_owned(),
            ..Brand::default()
        },
        ..SignupForm::default()
    }
}

fn policy() -> Policy {
    let exclusion = Exclusion {
        name: "staff".to_owned(),
        when: Condition::compile("'staff' in identity.groups").unwrap(),
        message: "staff".to_owned(),
    };
    Policy {
        version: "1".into(),
        rules: Rules::new(vec![]),
        onboarding: OnboardingPolicy {
            create_customer_on_first_login: true,
            account_types: vec![AccountType::Business, AccountType::Personal],
            add_default_location: true,
            known_customer: vec![],
            exclude: vec![exclusion],
            recheck_account_every: std::time::Duration::from_mins(5),
            self_registration: SelfRegistration::default(),
            duties: Duties::default(),
            addresses: crate::policy::addresses::AddressPolicy::default(),
            hooks: crate::policy::hooks::HookPolicy::default(),
            local_login: LocalLogin::default(),
            partner: PartnerPolicy::default(),
            approval: ApprovalPolicy::default(),
            attributes: crate::policy::attributes::AttributePolicy::default(),
        },
        limits: Limits::default(),
        forms: Forms {
            default: Arc::new(signup_form()),
            by_host: BTreeMap::new(),
        },
    }
}

/// What all parts stand on.
struct Ground {
    mail: PathBuf,
    database: Database,
    keys: Arc<KeyRing>,
    policy: Arc<dyn PolicySource>,
    clock: SharedClock,
}

impl Ground {
    fn platform(&self) -> BuiltinPlatform {
        let id = PlatformId::new("builtin");
        BuiltinPlatform::new(id, self.database.clone(), self.clock.clone())
    }

    fn onboarding(&self, platform: Arc<BuiltinPlatform>) -> Onboarding {
        let store = Arc::new(SqlRegistrationStore::new(self.database.clone()));
        let from = "no-reply@acme.example".parse().unwrap();
        Onboarding::new(OnboardingParts {
            platform,
            store: store.clone(),
            duties: store.clone(),
            attributes: store.clone(),
            proofs: store.clone(),
            funnel: store.clone(),
            abuse: Abuse::new(
                Arc::new(NodeLimits::default()),
                self.policy.clone(),
                Metrics::default(),
            ),
            approvals: store.clone(),
            invitations: store,
            policy: self.policy.clone(),
            letters: Arc::new(TemplateLetters),
            courier: Arc::new(PickupCourier::new(PickupSettings {
                folder: self.mail.clone(),
                from,
            })),
            hook: None,
            webhooks: None,
            outbox: Arc::new(Outbox::new(OutboxParts {
                database: self.database.clone(),
                keys: self.keys.clone(),
                clock: self.clock.clone(),
                metrics: Metrics::default(),
                node: Node::at("node"),
            })),
            metrics: Metrics::default(),
            audit: Arc::new(SqlAudit::new(self.database.clone())),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            provider_names: BTreeMap::new(),
            origins: BTreeMap::new(),
            node: Node::at("node"),
        })
    }

    fn sessions(&self) -> Sessions {
        Sessions::new(
            Arc::new(SqlSessionStore::new(self.database.clone())),
            self.keys.clone(),
            self.clock.clone(),
            Lifetimes::default(),
        )
    }

    fn login(
        &self,
        providers: usize,
        sessions: Arc<Sessions>,
        onboarding: Arc<Onboarding>,
    ) -> Login {
        let all = [("corp", "Acme single sign-on"), ("other", "Partner login")];
        let played = all.into_iter().take(providers).map(|(id, name)| {
            let id = ProviderId::new(id);
            Arc::new(Played { id, name }) as Arc<dyn IdentityProvider>
        });
        Login::new(LoginParts {
            providers: played.collect(),
            sessions,
            onboarding,
            roster: Arc::new(Roster::new(
                Arc::new(SqlRoster::new(self.database.clone())),
                HashMap::new(),
                self.clock.clone(),
            )),
            audit: Arc::new(SqlAudit::new(self.database.clone())),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            attempt_lifetime: ATTEMPT_LIFETIME,
        })
    }
}

impl House {
    /// With that many identity providers.
    pub async fn with_providers(providers: usize) -> Self {
        Self::with(providers, policy()).await
    }

    /// Where people register by a mailed link.
    pub async fn with_self_registration() -> Self {
        let mut policy = policy();
        policy.onboarding.self_registration.enabled = true;
        Self::with(1, policy).await
    }

    async fn with(providers: usize, policy: Policy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = DatabaseAddress::Sqlite(folder.path().join("vestibule.db"));
        let database = Database::open(&file).await.unwrap();
        database.migrate().await.unwrap();
        let clock = Arc::new(FrozenClock::at(Timestamp::from_millis(1_790_000_000_000)));
        let ground = Ground {
            mail: folder.path().join("mail"),
            database,
            keys: Arc::new(KeyRing::new(SealKey::random(), vec![])),
            policy: Arc::new(Fixed(Arc::new(policy))),
            clock: clock.clone(),
        };
        let platform = Arc::new(ground.platform());
        let onboarding = Arc::new(ground.onboarding(platform.clone()));
        let sessions = Arc::new(ground.sessions());
        let login = Arc::new(ground.login(providers, sessions.clone(), onboarding.clone()));
        let pages = Pages::new(PagesParts {
            login,
            onboarding: onboarding.clone(),
            sessions,
            policy: ground.policy,
            captchas: Captchas::new(),
            keys: ground.keys,
            key_set: None,
            user_tokens: None,
            clock: ground.clock,
            metrics: Metrics::default(),
        });
        let router = router(Arc::new(pages));
        Self {
            folder,
            router,
            onboarding,
            platform,
            clock,
        }
    }

    /// A browser with nothing in it.
    pub fn guest(&self) -> Guest {
        Guest {
            router: self.router.clone(),
            cookies: BTreeMap::new(),
            language: "en".to_owned(),
        }
    }

    /// A user that the platform has, of a customer, with a password.
    pub async fn existing_user(&self, email: &str, password: &str) {
        let customer = NewCustomer {
            account_type: AccountType::Business,
            name: "Bianchi".to_owned(),
            code: None,
            fields: serde_json::Map::new(),
            options: CustomerOptions::default(),
        };
        let customer = self
            .platform
            .add_customer(&customer, None)
            .await
            .unwrap()
            .into_inner();
        let user = NewUser {
            belongs_to: BelongsTo::Customer(customer),
            email: EmailAddress::parse(email).unwrap(),
            name: "Giulia".to_owned(),
            account_type: AccountType::Business,
            language: "en".to_owned(),
            administrator: false,
            fields: serde_json::Map::new(),
            options: UserOptions::default(),
        };
        let added = Added {
            password: Some(password.to_owned().into()),
            ..Added::default()
        };
        self.platform.add_user(&user, added).await.unwrap();
    }

    /// The text of the newest letter.
    pub fn newest_letter(&self) -> String {
        let files = std::fs::read_dir(self.folder.path().join("mail")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        std::fs::read_to_string(files.last().unwrap()).unwrap()
    }

    /// Carries every registration through.
    pub async fn provision(&self) {
        let stop = tokio_util::sync::CancellationToken::new();
        let work = tokio::spawn(Arc::clone(&self.onboarding).keep_going(stop.clone()));
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        stop.cancel();
        work.await.unwrap();
    }
}

/// A browser without the network.
pub struct Guest {
    router: Router,
    pub cookies: BTreeMap<String, String>,
    pub language: String,
}

/// What a guest sees.
pub struct Seen {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

impl Seen {
    /// Where it leads.
    pub fn location(&self) -> &str {
        self.headers
            .get("location")
            .map_or("", |place| place.to_str().unwrap())
    }

    /// The texts of what the selector finds.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let words = |element: scraper::ElementRef<'_>| {
            element
                .text()
                .collect::<String>()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        let page = Html::parse_document(&self.body);
        page.select(&Selector::parse(selector).unwrap())
            .map(words)
            .collect()
    }

    /// The values of an attribute of what the selector finds.
    pub fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let page = Html::parse_document(&self.body);
        let selector = Selector::parse(selector).unwrap();
        let values = page
            .select(&selector)
            .filter_map(|found| found.value().attr(name));
        values.map(str::to_owned).collect()
    }

    /// The token of the forms on the page.
    pub fn token(&self) -> String {
        self.attributes("input[name=form_token]", "value")
            .first()
            .cloned()
            .unwrap_or_default()
    }
}

impl Guest {
    /// Goes to a page.
    pub async fn open(&mut self, path: &str) -> Seen {
        self.send(self.request("GET", path), Body::empty()).await
    }

    /// Sends a form from our own page.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let request = self
            .request("POST", path)
            .header("origin", ORIGIN)
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request, form(fields)).await
    }

    /// A request that is yet to be sent.
    pub fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let kind = if method == "GET" {
            RequestKind::Page
        } else {
            RequestKind::Api
        };
        Request::builder()
            .method(method)
            .uri(path)
            .header("accept", "text/html")
            .header("accept-language", &self.language)
            .header("cookie", cookies.join("; "))
            .extension(ClientContext {
                host: "app.example.com".to_owned(),
                own_origin: ORIGIN.to_owned(),
                client: [192, 0, 2, 10].into(),
                kind,
                reference: "r-1".to_owned(),
                device: "Firefox on Linux".to_owned(),
            })
    }

    /// Sends a request, and keeps its cookies.
    pub async fn send(&mut self, request: axum::http::request::Builder, body: Body) -> Seen {
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Seen {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Signs in as somebody, on the way to a page; gives where that led.
    pub async fn sign_in(&mut self, subject: &str, return_to: &str) -> Seen {
        let start = form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", return_to)
            .finish();
        let begun = self.open(&format!("/auth/login/corp?{start}")).await;
        let idp = Url::parse(begun.location()).unwrap();
        let (_, state) = idp.query_pairs().find(|(name, _)| name == "state").unwrap();
        let answer = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", subject)
            .append_pair("state", &state)
            .finish();
        self.open(&format!("/auth/callback?{answer}")).await
    }
}

/// Fields as the body of a form.
pub fn form(fields: &[(&str, &str)]) -> Body {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    Body::from(body.finish())
}
