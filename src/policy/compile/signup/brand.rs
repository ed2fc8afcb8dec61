//! How pages look: name, colours, pictures, links.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use url::Url;

use super::localised;
use crate::operator_file::{At, Findings};
use crate::policy::document::{BrandShape, LinkShape};
use crate::policy::signup_form::{Brand, BrandLink, Logo};

pub fn compile(
    shape: &BrandShape,
    logos: &BTreeMap<String, Vec<u8>>,
    findings: &mut Findings<'_>,
) -> Brand {
    let BrandShape {
        name,
        logo,
        colour,
        background,
        favicon,
        support,
        links,
    } = shape;
    let mut picture = |path: &Option<At<PathBuf>>| {
        path.as_ref()
            .and_then(|path| self::logo(path, logos, findings))
    };
    let (logo, favicon) = (picture(logo), picture(favicon));
    Brand {
        name: name.clone().unwrap_or_default(),
        logo,
        colour: self::colour(colour.as_ref(), findings),
        background: self::colour(background.as_ref(), findings),
        favicon,
        support: support.as_ref().map(|support| address(support, findings)),
        links: links
            .iter()
            .map(|link| self::link(link, findings))
            .collect(),
    }
}

fn colour(colour: Option<&At<String>>, findings: &mut Findings<'_>) -> Option<String> {
    let colour = colour?;
    let digits = colour.strip_prefix('#').unwrap_or_default();
    if digits.len() != 6 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        let message = format!("`{}` is not a colour", colour.value);
        findings.error(&colour.span, message, "write it like `#0b5fff`");
    }
    Some(colour.value.clone())
}

fn address(address: &At<String>, findings: &mut Findings<'_>) -> String {
    let scheme = Url::parse(address).map(|url| url.scheme().to_owned());
    if !matches!(scheme.as_deref(), Ok("https" | "mailto")) {
        let message = format!("`{}` is not an address that pages link to", address.value);
        let advice = "write an `https://` URL, or `mailto:help@example.com`";
        findings.error(&address.span, message, advice);
    }
    address.value.clone()
}

fn link(shape: &LinkShape, findings: &mut Findings<'_>) -> BrandLink {
    let LinkShape { label, url } = shape;
    BrandLink {
        label: localised(Some(label), findings),
        url: address(url, findings),
    }
}

fn logo(
    path: &At<PathBuf>,
    logos: &BTreeMap<String, Vec<u8>>,
    findings: &mut Findings<'_>,
) -> Option<Logo> {
    let name = path.to_string_lossy();
    let media_type = match Path::new(name.as_ref())
        .extension()
        .and_then(|kind| kind.to_str())
    {
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        _ => {
            let advice = "give an `.svg`, `.png` or `.webp` file";
            findings.error(&path.span, "pages do not show such a picture", advice);
            return None;
        }
    };
    let bytes = logos.get(&format!("signup/{name}")).cloned();
    if bytes.is_none() {
        let message = format!("there is no picture `{name}` beside this file");
        findings.error(&path.span, message, "put it into `policies/signup`");
    }
    Some(Logo {
        media_type,
        bytes: bytes?,
    })
}
