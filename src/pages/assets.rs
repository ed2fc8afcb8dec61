//! Static files of the pages, each under a name that holds its digest, so that browsers may keep
//! it for good.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::brand::{self, Colour};
use crate::policy::signup_form::Logo;
use crate::policy::{Brand, Forms};
use crate::{paths, seal};

const STYLESHEET: &str = include_str!("../../templates/assets/vestibule.css");
const SCRIPT: &str = include_str!("../../templates/assets/vestibule.js");
const HAND_OFF: &str = include_str!("../../templates/assets/hand-off.js");
const CAPTCHA: &str = include_str!("../../templates/assets/captcha.js");

/// A file as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its media type.
    pub media_type: &'static str,
    /// Its content.
    pub bytes: Bytes,
}

/// The files of one brand, by their URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetUrls {
    /// The one stylesheet, with the brand's colours.
    pub stylesheet: String,
    /// The script of all pages.
    pub script: String,
    /// The script of pages with a check for robots, in front of the other.
    pub captcha: String,
    /// The script of the page that signs the platform's own pages in.
    pub hand_off: String,
    /// The operator's logo, if there is one.
    pub logo: Option<String>,
    /// The icon of the browser's tab.
    pub icon: Option<String>,
}

/// All files of one policy.
#[derive(Debug, Default)]
pub struct Assets {
    by_name: BTreeMap<String, Asset>,
}

impl Assets {
    /// The files that the pages of all hosts need.
    pub fn of(forms: &Forms) -> Self {
        let mut assets = Self::default();
        for form in forms.by_host.values().chain([&forms.default]) {
            for (name, asset) in files(&form.brand) {
                assets.by_name.insert(name, asset);
            }
        }
        assets
    }

    /// The file of that name.
    pub fn get(&self, name: &str) -> Option<&Asset> {
        self.by_name.get(name)
    }
}

impl AssetUrls {
    /// The URLs of the files of a brand.
    pub fn of(brand: &Brand) -> Self {
        let files = [stylesheet(brand), script(), captcha(), hand_off()];
        let [stylesheet, script, captcha, hand_off] = files.map(|(name, _)| paths::asset(&name));
        Self {
            stylesheet,
            script,
            captcha,
            hand_off,
            logo: logo(brand).map(|(name, _)| paths::asset(&name)),
            icon: icon(brand)
                .or_else(|| logo(brand))
                .map(|(name, _)| paths::asset(&name)),
        }
    }
}

type Named = (String, Asset);

fn files(brand: &Brand) -> impl Iterator<Item = Named> {
    [stylesheet(brand), script(), captcha(), hand_off()]
        .into_iter()
        .chain(logo(brand))
        .chain(icon(brand))
}

fn stylesheet(brand: &Brand) -> Named {
    let colour = brand
        .colour
        .as_deref()
        .and_then(Colour::parse)
        .unwrap_or(Colour::DEFAULT);
    let background = brand.background.as_deref().and_then(Colour::parse);
    let css = brand::stylesheet(colour, background) + STYLESHEET;
    named(
        "pages",
        "css",
        Asset {
            media_type: "text/css; charset=utf-8",
            bytes: css.into(),
        },
    )
}

fn script() -> Named {
    javascript("pages", SCRIPT)
}

fn captcha() -> Named {
    javascript("captcha", CAPTCHA)
}

fn hand_off() -> Named {
    javascript("hand-off", HAND_OFF)
}

fn javascript(stem: &str, text: &'static str) -> Named {
    let asset = Asset {
        media_type: "text/javascript; charset=utf-8",
        bytes: Bytes::from_static(text.as_bytes()),
    };
    named(stem, "js", asset)
}

fn logo(brand: &Brand) -> Option<Named> {
    brand.logo.as_ref().map(|logo| picture("logo", logo))
}

fn icon(brand: &Brand) -> Option<Named> {
    brand.favicon.as_ref().map(|icon| picture("icon", icon))
}

fn picture(stem: &str, logo: &Logo) -> Named {
    let ending = match logo.media_type {
        "image/svg+xml" => "svg",
        "image/png" => "png",
        _ => "webp",
    };
    let bytes = Bytes::copy_from_slice(&logo.bytes);
    named(
        stem,
        ending,
        Asset {
            media_type: logo.media_type,
            bytes,
        },
    )
}

fn named(stem: &str, ending: &str, asset: Asset) -> Named {
    let digest: String = seal::digest(&asset.bytes).chars().take(12).collect();
    (format!("{stem}.{digest}.{ending}"), asset)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::SignupForm;

    fn brand(colour: &str) -> Brand {
        Brand {
            name: "Acme".to_owned(),
            logo: Some(Logo {
                media_type: "image/svg+xml",
                bytes: b"<svg/>".to_vec(),
            }),
            colour: Some(colour.to_owned()),
            ..Brand::default()
        }
    }

    fn form(brand: Brand) -> Arc<SignupForm> {
        Arc::new(SignupForm {
            brand,
            ..SignupForm::default()
        })
    }

    #[test]
    fn every_url_leads_to_its_file() {
        let by_host = [("b.example".to_owned(), form(brand("#ff0000")))].into();
        let assets = Assets::of(&Forms {
            default: form(brand("#0b5fff")),
            by_host,
        });
        for colour in ["#0b5fff", "#ff0000"] {
            let urls = AssetUrls::of(&brand(colour));
            for (url, media_type) in [
                (urls.stylesheet, "text/css; charset=utf-8"),
                (urls.script, "text/javascript; charset=utf-8"),
                (urls.hand_off, "text/javascript; charset=utf-8"),
                (urls.captcha, "text/javascript; charset=utf-8"),
                (urls.logo.unwrap(), "image/svg+xml"),
            ] {
                let name = url.strip_prefix("/auth/assets/").unwrap();
                assert_eq!(assets.get(name).unwrap().media_type, media_type);
            }
        }
        assert_eq!(assets.get("pages.css"), None);
    }

    #[test]
    fn another_colour_is_another_url() {
        let url = |colour| AssetUrls::of(&brand(colour)).stylesheet;
        assert_ne!(url("#0b5fff"), url("#ff0000"));
    }

    #[test]
    fn files_are_small() {
        let brand = Brand::default();
        let size = |files: &[Named]| files.iter().map(|(_, asset)| asset.bytes.len()).sum();
        let of_all_pages: usize = size(&[stylesheet(&brand), script()]);
        assert!(of_all_pages < 18_000, "{of_all_pages} octets");
        let of_some: usize = size(&[captcha()]);
        assert!(of_some < 5_000, "{of_some} octets");
    }
}
