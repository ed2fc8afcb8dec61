//! Who is in the platform before anybody comes.

use serde_json::Map;

use super::files::POLICIES;
use super::people::{EMAIL_IN_USE, KNOWN, Person};
use crate::clock::SharedClock;
use crate::database::{Database, DatabaseAddress, DatabaseError};
use crate::identity::{
    Account, AccountType, CustomerId, CustomerOptions, EmailAddress, EmailProblem, Issuer,
    PlatformId, Subject, UserId, UserOptions,
};
use crate::onboarding::DutyStore as _;
use crate::onboarding::answers::Acceptance;
use crate::onboarding::duty_store::LaterAcceptance;
use crate::onboarding::sql::SqlRegistrationStore;
use crate::onboarding::store::{
    LinkedBy, NewLink, Receipt, RegistrationStore as _, RegistrationStoreDown, Who,
};
use crate::platform::builtin::{Added, BuiltinPlatform, NewPartner};
use crate::platform::{BelongsTo, NewCustomer, NewLocation, NewUser, PlatformError};
use crate::policy::Agreement;
use crate::policy::signup_form::AgreementText;
use crate::seal;

/// The platform's id in account links; the default of `vestibule.toml`.
const PLATFORM: &str = "main";

/// The password that the unlinked user has at the platform.
pub const UNLINKED_PASSWORD: &str = "studena-voda-42";

/// The code with which people of the demo's partner register.
pub const PARTNER_CODE: &str = "INST-7741";

/// The seed could not be planted.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The database could not be opened or migrated.
    #[error("the demo's database could not be made")]
    Database(#[from] DatabaseError),
    /// The builtin platform refused somebody.
    #[error("the demo's platform could not be filled")]
    Platform(#[from] PlatformError),
    /// The known user could not be linked.
    #[error("the demo's known user could not be linked")]
    Link(#[from] RegistrationStoreDown),
    /// A person's address does not parse.
    #[error("an address of the demo is malformed")]
    Email(#[from] EmailProblem),
}

/// Fills an empty database with two customers: one whose user is linked to the demo's
/// identity provider, and one whose user has a password and no link; and a partner.
pub async fn plant(
    database: &DatabaseAddress,
    issuer: &str,
    clock: SharedClock,
) -> Result<(), SeedError> {
    let database = Database::open(database).await?;
    database.migrate().await?;
    let garden = Garden {
        platform: BuiltinPlatform::new(PlatformId::new(PLATFORM), database.clone(), clock.clone()),
        links: SqlRegistrationStore::new(database.clone()),
        clock,
    };
    garden.plant_known(issuer).await?;
    garden.plant_unlinked().await?;
    garden.plant_partner().await?;
    database.close().await;
    Ok(())
}

struct Garden {
    platform: BuiltinPlatform,
    links: SqlRegistrationStore,
    clock: SharedClock,
}

impl Garden {
    async fn plant_known(&self, issuer: &str) -> Result<(), SeedError> {
        let customer = self.customer_of(&KNOWN).await?;
        let user = self.user(&KNOWN, &customer, Added::default()).await?;
        self.platform.set_administrator(&user, true).await?;
        let link = NewLink {
            who: Who {
                platform: PlatformId::new(PLATFORM),
                issuer: Issuer::new(issuer),
                subject: Subject::new(KNOWN.subject),
            },
            account: Account {
                platform: PlatformId::new(PLATFORM),
                user,
                customer: Some(customer),
                account_type: Some(account_type(&KNOWN)),
            },
            by: LinkedBy::Operator,
            at: self.clock.now(),
        };
        self.links.add_link(&link, None).await?;
        let acceptance = LaterAcceptance {
            receipts: agreements()
                .filter_map(|(id, text)| receipt(id, text))
                .collect(),
            who: link.who,
            host: "localhost".to_owned(),
            at: link.at,
        };
        self.links.accept(&acceptance).await?;
        Ok(())
    }

    async fn plant_unlinked(&self) -> Result<(), SeedError> {
        let customer = self.customer_of(&EMAIL_IN_USE).await?;
        let password = Some(UNLINKED_PASSWORD.to_owned().into());
        self.user(
            &EMAIL_IN_USE,
            &customer,
            Added {
                mark: None,
                password,
            },
        )
        .await?;
        Ok(())
    }

    async fn plant_partner(&self) -> Result<(), SeedError> {
        let partner = NewPartner {
            name: "Installers United".to_owned(),
            code: PARTNER_CODE.to_owned(),
        };
        self.platform.add_partner(&partner).await?;
        Ok(())
    }

    async fn customer_of(&self, person: &Person) -> Result<CustomerId, SeedError> {
        let employer = person.employer;
        let name = employer.map_or_else(|| person.name(), |employer| employer.name.to_owned());
        let code = employer.map(|employer| employer.code.to_owned());
        let account_type = account_type(person);
        let customer = NewCustomer {
            account_type,
            name,
            code,
            fields: Map::new(),
            options: CustomerOptions::default(),
        };
        let customer = self
            .platform
            .add_customer(&customer, None)
            .await?
            .into_inner();
        let location = NewLocation {
            customer: customer.clone(),
            name: "Location".to_owned(),
            fields: Map::new(),
        };
        self.platform.add_location(&location, None).await?;
        Ok(customer)
    }

    async fn user(
        &self,
        person: &Person,
        customer: &CustomerId,
        added: Added<'_>,
    ) -> Result<UserId, SeedError> {
        let user = NewUser {
            belongs_to: BelongsTo::Customer(customer.clone()),
            email: EmailAddress::parse(person.email)?,
            name: person.name(),
            account_type: account_type(person),
            language: "en".to_owned(),
            administrator: false,
            fields: Map::new(),
            options: UserOptions::default(),
        };
        Ok(self.platform.add_user(&user, added).await?.into_inner())
    }
}

/// The English agreements, by id.
fn agreements() -> impl Iterator<Item = (&'static str, &'static str)> {
    POLICIES.iter().filter_map(|(path, text)| {
        let file = path.strip_prefix("policies/agreements/")?;
        Some((file.strip_suffix(".en.md")?, *text))
    })
}

fn receipt(id: &str, text: &str) -> Option<Receipt> {
    let language = "en".to_owned();
    let text = AgreementText {
        title: id.to_owned(),
        markdown: text.to_owned(),
        version: seal::digest(text.as_bytes()),
    };
    let accepted = Acceptance {
        agreement: id.to_owned(),
        language: language.clone(),
        version: text.version.clone(),
    };
    let agreement = Agreement::new(id, [(language, text)].into(), None);
    Receipt::of(&agreement, accepted, std::net::Ipv4Addr::LOCALHOST.into())
}

fn account_type(person: &Person) -> AccountType {
    if person.employer.is_some() {
        AccountType::Business
    } else {
        AccountType::Personal
    }
}
