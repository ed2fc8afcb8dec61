//! A form that was sent: parsed, and taken only from our own pages.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use url::form_urlencoded;

use super::Pages;
use super::form_token::{self, Binding, FormRefusal};
use super::stop::Stop;
use super::views::Who;
use super::visit::Visit;
use crate::identity::{ProviderId, VerifiedIdentity};
use crate::onboarding::password::PASSWORD;
use crate::paths;
use crate::session::{OpenSession, SessionStanding};

/// The body of a form, as it was read.
pub type Body = Result<Bytes, BytesRejection>;

/// The fields of a form, by name.
pub type Fields = BTreeMap<String, String>;

/// The name of the token's field.
pub const TOKEN: &str = "form_token";

const FORM: &str = "application/x-www-form-urlencoded";

/// The most fields that a form may have.
const MAX_FIELDS: usize = 200;

/// Reads a form from our own origin; no field may come twice.
pub fn read(visit: &Visit, body: Body) -> Result<Fields, Stop> {
    form_token::check_origin(&visit.headers, &visit.client.own_origin)?;
    let media_type = visit
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if !media_type.is_some_and(|value| value.starts_with(FORM)) {
        return Err(Stop::Malformed);
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Stop::TooLarge,
        _ => Stop::Malformed,
    })?;
    parse(&body)
}

fn parse(body: &[u8]) -> Result<Fields, Stop> {
    let mut fields = Fields::new();
    for (name, value) in form_urlencoded::parse(body) {
        let is_new = fields
            .insert(name.into_owned(), value.into_owned())
            .is_none();
        if !is_new || fields.len() > MAX_FIELDS {
            return Err(Stop::Malformed);
        }
    }
    Ok(fields)
}

/// What of a form travels in a page, to be sent again: no password.
pub(super) fn to_send_again(fields: &Fields) -> Vec<(String, String)> {
    let kept = fields.iter().filter(|(name, _)| *name != PASSWORD);
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

impl Pages {
    /// The session of somebody who registers; others are sent where they belong.
    pub(super) async fn pending(&self, visit: &Visit) -> Result<OpenSession, Stop> {
        match self.standing(visit).await {
            SessionStanding::Pending(open) => Ok(open),
            SessionStanding::Live(_) | SessionStanding::NeedsRefresh(_) => Err(Stop::at("/")),
            SessionStanding::StoreDown => Err(Stop::StoreDown),
            SessionStanding::Absent | SessionStanding::Expired | SessionStanding::Unreadable => {
                Err(Stop::at(paths::LOGIN))
            }
        }
    }

    /// [`Pages::pending`] for a form that was sent: without a session it is nobody's.
    pub(super) async fn pending_form(
        &self,
        visit: &Visit,
        body: Body,
    ) -> Result<(OpenSession, Fields), Stop> {
        let fields = read(visit, body)?;
        match self.pending(visit).await {
            Err(Stop::GoTo(place)) if place == paths::LOGIN => Err(Stop::Form(FormRefusal::Token)),
            open => Ok((open?, fields)),
        }
    }

    /// How the visitor stands.
    pub(super) async fn standing(&self, visit: &Visit) -> SessionStanding {
        self.parts
            .sessions
            .standing(visit.cookies.session(), &visit.client.host)
            .await
    }

    /// A token for the forms of a session.
    pub(super) fn form_token(&self, visit: &Visit, open: &OpenSession) -> String {
        form_token::issue(
            &self.parts.keys,
            binding(visit, open),
            self.parts.clock.now(),
        )
    }

    /// Takes the token from a form and checks it.
    pub(super) fn check_token(
        &self,
        visit: &Visit,
        open: &OpenSession,
        fields: &mut Fields,
    ) -> Result<(), FormRefusal> {
        let token = fields.remove(TOKEN).unwrap_or_default();
        let now = self.parts.clock.now();
        form_token::check_token(&self.parts.keys, binding(visit, open), &token, now)
    }

    /// A token for the forms of somebody who has no session yet.
    pub(super) fn stranger_token(&self, visit: &Visit) -> String {
        form_token::issue(&self.parts.keys, stranger(visit), self.parts.clock.now())
    }

    /// Takes a stranger's token from a form and checks it.
    pub(super) fn check_stranger_token(
        &self,
        visit: &Visit,
        fields: &mut Fields,
    ) -> Result<(), FormRefusal> {
        let token = fields.remove(TOKEN).unwrap_or_default();
        let now = self.parts.clock.now();
        form_token::check_token(&self.parts.keys, stranger(visit), &token, now)
    }

    /// Who the visitor is signed in as.
    pub(super) fn who(&self, visit: &Visit, open: &OpenSession) -> Who {
        let identity = &open.record.identity;
        let name = identity
            .display_name()
            .unwrap_or_else(|| identity.subject().as_str().to_owned());
        let texts = visit.texts();
        let sentence = match self.provider_name(identity) {
            Some(provider) => {
                let values = [("name", name.as_str()), ("provider", provider.as_str())];
                texts.get_with("signed-in-as-through", &values)
            }
            None => texts.get_with("signed-in-as", &[("name", name.as_str())]),
        };
        Who {
            sentence: sentence.into_owned(),
            form_token: self.form_token(visit, open),
        }
    }

    /// What people call the identity provider that somebody came through.
    pub(super) fn provider_name(&self, identity: &VerifiedIdentity) -> Option<String> {
        self.name_of(identity.provider()?)
    }

    /// What people call an identity provider.
    pub(super) fn name_of(&self, id: &ProviderId) -> Option<String> {
        let all = self.parts.login.providers();
        all.into_iter()
            .find(|choice| choice.id == *id)
            .map(|choice| choice.name)
    }
}

fn binding<'a>(visit: &'a Visit, open: &'a OpenSession) -> Binding<'a> {
    Binding {
        host: &visit.client.host,
        owner: open.key.as_str(),
    }
}

/// Nobody's: with the browser's own word on where a form comes from, the host is enough.
fn stranger(visit: &Visit) -> Binding<'_> {
    Binding {
        host: &visit.client.host,
        owner: "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_comes_twice_is_refused() {
        assert!(matches!(parse(b"a=1&a=2"), Err(Stop::Malformed)));
        assert_eq!(parse(b"a=1&b=%C3%BC+x").unwrap()["b"], "ü x");
    }

    #[test]
    fn forms_are_bounded() {
        let many: Vec<_> = (0..=MAX_FIELDS).map(|n| format!("f{n}=")).collect();
        let many = many.join("&");
        assert!(matches!(parse(many.as_bytes()), Err(Stop::Malformed)));
    }

    #[test]
    fn fuzzed_forms_say_everything_once_or_are_refused() {
        let fuzz = crate::fuzz::Fuzz {
            name: "forms",
            corpus: include_str!("../../tests/fuzz/corpus/forms.txt"),
            words: &[
                "form_token=",
                "email=",
                "&",
                "+",
                "=",
                "account_type=business",
            ],
        };
        fuzz.run(|octets| {
            let parsed = parse(octets);
            if let Ok(fields) = &parsed {
                let pairs: Vec<_> = form_urlencoded::parse(octets).collect();
                assert_eq!(pairs.len(), fields.len(), "every name once");
                for (name, value) in pairs {
                    assert_eq!(fields.get(&*name).map(String::as_str), Some(&*value));
                }
            }
            parsed.map(|fields| fields.len()).ok()
        });
    }
}
