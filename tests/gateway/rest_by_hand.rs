//! What an operator does at the console: `vestibule doctor` on a right and on a wrong installation,
//! `vestibule platform try` and `call`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::harness::rest_platform::{API_KEY, RestServer, Tongue};
use super::harness::{
    GatewayBuilder, Mailbox, OidcProvider, TestGateway, Upstream, free_port, on_both_set_ups,
};

struct Installation {
    gateway: TestGateway,
    server: RestServer,
    mailbox: Mailbox,
    provider: OidcProvider,
    _upstream: Upstream,
}

/// What a command did.
struct Done {
    is_well: bool,
    said: String,
}

impl Installation {
    async fn start(set_up: GatewayBuilder<'_>) -> Self {
        let (provider, mailbox) = (OidcProvider::start().await, Mailbox::start().await);
        let (upstream, server) = (
            Upstream::start().await,
            RestServer::start(Tongue::Crud).await,
        );
        let platform = format!(
            "[platform]\nkind = \"rest\"\nurl = \"{}\"\nfile = \"{}\"\n\
             secrets = {{ api_key = {{ env = \"REST_KEY\" }} }}\n",
            server.url(),
            server.file(),
        );
        let gateway = set_up
            .provider(&provider)
            .mail(&mailbox)
            .upstream(&upstream)
            .config(&platform)
            .environment("REST_KEY", API_KEY)
            .start()
            .await;
        Self {
            gateway,
            server,
            mailbox,
            provider,
            _upstream: upstream,
        }
    }

    fn config(&self) -> PathBuf {
        self.gateway.folder().join("vestibule-0.toml")
    }

    /// The configuration with something else in it.
    fn config_with(&self, instead: &[(&str, &str)]) -> PathBuf {
        let mut text = std::fs::read_to_string(self.config()).unwrap();
        for (old, new) in instead {
            assert!(text.contains(old), "{old} in {text}");
            text = text.replace(old, new);
        }
        let path = self.gateway.folder().join("other.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Runs a command beside the test, on whose runtime the platform is.
async fn vestibule(config: &Path, key: &str, arguments: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    command.args(arguments).arg("--config").arg(config);
    command.env("REST_KEY", key);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    Done {
        is_well: output.status.success(),
        said: said + &complained,
    }
}

on_both_set_ups!(the_doctor_finds_everything_well_and_changes_nothing);

async fn the_doctor_finds_everything_well_and_changes_nothing(set_up: GatewayBuilder<'_>) {
    let installation = Installation::start(set_up).await;
    let Done { is_well, said } = vestibule(&installation.config(), API_KEY, &["doctor"]).await;
    assert!(is_well, "{said}");
    for line in [
        "ok     files ",
        "ok     keys ",
        "ok     database ",
        "ok     provider corp",
        "ok     clock ",
        "ok     platform ",
        "ok     mail ",
        "ok     upstream ",
        "Everything that was tried works.",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(installation.server.counts(), [0, 0, 0]);
    assert!(installation.mailbox.letters().await.is_empty());
}

#[tokio::test]
async fn the_doctor_says_of_each_thing_that_is_wrong_what_to_do() {
    let installation = Installation::start(TestGateway::embedded()).await;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let config = installation.config_with(&[(&installation.provider.issuer, &nowhere)]);
    installation.mailbox.stop().await;
    let Done { is_well, said } = vestibule(&config, "another key", &["doctor"]).await;
    assert!(!is_well, "{said}");
    for line in [
        "WRONG  provider corp",
        "WRONG  platform       the platform refused the gateway's own credentials",
        "-> correct the gateway's own credentials in [platform]",
        "WRONG  mail ",
        "3 things do not work.",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let missing = installation.config_with(&[("kind = \"rest\"", "kind = \"rest\"\nuser = \"x\"")]);
    let Done { is_well, said } = vestibule(&missing, API_KEY, &["doctor"]).await;
    assert!(!is_well);
    assert!(
        said.contains("WRONG  files") && said.contains("vestibule check"),
        "{said}"
    );
}

#[tokio::test]
async fn an_operation_is_tried_by_hand_and_writes_only_where_that_is_said() {
    let installation = Installation::start(TestGateway::embedded()).await;
    let config = installation.config();
    let attempt = async |arguments: &[&str]| vestibule(&config, API_KEY, arguments).await;
    let record = record_of_a_customer(&installation);
    let ensure = ["ensure-customer", "--mark", "trial-1", &record];

    is_refused_to_write(&attempt(&[&["platform", "try"], &ensure[..]].concat()).await);
    assert_eq!(installation.server.counts(), [0, 0, 0]);
    let write = [&["platform", "try", "--write"], &ensure[..]].concat();
    let first: Value = serde_json::from_str(&attempt(&write).await.said).unwrap();
    let again: Value = serde_json::from_str(&attempt(&write).await.said).unwrap();
    assert_eq!(first["created"], again["found"]);
    assert_eq!(installation.server.counts(), [1, 0, 0]);

    let found = attempt(&["platform", "try", "customer-by-code", "M-1"]).await;
    let found: Value = serde_json::from_str(&found.said).unwrap();
    assert_eq!(found["name"], "Acme");
    let nobody = attempt(&["platform", "try", "user-by-email", "x@acme.example"]).await;
    assert!(nobody.is_well, "{}", nobody.said);
    assert_eq!(nobody.said.trim(), "null");
}

#[tokio::test]
async fn an_operation_is_called_by_hand_and_the_answer_shown_as_it_comes() {
    let installation = Installation::start(TestGateway::embedded()).await;
    let config = installation.config();
    let record = record_of_a_customer(&installation);
    let make = [
        "platform",
        "try",
        "--write",
        "ensure-customer",
        "--mark",
        "trial-1",
        &record,
    ];
    vestibule(&config, API_KEY, &make).await;
    let call = async |arguments: &[&str]| {
        let arguments = [&["platform", "call"], arguments].concat();
        vestibule(&config, API_KEY, &arguments).await
    };

    let called = call(&["customer_by_code", "code=M-1"]).await.said;
    for part in [
        "status   200",
        "means    done",
        "\"external_id\": \"trial-1\"",
    ] {
        assert!(called.contains(part), "{called}");
    }
    let absent = call(&["customer", "id=none"]).await.said;
    assert!(absent.contains("means    not_found"), "{absent}");
    is_refused_to_write(&call(&["delete_customer", "id=none"]).await);
    let missing = call(&["customer"]).await.said;
    assert!(missing.contains("add `id=…`"), "{missing}");
}

/// A file with what is to be made.
fn record_of_a_customer(installation: &Installation) -> String {
    let record = installation.gateway.folder().join("customer.json");
    let customer =
        json!({ "account_type": "business", "name": "Acme", "code": "M-1", "fields": {} });
    std::fs::write(&record, customer.to_string()).unwrap();
    record.to_str().unwrap().to_owned()
}

fn is_refused_to_write(attempt: &Done) {
    assert!(!attempt.is_well, "{}", attempt.said);
    assert!(attempt.said.contains("--write"), "{}", attempt.said);
}
