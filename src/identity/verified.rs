//! Who somebody was shown to be: by a verified ID token (and userinfo), by the platform's own
//! password, or by a mailed link.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Account, Claims, EmailAddress, PlatformId, UserId};
use crate::clock::Timestamp;
use crate::seal;

super::text_id! {
    /// An identity provider by its configured id.
    ProviderId
}
super::text_id! {
    /// The issuer identifier of an identity provider (OpenID Connect Core 1.0, section 2), an
    /// `https` URL; `platform:<id>` for a platform's own users; `mail:<id>` for applicants of whom
    /// only a mail address is known.
    Issuer
}
super::text_id! {
    /// The subject identifier, unique and never reassigned within its issuer.
    Subject
}

/// The parts of an identity, as a login adapter found them in a token that it has verified.
#[derive(Debug, Clone)]
pub struct VerifiedClaims {
    /// The provider that was asked.
    pub provider: ProviderId,
    /// `iss`.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Subject,
    /// All claims of ID token and userinfo, merged; the ID token's win.
    pub claims: Map<String, Value>,
    /// Whether this provider's `email_verified` is trusted for the address's domain.
    pub email_trusted: bool,
    /// When the end user authenticated.
    pub authenticated_at: Timestamp,
}

/// A user whose password the platform has found right.
#[derive(Debug, Clone)]
pub struct LocalUser {
    /// The platform.
    pub platform: PlatformId,
    /// The user there.
    pub user: UserId,
    /// The address that the platform has; whether it is the user's own is not known.
    pub email: EmailAddress,
    /// When the password was checked.
    pub authenticated_at: Timestamp,
}

/// Who vouches for an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VouchedBy {
    /// An identity provider, by a token.
    Provider(ProviderId),
    /// The platform, by a password of its own.
    Platform,
    /// Whoever reads the address's mail, by a link: an applicant, not yet anybody's user.
    MailedLink,
}

/// Who somebody was shown to be. An applicant for an account is one as well: `Provider` came by
/// single sign-on, `MailedLink` by self-registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifiedIdentity {
    vouched_by: VouchedBy,
    issuer: Issuer,
    subject: Subject,
    #[serde(deserialize_with = "kept_claims")]
    claims: Claims,
    email_trusted: bool,
    authenticated_at: Timestamp,
}

impl VerifiedIdentity {
    /// Called only where a token was verified (and by `explain`, which shows what would happen).
    /// Claims that are elsewhere are left out: whoever asks for one finds none, not a part of it.
    pub fn from_verified(claims: VerifiedClaims) -> Self {
        let VerifiedClaims {
            provider,
            issuer,
            subject,
            claims,
            email_trusted,
            authenticated_at,
        } = claims;
        Self {
            vouched_by: VouchedBy::Provider(provider),
            issuer,
            subject,
            claims: whole(claims),
            email_trusted,
            authenticated_at,
        }
    }

    /// Called only where the platform has found a password right.
    pub fn of_local_user(local: &LocalUser) -> Self {
        let LocalUser {
            platform,
            user,
            email,
            authenticated_at,
        } = local;
        Self {
            vouched_by: VouchedBy::Platform,
            issuer: Issuer::of_platform(platform),
            subject: Subject::new(user.as_str()),
            claims: contact(email, false),
            email_trusted: false,
            authenticated_at: *authenticated_at,
        }
    }

    /// An applicant of whom only the address is known, on one platform. The subject is a digest, so
    /// that two spellings of an address are one applicant and no index holds the address.
    pub fn of_mail(platform: &PlatformId, email: &ProvenEmail, at: Timestamp) -> Self {
        let email = email.address();
        Self {
            vouched_by: VouchedBy::MailedLink,
            issuer: Issuer::of_mail(platform),
            subject: Subject::new(seal::digest(email.folded().as_bytes())),
            claims: contact(email, true),
            email_trusted: true,
            authenticated_at: at,
        }
    }

    /// Who an applicant is from the moment on that an account is theirs. Whoever came by a mailed
    /// link is then the platform's own user; others stay who they are.
    #[must_use]
    pub fn with_account(self, account: &Account) -> Self {
        match self.vouched_by {
            VouchedBy::Provider(_) | VouchedBy::Platform => self,
            VouchedBy::MailedLink => Self {
                vouched_by: VouchedBy::Platform,
                issuer: Issuer::of_platform(&account.platform),
                subject: Subject::new(account.user.as_str()),
                claims: self
                    .email()
                    .map_or_else(Claims::default, |email| contact(&email, false)),
                email_trusted: false,
                ..self
            },
        }
    }

