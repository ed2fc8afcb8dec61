//! A SCIM server that others wrote (`scim2-server`, of the python-scim people), with a door in front
//! at which requests can be lost, refused or slowed. All tests share its processes; each has a
//! tenant of its own, which begins empty.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use super::child::{ServerProcess, free_port, new_folder};
use super::node_services::wire_client;
use super::thingsboard::{Fault, Faults};

/// What opens it.
pub const SCIM_TOKEN: &str = "a bearer token of the SCIM server";

/// What a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything, and the gateway's extensions.
    Full,
    /// The same without changes by PATCH, filters and versions.
    Poor,
    /// Everything of the standard, and nothing of ours.
    Plain,
}

/// One tenant of a server, and the door in front of it.
pub struct ScimServer {
    url: String,
    behind: String,
    door: Arc<Door>,
}

#[derive(Default)]
struct Door {
    faults: Mutex<Faults>,
    asked: Mutex<Vec<(Method, String)>>,
    bodies: Mutex<Vec<Value>>,
    authorizations: Mutex<std::collections::BTreeSet<String>>,
    has_struck: Mutex<bool>,
    behind: Mutex<String>,
}

impl ScimServer {
    pub async fn start(kind: Kind) -> Self {
        let tenant = uuid::Uuid::now_v7().simple().to_string();
        let behind = format!("http://127.0.0.1:{}/{tenant}/v2", port(kind));
        let door = Arc::new(Door::default());
        door.behind.lock().unwrap().clone_from(&behind);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v2", listener.local_addr().unwrap());
        let router = axum::Router::new()
            .fallback(pass)
            .with_state(Arc::clone(&door));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, behind, door }
    }

    /// Its base address, through the door.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Something happens to the request after so many others.
    pub fn strikes_nth(&self, fault: Fault, number: usize) {
        self.door.faults.lock().unwrap().on_nth(fault, number);
    }

    /// Something happens to the next request with this method whose path ends so.
    pub fn strikes(&self, fault: Fault, method: &str, ending: &str) {
        self.door.faults.lock().unwrap().on(fault, method, ending);
    }

    /// Whether anything has happened yet.
    pub fn has_struck(&self) -> bool {
        *self.door.has_struck.lock().unwrap()
    }

    /// Nothing happens any more.
    pub fn is_well(&self) {
        *self.door.faults.lock().unwrap() = Faults::default();
    }

    /// What was asked through the door: method, path and query.
    pub fn asked(&self) -> Vec<(Method, String)> {
        self.door.asked.lock().unwrap().clone()
    }

    /// The bodies that came through the door.
    pub fn bodies(&self) -> Vec<Value> {
        self.door.bodies.lock().unwrap().clone()
    }

    /// What came through the door as `Authorization`, each once.
    pub fn authorizations(&self) -> Vec<String> {
        self.door
            .authorizations
            .lock()
            .unwrap()
            .iter()
            .cloned()
            .collect()
    }

    /// What the server's own staff does, past the door.
    pub async fn staff(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut call = wire_client()
            .request(method, format!("{}{path}", self.behind))
            .bearer_auth(SCIM_TOKEN)
            .header(header::CONTENT_TYPE, "application/scim+json");
        if let Some(body) = body {
            call = call.body(body.to_string());
        }
        let answer = call.send().await.expect("the SCIM server answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// All users, or all groups.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let page = self.staff(Method::GET, path, None).await;
        page["Resources"].as_array().cloned().unwrap_or_default()
    }

    /// How many groups, locations and users there are.
    pub async fn counts(&self) -> [usize; 3] {
        let groups = self.all("/Groups").await;
        let extension = "urn:ietf:params:scim:schemas:extension:vestibule:2.0:Customer";
        let locations =
            |group: &Value| group[extension]["locations"].as_array().map_or(0, Vec::len);
        let users = self.all("/Users").await;
        [
            groups.len(),
            groups.iter().map(locations).sum(),
            users.len(),
        ]
    }

    /// A user's roles, in order.
    pub async fn roles_of(&self, user: &str) -> Vec<String> {
        let user = self
            .staff(Method::GET, &format!("/Users/{user}"), None)
            .await;
        let roles = user["roles"].as_array().cloned().unwrap_or_default();
        let name = |role: &Value| role["value"].as_str().unwrap().to_owned();
        let mut names: Vec<String> = roles.iter().map(name).collect();
        names.sort();
        names
    }

    /// Lets a user in, or out.
    pub async fn set_enabled(&self, user: &str, enabled: bool) {
        let path = format!("/Users/{user}");
        let mut record = self.staff(Method::GET, &path, None).await;
        record["active"] = json!(enabled);
        self.staff(Method::PUT, &path, Some(record)).await;
    }
}

/// What has come in is carried through, whether or not somebody still waits for it.
async fn pass(State(door): State<Arc<Door>>, request: Request<Body>) -> Response {
    let passing = tokio::spawn(pass_through(door, request)).await;
    passing.unwrap_or_else(|lost| std::panic::resume_unwind(lost.into_panic()))
}

