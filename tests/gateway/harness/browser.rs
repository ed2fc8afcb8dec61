//! A browser without JavaScript: cookies, redirects across hosts, forms, and the headers by which
//! servers tell a navigation from a script.

use std::sync::{Arc, Mutex, MutexGuard};

use reqwest::{Method, header};
use url::{Origin, Url};

use super::{cookie_jar::CookieJar, page::Page};

const MOST_HOPS: usize = 20;

/// One person's browser; clones share its cookies, like tabs.
#[derive(Debug, Clone)]
pub struct Browser {
    home: Url,
    client: reqwest::Client,
    jar: Arc<Mutex<CookieJar>>,
    language: String,
    forwarded_for: Option<String>,
}

/// One request of a navigation.
struct Step {
    method: Method,
    url: Url,
    form: Option<String>,
}

/// The page that a navigation starts from.
#[derive(Debug, Clone)]
pub struct Referring {
    pub url: Url,
    /// Its `Referrer-Policy`, empty for the default of browsers.
    pub policy: String,
}

/// A second host on this machine, for gateways that serve two.
pub const SECOND_HOST: &str = "second.localhost";

impl Browser {
    /// A new browser; relative addresses are below `home`.
    pub fn at(home: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .resolve(SECOND_HOST, ([127, 0, 0, 1], 0).into())
            .build()
            .expect("an HTTP client");
        Self {
            home: Url::parse(home).expect("an address"),
            client,
            jar: Arc::default(),
            language: "en".to_owned(),
            forwarded_for: None,
        }
    }

    /// Prefers a language.
    #[must_use]
    pub fn speaking(mut self, language: &str) -> Self {
        language.clone_into(&mut self.language);
        self
    }

    /// Comes from this address, as a proxy in front says.
    #[must_use]
    pub fn coming_from(mut self, address: &str) -> Self {
        self.forwarded_for = Some(address.to_owned());
        self
    }

    /// Types an address and follows wherever that leads.
    pub async fn open(&self, address: &str) -> Page {
        let url = self.home.join(address).expect("an address");
        self.navigate(Method::GET, url, None, None).await
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar().value(name)
    }

    /// Puts a cookie for `home` there by hand.
    pub fn plant_cookie(&self, name: &str, value: &str) {
        self.jar().plant(&self.home, name, value);
    }

    /// Another browser with copies of these cookies, as a thief has it.
    #[must_use]
    pub fn with_stolen_cookies(&self) -> Self {
        let jar = self.jar().clone();
        Self {
            jar: Arc::new(Mutex::new(jar)),
            ..self.clone()
        }
    }

    /// Forgets all cookies.
    pub fn forget(&self) {
        self.jar().clear();
    }

    /// Forgets the cookies of one host.
    pub fn forget_at(&self, address: &str) {
        let url = Url::parse(address).expect("an address");
        self.jar().clear_at(url.host_str().unwrap_or_default());
    }

    /// A request as a script of a page at `home` sends it; redirects are not followed.
    pub async fn fetch(&self, method: &str, address: &str, body: Option<String>) -> Page {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let url = self.home.join(address).expect("an address");
        let mut request = self
            .client
            .request(method.clone(), url.clone())
            .header(header::ACCEPT, "application/json")
            .header("Sec-Fetch-Mode", "cors")
            .header("Sec-Fetch-Dest", "empty")
            .header("Sec-Fetch-Site", "same-origin");
        if method != Method::GET && method != Method::HEAD {
            request = request.header(header::ORIGIN, self.home.origin().ascii_serialization());
        }
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let answer = self.send(request, &url).await;
        Page::read(self.clone(), answer, vec![url]).await
    }

