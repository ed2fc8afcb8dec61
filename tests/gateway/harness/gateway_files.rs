//! The files that an operator would write for a gateway under test.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt, path::Path};

/// Policies of every gateway under test, where a test does not write its own.
const POLICIES: &[(&str, &str)] = &[
    (
        "access.toml",
        "[[rule]]\nname = \"public\"\npath = \"/public/**\"\naccess = \"public\"\n",
    ),
    (
        "onboarding.toml",
        "[[sso.exclude]]\nname = \"staff\"\n\
         when = \"has(identity.groups) && 'staff' in identity.groups\"\nmessage = \"staff\"\n",
    ),
    (
        "signup/default.toml",
        "agreements = [\"terms\"]\ncaptcha = \"none\"\n[brand]\nname = \"Acme\"\n[[field]]\nname = \"name\"\n\
         [[field]]\nname = \"company\"\nprefill = \"company\"\n\
         [[field]]\nname = \"phone\"\nprefill = \"phone_number\"\nrequired = false\n\
         [[field]]\nname = \"country\"\nprefill = \"country\"\n",
    ),
    ("agreements/terms.en.md", "# Terms of use\n\nBe kind.\n"),
    (
        "agreements/terms.it.md",
        "# Condizioni d'uso\n\nSiate gentili.\n",
    ),
    (
        "agreements/terms.de.md",
        "# Nutzungsbedingungen\n\nSeid freundlich.\n",
    ),
];

/// What the files say.
#[derive(Debug, Default)]
pub struct Files {
    pub origin: String,
    pub upstream: String,
    pub database: String,
    pub sessions: Option<String>,
    pub mail: Option<String>,
    /// Whether `X-Forwarded-For` of the tests' own machine counts.
    pub trusts_proxies: bool,
    pub providers: Vec<Provider>,
    /// How long idle connections live on when it stops, if not for a moment.
    pub goodbye: Option<String>,
    /// Whether it is spoken to by TLS, with a certificate of its own.
    pub is_secure: bool,
    /// Further keys of `[listen]`.
    pub listen: String,
    /// Keys before all tables.
    pub first: String,
    /// Appended to `vestibule.toml`; `$PORT` is that of the origin.
    pub further: String,
    /// File below `policies/`, and its text.
    pub policies: Vec<(String, String)>,
}

/// One `[[identity_provider]]`.
#[derive(Debug)]
pub struct Provider {
    pub id: String,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
    /// Further keys.
    pub further: String,
}

/// Addresses of one node.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub traffic: u16,
    pub admin: u16,
}

impl Files {
    /// Writes everything but `vestibule.toml` into `folder`.
    pub fn write_shared(&self, folder: &Path) {
        secret(
            &folder.join("seal"),
            "dGhlIHNlYWxpbmcga2V5IG9mIGEgdGVzdCwgMzIgYiE=",
        );
        secret(&folder.join("operator"), super::gateway::OPERATOR_TOKEN);
        for provider in &self.providers {
            secret(
                &folder.join(format!("client-secret-{}", provider.id)),
                &provider.client_secret,
            );
        }
        if self.is_secure {
            let own = super::certificate_for("localhost");
            fs::write(folder.join("tls.crt"), own.pem()).expect("a file");
            secret(&folder.join("tls.key"), &own.key_pem());
        }
        for (file, text) in POLICIES {
            write_policy(folder, file, text);
        }
        for (file, text) in &self.policies {
            write_policy(folder, file, text);
        }
    }

    /// Writes the `vestibule.toml` of one node.
    pub fn write_node(&self, file: &Path, ports: Ports) {
        fs::write(file, self.vestibule_toml(ports)).expect("a file");
    }

    fn vestibule_toml(&self, Ports { traffic, admin }: Ports) -> String {
        let Self {
            origin,
            upstream,
            database,
            listen,
            first,
            further,
            ..
        } = self;
        let proxies = if self.trusts_proxies {
            "trusted_proxies = [\"127.0.0.0/8\"]\n"
        } else {
            ""
        };
        let tls = if self.is_secure {
            "tls = { certificate = \"tls.crt\", key = \"tls.key\" }\n"
        } else {
            ""
        };
        let goodbye = self.goodbye.as_deref().unwrap_or("1ms");
        let mut text = format!(
            "{first}\n[[host]]\norigin = \"{origin}\"\n\
             [listen]\naddress = \"127.0.0.1:{traffic}\"\nadmin = \"127.0.0.1:{admin}\"\n{proxies}\
             waits = {{ goodbye = \"{goodbye}\" }}\n{tls}{listen}\n\
             [[upstream]]\nservers = [\"{upstream}\"]\n\
             [keys]\nseal = [{{ file = \"seal\" }}]\n\
             [[admin.token]]\nname = \"tests\"\nsecret = {{ file = \"operator\" }}\n\
             [store]\ndatabase = \"{database}\"\n"
        );
        if let Some(sessions) = &self.sessions {
            let _ = writeln!(text, "sessions = {sessions}");
        }
        if let Some(smtp) = &self.mail {
            let _ = writeln!(
                text,
                "[mail]\nsmtp = \"{smtp}\"\nfrom = \"Acme <no-reply@acme.example>\""
            );
        }
        for provider in &self.providers {
            text.push_str(&provider.toml());
        }
        let port = origin.rsplit(':').next().unwrap_or_default();
        text + &further.replace("$PORT", port)
    }
}

impl Provider {
    fn toml(&self) -> String {
        let Self {
            id,
            issuer,
            client_id,
            further,
            ..
        } = self;
        format!(
            "[[identity_provider]]\nid = \"{id}\"\nname = \"Provider {id}\"\nissuer = \"{issuer}\"\n\
             client_id = \"{client_id}\"\nclient_secret = {{ file = \"client-secret-{id}\" }}\n{further}\n"
        )
    }
}

fn write_policy(folder: &Path, file: &str, text: &str) {
    let path = folder.join("policies").join(file);
    fs::create_dir_all(path.parent().expect("a folder above")).expect("a folder");
    fs::write(path, text).expect("a file");
}

fn secret(path: &Path, value: &str) {
    fs::write(path, value).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its permissions");
}
