//! Checks `[authentication]`.

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::super::description::{Authentication, ClientCredentials, Login, Name};
use super::super::document::{AuthenticationTable, AuthenticationWord};
use super::super::template::Template;
use super::{Compile, Reported, Sound};
use crate::expression::Expression;
use crate::operator_file::{At, Notation as _, Parsed, Span};
use crate::outbound::is_secure;

impl Compile<'_> {
    pub(super) fn authentication(
        &mut self,
        table: &At<AuthenticationTable>,
    ) -> Sound<Authentication> {
        let table = &table.value;
        let kind = &table.kind;
        if !self.has_its_own_keys(table, &kind.span) {
            return Err(Reported);
        }
        match kind.value {
            AuthenticationWord::None => Ok(Authentication::None),
            AuthenticationWord::Header => Ok(Authentication::Fixed {
                header: self.carried_by(table)?,
                value: self.needed(table.value.as_ref(), "value", &kind.span)?,
            }),
            AuthenticationWord::Bearer => {
                let value = self.needed(table.value.as_ref(), "value", &kind.span)?;
                Ok(Authentication::Fixed {
                    header: AUTHORIZATION,
                    value: value.behind("Bearer "),
                })
            }
            AuthenticationWord::Basic => Ok(Authentication::Basic {
                user: self.needed(table.user.as_ref(), "user", &kind.span)?,
                password: self.needed(table.password.as_ref(), "password", &kind.span)?,
            }),
            AuthenticationWord::ClientCredentials => self.client_credentials(table),
            AuthenticationWord::Login => self.login(table),
        }
    }

    /// Keys that mean nothing to this kind are mistakes.
    fn has_its_own_keys(&mut self, table: &AuthenticationTable, kind: &Span) -> bool {
        use AuthenticationWord::{Basic, Bearer, ClientCredentials, Header, Login};
        let AuthenticationTable {
            kind: At { value: word, .. },
            header,
            value,
            user,
            password,
            token_url,
            scope,
            in_body,
            login,
            renew,
            token,
            expires_in,
        } = table;
        let keys: [(&str, bool, &[AuthenticationWord]); 11] = [
            ("header", header.is_some(), &[Header, Login]),
            ("value", value.is_some(), &[Header, Bearer, Login]),
            ("user", user.is_some(), &[Basic, ClientCredentials]),
            ("password", password.is_some(), &[Basic, ClientCredentials]),
            ("token_url", token_url.is_some(), &[ClientCredentials]),
            ("scope", scope.is_some(), &[ClientCredentials]),
            ("in_body", in_body.is_some(), &[ClientCredentials]),
            ("login", login.is_some(), &[Login]),
            ("renew", renew.is_some(), &[Login]),
            ("token", token.is_some(), &[Login]),
            ("expires_in", expires_in.is_some(), &[Login]),
        ];
        let strange = keys
            .iter()
            .filter(|(_, is_there, of)| *is_there && !of.contains(word));
        let strange: Vec<&str> = strange.map(|(key, ..)| *key).collect();
        for key in &strange {
            let message = format!("`{key}` means nothing to this kind of authentication");
            let advice = "remove it, or write another `kind`";
            self.findings.error(kind, message, advice);
        }
        strange.is_empty()
    }

    fn carried_by(&mut self, table: &AuthenticationTable) -> Sound<HeaderName> {
        match &table.header {
            None => Ok(AUTHORIZATION),
            Some(header) => self.findings.take(header).ok_or(Reported),
        }
    }

    fn needed(
        &mut self,
        template: Option<&Parsed<Template>>,
        key: &str,
        kind: &Span,
    ) -> Sound<Template> {
        let Some(template) = template else {
            let advice = format!("write `{key} = \"{{secret.…}}\"` in [authentication]");
            self.missing(kind, key, &advice);
            return Err(Reported);
        };
        self.known(template, &[])
    }

    fn client_credentials(&mut self, table: &AuthenticationTable) -> Sound<Authentication> {
        let kind = &table.kind.span;
        let id = self.needed(table.user.as_ref(), "user", kind);
        let secret = self.needed(table.password.as_ref(), "password", kind);
        let Some(at) = &table.token_url else {
            self.missing(kind, "token_url", "write where tokens are given");
            return Err(Reported);
        };
        let url = self.findings.take(at).ok_or(Reported)?;
        if !is_secure(&url) {
            let message = "the client secret would travel in the open";
            self.findings.error(&at.span, message, "write `https://…`");
            return Err(Reported);
        }
        Ok(Authentication::ClientCredentials(Box::new(
            ClientCredentials {
                url,
                id: id?,
                secret: secret?,
                scope: table.scope.clone(),
                in_body: table.in_body.unwrap_or_default(),
            },
        )))
    }

    fn login(&mut self, table: &AuthenticationTable) -> Sound<Authentication> {
        let Some(login) = &table.login else {
            let advice = "write [authentication.login], the call that gives a token";
            self.missing(&table.kind.span, "login", advice);
            return Err(Reported);
        };
        let login = self.operation(Name::Login, login);
        let renew = table.renew.as_ref();
        let renew = renew.map(|renew| self.operation(Name::Renew, renew));
        let token = match &table.token {
            Some(token) => self.known(token, &["answer"]),
            None => Expression::compile("answer.token").map_err(|_| Reported),
        };
        let expires_in = self.optional(table.expires_in.as_ref(), &["answer", "now"]);
        let value = match &table.value {
            Some(value) => self.known(value, &["token"]),
            None => Template::read("Bearer {token}").map_err(|_| Reported),
        };
        Ok(Authentication::Login(Box::new(Login {
            header: self.carried_by(table)?,
            first: login?,
            renew: renew.transpose()?,
            token: token?,
            expires_in: expires_in?,
            value: value?,
        })))
    }
}
