//! `vestibule explain`: what would happen to somebody, or to a request, and which rule says so.

mod newcomer;
mod passage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::input::text_of;
use super::say::say;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Settings};
use crate::identity::{Account, EmailAddress, Subject, VerifiedClaims, VerifiedIdentity};
use crate::operator_file::Problems;
use crate::policy::{self, Policy};

use passage::Caller;

/// What to explain.
#[derive(Debug, clap::Args)]
pub struct Question {
    /// A JSON file with the claims of somebody who comes through an identity provider; `-` for
    /// standard input.
    #[arg(
        long,
        visible_alias = "as",
        value_name = "FILE",
        required_unless_present = "request"
    )]
    claims: Option<PathBuf>,
    /// A request: `GET /devices/7`.
    #[arg(long, value_name = "METHOD PATH")]
    request: Option<String>,
    /// A JSON file with the platform's user that rules may speak of as `account`:
    /// `{"platform": "main", "user": "7", "customer": "12", "account_type": "business"}`.
    #[arg(long, value_name = "FILE", requires = "request", requires = "claims")]
    account: Option<PathBuf>,
    /// The identity provider that the claims come from, or the `[[api_issuer]]`. Default: the first
    /// identity provider.
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// The host that it is about. Default: the first.
    #[arg(long)]
    host: Option<String>,
}

/// What the answers are made from.
struct Ground {
    settings: Settings,
    policy: Policy,
    host: String,
}

