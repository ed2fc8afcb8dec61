//! Every URL path that the gateway owns, all under [`PREFIX`].

/// The gateway's own prefix; nothing under it is ever forwarded.
pub const PREFIX: &str = "/auth/";
/// The login page.
pub const LOGIN: &str = "/auth/login";
/// Starts a trip to one identity provider: `/auth/login/{provider}`.
pub const LOGIN_START: &str = "/auth/login/{provider}";
/// Where identity providers send the browser back (RFC 6749, section 3.1.2).
pub const CALLBACK: &str = "/auth/callback";
/// Promotes a pending session once its registration is complete.
pub const CONTINUE: &str = "/auth/continue";
/// The registration page.
pub const REGISTER: &str = "/auth/register";
/// Asks for the address to which the link to the registration is mailed.
pub const REGISTER_EMAIL: &str = "/auth/register/email";
/// Where that link leads: GET asks, POST confirms.
pub const REGISTER_LINK: &str = "/auth/register/link";
/// Asks for the address to which the link to a new password is mailed.
pub const PASSWORD: &str = "/auth/password";
/// Where that link leads.
pub const NEW_PASSWORD: &str = "/auth/password/new";
/// Progress of the provisioning.
pub const PROGRESS: &str = "/auth/register/progress";
/// Proof that an existing platform account is one's own.
pub const PROVE: &str = "/auth/register/prove";
/// Where somebody who was asked decides about a registration, by the link of a letter.
pub const APPROVAL: &str = "/auth/register/approval";
/// An invitation, by the link of a letter.
pub const INVITATION: &str = "/auth/register/invitation";
/// An agreement's text: `/auth/agreements/{id}`.
pub const AGREEMENT: &str = "/auth/agreements/{id}";
/// An agreement's text in one version, also one that is no longer in force:
/// `/auth/agreements/{id}/{version}`.
pub const AGREEMENT_VERSION: &str = "/auth/agreements/{id}/{version}";
/// Where whoever is signed in accepts agreements that changed.
pub const ACCEPT: &str = "/auth/accept";
/// Where whoever is signed in confirms what the platform knows of them.
pub const VERIFY: &str = "/auth/verify";
/// Asks whether to log out (GET) and does so (POST).
pub const LOGOUT: &str = "/auth/logout";
/// Where one lands after logging out, and after the identity provider did.
pub const LOGGED_OUT: &str = "/auth/logged-out";
/// Chooses the language of the pages (POST).
pub const LANGUAGE: &str = "/auth/language";
/// The keys that assertions to upstreams are signed with: a JWK Set (RFC 7517).
pub const KEY_SET: &str = "/auth/jwks.json";
/// Signs the platform's own pages in, and leads back to them.
pub const HAND_OFF: &str = "/auth/hand-off";
/// A new token for the platform's own pages (POST).
pub const HAND_OFF_TOKEN: &str = "/auth/hand-off/token";
/// The ways in that the platform's own login page shows.
pub const HAND_OFF_WAYS: &str = "/auth/hand-off/ways";
/// Signs out of the platform's own pages (POST).
pub const HAND_OFF_LOGOUT: &str = "/auth/hand-off/logout";
/// Whose bearer tokens the gateway takes (RFC 9728, section 3); the one path outside [`PREFIX`], and
/// only where it takes any.
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";
/// Static files of the pages: `/auth/assets/{file}`.
pub const ASSETS: &str = "/auth/assets/{file}";

/// Whether a canonical path belongs to the gateway itself.
///
/// `/auth` without the slash counts too, so that it cannot be mistaken for a page of the platform.
pub fn is_ours(path: &str) -> bool {
    path == "/auth" || path.starts_with(PREFIX)
}

/// The path that starts a login with the given provider.
pub fn login_start(provider: &str) -> String {
    format!("/auth/login/{provider}")
}

/// The path of a request with the token of its letter; queries are in no log.
pub fn approval(token: &str) -> String {
    format!("{APPROVAL}?link={token}")
}

/// The path of an invitation with the token of its letter.
pub fn invitation(token: &str) -> String {
    format!("{INVITATION}?link={token}")
}

/// The path of an agreement's text.
pub fn agreement(id: &str) -> String {
    format!("/auth/agreements/{id}")
}

/// The path of an agreement's text in one version.
pub fn agreement_version(id: &str, version: &str) -> String {
    format!("/auth/agreements/{id}/{version}")
}

/// The path of a static file.
pub fn asset(file: &str) -> String {
    format!("/auth/assets/{file}")
}
