//! Makes one [`Policy`] of all policy files, or finds everything that is wrong with them.

mod abuse;
mod agreements;
mod attributes;
mod hooks;
mod joining;
mod limits;
mod onboarding;
mod overlaps;
mod rule_headers;
mod rules;
mod signup;
mod step_up;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use http::HeaderName;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::document::OnboardingFile;
use super::files::Files;
use super::{Forms, HandOff, Policy, SignupForm};
use crate::identity::ProviderId;
use crate::operator_file::{At, Findings, Problems, SourceFile};

/// What policies may name of the installation.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The hosts that are served, without port; empty when not known.
    pub hosts: Vec<String>,
    /// The identity providers; empty when not known.
    pub providers: Vec<ProviderId>,
    /// Whether letters are sent; none when not known.
    pub sends_letters: Option<bool>,
    /// The captchas of vendors; none when not known.
    pub captchas: Option<Vec<String>>,
    /// Whether the platform has roles; none when not known.
    pub has_roles: Option<bool>,
    /// By what upstreams learn who somebody is; none when not known.
    pub hand_offs: Option<Vec<HandOff>>,
    /// The fields by which they do, which no rule sets.
    pub hand_off_fields: Vec<HeaderName>,
    /// The issuers of bearer tokens; none when not known.
    pub api_issuers: Option<Vec<ProviderId>>,
}

impl Surroundings {
    /// Reports a hand-off that no upstream has.
    fn check_hand_off<T>(&self, at: &At<T>, chosen: &[HandOff], findings: &mut Findings<'_>) {
        let Some(known) = &self.hand_offs else {
            return;
        };
        for unknown in chosen.iter().filter(|by| !known.contains(by)) {
            let message = format!("no upstream has the hand-off `{}`", unknown.as_str());
            let known: Vec<&str> = known.iter().map(|by| by.as_str()).collect();
            let advice = format!(
                "set it up in `[upstream.hand_off]`; there are: {}",
                known.join(", ")
            );
            findings.error(&at.span, message, advice);
        }
    }

    /// Reports an issuer of bearer tokens that is not configured.
    fn check_api_issuers(&self, named: &[At<String>], findings: &mut Findings<'_>) {
        let Some(known) = &self.api_issuers else {
            return;
        };
        let is_known = |id: &&At<String>| known.iter().any(|own| own.as_str() == id.value);
        for id in named.iter().filter(|id| !is_known(id)) {
            let message = format!("there is no `[[api_issuer]]` with the id `{}`", id.value);
            let known: Vec<&str> = known.iter().map(ProviderId::as_str).collect();
            let advice = format!("add it to vestibule.toml; there are: {}", known.join(", "));
            findings.error(&id.span, message, advice);
        }
    }

    /// Reports a host that is not served.
    fn check_host(&self, host: &At<String>, findings: &mut Findings<'_>) {
        if self.hosts.is_empty() || self.hosts.contains(&host.value) {
            return;
        }
        let message = format!("the host `{}` is not served", host.value);
        let served: Vec<String> = self.hosts.iter().map(|host| format!("`{host}`")).collect();
        let advice = format!("served are {}: name and nothing else", served.join(", "));
        findings.error(&host.span, message, advice);
    }
}

/// Reads a policy folder and compiles it. The policy is none when there are errors.
pub fn compile(folder: &Path, around: &Surroundings, problems: &mut Problems) -> Option<Policy> {
    let mut own = Problems::default();
    let files = Files::read(folder, &mut own);
    let policy = compile_files(&files, around, &mut own);
    let is_sound = !own.has_errors();
    problems.add_all(own);
    policy.filter(|_| is_sound)
}

fn compile_files(files: &Files, around: &Surroundings, problems: &mut Problems) -> Option<Policy> {
    let limits = parsed(files, "limits.toml", problems)
        .map(|(source, file)| limits::compile(&file, &mut Findings::new(source, problems)));
    let rules = parsed(files, "access.toml", problems).map(|(source, file)| {
        let mut findings = Findings::new(source, problems);
        rules::compile(&file, limits.as_ref(), around, &mut findings)
    });
    let onboarding_file = parsed(files, "onboarding.toml", problems);
    let mut onboarding = onboarding_file.as_ref().map(|(source, file)| {
        onboarding::compile(file, around, &mut Findings::new(source, problems))
    });
    if let Some((source, file)) = &onboarding_file {
        advise_on_verification(file, &mut Findings::new(source, problems));
    }
    let texts = agreements::compile(files, problems);
    let mut by_host = BTreeMap::new();
    let mut default = None;
    let forms: Vec<(String, SourceFile)> = files
        .below("signup")
        .map(|(name, source)| (name.to_owned(), source.clone()))
        .collect();
    for (name, source) in forms {
        let Some(file) = source.parse(problems) else {
            continue;
        };
        let mut findings = Findings::new(&source, problems);
        let surrounded = signup::Place {
            file: &name,
            agreements: &texts,
            logos: &files.logos,
            around,
        };
        let (host, mut form) = signup::compile(&file, &surrounded, &mut findings);
        if let Some((source, file)) = &onboarding_file {
            form.verified = onboarding::verified(file, &form, &mut Findings::new(source, problems));
        }
        match host {
            Some(host) => drop(by_host.insert(host, Arc::new(form))),
            None => default = Some(Arc::new(form)),
        }
    }
    if let (Some((source, file)), Some(onboarding)) = (&onboarding_file, &mut onboarding) {
        let forms: Vec<&SignupForm> = by_host.values().chain(&default).map(Arc::as_ref).collect();
        let mut findings = Findings::new(source, problems);
        onboarding.attributes = attributes::compile(file, (&forms, around), &mut findings);
    }
    Some(Policy {
        version: files.version().into(),
        rules: rules?,
        onboarding: onboarding?,
        limits: limits?,
        forms: named(default?, by_host, around),
    })
}

/// Warns where customers are to confirm their data, and no data is named.
fn advise_on_verification(file: &OnboardingFile, findings: &mut Findings<'_>) {
    let verification = &file.customer_verification;
    if verification.enabled && verification.fields.is_empty() {
        let message = "`customer_verification` is enabled, and has no fields to confirm";
        let advice = "name some, such as `fields = [\"phone\"]`, or take `enabled` out";
        findings.warning(&(0..0), message, advice);
    }
}

/// Forms whose operator has no name say that of their host.
fn named(
    default: Arc<SignupForm>,
    mut by_host: BTreeMap<String, Arc<SignupForm>>,
    around: &Surroundings,
) -> Forms {
    for host in &around.hosts {
        by_host
            .entry(host.clone())
            .or_insert_with(|| Arc::clone(&default));
    }
    for (host, form) in &mut by_host {
        if form.brand.name.is_empty() {
            let mut with_name = SignupForm::clone(form);
            with_name.brand.name.clone_from(host);
            *form = Arc::new(with_name);
        }
    }
    Forms { default, by_host }
}

fn parsed<'a, T: DeserializeOwned + JsonSchema>(
    files: &'a Files,
    name: &str,
    problems: &mut Problems,
) -> Option<(&'a SourceFile, T)> {
    let source = files.text(name)?;
    Some((source, source.parse(problems)?))
}

#[cfg(test)]
mod tests;
