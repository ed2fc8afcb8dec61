//! What a SCIM server offers, as it says itself (RFC 7643, sections 5 and 7).

use serde::Deserialize;
use serde_json::Value;

use super::Scim;
use super::client::Call;
use super::resource::{CUSTOMER, Page, USER_FIELDS};
use super::trouble::Trouble;
use crate::platform::{PlatformError, ScimCustomers};
use crate::telemetry::with_causes;

/// What a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a yes or no of its own"
)]
pub struct Offer {
    /// Whether it takes changes, besides whole resources.
    pub patch: bool,
    /// Whether it finds by filter.
    pub filter: bool,
    /// Whether it changes only what has not been changed since.
    pub etag: bool,
    /// Whether it takes passwords.
    pub passwords: bool,
    /// Whether groups can have our extension: codes, fields, locations, administrators.
    pub customers: bool,
    /// Whether users can have our extension: further fields.
    pub user_fields: bool,
}

/// Why the gateway cannot work with a SCIM server. It says so at the start.
#[derive(Debug, thiserror::Error)]
pub enum CannotUse {
    /// The credentials are not right.
    #[error("the SCIM server does not let the gateway in: check its credentials in [platform]")]
    Credentials,
}

#[derive(Deserialize, Default)]
struct Supported {
    #[serde(default)]
    supported: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceProviderConfig {
    #[serde(default)]
    patch: Supported,
    #[serde(default)]
    filter: Supported,
    #[serde(default)]
    etag: Supported,
    #[serde(default)]
    change_password: Supported,
}

impl ServiceProviderConfig {
    /// What a server most likely does that does not say.
    const UNSAID: Self = Self {
        patch: Supported { supported: true },
        filter: Supported { supported: true },
        etag: Supported { supported: false },
        change_password: Supported { supported: false },
    };
}

impl Scim {
    /// Asks at the start what the server offers. One that is out of reach is asked later, and is no
    /// reason not to start.
    pub async fn introduce(&self) -> Result<Option<Offer>, CannotUse> {
        match self.offer().await.map_err(PlatformError::from) {
            Ok(offer) => {
                tracing::info!(?offer, "the platform is a SCIM server");
                if self.settings.customers == ScimCustomers::Groups && !offer.customers {
                    tracing::warn!(
                        schema = CUSTOMER,
                        "groups cannot have the gateway's extension: organisation codes, \
                         locations, administrators and further fields of customers are not kept"
                    );
                }
                Ok(Some(offer))
            }
            Err(PlatformError::NotAllowed) => Err(CannotUse::Credentials),
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!(
                    error,
                    "the SCIM server does not answer; it is asked again when needed"
                );
                Ok(None)
            }
        }
    }

    /// What the server offers, asked once.
    pub(super) async fn offer(&self) -> Result<Offer, Trouble> {
        let ask = || async {
            let config = self.service_provider_config().await?;
            let schemas = self.schemas().await?;
            let has = |schema: &str| schemas.iter().any(|known| known == schema);
            Ok::<_, Trouble>(Offer {
                patch: config.patch.supported,
                filter: config.filter.supported,
                etag: config.etag.supported,
                passwords: config.change_password.supported,
                customers: has(CUSTOMER),
                user_fields: has(USER_FIELDS),
            })
        };
        self.offer.get_or_try_init(ask).await.copied()
    }

    async fn service_provider_config(&self) -> Result<ServiceProviderConfig, Trouble> {
        let call = Call::get(&["ServiceProviderConfig"]);
        match self.client.ask(call).await {
            Err(trouble) if trouble.is_not_offered() => Ok(ServiceProviderConfig::UNSAID),
            answered => answered,
        }
    }

    /// The names of the schemas that the server has.
    async fn schemas(&self) -> Result<Vec<String>, Trouble> {
        let page: Page = match self.client.ask(Call::get(&["Schemas"])).await {
            Err(trouble) if trouble.is_not_offered() => return Ok(Vec::new()),
            answered => answered?,
        };
        let name = |schema: &super::resource::Resource| schema.0.get("id").cloned();
        let names = page.resources.iter().filter_map(name);
        Ok(names
            .filter_map(|name| match name {
                Value::String(name) => Some(name),
                _ => None,
            })
            .collect())
    }
}
