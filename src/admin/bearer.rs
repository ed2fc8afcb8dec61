//! The bearer tokens of the admin listener (RFC 6750), compared as digests.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};

use super::problem::ProblemDetails;
use crate::seal;

const HOW_TO: &str =
    "This needs `Authorization: Bearer` with a token of [admin] in vestibule.toml.";

/// Digests of the tokens that open the admin API; none opens nothing.
#[derive(Debug, Clone, Default)]
pub struct AdminTokens {
    digests: Vec<String>,
}

impl AdminTokens {
    /// These tokens open.
    pub fn new<'a>(tokens: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let digest = |token: &SecretString| seal::digest(token.expose_secret().as_bytes());
        Self {
            digests: tokens.into_iter().map(digest).collect(),
        }
    }

    fn opens(&self, headers: &HeaderMap) -> bool {
        let Some(token) = bearer_token(headers) else {
            return false;
        };
        let digest = seal::digest(token.as_bytes());
        // All are compared, so that the time does not tell which one came close.
        let opening = self
            .digests
            .iter()
            .filter(|own| seal::equal(own.as_bytes(), digest.as_bytes()));
        opening.count() > 0
    }
}

pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (values.next()?, values.next());
    let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
    (second.is_none() && scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
        .then_some(token)
}

/// Lets a request pass that carries one of the tokens.
pub(super) async fn require(
    State(tokens): State<AdminTokens>,
    request: Request,
    next: Next,
) -> Response {
    if tokens.opens(request.headers()) {
        return next.run(request).await;
    }
    let details = ProblemDetails {
        status: StatusCode::UNAUTHORIZED,
        detail: HOW_TO.to_owned(),
        ..ProblemDetails::default()
    };
    let challenge = HeaderValue::from_static("Bearer");
    ([(header::WWW_AUTHENTICATE, challenge)], details).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|v| (header::AUTHORIZATION, v.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_a_known_token_alone_opens() {
        let tokens = AdminTokens::new(&[SecretString::from("long-token-1"), "long-token-2".into()]);
        assert!(tokens.opens(&headers(&["Bearer long-token-2"])));
        assert!(tokens.opens(&headers(&["bearer long-token-1"])));
        for refused in [
            vec![],
            vec!["Bearer "],
            vec!["Bearer long-token"],
            vec!["Basic long-token-1"],
            vec!["Bearer long-token-1", "Bearer long-token-1"],
            vec!["long-token-1"],
        ] {
            assert!(!tokens.opens(&headers(&refused)), "{refused:?}");
        }
        assert!(!AdminTokens::default().opens(&headers(&["Bearer x"])));
    }
}
