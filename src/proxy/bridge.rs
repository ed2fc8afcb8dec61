//! Calls the gateway's own pages in-process: a request of the proxy library becomes one of the
//! router, its answer is written back, on HTTP/1 and HTTP/2 alike.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tower::ServiceExt;

use super::answer::Problem;
use super::main_runtime::{MainRuntime, Undone};
use crate::access::ClientContext;
use crate::rate_limit::Network;

/// Fields that concern the connection, not the message.
const OF_THE_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];

/// How many pages are made at once, in all and for one network.
const PAGES: (usize, usize) = (1024, 256);

/// The gateway's own pages.
pub type Pages = Router;

/// The way to the pages.
#[derive(Debug, Clone)]
pub(super) struct Bridge {
    router: Pages,
    largest_body: usize,
    patience: Duration,
    main: MainRuntime,
}

impl Bridge {
    /// To a router, with bounds for request bodies. Pages are made on the current runtime,
    /// wherever the request is carried.
    pub(super) fn new(router: Pages, largest_body: usize, patience: Duration) -> Self {
        Self {
            router,
            largest_body,
            patience,
            main: MainRuntime::current(PAGES.0, PAGES.1),
        }
    }

    /// Has the pages answer.
    pub(super) async fn call(
        &self,
        session: &mut Session,
        target: &str,
        context: ClientContext,
        network: Option<Network>,
    ) -> Result<Response<Body>, Problem> {
        let body = self.read_body(session).await?;
        let request = request(session, target, body, context).ok_or(Problem::Internal)?;
        let answering = self.router.clone().oneshot(request);
        match self.main.run(network, answering).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(never)) => match never {},
            Err(Undone::Full) => Err(Problem::Busy),
            Err(Undone::Panicked) => Err(Problem::Internal),
        }
    }

    async fn read_body(&self, session: &mut Session) -> Result<Bytes, Problem> {
        if session.is_body_empty() {
            return Ok(Bytes::new());
        }
        if announced_length(&session.req_header().headers) > self.largest_body as u64 {
            return Err(Problem::BodyTooLarge);
        }
        let reading = async {
            if session.req_header().headers.contains_key(header::EXPECT) {
                session
                    .write_continue_response()
                    .await
                    .map_err(|_| Problem::BodyTooSlow)?;
            }
            let mut body = BytesMut::new();
            while let Some(piece) = next_piece(session).await? {
                if body.len() + piece.len() > self.largest_body {
                    return Err(Problem::BodyTooLarge);
                }
                body.extend_from_slice(&piece);
            }
            Ok(body.freeze())
        };
        let read = tokio::time::timeout(self.patience, reading).await;
        read.unwrap_or(Err(Problem::BodyTooSlow))
    }
}

/// What `Content-Length` says; nothing is zero.
pub(super) fn announced_length(headers: &HeaderMap) -> u64 {
    let value = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    value.and_then(|text| text.parse().ok()).unwrap_or(0)
}

async fn next_piece(session: &mut Session) -> Result<Option<Bytes>, Problem> {
    session
        .read_request_body()
        .await
        .map_err(|_| Problem::BodyTooSlow)
}

fn request(
    session: &Session,
    target: &str,
    body: Bytes,
    context: ClientContext,
) -> Option<Request<Body>> {
    let original = session.req_header();
    let mut headers = original.headers.clone();
    for name in OF_THE_CONNECTION {
        headers.remove(name);
    }
    if !headers.contains_key(header::HOST)
        && let Some(authority) = original.uri.authority()
    {
        headers.insert(header::HOST, authority.as_str().parse().ok()?);
    }
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = original.method.clone();
    *request.uri_mut() = target.parse().ok()?;
    *request.version_mut() = original.version;
    *request.headers_mut() = headers;
    request.extensions_mut().insert(context);
    Some(request)
}

/// Writes an answer of the pages to the client.
pub(super) async fn write(
    session: &mut Session,
    response: Response<Body>,
) -> pingora_core::Result<()> {
    let (parts, mut body) = response.into_parts();
    let has_no_body = session.req_header().method == Method::HEAD
        || matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let length = body.size_hint().exact();
    let mut head = ResponseHeader::build(parts.status, Some(parts.headers.len() + 1))?;
    for (name, value) in &parts.headers {
        let is_superfluous =
            parts.status == StatusCode::NO_CONTENT && name == header::CONTENT_LENGTH;
        if !is_superfluous && !OF_THE_CONNECTION.contains(name) {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    if !has_no_body && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        match length {
            Some(length) => head.insert_header(header::CONTENT_LENGTH, length.to_string())?,
            None if session.req_header().version < Version::HTTP_2 => {
                head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
            }
            None => {}
        }
    }
    let is_complete = has_no_body || length == Some(0);
    session
        .write_response_header(Box::new(head), is_complete)
        .await?;
    while !is_complete && let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return pingora_core::Error::e_explain(
                pingora_core::ErrorType::InternalError,
                "a page broke off",
            );
        };
        if let Ok(piece) = frame.into_data() {
            session.write_response_body(Some(piece), false).await?;
        }
    }
    if !is_complete {
        session.write_response_body(None, true).await?;
    }
    Ok(())
}