    /// Who vouches for it.
    pub fn vouched_by(&self) -> &VouchedBy {
        &self.vouched_by
    }

    /// Whether only a mailed link vouches for it.
    pub fn is_by_mail(&self) -> bool {
        self.vouched_by == VouchedBy::MailedLink
    }

    /// The provider that was asked, if one was.
    pub fn provider(&self) -> Option<&ProviderId> {
        match &self.vouched_by {
            VouchedBy::Provider(provider) => Some(provider),
            VouchedBy::Platform | VouchedBy::MailedLink => None,
        }
    }

    /// `iss`.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// `sub`.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// All claims that are here as a whole.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The program that a token was issued to: `client_id` (RFC 9068, section 2.2), which some issuers
    /// say in `azp`.
    pub fn program(&self) -> Option<&str> {
        self.text("client_id").or(self.text("azp"))
    }

    /// The claims of which the token says that they are elsewhere; none of them is among
    /// [`Self::claims`].
    pub fn claims_elsewhere(&self) -> impl Iterator<Item = &str> {
        elsewhere(&self.claims)
    }

    /// When the end user authenticated.
    pub fn authenticated_at(&self) -> Timestamp {
        self.authenticated_at
    }

    /// A claim's text; none when it is absent or not a string.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// The e-mail address, if there is one that parses. Contact data: it never links or grants.
    pub fn email(&self) -> Option<EmailAddress> {
        EmailAddress::parse(self.text("email")?).ok()
    }

    /// Whether the address counts as proven: `email_verified` is JSON `true` and the provider is
    /// trusted for it.
    pub fn has_proven_email(&self) -> bool {
        self.email_trusted && self.claims.get("email_verified") == Some(&Value::Bool(true))
    }

    /// The identity provider's session id (`sid`), if it gave one.
    pub fn provider_session(&self) -> Option<&str> {
        self.text("sid")
    }

    /// A name to greet with: `name`, else given and family name, else the address.
    pub fn display_name(&self) -> Option<String> {
        let joined = || {
            let parts: Vec<_> = ["given_name", "family_name"]
                .iter()
                .filter_map(|part| self.text(part))
                .collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        };
        let given = self
            .text("name")
            .filter(|name| !name.trim().is_empty())
            .map(str::to_owned);
        given
            .or_else(joined)
            .or_else(|| self.email().map(|email| email.as_str().to_owned()))
    }
}

/// An address whose owner has just shown that they read its mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenEmail(EmailAddress);

impl ProvenEmail {
    /// Called only where a mailed link or code was redeemed.
    pub fn from_redeemed(address: EmailAddress) -> Self {
        Self(address)
    }

    /// The address.
    pub fn address(&self) -> &EmailAddress {
        &self.0
    }
}

impl Issuer {
    /// The issuer of a platform's own users.
    pub fn of_platform(platform: &PlatformId) -> Self {
        Self::new(format!("platform:{platform}"))
    }

    /// The issuer of applicants of whom only a mail address is known.
    pub fn of_mail(platform: &PlatformId) -> Self {
        Self::new(format!("mail:{platform}"))
    }
}

impl VouchedBy {
    /// The word for logs and audit events: a provider's id, `platform` or `mail`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Provider(provider) => provider.as_str(),
            Self::Platform => "platform",
            Self::MailedLink => "mail",
        }
    }
}

/// Claims that are too long for a token, or another's to say, and are to be asked for elsewhere
/// (OpenID Connect Core 1.0, section 5.6.2; Microsoft Entra's groups overage claim).
fn elsewhere(claims: &Claims) -> impl Iterator<Item = &str> {
    let names = claims.get("_claim_names").and_then(Value::as_object);
    let names = names.into_iter().flat_map(Map::keys).map(String::as_str);
    let has_more_groups = claims.get("hasgroups").is_some_and(|said| !is_no(said));
    names.chain(has_more_groups.then_some("groups"))
}

