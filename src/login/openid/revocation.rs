//! Gives refresh tokens back (RFC 7009), so that nobody can use them after the session.
//!
//! Not by the `openidconnect` crate, which refuses plain HTTP on loopback addresses.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};

use super::super::provider::ProviderError;
use super::exchange::{CallError, Conversation};
use super::settings::ClientAuthentication;
use crate::seal::to_padded_base64;

impl Conversation<'_> {
    /// Revokes a refresh token. Should the first client secret be refused, the next one is tried.
    pub async fn revoke(&self, endpoint: &Url, token: &SecretString) -> Result<(), ProviderError> {
        let mut secrets = self.settings.client_secrets.iter();
        let mut outcome = self.revoke_with(secrets.next(), endpoint, token).await;
        for secret in secrets {
            if !matches!(outcome, Err(ProviderError::ClientRefused)) {
                break;
            }
            outcome = self.revoke_with(Some(secret), endpoint, token).await;
        }
        outcome
    }

    async fn revoke_with(
        &self,
        secret: Option<&SecretString>,
        endpoint: &Url,
        token: &SecretString,
    ) -> Result<(), ProviderError> {
        let request = self.revocation(secret, endpoint, token)?;
        let answer = self.send(request).await;
        match answer.map_err(CallError::into_provider_error)?.status() {
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED => Err(ProviderError::ClientRefused),
            status => Err(ProviderError::Status {
                status: status.as_u16(),
            }),
        }
    }

    fn revocation(
        &self,
        secret: Option<&SecretString>,
        endpoint: &Url,
        token: &SecretString,
    ) -> Result<Request<Vec<u8>>, ProviderError> {
        let client_id = self.settings.client_id.as_str();
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("token", token.expose_secret())
            .append_pair("token_type_hint", "refresh_token");
        let mut request = Request::post(endpoint.as_str())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match (self.settings.client_authentication, secret) {
            (ClientAuthentication::Basic, Some(secret)) => {
                request = request.header(AUTHORIZATION, basic(client_id, secret)?);
            }
            (_, secret) => {
                body.append_pair("client_id", client_id);
                if let Some(secret) = secret {
                    body.append_pair("client_secret", secret.expose_secret());
                }
            }
        }
        request
            .body(body.finish().into_bytes())
            .map_err(|_| ProviderError::ClientRefused)
    }
}

/// `client_secret_basic` (RFC 6749, section 2.3.1).
pub(super) fn basic(client_id: &str, secret: &SecretString) -> Result<HeaderValue, ProviderError> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose_secret()));
    let field = format!("Basic {}", to_padded_base64(pair.as_bytes()));
    let mut field = HeaderValue::from_str(&field).map_err(|_| ProviderError::ClientRefused)?;
    field.set_sensitive(true);
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_secrets_are_encoded_before_they_are_joined() {
        let field = basic("a:b", &SecretString::from("c d+\u{e9}")).unwrap();
        // printf 'a%%3Ab:c+d%%2B%%C3%%A9' | base64
        assert_eq!(field, "Basic YSUzQWI6YytkJTJCJUMzJUE5");
        assert!(field.is_sensitive());
    }
}
