//! Asks servers again and again whether they are well.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, Method, header};
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::{ErrorType, OrErr, Result};
use pingora_http::RequestHeader;

use super::settings::{HealthQuestion, HealthSettings};
use super::{Server, Upstream};

/// gRPC's health check (gRPC Health Checking Protocol).
const GRPC_CHECK: &str = "/grpc.health.v1.Health/Check";

/// The one answer that is good: a message of two octets, whose `status` (field 1) is `SERVING` (1).
const GRPC_SERVING: [u8; 7] = [0, 0, 0, 0, 2, 0x08, 1];

impl Upstream {
    /// Asks all servers again and again, where it is to be done.
    pub(in crate::proxy) async fn keep_checking(&self) {
        let Some(settings) = &self.settings.health else {
            return;
        };
        let connector = Connector::new(None);
        loop {
            let servers = self.line_up.load_full();
            let all = servers.servers.iter();
            join_all(all.map(|server| self.check(&connector, server, settings))).await;
            let is_up = servers.servers.iter().any(|server| server.standing.is_up());
            self.health.set(&self.settings.name, is_up);
            tokio::time::sleep(settings.every).await;
        }
    }

    async fn check(&self, connector: &Connector, server: &Arc<Server>, settings: &HealthSettings) {
        let asked = ask(connector, server, &settings.question);
        let answered = tokio::time::timeout(settings.timeout, asked).await;
        let is_well = matches!(answered, Ok(Ok(true)));
        if !server.standing.was_checked(is_well, settings) {
            return;
        }
        self.metrics.show(&self.labels(server), is_well);
        let (upstream, address) = (&self.settings.name, server.address);
        if is_well {
            tracing::info!(upstream, server = %address, "a server takes requests");
        } else {
            let why = match answered {
                Err(_) => "no answer in time".to_owned(),
                Ok(Err(cause)) => cause.to_string(),
                Ok(Ok(_)) => "it says that it is not well".to_owned(),
            };
            tracing::warn!(upstream, server = %address, why, "a server gets no more requests");
        }
    }
}

/// Whether a server says that it is well, on a connection of its own.
async fn ask(connector: &Connector, server: &Server, question: &HealthQuestion) -> Result<bool> {
    let mut peer = server.peer.clone();
    // Nobody else may use the connection, so that it ends with the question.
    peer.options.max_h2_streams = 1;
    let (mut session, _) = connector.get_http_session(&peer).await?;
    let (request, body) = asking(question, server)?;
    session.write_request_header(Box::new(request)).await?;
    if let Some(body) = body {
        session.write_request_body(body, false).await?;
    }
    session.finish_request_body().await?;
    session.read_response_header().await?;
    let status = session.response_header().map(|head| head.status);
    let said = read_body(&mut session).await?;
    let is_well = status.is_some_and(|status| status.is_success());
    Ok(match question {
        HealthQuestion::Path(_) => is_well,
        HealthQuestion::Grpc(_) => is_well && said == GRPC_SERVING,
    })
}

fn asking(question: &HealthQuestion, server: &Server) -> Result<(RequestHeader, Option<Bytes>)> {
    let (method, path) = match question {
        HealthQuestion::Path(path) => (Method::GET, path.as_str()),
        HealthQuestion::Grpc(_) => (Method::POST, GRPC_CHECK),
    };
    let mut request = RequestHeader::build(method, path.as_bytes(), None)?;
    let host =
        HeaderValue::try_from(&server.host).or_err(ErrorType::InvalidHTTPHeader, "a host")?;
    request.insert_header(header::HOST, host)?;
    request.insert_header(header::USER_AGENT, "vestibule-health")?;
    let HealthQuestion::Grpc(service) = question else {
        return Ok((request, None));
    };
    request.insert_header(header::CONTENT_TYPE, "application/grpc")?;
    request.insert_header(header::TE, "trailers")?;
    Ok((request, Some(grpc_request(service))))
}

/// The message that asks for a service: `service` (field 1), behind the five octets of gRPC.
fn grpc_request(service: &str) -> Bytes {
    let mut message = Vec::new();
    if let (false, Ok(length)) = (service.is_empty(), u8::try_from(service.len())) {
        message.extend([0x0a, length]);
        message.extend(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or_default();
    let mut framed = vec![0];
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    framed.into()
}

/// The beginning of the body, long enough to compare; all of it is read, so that the server is not
/// cut off.
async fn read_body(session: &mut HttpSession) -> Result<Vec<u8>> {
    let mut said = Vec::new();
    while let Some(piece) = session.read_response_body().await? {
        if said.len() <= GRPC_SERVING.len() {
            said.extend_from_slice(&piece);
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_asked_for_the_server_or_for_a_service() {
        assert_eq!(&grpc_request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(
            &grpc_request("ab")[..],
            [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']
        );
    }
}
