//! The people one can be in the demo, and what each of them shows.
//!
//! Each is somebody whom the demo's identity provider knows; whether the platform knows them too
//! is the seed's business (`seed.rs`).

use serde_json::{Map, Value, json};

/// Where somebody works.
#[derive(Debug, Clone, Copy)]
pub struct Employer {
    /// The company's name.
    pub name: &'static str,
    /// The code by which a platform may know the company.
    pub code: &'static str,
}

/// A postal address (OpenID Connect Core 1.0, section 5.1.1).
#[derive(Debug, Clone, Copy)]
pub struct PostalAddress {
    /// Street and number.
    pub street: &'static str,
    /// Postal code.
    pub postal_code: &'static str,
    /// Town.
    pub locality: &'static str,
    /// ISO 3166-1 alpha-2 code.
    pub country: &'static str,
}

/// Somebody to be.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// The identity provider's subject identifier.
    pub subject: &'static str,
    /// Given name.
    pub given_name: &'static str,
    /// Family name.
    pub family_name: &'static str,
    /// BCP 47 language tag.
    pub locale: &'static str,
    /// E-mail address.
    pub email: &'static str,
    /// Groups at the identity provider.
    pub groups: &'static [&'static str],
    /// Employer, where the identity provider knows it.
    pub employer: Option<Employer>,
    /// Phone number, E.164.
    pub phone: Option<&'static str>,
    /// Address, where the identity provider knows it.
    pub address: Option<PostalAddress>,
    /// Who this is to the platform, in a few words.
    pub role: &'static str,
    /// What happens when one signs in as this person.
    pub shows: &'static str,
}

/// The user who has an account already.
pub const KNOWN: Person = Person {
    subject: "amara-4f1c",
    given_name: "Amara",
    family_name: "Okafor",
    locale: "en",
    email: "amara.okafor@harbour-lights.example",
    groups: &["facility"],
    employer: Some(Employer {
        name: "Harbour Lights Hotels Ltd",
        code: "HLH-0042",
    }),
    phone: Some("+442079460958"),
    address: None,
    role: "Has an account",
    shows: "Goes straight through to the page that was asked for.",
};

/// Somebody new whose company the identity provider knows.
pub const NEW_WITH_COMPANY: Person = Person {
    subject: "giulia-9b27",
    given_name: "Giulia",
    family_name: "Ferraro",
    locale: "it",
    email: "giulia.ferraro@ferraro-impianti.example",
    groups: &[],
    employer: Some(Employer {
        name: "Ferraro Impianti S.r.l.",
        code: "FER-0317",
    }),
    phone: Some("+390461234567"),
    address: Some(PostalAddress {
        street: "Via Belenzani 12",
        postal_code: "38122",
        locality: "Trento",
        country: "IT",
    }),
    role: "New, with a company",
    shows: "Registers once, on a page that is already filled in with what is known of her.",
};

/// Somebody new of whom the identity provider knows little.
pub const NEW_WITHOUT_COMPANY: Person = Person {
    subject: "jonas-c3d8",
    given_name: "Jonas",
    family_name: "Weber",
    locale: "de",
    email: "jonas.weber@briefkasten.example",
    groups: &[],
    employer: None,
    phone: None,
    address: None,
    role: "New, without a company",
    shows: "Registers once, and is asked for a little more, because little is known of him.",
};

/// Somebody new from the company of the known user.
pub const COLLEAGUE: Person = Person {
    subject: "kwame-58d0",
    given_name: "Kwame",
    family_name: "Mensah",
    locale: "en",
    email: "kwame.mensah@harbour-lights.example",
    groups: &["facility"],
    employer: KNOWN.employer,
    phone: Some("+442079460961"),
    address: None,
    role: "New, from a known company",
    shows: "Asks to join the customer that his colleague Amara administers; she decides by letter.",
};