    /// Goes to a page and on from there: redirects, and refreshes that do not wait.
    pub async fn navigate(
        &self,
        method: Method,
        url: Url,
        form: Option<String>,
        from: Option<Referring>,
    ) -> Page {
        let mut step = Step { method, url, form };
        let mut hops = Vec::new();
        let mut from = from;
        for _ in 0..MOST_HOPS {
            hops.push(step.url.clone());
            let answer = self.request(&step, from.as_ref(), &hops).await;
            let redirect = answer.headers().get(header::LOCATION).cloned();
            if let (true, Some(location)) = (answer.status().is_redirection(), redirect) {
                let location = location.to_str().expect("an ASCII location");
                step = step.redirected(answer.status().as_u16(), location);
                continue;
            }
            let page = Page::read(self.clone(), answer, hops.clone()).await;
            let Some(next) = page.refreshes_at_once_to() else {
                return page;
            };
            from = Some(page.as_referring());
            step = Step {
                method: Method::GET,
                url: next,
                form: None,
            };
        }
        panic!("more than {MOST_HOPS} hops: {hops:#?}");
    }

    async fn request(
        &self,
        step: &Step,
        from: Option<&Referring>,
        hops: &[Url],
    ) -> reqwest::Response {
        let mut request = self
            .client
            .request(step.method.clone(), step.url.clone())
            .header(
                header::ACCEPT,
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            )
            .header(header::ACCEPT_LANGUAGE, &self.language)
            .header("Upgrade-Insecure-Requests", "1")
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document")
            .header("Sec-Fetch-User", "?1")
            .header("Sec-Fetch-Site", site(from, hops));
        if let Some(referrer) = from.and_then(|from| from.referrer(&step.url)) {
            request = request.header(header::REFERER, referrer);
        }
        if let (true, Some(from)) = (step.method != Method::GET, from) {
            request = request.header(header::ORIGIN, from.origin_field(hops));
        }
        if let Some(form) = &step.form {
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.clone());
        }
        self.send(request, &step.url).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder, url: &Url) -> reqwest::Response {
        if let Some(cookies) = self.jar().field_for(url) {
            request = request.header(header::COOKIE, cookies);
        }
        if let Some(address) = &self.forwarded_for {
            request = request.header("X-Forwarded-For", address);
        }
        let answer = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{url}: {error:?}"));
        for field in answer.headers().get_all(header::SET_COOKIE) {
            self.jar()
                .store(url, field.to_str().expect("an ASCII cookie"));
        }
        answer
    }

    fn jar(&self) -> MutexGuard<'_, CookieJar> {
        self.jar.lock().expect("the cookie jar")
    }
}

impl Step {
    /// What follows a redirect: 307 and 308 keep method and body, the rest turn into GET.
    fn redirected(self, status: u16, location: &str) -> Self {
        let url = self.url.join(location).expect("a location that parses");
        if matches!(status, 307 | 308) {
            return Self { url, ..self };
        }
        Self {
            method: Method::GET,
            url,
            form: None,
        }
    }
}

impl Referring {
    fn referrer(&self, to: &Url) -> Option<String> {
        if self.policy == "no-referrer" {
            return None;
        }
        if self.url.origin() == to.origin() {
            let mut page = self.url.clone();
            page.set_fragment(None);
            return Some(page.into());
        }
        (self.policy != "same-origin").then(|| self.url.origin().ascii_serialization() + "/")
    }

    /// Fetch standard, "append a request `Origin` header": a page that hides its referrer sends
    /// `null`, and so does a redirect across origins.
    fn origin_field(&self, hops: &[Url]) -> String {
        let own = self.url.origin();
        let hides = self.policy == "no-referrer"
            || (self.policy == "same-origin" && hops.iter().any(|hop| hop.origin() != own));
        let strayed =
            hops.len() > 1 && hops[..hops.len() - 1].iter().any(|hop| hop.origin() != own);
        if hides || strayed {
            "null".to_owned()
        } else {
            own.ascii_serialization()
        }
    }
}

fn site(from: Option<&Referring>, hops: &[Url]) -> &'static str {
    let Some(from) = from else {
        return "none";
    };
    if hops.iter().all(|hop| hop.origin() == from.url.origin()) {
        return "same-origin";
    }
    let host = |origin: Origin| match origin {
        Origin::Tuple(scheme, host, _) => Some((scheme, host)),
        Origin::Opaque(_) => None,
    };
    let own = host(from.url.origin());
    if hops.iter().all(|hop| host(hop.origin()) == own) {
        "same-site"
    } else {
        "cross-site"
    }
}
