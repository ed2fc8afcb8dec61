//! Calls of the platform's REST API: with the gateway's own authentication, a bounded number at
//! once, bounded answers, and repeated with pauses where that can do no harm.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::description::{Operation, Rule};
use super::document::Meaning;
use super::evaluation::{Variables, without_null};
use super::session::Session;
use super::template::{CannotFill, Template, as_text};
use super::trouble::{Answer, Oddity, Refusal, Trouble};
use crate::clock::SharedClock;
use crate::outbound::{AnswerLimits, Outbound};
use crate::platform::{PlatformError, RestSettings};

/// More calls than this wait.
const AT_ONCE: usize = 16;

/// The most octets that are read of an answer.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Pauses before a call is repeated, where the platform does not say how long to wait.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// A longer pause that the platform asks for is the caller's to make.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A call that took so long is not repeated: a step of a registration has ten seconds in all.
const LATEST_REPETITION: Duration = Duration::from_secs(5);

/// What a call is about, by name.
pub(super) type Inputs = Vec<(&'static str, Value)>;

/// A field that says who asks.
pub(super) type Authorization = Option<(HeaderName, HeaderValue)>;

/// The REST API of one platform.
pub(super) struct Client {
    url: Url,
    outbound: Outbound,
    limits: AnswerLimits,
    places: Semaphore,
    headers: Vec<(HeaderName, Template)>,
    outcome: Vec<Rule>,
    secrets: Secrets,
    session: Session,
}

/// The secrets of the installation, as expressions see them.
pub(super) struct Secrets(Value);

impl Secrets {
    fn new<'a>(named: impl Iterator<Item = (&'a String, &'a SecretString)>) -> Self {
        let members: Map<String, Value> = named
            .map(|(name, secret)| (name.clone(), Value::from(secret.expose_secret())))
            .collect();
        Self(Value::Object(members))
    }

    /// Variables that know them.
    pub(super) fn variables(&self) -> Variables<'_> {
        Variables::default().with("secret", &self.0)
    }
}

impl Client {
    pub(super) fn new(settings: &RestSettings, outbound: Outbound, clock: SharedClock) -> Self {
        let description = &settings.description;
        Self {
            url: settings.url.clone(),
            outbound,
            limits: AnswerLimits {
                time: settings.timeout,
                size: LARGEST_ANSWER,
            },
            places: Semaphore::new(AT_ONCE),
            headers: description.headers.clone(),
            outcome: description.outcome.clone(),
            secrets: Secrets::new(settings.secrets.iter()),
            session: Session::new(description.authentication.clone(), clock),
        }
    }

    /// What is answered to an operation.
    pub(super) async fn ask(
        &self,
        operation: &Operation,
        inputs: &Inputs,
    ) -> Result<Answer, Trouble> {
        self.ask_for_page(operation, inputs, &[]).await
    }

    /// The same with further parameters of the query.
    pub(super) async fn ask_for_page(
        &self,
        operation: &Operation,
        inputs: &Inputs,
        page: &[(String, String)],
    ) -> Result<Answer, Trouble> {
        let variables = self.secrets.variables().given(inputs);
        let prepared = self.prepared(operation, &variables, page)?;
        if !operation.is_authenticated {
            return self.patiently(operation, &prepared, None).await;
        }
        let authorization = self.session.authorization(self).await?;
        match self
            .patiently(operation, &prepared, authorization.clone())
            .await
        {
            Err(trouble) if trouble.is_shut_out() && self.session.can_begin_anew() => {
                self.session.drop_token(authorization.as_ref()).await;
                let authorization = self.session.authorization(self).await?;
                let again = self.patiently(operation, &prepared, authorization).await;
                if again.as_ref().is_err_and(Trouble::is_shut_out) {
                    self.session.forget().await;
                }
                again
            }
            answered => answered,
        }
    }

    /// What is answered to an operation, once and not judged.
    pub(super) async fn ask_once(
        &self,
        operation: &Operation,
        inputs: &Inputs,
    ) -> Result<Answer, Trouble> {
        let variables = self.secrets.variables().given(inputs);
        let mut request = self.prepared(operation, &variables, &[])?;
        if operation.is_authenticated
            && let Some((name, value)) = self.session.authorization(self).await?
        {
            request.headers_mut().insert(name, value);
        }
        self.send(request).await
    }

    /// What an answer means by the rules of the operation, then by those of the file.
    pub(super) fn judged(&self, operation: &Operation, answer: Answer) -> Result<Answer, Trouble> {
        let rules = operation.outcome.iter().chain(&self.outcome);
        answer.judged(operation.name, rules)
    }

