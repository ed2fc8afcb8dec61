//! Calls to a SCIM server: with the gateway's own authentication, a bounded number at once, bounded
//! answers, and repeated with pauses where that can do no harm.

use std::time::Duration;

use http::{Method, Request, Response, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

use super::credentials::Access;
use super::resource::{Kind, Resource};
use super::trouble::{Refusal, Trouble};
use crate::outbound::{AnswerLimits, Outbound};
use crate::platform::{PlatformError, ScimSettings};

/// More calls than this wait.
const AT_ONCE: usize = 16;

/// The most octets that are read of an answer.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Pauses before a call is repeated, where the server does not say how long to wait.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// Where it says so, longer than this is not waited: the whole step is repeated later.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The media type of bodies (RFC 7644, section 3.1).
const MEDIA_TYPE: &str = "application/scim+json";

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    version: Option<String>,
}

impl Call {
    fn new(method: Method, path: &[&str]) -> Self {
        Self {
            method,
            path: path.iter().map(|&part| part.to_owned()).collect(),
            query: Vec::new(),
            body: None,
            version: None,
        }
    }

    pub(super) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(super) fn put(path: &[&str]) -> Self {
        Self::new(Method::PUT, path)
    }

    /// A call that may make something: it is not repeated when its outcome is unknown.
    pub(super) fn post(path: &[&str]) -> Self {
        Self::new(Method::POST, path)
    }

    /// A call that may add something: it is not repeated either.
    pub(super) fn patch(path: &[&str]) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub(super) fn by(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// With a JSON body.
    pub(super) fn with(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self
    }

    /// Only if the resource still has this version.
    pub(super) fn only_if(mut self, version: Option<&str>) -> Self {
        self.version = version.map(str::to_owned);
        self
    }

    fn is_repeatable(&self) -> bool {
        self.method.is_idempotent()
    }
}

/// One SCIM server.
pub(super) struct Client {
    url: Url,
    outbound: Outbound,
    limits: AnswerLimits,
    places: Semaphore,
    access: Access,
}

impl Client {
    pub(super) fn new(settings: &ScimSettings, outbound: Outbound) -> Self {
        let limits = AnswerLimits {
            time: settings.timeout,
            size: LARGEST_ANSWER,
        };
        Self {
            url: settings.url.clone(),
            access: Access::new(settings.credentials.clone(), outbound.clone(), limits),
            outbound,
            limits,
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// What is answered, read as `T`.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, Trouble> {
        read(&self.answer(call).await?)
    }

    /// A resource, none where there is no such thing.
    pub(super) async fn find(&self, kind: Kind, id: &str) -> Result<Option<Resource>, Trouble> {
        // An empty part would name the listing, and dots another place.
        if matches!(id, "" | "." | "..") {
            return Ok(None);
        }
        match self.resource(Call::get(&[kind.path(), id])).await {
            Ok(found) => Ok(Some(found).filter(|found| found.text("id") == id)),
            Err(trouble) if trouble.is_absence() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// A resource that is answered, with its version.
    pub(super) async fn resource(&self, call: Call) -> Result<Resource, Trouble> {
        let answer = self.answer(call).await?;
        let mut resource: Resource = read(&answer)?;
        let version = answer.headers().get(header::ETAG);
        if let Some(version) = version.and_then(|value| value.to_str().ok()) {
            resource.set_version(version);
        }
        Ok(resource)
    }

    /// Has something done; what is answered does not matter.
    pub(super) async fn tell(&self, call: Call) -> Result<(), Trouble> {
        self.answer(call).await.map(|_| ())
    }

    async fn answer(&self, call: Call) -> Result<Response<Vec<u8>>, Trouble> {
        match self.patiently(&call).await {
            // A call that was not let in was not carried out.
            Err(Trouble::Refused(refusal)) if self.access.can_begin_anew(&refusal).await => {
                self.patiently(&call).await
            }
            answered => answered,
        }
    }

    /// Repeats what may be repeated.
    async fn patiently(&self, call: &Call) -> Result<Response<Vec<u8>>, Trouble> {
        for pause in PAUSES {
            match self.once(call).await {
                Err(trouble) => match pause_after(&trouble, call.is_repeatable(), pause) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(trouble),
                },
                answered => return answered,
            }
        }
        self.once(call).await
    }

    async fn once(&self, call: &Call) -> Result<Response<Vec<u8>>, Trouble> {
        let request = self.request(call).await?;
        // Never closed, so that there is a place sooner or later.
        let _place = self.places.acquire().await;
        let answer = self.outbound.call(request, self.limits).await?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(Trouble::Refused(Refusal::of(&answer)))
        }
    }

    async fn request(&self, call: &Call) -> Result<Request<Vec<u8>>, Trouble> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(url.as_str())
            .header(header::ACCEPT, "application/scim+json, application/json")
            .header(header::AUTHORIZATION, self.access.authorization().await?);
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, MEDIA_TYPE);
        }
        if let Some(version) = &call.version {
            request = request.header(header::IF_MATCH, version);
        }
        let request = request.body(call.body.clone().unwrap_or_default());
        Ok(request.map_err(|error| PlatformError::Garbled(Box::new(error)))?)
    }
}

/// How long to wait before a call is repeated; none where it is not.
fn pause_after(trouble: &Trouble, is_repeatable: bool, pause: Duration) -> Option<Duration> {
    match trouble {
        Trouble::Refused(refusal) if refusal.passes(is_repeatable) => {
            let wanted = refusal.retry_after.unwrap_or(pause);
            (wanted <= LONGEST_PAUSE).then_some(wanted)
        }
        Trouble::Other(PlatformError::Unreachable(_)) => is_repeatable.then_some(pause),
        Trouble::Refused(_) | Trouble::Other(_) => None,
    }
}

fn read<T: DeserializeOwned>(answer: &Response<Vec<u8>>) -> Result<T, Trouble> {
    serde_json::from_slice(answer.body())
        .map_err(|error| PlatformError::Garbled(Box::new(error)).into())
}
