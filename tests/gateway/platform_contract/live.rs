//! The ThingsBoard that `make test-thingsboard` names: one that really runs, with other things in it.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use vestibule::identity::UserId;
use vestibule::platform::ThingsBoardCredentials;

use super::places::{BackOffice, Place, Traits, adapter_at};
use super::tagged::Tagged;
use crate::harness::thingsboard::{Site, Tenant};

/// Its tenant, if there is one, for one test.
pub fn place() -> Option<Place> {
    let tenant = Tenant::at(Site::live()?);
    let credentials = ThingsBoardCredentials::Login {
        user: tenant.site.user.clone(),
        password: SecretString::from(tenant.site.password.as_str()),
    };
    let platform = adapter_at(&tenant.site.url, credentials);
    let tag = tenant.tag.clone();
    let traits = Traits { unique_names: true };
    let platform = Arc::new(Tagged { platform, tag });
    Some(Place::new(platform, Arc::new(tenant), traits))
}

#[async_trait]
impl BackOffice for Tenant {
    async fn set_enabled(&self, user: &UserId, enabled: bool) {
        self.sets_enabled(user.as_str(), enabled).await;
    }
}
