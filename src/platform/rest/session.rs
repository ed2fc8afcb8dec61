//! The gateway's own authentication: what does not change, or a token that is renewed before it
//! expires and replaced when it is refused.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::{Authorization, Client, hidden};
use super::description::{Authentication, ClientCredentials, Login, Name};
use super::evaluation::Variables;
use super::template::Template;
use super::trouble::{Answer, Oddity, Trouble};
use crate::clock::SharedClock;
use crate::platform::PlatformError;

/// Where nothing says how long a token lives.
const UNKNOWN_LIFE: Duration = Duration::from_mins(5);

/// A token that lives longer is replaced all the same.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// How the gateway is let in.
pub(super) struct Session {
    authentication: Authentication,
    clock: SharedClock,
    /// Locked while a token is fetched, so that one is fetched at a time.
    held: Mutex<Option<Held>>,
}

/// A token in hand.
struct Held {
    header: (HeaderName, HeaderValue),
    /// What was answered when it was given.
    answer: Value,
    renew_at: Instant,
}

impl Session {
    pub(super) fn new(authentication: Authentication, clock: SharedClock) -> Self {
        Self {
            authentication,
            clock,
            held: Mutex::new(None),
        }
    }

    /// What a call is sent with.
    pub(super) async fn authorization(&self, client: &Client) -> Result<Authorization, Trouble> {
        let variables = client.secrets().variables();
        match &self.authentication {
            Authentication::None => Ok(None),
            Authentication::Fixed { header, value } => {
                let value = filled(value, &variables)?;
                Ok(Some((header.clone(), hidden(&value, "authentication")?)))
            }
            Authentication::Basic { user, password } => {
                let (user, password) = (filled(user, &variables)?, filled(password, &variables)?);
                Ok(Some((AUTHORIZATION, basic(&user, &password)?)))
            }
            Authentication::ClientCredentials(_) | Authentication::Login(_) => {
                self.token(client).await.map(Some)
            }
        }
    }

    async fn token(&self, client: &Client) -> Result<(HeaderName, HeaderValue), Trouble> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| held.renew_at > Instant::now()) {
            return Ok(held.header.clone());
        }
        let fresh = match &self.authentication {
            Authentication::ClientCredentials(server) => {
                by_client_credentials(server, client).await?
            }
            Authentication::Login(login) => self.logged_in(login, held.take(), client).await?,
            _ => return Err(Oddity::NoToken("authentication").into()),
        };
        Ok(held.insert(fresh).header.clone())
    }

    /// Whether a call that was shut out may be let in with another token.
    pub(super) fn can_begin_anew(&self) -> bool {
        matches!(
            self.authentication,
            Authentication::ClientCredentials(_) | Authentication::Login(_)
        )
    }

    /// Has a token that was refused renewed, unless another call has replaced it meanwhile.
    pub(super) async fn drop_token(&self, refused: Option<&(HeaderName, HeaderValue)>) {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_mut().filter(|held| Some(&held.header) == refused) {
            held.renew_at = Instant::now();
        }
    }

    /// Begins with a login the next time: what was renewed is not good either.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn logged_in(
        &self,
        login: &Login,
        old: Option<Held>,
        client: &Client,
    ) -> Result<Held, Trouble> {
        if let (Some(renew), Some(old)) = (&login.renew, old) {
            let inputs = vec![("login", old.answer.clone())];
            match client.ask_openly(renew, &inputs).await {
                Ok(answer) => return self.held(login, answer, Some(old.answer), Name::Renew),
                Err(trouble @ Trouble::Other(PlatformError::Unreachable(_))) => {
                    return Err(trouble);
                }
                // Too old for that.
                Err(_) => {}
            }
        }
        let answer = client.ask_openly(&login.first, &Vec::new()).await;
        let answer = answer.map_err(not_let_in)?;
        self.held(login, answer, None, Name::Login)
    }

    fn held(
        &self,
        login: &Login,
        answer: Answer,
        old: Option<Value>,
        name: Name,
    ) -> Result<Held, Trouble> {
        let variables = answer.variables();
        let token = variables.text(Some(&login.token));
        let token = Value::from(token.ok_or(Oddity::NoToken(name.word()))?);
        let now = Value::from(self.clock.now().seconds());
        let variables = variables.with("now", &now);
        let life = login.expires_in.as_ref().map(|life| variables.value(life));
        let life = life.transpose()?.and_then(|life| life.as_f64());
        let value = filled(&login.value, &Variables::default().with("token", &token))?;
        Ok(Held {
            header: (login.header.clone(), hidden(&value, name.word())?),
            renew_at: renew_at(life),
            answer: over(old, answer.body),
        })
    }
}

/// A new answer over the old one, of which it may repeat a part only.
fn over(old: Option<Value>, new: Value) -> Value {
    match (old, new) {
        (Some(Value::Object(mut old)), Value::Object(new)) => {
            old.extend(new);
            Value::Object(old)
        }
        (_, new) => new,
    }
}

fn renew_at(seconds: Option<f64>) -> Instant {
    let life = match seconds {
        Some(seconds) if seconds.is_finite() && seconds > 0.0 => {
            Duration::from_secs_f64(seconds.min(LONGEST_LIFE.as_secs_f64()))
        }
        _ => UNKNOWN_LIFE,
    };
    Instant::now() + life.mul_f32(0.8)
}

/// A login that is refused is about the gateway's own credentials, whatever the status.
fn not_let_in(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Meant(refusal) if refusal.status.is_client_error() => {
            match PlatformError::from(refusal) {
                busy @ PlatformError::Busy { .. } => busy.into(),
                _ => PlatformError::NotAllowed.into(),
            }
        }
        other => other,
    }
}

fn filled(template: &Template, variables: &Variables<'_>) -> Result<String, Trouble> {
    Ok(template.fill(variables)?.unwrap_or_default())
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, Trouble> {
    let both = STANDARD.encode(format!("{user}:{password}"));
    hidden(&format!("Basic {both}"), "authentication")
}

/// RFC 6749, section 5.1.
async fn by_client_credentials(
    server: &ClientCredentials,
    client: &Client,
) -> Result<Held, Trouble> {
    let request = token_request(server, &client.secrets().variables())?;
    let answer = client.send(request).await?;
    let status = answer.status;
    if matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
        return Err(PlatformError::NotAllowed.into());
    }
    let answer = answer.judged(Name::Login, std::iter::empty())?;
    let token = answer.body.get("access_token").and_then(Value::as_str);
    let token = token.ok_or(Oddity::NoToken("authentication"))?;
    let value = hidden(&format!("Bearer {token}"), "authentication")?;
    let life = answer.body.get("expires_in").and_then(Value::as_f64);
    Ok(Held {
        header: (AUTHORIZATION, value),
        answer: Value::Null,
        renew_at: renew_at(life),
    })
}

/// RFC 6749, sections 2.3.1 and 4.4.2.
fn token_request(
    server: &ClientCredentials,
    variables: &Variables<'_>,
) -> Result<Request<Vec<u8>>, Trouble> {
    let id = filled(&server.id, variables)?;
    let secret = filled(&server.secret, variables)?;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(scope) = &server.scope {
        form.append_pair("scope", scope);
    }
    let mut request = Request::post(server.url.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if server.in_body {
        form.append_pair("client_id", &id)
            .append_pair("client_secret", &secret);
    } else {
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let (id, secret): (String, String) = (encoded(&id), encoded(&secret));
        request = request.header(AUTHORIZATION, basic(&id, &secret)?);
    }
    let request = request.body(form.finish().into_bytes());
    request.map_err(|_| Oddity::NoRequest("authentication").into())
}
