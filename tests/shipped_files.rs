//! What is shipped beside the program loads, is whole, and is as careful as the program.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
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
    pub(super) fn installed(folder: &Path, example: &str) {
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
        let hosts = ["app.example.com", "weather.example.com"];
        let certificate = rcgen::generate_simple_self_signed(hosts.map(str::to_owned)).unwrap();
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

/// The manifests for Kubernetes.
mod the_kubernetes_manifests {
    use std::{fs, process::Command};

    use serde_yaml::Value;
    use vestibule::config;

    use super::{an_example_installation::installed, shipped};

    fn manifest(name: &str) -> Value {
        let text = shipped(&format!("deploy/kubernetes/{name}.yaml"));
        serde_yaml::from_str(&text).unwrap()
    }

    fn gateway() -> Value {
        manifest("deployment")["spec"]["template"]["spec"]["containers"][0].clone()
    }

    fn seconds(value: &Value) -> u64 {
        value.as_u64().unwrap()
    }

    #[test]
    fn configure_a_sound_installation() {
        let folder = tempfile::tempdir().unwrap();
        installed(folder.path(), "deploy/kubernetes/vestibule.toml");
        let file = folder.path().join("vestibule.toml");
        let text = fs::read_to_string(&file).unwrap();
        let here = |mounted: &str, name: &str| (mounted.to_owned(), folder.path().join(name));
        let folders = [
            here("/etc/vestibule-policies", "policies"),
            here("/etc/vestibule-tls", "tls"),
        ];
        let text = folders.iter().fold(text, |text, (mounted, path)| {
            text.replace(mounted, &path.to_string_lossy())
        });
        fs::write(&file, text).unwrap();
        let policy = shipped("deploy/kubernetes/policies/access.toml");
        fs::write(folder.path().join("policies/access.toml"), policy).unwrap();

        let loaded = config::examine(&file);
        let settings = loaded.settings.expect("settings");
        let problems = loaded.problems.to_string();
        let expected = "the admin listener answers on every address of this machine";
        assert!(
            problems.contains(expected) && problems.matches("warning").count() == 1,
            "{problems}"
        );
        assert!(!problems.contains("error"), "{problems}");

        let grace =
            manifest("deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
                .clone();
        let before = seconds(&gateway()["lifecycle"]["preStop"]["sleep"]["seconds"]);
        let drain = settings.proxy.grace.as_secs();
        assert!(
            seconds(&grace) > before + drain,
            "a pod is cut off while it drains"
        );
    }

    #[test]
    fn name_ports_and_mounts_as_the_configuration_does() {
        let text = shipped("deploy/kubernetes/vestibule.toml");
        let gateway = gateway();
        let port = |name: &str| {
            let ports = gateway["ports"].as_sequence().unwrap();
            let named = ports.iter().find(|port| port["name"] == name).unwrap();
            seconds(&named["containerPort"])
        };
        for (key, name) in [
            ("address", "https"),
            ("redirect", "http"),
            ("admin", "admin"),
        ] {
            let line = format!("{key} = \"0.0.0.0:{}\"", port(name));
            assert!(text.contains(&line), "{line}");
        }
        for mount in gateway["volumeMounts"].as_sequence().unwrap() {
            let path = mount["mountPath"].as_str().unwrap();
            assert!(text.contains(path) || path == "/etc/vestibule", "{path}");
            assert_eq!(mount["readOnly"], Value::Bool(true), "{path}");
        }
    }

    #[test]
    fn allow_the_gateway_little() {
        let pod = &manifest("deployment")["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], Value::Bool(true));
        assert_eq!(pod["automountServiceAccountToken"], Value::Bool(false));
        let own = &gateway()["securityContext"];
        assert_eq!(own["allowPrivilegeEscalation"], Value::Bool(false));
        assert_eq!(own["readOnlyRootFilesystem"], Value::Bool(true));
        assert_eq!(own["capabilities"]["drop"][0], Value::from("ALL"));
    }

    /// Where there is a kubectl: what it would apply, with names and selectors filled in.
    #[test]
    fn are_put_together_by_kustomize() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kubernetes");
        let Ok(built) = Command::new("kubectl").args(["kustomize", folder]).output() else {
            return;
        };
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let text = String::from_utf8(built.stdout).unwrap();
        let all: Vec<Value> = serde_yaml::Deserializer::from_str(&text)
            .map(|one| serde::Deserialize::deserialize(one).unwrap())
            .collect();
        let of_kind = |kind: &str| {
            all.iter()
                .filter(|one| one["kind"] == kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(of_kind("Deployment").len(), 1);
        let labels = &of_kind("Deployment")[0]["spec"]["template"]["metadata"]["labels"];
        for service in of_kind("Service") {
            let selector = service["spec"]["selector"].as_mapping().unwrap();
            assert!(selector.iter().all(|(name, value)| &labels[name] == value));
        }
        let volumes = &of_kind("Deployment")[0]["spec"]["template"]["spec"]["volumes"];
        let named = |name: &str| {
            of_kind("ConfigMap")
                .iter()
                .any(|map| map["metadata"]["name"] == name)
        };
        for volume in volumes.as_sequence().unwrap() {
            if let Some(name) = volume["configMap"]["name"].as_str() {
                assert!(named(name), "{name}");
            }
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
    fn waits_for_the_gateway_and_follows_it_to_a_successor() {
        holds("Type=notify");
        holds("NotifyAccess=all");
    }

    #[test]
    fn has_settings_in_sections_only() {
        for unit in ["vestibule.service", "vestibule.socket"] {
            settings_are_in_sections(&shipped(&format!("deploy/systemd/{unit}")));
        }
    }

    fn settings_are_in_sections(unit: &str) {
        let lines = unit
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut section = "";
        for line in lines {
            if line.starts_with('[') {
                section = line;
                assert!(
                    matches!(section, "[Unit]" | "[Service]" | "[Socket]" | "[Install]"),
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

/// What draws and what alerts, against the page that the metrics themselves are held to.
mod what_prometheus_is_asked {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::shipped;

    /// Labels that Prometheus adds, and the one of histograms.
    const NOT_OURS: [&str; 3] = ["instance", "job", "le"];

    /// What may stand before the labels of a grouping.
    const GROUPING: [&str; 2] = ["by", "without"];

    #[derive(Debug)]
    struct Metric {
        is_histogram: bool,
        labels: BTreeSet<String>,
    }

    fn documented() -> BTreeMap<String, Metric> {
        let page = shipped("docs/metrics.md");
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| `vestibule_"));
        rows.map(|row| {
            let mut cells = row.split('|').map(str::trim).skip(1);
            let (name, kind) = (cells.next().unwrap(), cells.next().unwrap());
            let labels = cells.next().unwrap().split('`').skip(1).step_by(2);
            let metric = Metric {
                is_histogram: kind == "histogram",
                labels: labels.map(str::to_owned).collect(),
            };
            (name.trim_matches('`').to_owned(), metric)
        })
        .collect()
    }

    /// Letters, digits and `_` are words; everything else stands alone. Texts are left out.
    fn words(query: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        for (place, part) in query.split('"').enumerate() {
            if place % 2 == 1 {
                words.push("\"".to_owned());
                continue;
            }
            for c in part.chars() {
                if c.is_ascii_alphanumeric() || c == '_' {
                    if words
                        .last()
                        .is_none_or(|last| !last.starts_with(is_of_a_word))
                    {
                        words.push(String::new());
                    }
                    words.last_mut().unwrap().push(c);
                } else {
                    words.push(c.to_string());
                    words.push(String::new());
                }
            }
        }
        words.retain(|word| !word.trim().is_empty());
        words
    }

    fn is_of_a_word(c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_'
    }

    /// What is between the bracket at `open` and its partner.
    fn bracketed(words: &[String], open: usize, close: &str) -> Vec<String> {
        let inner = words.iter().skip(open + 1);
        inner.take_while(|word| *word != close).cloned().collect()
    }

    /// Fails where a query names a metric or a label that there is not.
    fn check(query: &str, metrics: &BTreeMap<String, Metric>) {
        let words = words(query);
        let mut used = BTreeSet::new();
        for (place, word) in words.iter().enumerate() {
            if !word.starts_with("vestibule_") {
                continue;
            }
            let metric = metrics.get(word).filter(|metric| !metric.is_histogram);
            let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                let metric = metrics.get(word.strip_suffix(end)?);
                metric.filter(|metric| metric.is_histogram)
            });
            let metric = metric.or(of_histogram);
            let metric = metric.unwrap_or_else(|| panic!("there is no `{word}`: {query}"));
            used.extend(metric.labels.iter().cloned());
            if words.get(place + 1).is_some_and(|next| next == "{") {
                let inside = bracketed(&words, place + 1, "}");
                let names = inside
                    .split(|word| word == ",")
                    .filter_map(|one| one.first());
                for name in names {
                    let is_known =
                        metric.labels.contains(name) || NOT_OURS.contains(&name.as_str());
                    assert!(is_known, "`{word}` has no label `{name}`: {query}");
                }
            }
        }
        for (place, word) in words.iter().enumerate() {
            if GROUPING.contains(&word.as_str()) {
                for name in bracketed(&words, place + 1, ")") {
                    let is_known =
                        name == "," || used.contains(&name) || NOT_OURS.contains(&name.as_str());
                    assert!(is_known, "nothing here has a label `{name}`: {query}");
                }
            }
        }
    }

    #[test]
    fn by_a_query_is_told_from_one_that_asks_for_nothing() {
        let metrics = documented();
        let good = "sum by (platform, le) (rate(vestibule_upstream_seconds_bucket{platform=~\"a|b\"}[5m]))";
        check(good, &metrics);
        for bad in [
            "rate(vestibule_request_total[5m])",
            "vestibule_upstream_seconds",
            "vestibule_connections_bucket",
            "vestibule_requests_total{outcome=\"forward\"}",
            "sum by (verdicts) (vestibule_requests_total)",
            "vestibule_requests_total{verdict=\"x\", plattform=\"y\"}",
        ] {
            let outcome = std::panic::catch_unwind(|| check(bad, &documented()));
            assert!(outcome.is_err(), "{bad}");
        }
    }

    #[test]
    fn by_the_dashboard_is_there() {
        let metrics = documented();
        let dashboard = shipped("deploy/grafana/vestibule.json");
        let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let targets = panels
            .iter()
            .filter_map(|panel| panel["targets"].as_array());
        let queries = targets
            .flatten()
            .map(|target| target["expr"].as_str().unwrap());
        let queries: Vec<&str> = queries.collect();
        for query in &queries {
            check(query, &metrics);
        }
        let all = queries.join("\n");
        for name in metrics
            .keys()
            .filter(|name| *name != "vestibule_build_info")
        {
            let is_drawn = all.contains(name.as_str()) || name == "vestibule_policy_loads_total";
            assert!(is_drawn, "`{name}` is on no panel");
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            if let Some(definition) = variable["definition"].as_str() {
                let inside = definition.strip_prefix("label_values(").unwrap();
                let (metric, label) = inside.trim_end_matches(')').split_once(", ").unwrap();
                check(&format!("{metric}{{{label}=\"\"}}"), &metrics);
            }
        }
    }

    #[test]
    fn by_the_alerts_is_there_and_each_is_explained() {
        let metrics = documented();
        let rules = shipped("deploy/prometheus/vestibule.rules.yaml");
        let rules: serde_yaml::Value = serde_yaml::from_str(&rules).unwrap();
        let page = shipped("docs/observability.md");
        let alerts = rules["groups"][0]["rules"].as_sequence().unwrap();
        assert!(alerts.len() >= 10);
        for alert in alerts {
            check(alert["expr"].as_str().unwrap(), &metrics);
            let name = alert["alert"].as_str().unwrap();
            assert!(
                page.contains(&format!("| `{name}` |")),
                "{name} is not explained"
            );
            for field in [
                &alert["labels"]["severity"],
                &alert["annotations"]["summary"],
            ] {
                assert!(
                    field.as_str().is_some_and(|text| !text.is_empty()),
                    "{name}"
                );
            }
        }
    }
}
