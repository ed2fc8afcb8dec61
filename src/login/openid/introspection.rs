//! Asking an issuer what one of its tokens is (RFC 7662).

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::super::provider::ProviderError;
use super::revocation::basic;
use super::settings::ClientAuthentication;
use super::standing::Source;
use crate::outbound::AnswerLimits;

/// The largest answer, octets.
const MAX_ANSWER: usize = 64 * 1024;

/// How the gateway asks about tokens.
#[derive(Debug, Clone)]
pub struct IntrospectionSettings {
    /// The gateway's client id there.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// How the secret is sent.
    pub authentication: ClientAuthentication,
    /// Whether tokens count for which the answer names no audience.
    pub without_audience: bool,
    /// How long an answer is believed.
    pub believed_for: Duration,
}

/// What the issuer says of a token; none where it is not active. Only JSON `true` is active.
pub async fn ask(
    (source, endpoint): (&Source, &Url),
    settings: &IntrospectionSettings,
    token: &SecretString,
) -> Result<Option<Map<String, Value>>, ProviderError> {
    let limits = AnswerLimits {
        time: source.timeout,
        size: MAX_ANSWER,
    };
    let request = request(endpoint, settings, token)?;
    let answer = source.outbound.call(request, limits).await;
    let answer = answer.map_err(ProviderError::Unreachable)?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(ProviderError::ClientRefused);
        }
        status => {
            return Err(ProviderError::Status {
                status: status.as_u16(),
            });
        }
    }
    let said: Map<String, Value> =
        serde_json::from_slice(answer.body()).map_err(|_| ProviderError::TokenAnswer)?;
    let is_active = said.get("active") == Some(&Value::Bool(true));
    Ok(is_active.then_some(said))
}

fn request(
    endpoint: &Url,
    settings: &IntrospectionSettings,
    token: &SecretString,
) -> Result<Request<Vec<u8>>, ProviderError> {
    let secret = &settings.client_secret;
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token.expose_secret());
    form.append_pair("token_type_hint", "access_token");
    let mut request = Request::post(endpoint.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    match settings.authentication {
        ClientAuthentication::Basic => {
            request = request.header(AUTHORIZATION, basic(&settings.client_id, secret)?);
        }
        ClientAuthentication::Post => {
            form.append_pair("client_id", &settings.client_id);
            form.append_pair("client_secret", secret.expose_secret());
        }
    }
    let request = request.body(form.finish().into_bytes());
    request.map_err(|_| ProviderError::Incomplete {
        what: "valid introspection_endpoint",
    })
}