/// Prints the explanation.
pub fn run(config: &Path, question: &Question) -> anyhow::Result<ExitCode> {
    let ground = ground(config, question)?;
    let identity = match &question.claims {
        Some(path) => Some(identity(question, &ground, claims(path)?)?),
        None => None,
    };
    if let Some(request) = &question.request {
        let account = question.account.as_deref().map(account).transpose()?;
        let caller = identity.map(|identity| Caller { identity, account });
        say(&passage::explain(&ground, request, caller.as_ref())?)?;
    } else if let Some(identity) = identity {
        let runtime = super::serve::runtime()?;
        say(&runtime.block_on(newcomer::explain(ground, identity)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ground(config: &Path, question: &Question) -> anyhow::Result<Ground> {
    let loaded = config::examine(config);
    let mut problems = loaded.problems;
    let Some(settings) = loaded.settings else {
        anyhow::bail!("the configuration has mistakes:\n{problems}");
    };
    let hosts: Vec<&str> = settings
        .proxy
        .hosts
        .iter()
        .map(|host| &*host.name)
        .collect();
    let host = match &question.host {
        None => hosts.first().copied().unwrap_or_default(),
        Some(name) => hosts
            .iter()
            .find(|host| *host == name)
            .with_context(|| format!("the host `{name}` is not served; there are {hosts:?}"))?,
    };
    let host = host.to_owned();
    let policy = policy_of(&settings, &host, &mut problems)
        .with_context(|| format!("the policies have mistakes:\n{problems}"))?;
    Ok(Ground {
        settings,
        policy,
        host,
    })
}

fn policy_of(settings: &Settings, host: &str, problems: &mut Problems) -> Option<Policy> {
    let site = settings.sites.get(settings.site_of(host))?;
    policy::compile(&site.policies, &settings.surroundings(site), problems)
}

fn claims(path: &Path) -> anyhow::Result<Map<String, Value>> {
    serde_json::from_str(&text_of(path)?)
        .context("claims are one JSON object, such as {\"sub\": \"7\"}")
}

fn account(path: &Path) -> anyhow::Result<Account> {
    serde_json::from_str(&text_of(path)?)
        .context("an account is one JSON object, such as {\"platform\": \"main\", \"user\": \"7\"}")
}

fn identity(
    question: &Question,
    ground: &Ground,
    claims: Map<String, Value>,
) -> anyhow::Result<VerifiedIdentity> {
    let named = question.provider.as_deref();
    let subject = claims.get("sub").and_then(Value::as_str);
    let subject = subject.unwrap_or("(no sub given)").to_owned();
    let email = claims.get("email").and_then(Value::as_str);
    let email = email.and_then(|text| EmailAddress::parse(text).ok());
    let settings = &ground.settings;
    let (provider, issuer, email_trusted) = if let Some(provider) = settings.provider(named) {
        let is_trusted = provider.email_trust.covers(email.as_ref());
        (&provider.id, &provider.issuer, is_trusted)
    } else {
        let mut issuers = settings.api_issuers.iter();
        let issuer = issuers.find(|one| Some(one.id.as_str()) == named);
        let issuer = issuer.with_context(|| {
            let all = settings.providers.iter();
            let all: Vec<&str> = all.map(|provider| provider.id.as_str()).collect();
            let named = named.unwrap_or_default();
            format!("there is no identity provider `{named}`; there are {all:?}")
        })?;
        (&issuer.id, &issuer.issuer, false)
    };
    Ok(VerifiedIdentity::from_verified(VerifiedClaims {
        provider: provider.clone(),
        issuer: issuer.clone(),
        subject: Subject::new(subject),
        email_trusted,
        claims,
        authenticated_at: SystemClock.now(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An installation with policies, whose folder lives as long as the first part.
    pub(super) fn ground() -> (tempfile::TempDir, Ground) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("vestibule.toml");
        let installation = "
            host = [{ origin = 'https://app.example.com' }]
            listen = { address = '127.0.0.1:8080' }
            upstream = { servers = ['http://10.0.0.5:8080'] }
            [[identity_provider]]
            id = 'corp'
            issuer = 'https://idp.example.com'
            client_id = 'vestibule'
            trust_email = ['acme.example']
        ";
        let access = "
            [[rule]]
            name = 'public'
            path = '/public/**'
            access = 'public'
            [[rule]]
            name = 'administration'
            path = '/admin/**'
            require = \"'ops' in identity.groups\"
            [[rule]]
            name = 'keys'
            path = '/admin/keys'
            methods = ['GET', 'HEAD']
            step_up = { acr = ['mfa', 'phr'], max_age = '5m' }
            headers = { response = { Server = '' } }
            [[rule]]
            name = 'acme'
            path = '/acme'
            require = \"account.customer == 'acme'\"
            [[rule]]
            name = 'home'
            path = '/things@home'
            access = 'public'
        ";
        std::fs::write(&config, installation).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        let onboarding = "
            [[attribute]]
            field = 'name'
            from = 'name'
            write = 'always'
            [[attribute]]
            field = 'phone'
            from = 'phone_number'
            write = 'once'
            [[role]]
            role = 'operator'
            when = \"'ops' in identity.groups\"
            [[role]]
            role = 'auditor'
            when = \"'audit' in identity.entitlements\"
        ";
        std::fs::write(folder.path().join("policies/access.toml"), access).unwrap();
        std::fs::write(folder.path().join("policies/onboarding.toml"), onboarding).unwrap();
        let ground = super::ground(&config, &question()).unwrap();
        (folder, ground)
    }

    pub(super) fn somebody(ground: &Ground) -> VerifiedIdentity {
        let claims = serde_json::json!({
            "sub": "7", "name": "Anna Bianchi", "email": "anna@acme.example",
            "email_verified": true, "organization": "Acme", "groups": ["users"],
        });
        let claims = claims.as_object().unwrap().clone();
        identity(&question(), ground, claims).unwrap()
    }

    fn question() -> Question {
        Question {
            claims: None,
            request: None,
            account: None,
            provider: None,
            host: None,
        }
    }

    #[test]
    fn a_host_or_provider_that_is_not_there_is_refused() {
        let (folder, _) = ground();
        let config = folder.path().join("vestibule.toml");
        let mut question = question();
        question.host = Some("other.example.com".to_owned());
        assert!(super::ground(&config, &question).is_err());
        question.host = None;
        question.provider = Some("other".to_owned());
        let ground = super::ground(&config, &question).unwrap();
        let refused = identity(&question, &ground, Map::new()).unwrap_err();
        let expected = "there is no identity provider `other`; there are [\"corp\"]";
        assert_eq!(refused.to_string(), expected);
    }
}
