//! Who may come in, as their identity provider says by SCIM.
//!
//! Only providers that were given a SCIM token are asked about. A person whom the provider has
//! deactivated or deleted is blocked: at login, and when accounts in use are looked at again.
//! Nothing is made on the platform for a person of whom only the provider has told.

mod person;
pub mod sql;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::SharedClock;
use crate::database::DatabaseError;
use crate::identity::{Issuer, Subject, VerifiedIdentity};

pub use person::{MatchBy, NameKey, Person, PersonData, PersonId};

/// Why the roster did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// Another person of the provider has this name or external id.
    #[error("another person has this name or external id")]
    Taken,
    /// Somebody else changed the person since it was read.
    #[error("the person has changed since it was read")]
    Outdated,
    /// The database does not answer.
    #[error("the roster cannot be read or written")]
    Down(#[from] DatabaseError),
}

/// Which people, of one provider.
#[derive(Debug, Clone, Default)]
pub struct PeopleQuery {
    /// With this id.
    pub id: Option<PersonId>,
    /// With this name, folded.
    pub name: Option<NameKey>,
    /// With this external id.
    pub external_id: Option<String>,
}

/// Some people, and how many there are in all.
#[derive(Debug, Clone)]
pub struct People {
    /// Those of this part.
    pub part: Vec<Person>,
    /// How many fit.
    pub total: usize,
}

/// Keeps people.
#[async_trait]
pub trait RosterStore: Send + Sync {
    /// The people of a provider who fit, in the order in which they were made.
    async fn find(
        &self,
        issuer: &Issuer,
        query: &PeopleQuery,
        part: std::ops::Range<usize>,
    ) -> Result<People, RosterError>;

    /// Keeps a new person; traces of a deleted one go who is told to be the same by this.
    async fn insert(&self, issuer: &Issuer, person: (&Person, MatchBy)) -> Result<(), RosterError>;

    /// Changes a person that still has the version before; a new name counts for whoever has signed
    /// in under the old one.
    async fn update(&self, issuer: &Issuer, change: &Renewal<'_>) -> Result<(), RosterError>;

    /// Whether somebody is among those who are blocked, by external id or by the names that they
    /// have and had.
    async fn is_blocked(&self, issuer: &Issuer, who: &Whom<'_>) -> Result<bool, RosterError>;

    /// Remembers the name under which somebody has signed in.
    async fn remember(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        name: &NameKey,
    ) -> Result<(), RosterError>;

    /// Everybody who has signed in under a name.
    async fn subjects(&self, issuer: &Issuer, name: &NameKey) -> Result<Vec<Subject>, RosterError>;
}

/// A person before and after a change.
#[derive(Debug)]
pub struct Renewal<'a> {
    /// As it was read.
    pub before: &'a Person,
    /// As it is to be.
    pub after: &'a Person,
    /// By what people of this provider are told.
    pub by: MatchBy,
    /// Whether it is deleted.
    pub deletes: bool,
}

/// By what somebody who signs in is looked for.
#[derive(Debug)]
pub enum Whom<'a> {
    /// By the subject, which is the external id.
    Subject(&'a Subject),
    /// By the address that the provider says, and those that it said before.
    Name(&'a Subject, &'a NameKey),
}

/// Who may come in, as their providers say.
pub struct Roster {
    store: Arc<dyn RosterStore>,
    /// The providers that say so, and by what their people are told.
    sources: HashMap<Issuer, MatchBy>,
    clock: SharedClock,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster")
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl Roster {
    /// Over a store, for these providers.
    pub fn new(
        store: Arc<dyn RosterStore>,
        sources: HashMap<Issuer, MatchBy>,
        clock: SharedClock,
    ) -> Self {
        Self {
            store,
            sources,
            clock,
        }
    }

    /// Whether somebody is blocked. Whoever cannot be told, because people of that provider are
    /// told by an address and the token has none, is.
    pub async fn blocks(&self, identity: &VerifiedIdentity) -> Result<bool, RosterError> {
        let issuer = identity.issuer();
        let subject = identity.subject();
        match self.sources.get(issuer) {
            None => Ok(false),
            Some(MatchBy::Subject) => self.store.is_blocked(issuer, &Whom::Subject(subject)).await,
            Some(MatchBy::Email) => match identity.email() {
                None => Ok(true),
                Some(email) => {
                    let name = NameKey::of_email(&email);
                    self.store
                        .is_blocked(issuer, &Whom::Name(subject, &name))
                        .await
                }
            },
        }
    }

    /// Remembers who came in, so that their sessions are found by their name.
    pub async fn remember(&self, identity: &VerifiedIdentity) -> Result<(), RosterError> {
        let (issuer, email) = (identity.issuer(), identity.email());
        match (self.sources.get(issuer), email) {
            (Some(MatchBy::Email), Some(email)) => {
                let name = NameKey::of_email(&email);
                self.store.remember(issuer, identity.subject(), &name).await
            }
            _ => Ok(()),
        }
    }

    /// By what the people of a provider are told.
    pub fn matches_by(&self, issuer: &Issuer) -> Option<MatchBy> {
        self.sources.get(issuer).copied()
    }

    fn told_by(&self, issuer: &Issuer) -> MatchBy {
        self.matches_by(issuer).unwrap_or(MatchBy::Subject)
    }

    /// The people of a provider who fit.
    pub async fn find(
        &self,
        issuer: &Issuer,
        query: &PeopleQuery,
        part: std::ops::Range<usize>,
    ) -> Result<People, RosterError> {
        self.store.find(issuer, query, part).await
    }

    /// One person of a provider.
    pub async fn person(
        &self,
        issuer: &Issuer,
        id: &PersonId,
    ) -> Result<Option<Person>, RosterError> {
        let query = PeopleQuery {
            id: Some(id.clone()),
            ..PeopleQuery::default()
        };
        let found = self.store.find(issuer, &query, 0..1).await?;
        Ok(found.part.into_iter().next())
    }

    /// Takes a new person up.
    pub async fn add(&self, issuer: &Issuer, data: PersonData) -> Result<Person, RosterError> {
        let person = Person::new(data, self.clock.now());
        self.store
            .insert(issuer, (&person, self.told_by(issuer)))
            .await?;
        Ok(person)
    }

    /// Changes a person as it was read.
    pub async fn change(
        &self,
        issuer: &Issuer,
        before: &Person,
        data: PersonData,
    ) -> Result<Person, RosterError> {
        let after = before.changed(data, self.clock.now());
        let renewal = Renewal {
            before,
            after: &after,
            by: self.told_by(issuer),
            deletes: false,
        };
        self.store.update(issuer, &renewal).await?;
        Ok(after)
    }

    /// Deletes a person as it was read; they stay blocked until they are taken up anew.
    pub async fn delete(&self, issuer: &Issuer, before: &Person) -> Result<(), RosterError> {
        let after = before.changed(before.data.clone(), self.clock.now());
        let renewal = Renewal {
            before,
            after: &after,
            by: self.told_by(issuer),
            deletes: true,
        };
        self.store.update(issuer, &renewal).await
    }

    /// Whose sessions are a person's.
    pub async fn subjects_of(
        &self,
        issuer: &Issuer,
        person: &Person,
    ) -> Result<Vec<Subject>, RosterError> {
        match self.matches_by(issuer) {
            Some(MatchBy::Email) => self.store.subjects(issuer, &person.data.name_key()).await,
            Some(MatchBy::Subject) | None => {
                let subject = person.data.external_id.as_ref();
                Ok(subject.map(Subject::new).into_iter().collect())
            }
        }
    }
}
