//! An authorization request, judged (OpenID Connect Core 1.0, section 3.1.2; pure).

use std::time::Duration;

use super::client::Client;
use super::parameters::Parameters;

/// Scopes that release claims.
pub(super) const SCOPES: [&str; 5] = ["openid", "profile", "email", "phone", "address"];

/// A request that may be answered with a code.
#[derive(Debug, Clone)]
pub(super) struct AuthorizationRequest {
    /// Where the answer goes.
    pub(super) answer_to: AnswerTo,
    /// To be repeated in the ID token.
    pub(super) nonce: Option<String>,
    /// Scopes that are known here.
    pub(super) scopes: Vec<String>,
    /// The PKCE challenge.
    pub(super) challenge: String,
    /// Whether people may be asked something.
    pub(super) prompt: Prompt,
    /// How long ago the sign-in may be.
    pub(super) max_age: Option<Duration>,
}

/// A redirect URI that is the client's own, and the client's state.
#[derive(Debug, Clone)]
pub(super) struct AnswerTo {
    /// Exactly as registered.
    pub(super) redirect_uri: String,
    /// To be repeated, byte for byte.
    pub(super) state: Option<String>,
}

/// The `prompt` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prompt {
    /// Ask if need be.
    AsNeeded,
    /// Never ask.
    None,
    /// Ask who it is, whatever is known.
    Choose,
}

/// A request that is not answered with a code.
#[derive(Debug)]
pub(super) enum Refused {
    /// Nobody to send the answer to; the person is told.
    Here(&'static str),
    /// The client is told.
    Client(AnswerTo, RequestError),
}

/// Error codes of authorization answers (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0,
/// section 3.1.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    #[error("a parameter is repeated")]
    Repeated,
    #[error("only response_type=code with response_mode=query is supported")]
    ResponseType,
    #[error("the scope openid is missing")]
    Scope,
    #[error("PKCE with code_challenge_method=S256 is required")]
    Challenge,
    #[error("prompt or max_age is not understood")]
    Prompt,
    #[error("request objects are not supported")]
    RequestObject,
    #[error("request objects by reference are not supported")]
    RequestUri,
    #[error("nobody is signed in")]
    LoginRequired,
    #[error("the person went back")]
    WentBack,
}

impl RequestError {
    /// The code on the wire.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Repeated | Self::Challenge | Self::Prompt => "invalid_request",
            Self::ResponseType => "unsupported_response_type",
            Self::Scope => "invalid_scope",
            Self::RequestObject => "request_not_supported",
            Self::RequestUri => "request_uri_not_supported",
            Self::LoginRequired => "login_required",
            Self::WentBack => "access_denied",
        }
    }
}

impl AuthorizationRequest {
    /// Judges the parameters of one request by the client that it names.
    pub(super) fn judge(parameters: &Parameters, client: &Client) -> Result<Self, Refused> {
        let answer_to = answer_to(parameters, client)?;
        match Self::judge_rest(parameters, &answer_to) {
            Ok(request) => Ok(request),
            Err(error) => Err(Refused::Client(answer_to, error)),
        }
    }

    fn judge_rest(parameters: &Parameters, answer_to: &AnswerTo) -> Result<Self, RequestError> {
        if parameters.repeats_any() {
            return Err(RequestError::Repeated);
        }
        refuse_request_objects(parameters)?;
        require_code_in_query(parameters)?;
        Ok(Self {
            answer_to: answer_to.clone(),
            nonce: parameters.get("nonce").map(str::to_owned),
            scopes: scopes(parameters)?,
            challenge: challenge(parameters)?,
            prompt: prompt(parameters)?,
            max_age: max_age(parameters)?,
        })
    }
}

fn answer_to(parameters: &Parameters, client: &Client) -> Result<AnswerTo, Refused> {
    let repeated = parameters.repeats("client_id") || parameters.repeats("redirect_uri");
    if repeated || parameters.get("client_id") != Some(client.id.as_str()) {
        return Err(Refused::Here(
            "The application that sent you here is not known.",
        ));
    }
    let redirect_uri = parameters.get("redirect_uri").unwrap_or_default();
    if !client
        .redirect_uris
        .iter()
        .any(|registered| registered == redirect_uri)
    {
        return Err(Refused::Here(
            "The address that you would be sent back to is not registered.",
        ));
    }
    let state = parameters.get("state").map(str::to_owned);
    Ok(AnswerTo {
        redirect_uri: redirect_uri.to_owned(),
        state,
    })
}

fn refuse_request_objects(parameters: &Parameters) -> Result<(), RequestError> {
    if parameters.get("request").is_some() {
        return Err(RequestError::RequestObject);
    }
    if parameters.get("request_uri").is_some() {
        return Err(RequestError::RequestUri);
    }
    Ok(())
}

fn require_code_in_query(parameters: &Parameters) -> Result<(), RequestError> {
    let in_query = parameters
        .get("response_mode")
        .is_none_or(|mode| mode == "query");
    if parameters.get("response_type") == Some("code") && in_query {
        return Ok(());
    }
    Err(RequestError::ResponseType)
}

