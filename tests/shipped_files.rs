//! What is shipped beside the program loads, is whole, and is as careful as the program.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what is wrong by failing"
)]

use std::{fs, path::PathBuf};

fn shipped(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The configurations that the compose file and the tutorial start from.
mod an_example_installation {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use vestibule::config;

    use super::shipped;

    /// Puts an example into a folder, with the secrets and the certificate that it names.
    fn installed(folder: &Path, example: &str) {
        let secrets = folder.join("secrets");
        let example = shipped(example);
        let here = example.replace("/run/secrets", &secrets.to_string_lossy());
        fs::write(folder.join("vestibule.toml"), here).unwrap();
        fs::create_dir(&secrets).unwrap();
        for name in ["database", "oidc", "smtp", "operator", "thingsboard"] {
            secret(
                &secrets.join(name),
                &format!("the {name} secret of an example"),
            );
        }
        secret(
            &secrets.join("seal"),
            "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        );
        let certificate =
            rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).unwrap();
        fs::create_dir(folder.join("tls")).unwrap();
        fs::write(folder.join("tls/tls.crt"), certificate.cert.pem()).unwrap();
        fs::create_dir(folder.join("policies")).unwrap();
        secret(
            &folder.join("tls/tls.key"),
            &certificate.signing_key.serialize_pem(),
        );
    }

    fn secret(path: &Path, value: &str) {
        fs::write(path, value).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn is_sound() {
        for (example, policies) in [
            ("deploy/vestibule.example.toml", None),
            (
                "deploy/thingsboard.example.toml",
                Some("policies/examples/thingsboard-sign-up"),
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            installed(folder.path(), example);
            if let Some(policies) = policies {
                has_policies(folder.path(), policies);
            }
            let loaded = config::examine(&folder.path().join("vestibule.toml"));
            let problems = loaded.problems.all();
            assert!(problems.is_empty(), "{example}: {problems:#?}");
            assert!(loaded.settings.is_some());
        }
    }

    /// Has the installation in a folder read policies that ship.
    fn has_policies(folder: &Path, policies: &str) {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(policies);
        let file = folder.join("vestibule.toml");
        let text = fs::read_to_string(&file).unwrap();
        let named = format!("policies = \"{}\"", shipped.display());
        fs::write(file, text.replace("policies = \"policies\"", &named)).unwrap();
    }
}

/// The image that the gateway is put into.
mod the_dockerfile {
    use super::shipped;

    fn instructions() -> Vec<(String, String)> {
        let text = shipped("deploy/Dockerfile").replace("\\\n", " ");
        let lines = text.lines().map(str::trim);
        let instructions = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let split = instructions.map(|line| line.split_once(' ').expect("an instruction"));
        split
            .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
            .collect()
    }

    fn all(name: &str) -> Vec<String> {
        let same = instructions()
            .into_iter()
            .filter(|(known, _)| known == name);
        same.map(|(_, rest)| rest).collect()
    }

    #[test]
    fn starts_from_images_with_a_fixed_tag() {
        for image in all("FROM") {
            let name = image.split(' ').next().unwrap();
            let (_, tag) = name
                .rsplit_once(':')
                .unwrap_or_else(|| panic!("{name} has no tag"));
            assert_ne!(tag, "latest", "{name}");
        }
    }

    #[test]
    fn runs_as_nobody() {
        let after_last_from = instructions()
            .into_iter()
            .rev()
            .take_while(|(name, _)| name != "FROM");
        let user = after_last_from
            .filter(|(name, _)| name == "USER")
            .map(|(_, user)| user)
            .next();
        let user = user.expect("the last stage names a user");
        let id: u32 = user
            .split(':')
            .next()
            .unwrap()
            .parse()
            .expect("a number, for runAsNonRoot");
        assert!(id >= 1000, "{user}");
    }

    #[test]
    fn starts_the_gateway_without_a_shell() {
        let start = all("ENTRYPOINT");
        assert_eq!(start, [r#"["/usr/local/bin/vestibule"]"#]);
        assert!(all("CMD").iter().all(|words| words.starts_with('[')));
        assert!(
            all("ADD").is_empty(),
            "COPY does what is wanted, ADD does more"
        );
    }

    #[test]
    fn builds_with_the_rust_that_the_package_asks_for() {
        let wanted: Vec<u32> = env!("CARGO_PKG_RUST_VERSION")
            .split('.')
            .map(|n| n.parse().unwrap())
            .collect();
        let image = all("FROM")
            .into_iter()
            .find(|image| image.starts_with("rust:"))
            .unwrap();
        let version = image.trim_start_matches("rust:").split('-').next().unwrap();
        let given: Vec<u32> = version.split('.').map(|n| n.parse().unwrap()).collect();
        assert!(given >= wanted, "{image}");
    }
}

/// The gateway with its stores, in containers.
mod the_compose_file {
    use serde_yaml::Value;

    use super::shipped;

    fn compose() -> Value {
        serde_yaml::from_str(&shipped("deploy/compose.yaml")).expect("YAML")
    }

    #[test]
    fn uses_images_with_a_fixed_tag_and_health_checks() {
        let compose = compose();
        for (name, service) in compose["services"].as_mapping().unwrap() {
            let Some(image) = service["image"].as_str() else {
                assert!(
                    service["build"]["dockerfile"].as_str().is_some(),
                    "{name:?}"
                );
                continue;
            };
            let (_, tag) = image
                .rsplit_once(':')
                .unwrap_or_else(|| panic!("{image} has no tag"));
            assert_ne!(tag, "latest", "{image}");
            assert!(service["healthcheck"]["test"].is_sequence(), "{image}");
        }
    }

    #[test]
    fn publishes_nothing_but_the_gateway_and_never_its_admin_port() {
        let compose = compose();
        for (name, service) in compose["services"].as_mapping().unwrap() {
            let Some(ports) = service["ports"].as_sequence() else {
                continue;
            };
            assert_eq!(name.as_str(), Some("gateway"));
            assert!(
                ports
                    .iter()
                    .all(|port| !port.as_str().unwrap().contains("9090")),
                "{ports:?}"
            );
        }
    }

    #[test]
    fn keeps_the_gateway_from_writing_and_from_privileges() {
        let gateway = &compose()["services"]["gateway"];
        assert_eq!(gateway["read_only"], Value::Bool(true));
        assert_eq!(gateway["cap_drop"][0], Value::from("ALL"));
        assert!(gateway.get("privileged").is_none());
    }

    #[test]
    fn takes_passwords_from_files() {
        let text = shipped("deploy/compose.yaml");
        assert!(
            !text.contains("PASSWORD:"),
            "a password in the environment shows in `docker inspect`"
        );
        let compose = compose();
        for (name, secret) in compose["secrets"].as_mapping().unwrap() {
            assert!(secret["file"].as_str().is_some(), "{name:?}");
        }
    }
}

/// The unit for hosts without containers.
mod the_systemd_unit {
    use super::shipped;

    #[track_caller]
    fn holds(line: &str) {
        let unit = shipped("deploy/systemd/vestibule.service");
        assert!(unit.lines().any(|known| known == line), "{line} is missing");
    }

    #[test]
    fn keeps_the_gateway_in_its_own_folders_without_privileges() {
        for line in [
            "DynamicUser=yes",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "PrivateDevices=yes",
            "MemoryDenyWriteExecute=yes",
            "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
            "SystemCallFilter=@system-service",
        ] {
            holds(line);
        }
    }

    #[test]
    fn checks_the_configuration_before_it_starts_and_reloads_by_signal() {
        holds("ExecStartPre=/usr/local/bin/vestibule check --config /etc/vestibule/vestibule.toml");
        holds("ExecStart=/usr/local/bin/vestibule serve --config /etc/vestibule/vestibule.toml");
        holds("ExecReload=/bin/kill -HUP $MAINPID");
    }

    #[test]
    fn has_settings_in_sections_only() {
        let unit = shipped("deploy/systemd/vestibule.service");
        let lines = unit
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut section = "";
        for line in lines {
            if line.starts_with('[') {
                section = line;
                assert!(
                    matches!(section, "[Unit]" | "[Service]" | "[Install]"),
                    "{section}"
                );
                continue;
            }
            let (name, _) = line
                .split_once('=')
                .unwrap_or_else(|| panic!("{line} sets nothing"));
            assert!(!section.is_empty(), "{line} stands outside of a section");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        }
    }
}
