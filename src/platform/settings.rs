//! Which platform the installation has, as its configuration says.

use secrecy::SecretString;
use url::Url;

use crate::identity::PlatformId;

/// Which platform, and how it is reached.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// Its name in account links.
    pub id: PlatformId,
    /// What it is.
    pub kind: PlatformKind,
}

/// What a platform is, with what its adapter has to know.
#[derive(Debug, Clone)]
pub enum PlatformKind {
    /// This installation's own builtin platform.
    Builtin,
    /// Another installation's builtin platform.
    Shared(RemoteSettings),
}

/// Where another installation's admin listener is, and what opens it.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// The admin listener: `https://…`, or `http://` on a loopback address.
    pub url: Url,
    /// A bearer token of its `[[admin.token]]`.
    pub token: SecretString,
}
