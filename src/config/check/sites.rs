//! Checks the platforms among each other: their names, their policies, the hosts of each.

use std::path::{Path, PathBuf};

use super::{Check, Sound};
use crate::config::SiteSettings;
use crate::config::file::{Host, Platform};
use crate::operator_file::At;

impl Check<'_> {
    /// The platforms with their policies; the builtin one where none is configured.
    pub(super) fn platforms(
        &mut self,
        platforms: Option<&[Platform]>,
        policies: &Path,
    ) -> Sound<Vec<SiteSettings>> {
        let builtin = [Platform::default()];
        let platforms = platforms.unwrap_or(&builtin);
        let mut sites: Vec<SiteSettings> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for platform in platforms {
            let name = platform.name();
            if names.contains(&name) {
                let message = format!("there are two platforms called `{name}`");
                let advice = "give each an `id` of its own";
                self.findings.error(&platform.span(), message, advice);
            }
            let part = (!names.is_empty()).then(|| name.to_owned());
            names.push(name);
            let policies = self.policies_of(platform, policies);
            if let Some(platform) = self.platform(platform) {
                sites.push(SiteSettings {
                    platform,
                    policies,
                    part,
                });
            }
        }
        (sites.len() == platforms.len() && !sites.is_empty()).then_some(sites)
    }

    fn policies_of(&mut self, platform: &Platform, general: &Path) -> PathBuf {
        match &platform.policies {
            Some(own) => self.policies(Some(own)),
            None => general.to_owned(),
        }
    }

    /// Which of the platforms a host belongs to.
    pub(super) fn site(&mut self, host: &Host, platforms: Option<&[Platform]>) -> usize {
        let Some(wanted) = &host.platform else {
            return 0;
        };
        let builtin = [Platform::default()];
        let platforms = platforms.unwrap_or(&builtin);
        let mut names = platforms.iter().map(Platform::name);
        names
            .position(|name| name == wanted.value)
            .unwrap_or_else(|| {
                self.unknown_platform(wanted, platforms);
                0
            })
    }

    fn unknown_platform(&mut self, wanted: &At<String>, platforms: &[Platform]) {
        let message = format!("there is no platform `{}`", wanted.value);
        let names = platforms.iter().map(|one| format!("`{}`", one.name()));
        let names: Vec<String> = names.collect();
        let advice = format!("write the `id` of one: {}", names.join(", "));
        self.findings.error(&wanted.span, message, advice);
    }

    /// A platform that nobody reaches was meant for somebody.
    pub(super) fn no_idle_platform(&mut self, platforms: Option<&[Platform]>, hosts: &[Host]) {
        for platform in platforms.unwrap_or_default().iter().skip(1) {
            let is_used = hosts.iter().any(|host| {
                let named = host.platform.as_ref().map(|named| named.value.as_str());
                named == Some(platform.name())
            });
            if !is_used {
                let message = format!("no host belongs to the platform `{}`", platform.name());
                let advice = format!(
                    "write `platform = \"{}\"` under a `[[host]]`",
                    platform.name()
                );
                self.findings.warning(&platform.span(), message, advice);
            }
        }
    }
}
