//! How the pages of a host look under the policy in force, and the files that they need.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::Response;

use super::assets::{Asset, AssetUrls, Assets};
use super::stop::Stop;
use super::views::{Frame, Way};
use super::visit::Visit;
use super::{Pages, response_headers};
use crate::language::Language;
use crate::policy::signup_form::BrandLink;
use crate::policy::{Brand, Policy, SignupForm};

/// The files of a policy, by host.
#[derive(Debug)]
struct Looks {
    version: Arc<str>,
    files: Assets,
    default: AssetUrls,
    by_host: BTreeMap<String, AssetUrls>,
}

/// The files of the policy in force, made anew when that changes.
#[derive(Debug, Default)]
pub struct CurrentLooks(ArcSwapOption<Looks>);

impl Looks {
    fn of(policy: &Policy) -> Self {
        let urls = |form: &Arc<SignupForm>| AssetUrls::of(&form.brand);
        let by_host = policy.forms.by_host.iter();
        Self {
            version: Arc::clone(&policy.version),
            files: Assets::of(&policy.forms),
            default: urls(&policy.forms.default),
            by_host: by_host
                .map(|(host, form)| (host.clone(), urls(form)))
                .collect(),
        }
    }

    fn urls(&self, host: &str) -> &AssetUrls {
        self.by_host.get(host).unwrap_or(&self.default)
    }

    /// The file of that name, or the one that took its place: nodes change their policy one after
    /// another, and a page of one may ask another for its files.
    fn file(&self, name: &str, host: &str) -> Option<(&Asset, bool)> {
        let exact = self.files.get(name).map(|asset| (asset, true));
        let urls = self.urls(host);
        let successor = || {
            let all = [
                Some(&urls.stylesheet),
                Some(&urls.script),
                Some(&urls.captcha),
                urls.logo.as_ref(),
            ];
            let same = |url: &&String| kind_of(url) == kind_of(name);
            let url = all.into_iter().flatten().find(same)?;
            self.files
                .get(url.rsplit_once('/')?.1)
                .map(|asset| (asset, false))
        };
        exact.or_else(successor)
    }
}

/// First word and ending of a file's name, between which is its digest.
fn kind_of(url: &str) -> Option<(&str, &str)> {
    let name = url.rsplit('/').next()?;
    Some((name.split_once('.')?.0, name.rsplit_once('.')?.1))
}

impl CurrentLooks {
    fn of(&self, policy: &Policy) -> Arc<Looks> {
        if let Some(looks) = self
            .0
            .load_full()
            .filter(|looks| looks.version == policy.version)
        {
            return looks;
        }
        let looks = Arc::new(Looks::of(policy));
        self.0.store(Some(Arc::clone(&looks)));
        looks
    }
}

impl Pages {
    /// What is around the content of a page.
    pub(super) fn frame(&self, visit: &Visit, title: impl Into<String>) -> Frame {
        let policy = self.parts.policy.current();
        let host = &visit.client.host;
        let brand = &policy.forms.of(host).brand;
        Frame {
            texts: visit.texts(),
            operator: brand.name.clone(),
            support: brand.support.clone(),
            links: links(brand, visit.language),
            assets: self.looks.of(&policy).urls(host).clone(),
            here: visit.here.clone(),
            title: title.into(),
            keeps_form: None,
            has_problems: false,
        }
    }

    /// [`Pages::frame`] with a title from the texts, which may name the operator.
    pub(super) fn titled(&self, visit: &Visit, key: &str) -> Frame {
        let mut frame = self.frame(visit, "");
        let values = [("operator", frame.operator.as_str())];
        let title = visit.texts().get_with(key, &values).into_owned();
        frame.title = title;
        frame
    }
}

fn links(brand: &Brand, language: Language) -> Vec<Way> {
    let way = |link: &BrandLink| Way {
        href: link.url.clone(),
        text: language.pick(&link.label).unwrap_or(&link.url).to_owned(),
    };
    brand.links.iter().map(way).collect()
}

/// A static file.
pub async fn serve(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    Path(name): Path<String>,
) -> Response {
    let looks = pages.looks.of(&pages.parts.policy.current());
    let Some((asset, is_exact)) = looks.file(&name, &visit.client.host) else {
        return pages.stopped(&visit, Stop::NotFound);
    };
    let mut response = Response::new(Body::from(asset.bytes.clone()));
    response_headers::as_lasting_file(&mut response, asset.media_type);
    if !is_exact {
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
