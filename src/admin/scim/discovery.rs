//! What this endpoint offers, as it says itself (RFC 7643, sections 5 to 7).

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::dialect::USER;
use super::people::{LARGEST_PART, answer, listing};
use super::problem::ScimProblem;

type Answer = Result<Response, ScimProblem>;

pub(super) async fn config() -> Response {
    let document = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": LARGEST_PART },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of [[admin.scim]] in vestibule.toml",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
        }],
        "meta": { "resourceType": "ServiceProviderConfig" },
    });
    answer(StatusCode::OK, &document)
}

pub(super) async fn resource_types() -> Response {
    answer(StatusCode::OK, &listing(&[user_type()], 1, 1))
}

pub(super) async fn resource_type(Path(id): Path<String>) -> Answer {
    if id == "User" {
        return Ok(answer(StatusCode::OK, &user_type()));
    }
    Err(ScimProblem::NotFound)
}

pub(super) async fn schemas() -> Response {
    answer(StatusCode::OK, &listing(&[user_schema()], 1, 1))
}

pub(super) async fn schema(Path(id): Path<String>) -> Answer {
    if id == USER {
        return Ok(answer(StatusCode::OK, &user_schema()));
    }
    Err(ScimProblem::NotFound)
}

fn user_type() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "description": "A person of the identity provider",
        "schema": USER,
        "meta": { "resourceType": "ResourceType" },
    })
}

fn user_schema() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": USER,
        "name": "User",
        "description": "A person of the identity provider",
        "attributes": [
            {
                "name": "userName",
                "type": "string",
                "multiValued": false,
                "description": "The name that the person signs in with",
                "required": true,
                "caseExact": false,
                "mutability": "readWrite",
                "returned": "default",
                "uniqueness": "server",
            },
            {
                "name": "active",
                "type": "boolean",
                "multiValued": false,
                "description": "Whether the person may come in",
                "required": true,
                "mutability": "readWrite",
                "returned": "default",
                "uniqueness": "none",
            },
        ],
        "meta": { "resourceType": "Schema" },
    })
}