    /// A call without the gateway's own authentication.
    pub(super) async fn ask_openly(
        &self,
        operation: &Operation,
        inputs: &Inputs,
    ) -> Result<Answer, Trouble> {
        let variables = self.secrets.variables().given(inputs);
        let prepared = self.prepared(operation, &variables, &[])?;
        self.patiently(operation, &prepared, None).await
    }

    /// A request that is whole already, such as one for a token elsewhere.
    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Answer, Trouble> {
        // Never closed, so that there is a place sooner or later.
        let _place = self.places.acquire().await;
        let answer = self.outbound.call(request, self.limits).await?;
        Ok(Answer::of(&answer))
    }

    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Repeats what may be repeated.
    async fn patiently(
        &self,
        operation: &Operation,
        prepared: &Request<Vec<u8>>,
        authorization: Authorization,
    ) -> Result<Answer, Trouble> {
        let started = Instant::now();
        for usual in PAUSES {
            let answered = self.once(operation, prepared, authorization.clone()).await;
            let Err(trouble) = &answered else {
                return answered;
            };
            match pause(trouble, operation.is_repeatable, usual) {
                Some(pause) if started.elapsed() + pause < LATEST_REPETITION => {
                    tokio::time::sleep(pause).await;
                }
                _ => return answered,
            }
        }
        self.once(operation, prepared, authorization).await
    }

    async fn once(
        &self,
        operation: &Operation,
        prepared: &Request<Vec<u8>>,
        authorization: Authorization,
    ) -> Result<Answer, Trouble> {
        let mut request = prepared.clone();
        if let Some((name, value)) = authorization {
            request.headers_mut().insert(name, value);
        }
        let answer = self.send(request).await?;
        tracing::debug!(
            operation = operation.name.word(),
            status = answer.status.as_u16(),
            "the platform answered"
        );
        self.judged(operation, answer)
    }

    fn prepared(
        &self,
        operation: &Operation,
        variables: &Variables<'_>,
        page: &[(String, String)],
    ) -> Result<Request<Vec<u8>>, Trouble> {
        let name = operation.name.word();
        let Some(path) = operation.path.path(variables)? else {
            // No record has an id that is no part of a path.
            return Err(Refusal::beforehand(operation.name, Meaning::NotFound));
        };
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        for (key, template) in &operation.query {
            if let Some(value) = template.fill(variables)? {
                url.query_pairs_mut().append_pair(key, &value);
            }
        }
        if !page.is_empty() {
            url.query_pairs_mut().extend_pairs(page);
        }
        let mut request = Request::builder()
            .method(operation.method.clone())
            .uri(url.as_str())
            .header(header::ACCEPT, "application/json");
        for (field, template) in self.headers.iter().chain(&operation.headers) {
            if let Some(value) = template.fill(variables)? {
                request = request.header(field, hidden(&value, name)?);
            }
        }
        let mut body = Vec::new();
        if let Some(expression) = &operation.body {
            let value = without_null(variables.value(expression)?);
            let (kind, written) = written(&value, operation)?;
            request = request.header(header::CONTENT_TYPE, kind);
            body = written;
        }
        request
            .body(body)
            .map_err(|_| Oddity::NoRequest(name).into())
    }
}

/// How long to wait before a call is repeated; none where it must not be, or it helps nobody.
fn pause(trouble: &Trouble, is_repeatable: bool, usual: Duration) -> Option<Duration> {
    match trouble {
        // It was not carried out.
        Trouble::Meant(refusal) if refusal.means == Meaning::Busy => {
            let asked = refusal.retry_after.unwrap_or(usual);
            (asked <= LONGEST_PAUSE).then_some(asked.max(usual))
        }
        Trouble::Other(PlatformError::Unreachable(_)) => is_repeatable.then_some(usual),
        Trouble::Meant(_) | Trouble::Other(_) => None,
    }
}

fn written(value: &Value, operation: &Operation) -> Result<(&'static str, Vec<u8>), Trouble> {
    if !operation.is_form {
        return Ok(("application/json", value.to_string().into_bytes()));
    }
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in value.as_object().into_iter().flatten() {
        let text = as_text(value).ok_or_else(|| CannotFill::NoText {
            source_text: key.clone(),
        })?;
        form.append_pair(key, &text);
    }
    let kind = "application/x-www-form-urlencoded";
    Ok((kind, form.finish().into_bytes()))
}

/// A header value that is never printed.
pub(super) fn hidden(text: &str, operation: &'static str) -> Result<HeaderValue, Trouble> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Oddity::NoRequest(operation))?;
    value.set_sensitive(true);
    Ok(value)
}
