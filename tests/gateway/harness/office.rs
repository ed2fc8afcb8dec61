//! Onboarding over a real database and the builtin platform, without doors: for what happens below
//! the pages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use vestibule::access::{ClientContext, RequestKind};
use vestibule::audit::sql::SqlAudit;
use vestibule::clock::{Clock as _, FrozenClock, SharedClock, SystemClock, Timestamp};
use vestibule::database::{Database, DatabaseAddress, Node};
use vestibule::identity::{
    AccountType, EmailAddress, Issuer, PlatformId, ProviderId, Subject, VerifiedClaims,
    VerifiedIdentity,
};
use vestibule::language::Language;
use vestibule::mail::letters::TemplateLetters;
use vestibule::mail::{Courier, CourierError, Letter};
use vestibule::onboarding::sql::SqlRegistrationStore;
use vestibule::onboarding::{
    Abuse, LinkRequest, LinkStep, NextStep, Onboarding, OnboardingParts, RegistrationId,
    SubmitError,
};
use vestibule::outbox::OutboxParts;
use vestibule::platform::Platform;
use vestibule::platform::builtin::{BuiltinPlatform, Listing};
use vestibule::policy::duties::Duties;
use vestibule::policy::onboarding::{LocalLogin, SelfRegistration};
use vestibule::policy::signup_form::{Agreement, AgreementText};
use vestibule::policy::{
    ApprovalPolicy, Brand, Forms, Limits, OnboardingPolicy, PartnerPolicy, Policy, PolicySource,
    Rules, SignupForm,
};
use vestibule::rate_limit::NodeLimits;
use vestibule::seal::{KeyRing, SealKey};
use vestibule::telemetry::metrics::Metrics;

use super::Postgres;

pub const HOST: &str = "app.example.com";

/// The version of the terms that the office's form shows.
pub const TERMS: &str = "terms-of-today";

/// One node's onboarding.
pub struct Office {
    pub database: Database,
    pub onboarding: Arc<Onboarding>,
    pub platform: Arc<BuiltinPlatform>,
    pub clock: Arc<FrozenClock>,
    pub outbox: Arc<Outbox>,
    pub metrics: Metrics,
    folder: Option<tempfile::TempDir>,
}

/// A mail server that takes everything.
#[derive(Default)]
pub struct Outbox(Mutex<Vec<Letter>>);

impl Outbox {
    pub fn letters(&self) -> Vec<Letter> {
        self.0.lock().unwrap().clone()
    }

    /// The code in the newest letter.
    pub fn code(&self) -> String {
        let letters = self.letters();
        let text = &letters.last().expect("a letter").text;
        let words = text.split(|c: char| !c.is_ascii_digit());
        let code = words.into_iter().find(|word| word.len() == 8);
        code.expect("a code of eight digits").to_owned()
    }
}

#[async_trait]
impl Courier for Outbox {
    async fn send(&self, letter: &Letter) -> Result<(), CourierError> {
        self.0.lock().unwrap().push(letter.clone());
        Ok(())
    }
}

struct Fixed(Arc<Policy>);

impl PolicySource for Fixed {
    fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.0)
    }
}

