//! What the values of `vestibule.toml` mean together: every mistake, and the settings of each
//! slice. Sections are taken apart field by field, so that a new field cannot stay unchecked.

mod api_issuers;
mod captcha;
mod door;
mod entrance;
mod hand_off;
mod hooks;
mod keeping;
mod parties;
mod platform;
mod redis;
mod rest;
mod roster;
mod scim;
mod sites;
mod traces;
mod upstream;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::file::{SecretReference, VestibuleFile};
use super::secret;
use super::{AdminSettings, Settings};
use crate::admin::scim::ScimSource;
use crate::login::openid::OpenIdSettings;
use crate::operator_file::{At, Findings, Problems, SourceFile, Span};
use crate::proxy::UpstreamSettings;

/// The settings, as far as they can be had; with errors among the problems they are not sound.
pub fn check(
    file: &VestibuleFile,
    source: &SourceFile,
    folder: &Path,
    problems: &mut Problems,
) -> Option<Settings> {
    let mut check = Check {
        folder,
        findings: Findings::new(source, problems),
    };
    check.installation(file)
}

/// A mark for "wrong, and reported".
type Sound<T> = Option<T>;

struct Check<'a> {
    folder: &'a Path,
    findings: Findings<'a>,
}

/// Access tokens are kept for upstreams that want them, and for nothing else.
fn keep_access_tokens(providers: &mut [OpenIdSettings], upstreams: Option<&[UpstreamSettings]>) {
    let wants = |one: &UpstreamSettings| one.handoff.access_token.is_some();
    let are_kept = upstreams.is_some_and(|all| all.iter().any(wants));
    for provider in providers {
        provider.keeps_access_tokens = are_kept;
    }
}

fn admin_settings(
    address: SocketAddr,
    tokens: Vec<SecretString>,
    scim: Vec<ScimSource>,
) -> AdminSettings {
    AdminSettings {
        address,
        tokens,
        scim,
    }
}

impl Check<'_> {
    fn installation(&mut self, file: &VestibuleFile) -> Sound<Settings> {
        let VestibuleFile {
            host,
            listen,
            upstream,
            store,
            keys,
            identity_provider,
            api_issuer,
            platform,
            mail,
            hooks,
            captcha,
            session,
            admin,
            log,
            traces,
            policies,
            watch,
        } = file;
        let policies = self.policies(policies.as_ref());
        let sites = self.platforms(platform.as_deref(), &policies);
        let hosts = self.hosts(host, platform.as_deref());
        let listening = self.listen(listen, &hosts);
        let upstreams = self.upstreams(upstream, &hosts);
        self.token_makers(upstream, &hosts, sites.as_deref().unwrap_or_default());
        let (store, is_shared) = self.store(store);
        let keys = self.keys(keys, (store.as_ref(), is_shared));
        let mut providers = self.providers(identity_provider);
        keep_access_tokens(&mut providers, upstreams.as_deref());
        let api_issuers = self.api_issuers(api_issuer, &hosts, &providers);
        let (mail, hooks) = (self.mail(mail.as_ref()), self.hooks(hooks.as_ref()));
        let captchas = self.captchas(captcha);
        let (lifetimes, login_attempt) = (self.session(session), self.login_attempt(session));
        let tokens = self.admin_tokens(admin);
        let scim = self.scim_sources(&admin.scim, (identity_provider, &providers), &tokens);
        let (log, traces) = (self.log(log), self.traces(traces.as_ref()));
        let mut listening = listening?;
        listening.proxy.upstreams = upstreams?;
        Some(Settings {
            listener: listening.listener,
            redirect: listening.redirect,
            proxy: listening.proxy,
            watch: *watch,
            admin: admin_settings(listening.admin, tokens, scim),
            store: store?,
            keys: keys?,
            providers,
            api_issuers,
            sites: sites?,
            mail: mail?,
            hooks: hooks?,
            captchas,
            lifetimes,
            login_attempt,
            log: log?,
            traces: traces?,
        })
    }

    /// The policy folder. Without one the shipped rules hold, which nobody may get by a typing
    /// mistake.
    fn policies(&mut self, named: Option<&At<PathBuf>>) -> PathBuf {
        let folder = self.path(named.map_or(Path::new("policies"), |at| at.value.as_path()));
        if let Some(named) = named.filter(|_| !folder.is_dir()) {
            let message = format!("there is no folder {}", folder.display());
            let advice = "make it, or take the key out to have the shipped policies";
            self.findings.error(&named.span, message, advice);
        }
        folder
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// A secret; one shorter than `least` characters is not accepted.
    fn secret(&mut self, reference: &At<SecretReference>, least: usize) -> Sound<SecretString> {
        let found = match secret::find(&reference.value, self.folder) {
            Ok(found) => found,
            Err(problem) => {
                self.findings
                    .error(&reference.span, problem.to_string(), problem.advice());
                return None;
            }
        };
        if let Some(path) = found.readable_by_all {
            let message = format!("everybody on this machine may read {}", path.display());
            let advice = "take that right away: `chmod 600`";
            self.findings.warning(&reference.span, message, advice);
        }
        if found.length < least {
            let message = format!("the secret has {} characters", found.length);
            let advice =
                format!("use at least {least}: `openssl rand -base64 32` makes a good one");
            self.findings.error(&reference.span, message, advice);
            return None;
        }
        Some(found.secret)
    }

    fn optional_secret(&mut self, reference: Option<&At<SecretReference>>) -> Sound<SecretString> {
        reference.and_then(|reference| self.secret(reference, 1))
    }

    /// Names that become parts of URLs and keys.
    fn short_name(&mut self, what: &str, name: &At<String>) -> bool {
        let is_short_name = !name.is_empty()
            && name.len() <= 40
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !is_short_name {
            let message = format!("`{}` is not a short name for {what}", name.value);
            let advice = "use lower-case letters, digits and `-`, 40 at most";
            self.findings.error(&name.span, message, advice);
        }
        is_short_name
    }

    fn existing_file(&mut self, path: &At<PathBuf>) -> PathBuf {
        let full = self.path(path);
        if !full.is_file() {
            let message = format!("there is no file {}", full.display());
            self.findings
                .error(&path.span, message, "give the path of a file that exists");
        }
        full
    }

    fn needs_one(&mut self, span: &Span, what: &str, example: &str) {
        let message = format!("there is no {what}");
        self.findings
            .error(span, message, format!("add one, such as `{example}`"));
    }
}