/// Somebody who must not become a customer.
pub const STAFF: Person = Person {
    subject: "priya-17ae",
    given_name: "Priya",
    family_name: "Raman",
    locale: "en",
    email: "priya.raman@vestibule-demo.example",
    groups: &["staff"],
    employer: None,
    phone: None,
    address: None,
    role: "Staff",
    shows: "Must not become a customer by accident: a page says so, and what to do.",
};

/// Somebody new to the identity provider's side whose address a platform user already has.
pub const EMAIL_IN_USE: Person = Person {
    subject: "tomas-e602",
    given_name: "Tomáš",
    family_name: "Novák",
    locale: "cs",
    email: "tomas.novak@novak-chlazeni.example",
    groups: &[],
    employer: Some(Employer {
        name: "Novák Chlazení s.r.o.",
        code: "NOV-0108",
    }),
    phone: None,
    address: None,
    role: "E-mail already used",
    shows: "The platform has a user with his address, so he is asked to prove that it is his.",
};

/// Everybody, in the order in which the page offers them.
pub const EVERYBODY: [Person; 6] = [
    KNOWN,
    NEW_WITH_COMPANY,
    NEW_WITHOUT_COMPANY,
    COLLEAGUE,
    STAFF,
    EMAIL_IN_USE,
];

/// The person with that subject, if any.
pub fn find(subject: &str) -> Option<&'static Person> {
    static PEOPLE: [Person; 6] = EVERYBODY;
    PEOPLE.iter().find(|person| person.subject == subject)
}

impl Person {
    /// Given and family name.
    pub fn name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
    }

    /// The claims that the granted scopes release (OpenID Connect Core 1.0, section 5.4);
    /// company and groups come with `profile`.
    pub fn claims(&self, scopes: &[String]) -> Map<String, Value> {
        let mut claims = Map::from_iter([("sub".to_owned(), json!(self.subject))]);
        for scope in scopes {
            claims.extend(self.claims_of(scope));
        }
        claims
    }

    fn claims_of(&self, scope: &str) -> Map<String, Value> {
        let claims = match scope {
            "profile" => self.profile(),
            "email" => json!({ "email": self.email, "email_verified": true }),
            "phone" => json!({ "phone_number": self.phone }),
            "address" => json!({ "address": self.address.map(PostalAddress::claim) }),
            _ => json!({}),
        };
        let Value::Object(claims) = claims else {
            return Map::new();
        };
        claims
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect()
    }

    fn profile(&self) -> Value {
        json!({
            "name": self.name(),
            "given_name": self.given_name,
            "family_name": self.family_name,
            "locale": self.locale,
            "groups": (!self.groups.is_empty()).then_some(self.groups),
            "company": self.employer.map(|employer| employer.name),
            "organization_code": self.employer.map(|employer| employer.code),
        })
    }
}

impl PostalAddress {
    fn claim(self) -> Value {
        let Self {
            street,
            postal_code,
            locality,
            country,
        } = self;
        json!({
            "street_address": street,
            "postal_code": postal_code,
            "locality": locality,
            "country": country,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(words: &str) -> Vec<String> {
        words.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_granted_scopes_release_claims() {
        let bare = NEW_WITH_COMPANY.claims(&scopes("openid"));
        assert_eq!(bare.keys().collect::<Vec<_>>(), ["sub"]);
        let some = NEW_WITH_COMPANY.claims(&scopes("openid email"));
        assert_eq!(some["email_verified"], json!(true));
        assert!(!some.contains_key("company"));
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let claims = NEW_WITHOUT_COMPANY.claims(&scopes("openid profile email phone address"));
        for absent in [
            "company",
            "organization_code",
            "phone_number",
            "address",
            "groups",
        ] {
            assert!(!claims.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn everybody_is_somebody_else() {
        for person in &EVERYBODY {
            assert_eq!(
                find(person.subject).map(|found| found.email),
                Some(person.email)
            );
        }
    }
}