/// A policy that registers companies and persons and shows one agreement.
pub fn policy(change: impl FnOnce(&mut OnboardingPolicy)) -> Arc<Policy> {
    let mut onboarding = OnboardingPolicy {
        create_customer_on_first_login: true,
        account_types: vec![AccountType::Business, AccountType::Personal],
        add_default_location: true,
        known_customer: vec![],
        exclude: vec![],
        recheck_account_every: Duration::from_mins(5),
        self_registration: SelfRegistration::default(),
        duties: Duties::default(),
        addresses: vestibule::policy::addresses::AddressPolicy::default(),
        hooks: vestibule::policy::hooks::HookPolicy::default(),
        local_login: LocalLogin::default(),
        partner: PartnerPolicy::default(),
        approval: ApprovalPolicy::default(),
        attributes: vestibule::policy::attributes::AttributePolicy::default(),
    };
    change(&mut onboarding);
    let text = AgreementText {
        title: "Terms".to_owned(),
        markdown: "# Terms\nBe kind.".to_owned(),
        version: TERMS.to_owned(),
    };
    let terms = Agreement::new("terms", [("en".to_owned(), text)].into(), None);
    Arc::new(Policy {
        version: "1".into(),
        rules: Rules::new(vec![]),
        onboarding,
        limits: Limits::default(),
        forms: Forms {
            default: Arc::new(SignupForm {
                agreements: vec![Arc::new(terms)],
                brand: Brand {
                    name: "Acme".to_owned(),
                    ..Brand::default()
                },
                ..SignupForm::default()
            }),
            by_host: BTreeMap::new(),
        },
    })
}

impl Office {
    pub async fn on_sqlite(policy: Arc<Policy>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = DatabaseAddress::Sqlite(folder.path().join("office.db"));
        let mut office = Self::over(&address, policy).await;
        office.folder = Some(folder);
        office
    }

    pub async fn on_postgres(policy: Arc<Policy>) -> Self {
        let url = Postgres::shared().fresh_database().await;
        Self::over(&DatabaseAddress::Postgres(url), policy).await
    }

    /// One on each kind of database.
    pub async fn on_both(policy: &Arc<Policy>) -> [Self; 2] {
        [
            Self::on_sqlite(Arc::clone(policy)).await,
            Self::on_postgres(Arc::clone(policy)).await,
        ]
    }

    async fn over(address: &DatabaseAddress, policy: Arc<Policy>) -> Self {
        let database = Database::open(address).await.unwrap();
        database.migrate().await.unwrap();
        let clock = Arc::new(FrozenClock::at(SystemClock.now()));
        let id = PlatformId::new("builtin");
        let platform = Arc::new(BuiltinPlatform::new(id, database.clone(), clock.clone()));
        let outbox = Arc::new(Outbox::default());
        let parts = parts(
            &database,
            (platform.clone(), policy),
            clock.clone(),
            outbox.clone(),
        );
        Self {
            metrics: parts.metrics.clone(),
            onboarding: Arc::new(Onboarding::new(parts)),
            database,
            platform,
            clock,
            outbox,
            folder: None,
        }
    }

    /// The same office with something else in front of its platform.
    pub fn through(&mut self, platform: Arc<dyn Platform>, policy: Arc<Policy>) {
        let clock = self.clock.clone();
        let parts = parts(
            &self.database,
            (platform, policy),
            clock,
            self.outbox.clone(),
        );
        self.metrics = parts.metrics.clone();
        self.onboarding = Arc::new(Onboarding::new(parts));
    }

    /// Another node of the same office, with a clock of its own.
    pub fn another_node(&self, clock: Arc<FrozenClock>, policy: Arc<Policy>) -> Arc<Onboarding> {
        let platform = self.platform.clone();
        let outbox = self.outbox.clone();
        Arc::new(Onboarding::new(parts(
            &self.database,
            (platform, policy),
            clock,
            outbox,
        )))
    }

    pub async fn submit(
        &self,
        who: &VerifiedIdentity,
        input: &[(&str, &str)],
    ) -> Result<RegistrationId, SubmitError> {
        let pairs = input
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let input = pairs.collect();
        self.onboarding
            .submit(who, &client(), Language::En, &input)
            .await
    }

    /// Submits what a company's first person would, and carries it on to its end.
    pub async fn register(&self, who: &VerifiedIdentity) -> RegistrationId {
        let id = self.submit(who, COMPANY).await.unwrap();
        self.onboarding.carry_on(&id).await.unwrap();
        id
    }

    pub async fn next_step(&self, who: &VerifiedIdentity) -> NextStep {
        self.onboarding.next_step(who, HOST).await.unwrap()
    }

