//! Broken installations, and what is said about them.

use std::path::{Path, PathBuf};

use super::*;
use crate::platform::{PlatformKind, ThingsBoardEdition};

const MINIMAL: &str = r#"
    [[host]]
    origin = "https://app.example.com"
    [listen]
    address = "127.0.0.1:8080"
    [upstream]
    servers = ["http://10.0.0.5:8080"]
    [[identity_provider]]
    id = "corp"
    issuer = "https://idp.example.com/realms/acme"
    client_id = "vestibule"
"#;

fn examined(text: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vestibule.toml");
    std::fs::write(&path, text).unwrap();
    examine(&path)
}

#[test]
fn a_few_lines_make_an_installation() {
    let loaded = examined(MINIMAL);
    assert_eq!(loaded.problems.to_string(), "");
    let settings = loaded.settings.unwrap();
    assert_eq!(&*settings.proxy.hosts[0].name, "app.example.com");
    assert_eq!(settings.admin.address.to_string(), "127.0.0.1:9090");
    assert_eq!(settings.lifetimes, Lifetimes::default());
    assert!(matches!(settings.keys, KeySettings::File(_)));
    assert!(matches!(
        settings.store.database,
        DatabaseAddress::Sqlite(_)
    ));
    assert!(matches!(settings.mail, MailSettings::Nowhere));
    let provider = &settings.providers[0];
    assert_eq!(
        provider.issuer.as_str(),
        "https://idp.example.com/realms/acme"
    );
}

#[test]
fn an_issuer_stays_as_it_is_written() {
    let text = MINIMAL.replace(
        "https://idp.example.com/realms/acme",
        "https://idp.example.com",
    );
    let settings = examined(&text).settings.unwrap();
    assert_eq!(
        settings.providers[0].issuer.as_str(),
        "https://idp.example.com"
    );
}

#[test]
fn a_private_authority_is_a_file_with_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    let text = format!("{MINIMAL}    ca = {:?}", file.display().to_string());
    let said = || examined(&text).problems.to_string();
    assert!(said().contains("the certificates cannot be read"));
    std::fs::write(&file, "no certificate").unwrap();
    assert!(said().contains("no certificate in the file"));
    let made = rcgen::generate_simple_self_signed(["idp.example.com".to_owned()]).unwrap();
    std::fs::write(&file, made.cert.pem()).unwrap();
    let settings = examined(&text).settings.unwrap();
    assert_eq!(settings.providers[0].roots, made.cert.pem().into_bytes());
}

#[test]
fn a_server_is_an_address_or_a_table_with_its_weight() {
    let servers = r#"servers = ["http://10.0.0.5:8080", { url = "http://10.0.0.6:8080", weight = 3 }]
    protocol = "h2"
    sticky = true
    health = { grpc = "", every = "1s" }"#;
    let text = MINIMAL.replace(r#"servers = ["http://10.0.0.5:8080"]"#, servers);
    let loaded = examined(&text);
    assert_eq!(loaded.problems.to_string(), "");
    let upstream = &loaded.settings.unwrap().proxy.upstreams[0];
    let weights = upstream.servers.iter().map(|server| server.weight);
    assert_eq!(weights.collect::<Vec<_>>(), [1, 3]);
    assert!(upstream.sticky && upstream.health.is_some());
}

#[test]
fn a_missing_file_is_one_clear_problem() {
    let loaded = examine(Path::new("/nowhere/vestibule.toml"));
    assert!(loaded.settings.is_none());
    insta::assert_snapshot!(loaded.problems);
}

#[test]
fn all_that_is_wrong_with_broken_files_is_said_at_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/broken");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    files.sort();
    assert!(files.len() > 4);
    for path in files {
        let loaded = examine(&path);
        assert!(
            loaded.settings.is_none(),
            "{} is not broken",
            path.display()
        );
        let said = loaded.problems.to_string();
        let said = said.replace(&format!("{}/", folder.display()), "");
        insta::assert_snapshot!(path.file_stem().unwrap().to_str().unwrap(), said);
    }
}

#[test]
fn a_thingsboard_takes_a_few_lines() {
    let platform = "[platform]\nkind = \"thingsboard\"\nurl = \"http://10.0.0.5:8080\"\n\
                    plain_http = true\napi_key = { file = \"key\" }\nedition = \"pe\"\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vestibule.toml");
    std::fs::write(&path, format!("{MINIMAL}{platform}")).unwrap();
    std::fs::write(folder.path().join("key"), "tb_a-key-of-some-length").unwrap();
    let settings = examine(&path).settings.unwrap();
    assert!(!format!("{settings:?}").contains("tb_a-key"));
    let PlatformKind::ThingsBoard(thingsboard) =
        settings.sites.into_iter().next().unwrap().platform.kind
    else {
        panic!("it is a ThingsBoard")
    };
    assert_eq!(thingsboard.url.as_str(), "http://10.0.0.5:8080/");
    assert_eq!(thingsboard.code_attribute, "organizationCode");
    assert_eq!(thingsboard.edition, Some(ThingsBoardEdition::Professional));
}

#[test]
fn a_value_of_a_wrong_shape_is_shown_in_the_right_one() {
    for (line, advice) in [
        (
            "client_secret = \"s3cret\"",
            "write `{ env = \"…\" }` or `{ file = \"…\" }`",
        ),
        ("trust_email = \"example.com\"", "write `[\"example.com\"]`"),
        ("scopes = \"groups\"", "write `[\"groups\"]`"),
        ("max_age = 300", "write it like `\"5m\"`"),
    ] {
        let said = examined(&format!("{MINIMAL}    {line}\n"))
            .problems
            .to_string();
        assert!(said.contains(advice), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn an_upstream_server_that_is_the_gateway_itself_is_refused() {
    for (own, server, is_loop) in [
        ("https://app.example.com", "https://app.example.com", true),
        (
            "https://app.example.com",
            "https://APP.example.com:443",
            true,
        ),
        ("http://localhost:8080", "http://localhost:8080/", true),
        (
            "https://app.example.com",
            "http://app.example.com:8080",
            false,
        ),
        (
            "https://app.example.com",
            "https://platform.example.com",
            false,
        ),
    ] {
        let text = MINIMAL.replace("https://app.example.com", own);
        let text = text.replace("http://10.0.0.5:8080", server);
        let said = examined(&text).problems.to_string();
        assert_eq!(said.contains("is the gateway itself"), is_loop, "{said}");
    }
}

#[test]
fn warnings_do_not_keep_it_from_loading() {
    let text = MINIMAL.replace("127.0.0.1:8080", "0.0.0.0:8080");
    let loaded = examined(&text);
    assert!(loaded.settings.is_some());
    assert!(
        loaded
            .problems
            .to_string()
            .contains("warning: plain HTTP on a public address")
    );
}

#[test]
fn secrets_show_nowhere_in_settings() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s"), "correct-horse-battery-staple").unwrap();
    let text = MINIMAL.replace(
        "client_id = \"vestibule\"",
        "client_id = \"vestibule\"\n    client_secret = { file = \"s\" }",
    );
    let path = folder.path().join("vestibule.toml");
    std::fs::write(
        &path,
        text + "[[admin.token]]\nname='x'\nsecret = { file = 's' }",
    )
    .unwrap();
    let settings = examine(&path).settings.unwrap();
    assert_eq!(settings.admin.tokens.len(), 1);
    assert!(!format!("{settings:?}").contains("horse"));
}