async fn pass_through(door: Arc<Door>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let path = target.strip_prefix("/v2").unwrap_or(target).to_owned();
    let body = axum::body::to_bytes(body, 1 << 20)
        .await
        .unwrap_or_default();
    door.asked
        .lock()
        .unwrap()
        .push((parts.method.clone(), path.clone()));
    door.bodies
        .lock()
        .unwrap()
        .extend(serde_json::from_slice::<Value>(&body).ok());
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    door.authorizations.lock().unwrap().extend(authorization);
    let fault = door
        .faults
        .lock()
        .unwrap()
        .strike(parts.method.as_str(), parts.uri.path());
    *door.has_struck.lock().unwrap() |= fault.is_some();
    match fault {
        Some(Fault::LostBefore) => break_off(),
        Some(Fault::TooMany) => return refusal(),
        Some(Fault::Misled) => return misled(),
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        Some(Fault::LostAfter | Fault::Expired) | None => {}
    }
    let behind = door.behind.lock().unwrap().clone();
    let answer = forward(
        (parts.method, format!("{behind}{path}")),
        &parts.headers,
        body,
    )
    .await;
    if fault == Some(Fault::LostAfter) {
        break_off();
    }
    answer
}

async fn forward(
    (method, url): (Method, String),
    headers: &HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let client = CLIENT.get_or_init(wire_client);
    let mut call = client.request(method, url).body(body);
    for (name, value) in headers {
        if name != header::HOST && name != header::CONTENT_LENGTH {
            call = call.header(name, value);
        }
    }
    let answer = call.send().await.expect("the SCIM server answers");
    let mut response = Response::builder().status(answer.status());
    for name in [header::CONTENT_TYPE, header::ETAG, header::RETRY_AFTER] {
        if let Some(value) = answer.headers().get(&name) {
            response = response.header(name, value);
        }
    }
    response
        .body(Body::from(answer.bytes().await.expect("a body")))
        .unwrap()
}

/// Ends the connection without an answer.
fn break_off() -> ! {
    std::panic::resume_unwind(Box::new("the connection is lost"))
}

fn refusal() -> Response {
    let answer = Response::builder()
        .status(StatusCode::TOO_MANY_REQUESTS)
        .header(header::RETRY_AFTER, "1");
    answer.body(Body::from("slow down")).unwrap()
}

fn misled() -> Response {
    let answer = Response::builder().status(StatusCode::NOT_FOUND);
    answer.body(Body::from("<h1>not here</h1>")).unwrap()
}

/// Where the server of a kind listens.
fn port(kind: Kind) -> u16 {
    static SERVERS: [OnceLock<(u16, ServerProcess)>; 3] = [const { OnceLock::new() }; 3];
    let index = match kind {
        Kind::Full => 0,
        Kind::Poor => 1,
        Kind::Plain => 2,
    };
    SERVERS[index].get_or_init(|| process(kind)).0
}

fn process(kind: Kind) -> (u16, ServerProcess) {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/scim/.venv");
    let program = venv.join("bin/scim2-server");
    assert!(program.exists(), "run scripts/install.sh --test first");
    let (folder, port) = (new_folder("scim"), free_port());
    let write = |name: &str, content: &Value| -> String {
        let path = folder.join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path.to_string_lossy().into_owned()
    };
    let mut arguments = vec![
        "--port".to_owned(),
        port.to_string(),
        "--bearer-token".to_owned(),
        SCIM_TOKEN.to_owned(),
        "--dynamic-tenants".to_owned(),
    ];
    let own = resources(&venv);
    if kind != Kind::Plain {
        let mut schemas = json_of(&own.join("default-schemas.json"));
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/scim/schemas.json");
        let ours = json_of(&ours);
        schemas
            .as_array_mut()
            .unwrap()
            .extend(ours.as_array().unwrap().clone());
        let mut types = json_of(&own.join("default-resource-types.json"));
        let extension = |index: usize| json!({ "schema": ours[index]["id"], "required": false });
        types[0]["schemaExtensions"]
            .as_array_mut()
            .unwrap()
            .push(extension(1));
        types[1]["schemaExtensions"] = json!([extension(0)]);
        arguments.extend(["--schema".to_owned(), write("schemas.json", &schemas)]);
        arguments.extend(["--resource-type".to_owned(), write("types.json", &types)]);
    }
    if kind == Kind::Poor {
        let mut config = json_of(&own.join("default-service-provider-config.json"));
        for feature in ["patch", "filter", "etag", "bulk", "sort"] {
            config[feature]["supported"] = json!(false);
        }
        arguments.extend([
            "--service-provider-config".to_owned(),
            write("config.json", &config),
        ]);
    }
    let mut process = ServerProcess::start(&folder, &program.to_string_lossy(), &arguments);
    let said = process.line();
    assert!(said.starts_with("Serving SCIM"), "{said}");
    (port, process)
}

/// Where the server keeps what it offers by default.
fn resources(venv: &Path) -> PathBuf {
    let libraries = std::fs::read_dir(venv.join("lib")).unwrap();
    let python = libraries.map(|entry| entry.unwrap().path()).next().unwrap();
    python.join("site-packages/scim2_server/resources")
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
