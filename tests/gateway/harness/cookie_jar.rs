//! Cookies as browsers keep them (RFC 6265bis): by host without port, prefixes enforced.

use url::Url;

/// What a browser holds.
#[derive(Debug, Default, Clone)]
pub struct CookieJar {
    cookies: Vec<Cookie>,
}

#[derive(Debug, Clone)]
struct Cookie {
    name: String,
    value: String,
    host: String,
    path: String,
    secure: bool,
}

impl CookieJar {
    /// Takes one `Set-Cookie` field; refuses what a browser refuses.
    pub fn store(&mut self, url: &Url, field: &str) {
        let Some((cookie, spent)) = parse(url, field) else {
            return;
        };
        self.cookies.retain(|known| !known.is_same_as(&cookie));
        if !spent {
            self.cookies.push(cookie);
        }
    }

    /// The `Cookie` field for a request, if there is anything to send.
    pub fn field_for(&self, url: &Url) -> Option<String> {
        let sent: Vec<String> = self
            .cookies
            .iter()
            .filter(|cookie| cookie.goes_to(url))
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!sent.is_empty()).then(|| sent.join("; "))
    }

    /// The value of a cookie, whatever its host.
    pub fn value(&self, name: &str) -> Option<String> {
        self.cookies
            .iter()
            .find(|cookie| cookie.name == name)
            .map(|cookie| cookie.value.clone())
    }

    /// Puts a cookie there by hand, as somebody who stole or made it up does.
    pub fn plant(&mut self, url: &Url, name: &str, value: &str) {
        self.store(url, &format!("{name}={value}; Path=/; Secure"));
    }

    pub fn clear(&mut self) {
        self.cookies.clear();
    }

    pub fn clear_at(&mut self, host: &str) {
        self.cookies.retain(|cookie| cookie.host != host);
    }
}

impl Cookie {
    fn is_same_as(&self, other: &Self) -> bool {
        self.name == other.name && self.host == other.host && self.path == other.path
    }

    fn goes_to(&self, url: &Url) -> bool {
        let path = url.path();
        let path_fits = path == self.path
            || (path.starts_with(&self.path)
                && (self.path.ends_with('/') || path[self.path.len()..].starts_with('/')));
        url.host_str() == Some(&self.host) && path_fits && (!self.secure || is_trustworthy(url))
    }
}

fn parse(url: &Url, field: &str) -> Option<(Cookie, bool)> {
    let mut parts = field.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let attributes: Vec<(String, &str)> = parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let attribute = |wanted: &str| {
        attributes
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| *value)
    };
    let secure = attribute("secure").is_some();
    let path = attribute("path").filter(|path| path.starts_with('/'));
    if !prefix_is_honest(name, secure, path, attribute("domain"))
        || (secure && !is_trustworthy(url))
    {
        return None;
    }
    let spent = attribute("max-age").is_some_and(|age| age.parse().unwrap_or(1) <= 0)
        || attribute("expires").is_some_and(|date| date.contains("1970"));
    let cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        host: url.host_str()?.to_owned(),
        path: path.map_or_else(|| default_path(url), str::to_owned),
        secure,
    };
    Some((cookie, spent))
}

fn prefix_is_honest(name: &str, secure: bool, path: Option<&str>, domain: Option<&str>) -> bool {
    let name = name.to_ascii_lowercase();
    if name.starts_with("__host-") {
        return secure && path == Some("/") && domain.is_none();
    }
    !name.starts_with("__secure-") || secure
}

fn default_path(url: &Url) -> String {
    let path = url.path();
    path.rfind('/')
        .filter(|at| *at > 0)
        .map_or_else(|| "/".to_owned(), |at| path[..at].to_owned())
}

/// HTTPS, or loopback, as Chromium and Firefox have it.
fn is_trustworthy(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https"
        || matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        || host.ends_with(".localhost")
}
