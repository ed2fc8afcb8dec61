//! The one application that is registered, and how it proves itself at the token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

use super::parameters::Parameters;
use crate::seal;

/// A registered application.
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: SecretString,
    /// Where codes may be sent; compared byte for byte.
    pub redirect_uris: Vec<String>,
    /// Where one may be sent after signing out; compared byte for byte.
    pub post_logout_redirect_uris: Vec<String>,
}

impl Client {
    /// Whether a token request proves to come from this client: by `client_secret_basic` or
    /// `client_secret_post` (RFC 6749, section 2.3.1), and not by both.
    pub(super) fn proves_itself(&self, headers: &HeaderMap, form: &Parameters) -> bool {
        let posted = form.get("client_secret");
        let (id, secret) = match (headers.get(AUTHORIZATION), posted) {
            (Some(_), Some(_)) => return false,
            (Some(header), None) => match header.to_str().ok().and_then(basic_credentials) {
                Some(credentials) => credentials,
                None => return false,
            },
            (None, _) => (
                form.get("client_id").unwrap_or_default().to_owned(),
                posted.unwrap_or_default().to_owned(),
            ),
        };
        let right_id = seal::equal(id.as_bytes(), self.id.as_bytes());
        let expected = self.secret.expose_secret();
        right_id & seal::equal(secret.as_bytes(), expected.as_bytes())
    }
}

fn basic_credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client {
            id: "gate way".to_owned(),
            secret: "s%:c+r et".to_owned().into(),
            redirect_uris: vec![],
            post_logout_redirect_uris: vec![],
        }
    }

    fn basic(credentials: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(credentials));
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn basic_credentials_are_form_encoded() {
        let nothing = Parameters::parse(b"");
        assert!(client().proves_itself(&basic("gate+way:s%25%3Ac%2Br+et"), &nothing));
        assert!(!client().proves_itself(&basic("gate+way:s%25%3Ac%2Br+e"), &nothing));
        assert!(!client().proves_itself(&basic("other:s%25%3Ac%2Br+et"), &nothing));
        assert!(!client().proves_itself(&basic("gate+way"), &nothing));
    }

    #[test]
    fn posted_credentials_count_unless_both_are_sent() {
        let form = Parameters::parse(b"client_id=gate+way&client_secret=s%25%3Ac%2Br+et");
        assert!(client().proves_itself(&HeaderMap::new(), &form));
        assert!(!client().proves_itself(&basic("gate+way:s%25%3Ac%2Br+et"), &form));
        assert!(
            !client().proves_itself(&HeaderMap::new(), &Parameters::parse(b"client_id=gate+way"))
        );
    }
}