/// Claims without those that are elsewhere; what says so stays.
fn whole(claims: Map<String, Value>) -> Claims {
    let claims = Claims::from(claims);
    let partial = elsewhere(&claims).filter(|name| !["_claim_names", "hasgroups"].contains(name));
    let partial: Vec<String> = partial.map(str::to_owned).collect();
    if partial.is_empty() {
        return claims;
    }
    claims.filtered(|name| !partial.iter().any(|elsewhere| elsewhere == name))
}

fn is_no(value: &Value) -> bool {
    *value == Value::Bool(false) || value == "false"
}

/// An identity may have been kept by a build that took every claim as it came.
fn kept_claims<'kept, D: Deserializer<'kept>>(kept: D) -> Result<Claims, D::Error> {
    Map::deserialize(kept).map(whole)
}

/// The claims of somebody of whom the address is all that is known.
fn contact(email: &EmailAddress, is_proven: bool) -> Claims {
    let email = Value::String(email.as_str().to_owned());
    [("email", email), ("email_verified", Value::Bool(is_proven))]
        .into_iter()
        .map(|(claim, value)| (claim.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn by_mail(address: &str) -> VerifiedIdentity {
        let proven = ProvenEmail::from_redeemed(EmailAddress::parse(address).unwrap());
        let at = Timestamp::from_millis(0);
        VerifiedIdentity::of_mail(&PlatformId::new("builtin"), &proven, at)
    }

    #[test]
    fn spellings_of_an_address_are_one_applicant() {
        let one = by_mail("Mario@Acme.example");
        assert_eq!(one.issuer().as_str(), "mail:builtin");
        assert_eq!(one.subject(), by_mail("mario@acme.example").subject());
        assert_ne!(one.subject(), by_mail("maria@acme.example").subject());
        assert!(!one.subject().as_str().contains('@'));
        assert!(one.has_proven_email() && one.provider().is_none());
    }

    #[test]
    fn with_an_account_an_applicant_by_mail_is_the_platforms_own_user() {
        let account = Account {
            platform: PlatformId::new("builtin"),
            user: UserId::new("u-1"),
            customer: None,
            account_type: None,
        };
        let user = by_mail("mario@acme.example").with_account(&account);
        assert_eq!(user.issuer().as_str(), "platform:builtin");
        assert_eq!(user.subject().as_str(), "u-1");
        assert_eq!(user.vouched_by(), &VouchedBy::Platform);
        assert_eq!(user.text("email"), Some("mario@acme.example"));
    }
    fn with_claims(claims: &Value) -> VerifiedIdentity {
        VerifiedIdentity::from_verified(VerifiedClaims {
            provider: ProviderId::new("corp"),
            issuer: Issuer::new("https://idp.example"),
            subject: Subject::new("7"),
            claims: claims.as_object().unwrap().clone(),
            email_trusted: false,
            authenticated_at: Timestamp::from_millis(0),
        })
    }

    #[test]
    fn a_part_of_a_claim_that_is_elsewhere_is_not_there() {
        for partial in [
            json!({"groups": [], "hasgroups": true}),
            json!({"groups": ["a"], "hasgroups": "true"}),
            json!({"groups": ["a"], "hasgroups": 1}),
            json!({"groups": ["a"], "_claim_names": {"groups": "src1", "roles": "src1"}}),
        ] {
            let identity = with_claims(&partial);
            assert_eq!(identity.claims().get("groups"), None, "{partial}");
            assert!(identity.claims_elsewhere().any(|name| name == "groups"));
            assert_eq!(
                identity.claims().iter().count(),
                1,
                "what else is said stays"
            );
            let mut kept = serde_json::to_value(&identity).unwrap();
            kept["claims"] = partial;
            let kept: VerifiedIdentity = serde_json::from_value(kept).unwrap();
            assert_eq!(kept, identity, "nor once it was kept");
        }
        for here in [
            json!({"groups": ["a"]}),
            json!({"groups": ["a"], "hasgroups": false}),
            json!({"groups": ["a"], "_claim_names": {"roles": "src1"}}),
            json!({"groups": ["a"], "_claim_names": ["groups"]}),
        ] {
            let groups = with_claims(&here).claims().get("groups").cloned();
            assert_eq!(groups, Some(json!(["a"])), "{here}");
        }
    }
}
