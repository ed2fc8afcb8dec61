//! The Node process of `tests/services`, which holds OpenID providers and mail servers, and its
//! control endpoint.

use std::{path::Path, sync::OnceLock};

use serde_json::Value;

use super::child::{ServerProcess, new_folder};

struct Services {
    control: String,
    _process: ServerProcess,
}

fn services() -> &'static Services {
    static SHARED: OnceLock<Services> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services");
        assert!(
            folder.join("node_modules").exists(),
            "run scripts/install.sh --test first"
        );
        let script = folder.join("main.mjs");
        let mut process = ServerProcess::start(&new_folder("node"), "node", &[script]);
        let told: Value = serde_json::from_str(&process.line()).expect("its control endpoint");
        let control = told["control"].as_str().expect("an address").to_owned();
        Services {
            control,
            _process: process,
        }
    })
}

/// An HTTP client for the wires of the harness.
pub fn wire_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("an HTTP client")
}

/// A path of the control endpoint, for programs that are not the tests themselves.
pub fn control(path: &str) -> String {
    format!("{}{path}", services().control)
}

/// Sends an order to the control endpoint.
pub async fn post(path: &str, body: &Value) -> Value {
    let answer = wire_client()
        .post(control(path))
        .json(body)
        .send()
        .await
        .expect("the services answer");
    assert!(
        answer.status().is_success(),
        "{path}: {}",
        answer.text().await.unwrap_or_default()
    );
    answer.json().await.expect("JSON")
}

/// Asks the control endpoint.
pub async fn get(path: &str) -> Value {
    let answer = wire_client()
        .get(control(path))
        .send()
        .await
        .expect("the services answer");
    answer.json().await.expect("JSON")
}