fn scopes(parameters: &Parameters) -> Result<Vec<String>, RequestError> {
    let asked: Vec<_> = parameters
        .get("scope")
        .unwrap_or_default()
        .split(' ')
        .collect();
    if !asked.contains(&"openid") {
        return Err(RequestError::Scope);
    }
    Ok(SCOPES
        .iter()
        .filter(|scope| asked.contains(scope))
        .map(|&scope| scope.to_owned())
        .collect())
}

fn challenge(parameters: &Parameters) -> Result<String, RequestError> {
    let challenge = parameters.get("code_challenge").unwrap_or_default();
    let method = parameters.get("code_challenge_method");
    // An S256 challenge is 32 octets in base64url: 43 characters.
    if challenge.len() == 43 && method == Some("S256") {
        return Ok(challenge.to_owned());
    }
    Err(RequestError::Challenge)
}

fn prompt(parameters: &Parameters) -> Result<Prompt, RequestError> {
    let words: Vec<_> = parameters
        .get("prompt")
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    match words.as_slice() {
        ["none"] => Ok(Prompt::None),
        words if words.contains(&"none") => Err(RequestError::Prompt),
        words if words.contains(&"login") || words.contains(&"select_account") => {
            Ok(Prompt::Choose)
        }
        _ => Ok(Prompt::AsNeeded),
    }
}

fn max_age(parameters: &Parameters) -> Result<Option<Duration>, RequestError> {
    let Some(text) = parameters.get("max_age") else {
        return Ok(None);
    };
    text.parse()
        .map(|seconds| Some(Duration::from_secs(seconds)))
        .map_err(|_| RequestError::Prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "response_type=code&client_id=gateway&redirect_uri=http%3A%2F%2Flocalhost\
        %2Fauth%2Fcallback&scope=openid+email+unheard-of&state=s&nonce=n&code_challenge_method=S256\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn judge(text: &str) -> Result<AuthorizationRequest, Refused> {
        let client = Client {
            id: "gateway".to_owned(),
            secret: "secret".to_owned().into(),
            redirect_uris: vec!["http://localhost/auth/callback".to_owned()],
            post_logout_redirect_uris: vec![],
        };
        AuthorizationRequest::judge(&Parameters::parse(text.as_bytes()), &client)
    }

    fn error(text: &str) -> &'static str {
        match judge(text) {
            Err(Refused::Client(answer_to, error)) => {
                assert_eq!(answer_to.state.as_deref(), Some("s"));
                error.code()
            }
            Err(Refused::Here(_)) => "here",
            Ok(_) => "ok",
        }
    }

    #[test]
    fn a_good_request_keeps_the_scopes_that_are_known() {
        let request = judge(GOOD).unwrap();
        assert_eq!(request.scopes, ["openid", "email"]);
        assert_eq!(request.prompt, Prompt::AsNeeded);
    }

    #[test]
    fn what_cannot_be_trusted_is_not_redirected_to() {
        assert_eq!(
            error(&GOOD.replace("client_id=gateway", "client_id=other")),
            "here"
        );
        assert_eq!(error(&GOOD.replace("callback", "callback%2F")), "here");
        assert_eq!(error(&GOOD.replace("callback", "callback%3Fx")), "here");
        assert_eq!(error(&GOOD.replace("localhost", "LOCALHOST")), "here");
        assert_eq!(
            error(&format!("{GOOD}&redirect_uri=http%3A%2F%2Fevil.example")),
            "here"
        );
    }

    #[test]
    fn every_mistake_has_its_code() {
        assert_eq!(
            error(&GOOD.replace("code&client", "token&client")),
            "unsupported_response_type"
        );
        assert_eq!(
            error(&format!("{GOOD}&response_mode=fragment")),
            "unsupported_response_type"
        );
        assert_eq!(error(&GOOD.replace("openid", "profile")), "invalid_scope");
        assert_eq!(error(&GOOD.replace("S256", "plain")), "invalid_request");
        assert_eq!(error(&GOOD.replace("E9Mel", "")), "invalid_request");
        assert_eq!(
            error(&format!("{GOOD}&prompt=none+login")),
            "invalid_request"
        );
        assert_eq!(error(&format!("{GOOD}&max_age=soon")), "invalid_request");
        assert_eq!(error(&format!("{GOOD}&nonce=again")), "invalid_request");
        assert_eq!(error(&format!("{GOOD}&request=x")), "request_not_supported");
        assert_eq!(
            error(&format!("{GOOD}&request_uri=x")),
            "request_uri_not_supported"
        );
    }

    #[test]
    fn prompts_are_understood() {
        let prompt = |word: &str| judge(&format!("{GOOD}&prompt={word}")).unwrap().prompt;
        assert_eq!(prompt("none"), Prompt::None);
        assert_eq!(prompt("login"), Prompt::Choose);
        assert_eq!(prompt("consent+select_account"), Prompt::Choose);
        assert_eq!(prompt("consent"), Prompt::AsNeeded);
    }
}