    /// The token of the link that is mailed to somebody who asks for one.
    pub async fn mailed_token(&self, step: LinkStep, address: &str) -> String {
        let request = LinkRequest {
            step,
            email: EmailAddress::parse(address).unwrap(),
            host: HOST.to_owned(),
            language: Language::En,
            return_to: "/".to_owned(),
        };
        self.onboarding.send_link(request).unwrap();
        loop {
            let letters = self.outbox.letters();
            let mut to_them = letters.iter().filter(|one| one.to.as_str() == address);
            if let Some(rest) = to_them.find_map(|one| one.text.split("token=").nth(1)) {
                return rest.split_whitespace().next().expect("a token").to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many customers, locations and users the platform has.
    pub async fn counts(&self) -> (usize, usize, usize) {
        let all = Listing {
            after: String::new(),
            limit: 1000,
        };
        (
            self.platform.customers(&all).await.unwrap().len(),
            self.platform.locations(None, &all).await.unwrap().len(),
            self.platform.users(None, &all).await.unwrap().len(),
        )
    }
}

/// What a company's first person submits.
pub const COMPANY: &[(&str, &str)] = &[
    ("account_type", "business"),
    ("company", "Acme Pumps"),
    ("name", "Mario Rossi"),
    ("email", "mario@acme.example"),
    ("agreement.terms", TERMS),
];

pub fn client() -> ClientContext {
    ClientContext {
        host: HOST.to_owned(),
        own_origin: format!("https://{HOST}"),
        client: [192, 0, 2, 7].into(),
        kind: RequestKind::Page,
        reference: "ref-1".to_owned(),
        device: "Firefox on Linux".to_owned(),
    }
}

/// Somebody with these claims; `email_verified` counts.
pub fn somebody(subject: &str, claims: Value) -> VerifiedIdentity {
    let Value::Object(claims) = claims else {
        panic!("claims are an object")
    };
    VerifiedIdentity::from_verified(VerifiedClaims {
        provider: ProviderId::new("corp"),
        issuer: Issuer::new("https://idp.example"),
        subject: Subject::new(subject),
        claims,
        email_trusted: true,
        authenticated_at: Timestamp::from_millis(0),
    })
}

/// The first person of a company.
pub fn mario() -> VerifiedIdentity {
    somebody(
        "mario",
        json!({ "email": "mario@acme.example", "email_verified": true, "name": "Mario Rossi" }),
    )
}

fn parts(
    database: &Database,
    (platform, policy): (Arc<dyn Platform>, Arc<Policy>),
    clock: SharedClock,
    outbox: Arc<Outbox>,
) -> OnboardingParts {
    let store = Arc::new(SqlRegistrationStore::new(database.clone()));
    let keys = Arc::new(KeyRing::new(SealKey::from_bytes([7; 32]), vec![]));
    let policy: Arc<dyn PolicySource> = Arc::new(Fixed(policy));
    OnboardingParts {
        platform,
        proofs: store.clone(),
        duties: store.clone(),
        attributes: store.clone(),
        funnel: store.clone(),
        approvals: store.clone(),
        invitations: store.clone(),
        store,
        abuse: Abuse::new(
            Arc::new(NodeLimits::default()),
            policy.clone(),
            Metrics::default(),
        ),
        policy,
        letters: Arc::new(TemplateLetters),
        courier: outbox,
        hook: None,
        webhooks: None,
        metrics: Metrics::default(),
        audit: Arc::new(SqlAudit::new(database.clone())),
        outbox: Arc::new(vestibule::outbox::Outbox::new(OutboxParts {
            database: database.clone(),
            keys: keys.clone(),
            clock: clock.clone(),
            metrics: Metrics::default(),
            node: Node::at("office"),
        })),
        keys,
        clock,
        provider_names: BTreeMap::from([(ProviderId::new("corp"), "Corp login".to_owned())]),
        origins: BTreeMap::from([(HOST.to_owned(), format!("https://{HOST}"))]),
        node: Node::at("office"),
    }
}
