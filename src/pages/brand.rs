//! The operator's colour, made readable: for any colour, text passes WCAG 2.2 AA in light and
//! dark.

use std::fmt::Write as _;

/// Surfaces that the stylesheet puts text on, light and dark: `--page`, `--card`, `--hover`.
const LIGHT_SURFACES: [Colour; 3] = [
    Colour::new(0xf3, 0xf4, 0xf6),
    Colour::new(0xff, 0xff, 0xff),
    Colour::new(0xf3, 0xf5, 0xf8),
];
const DARK_SURFACES: [Colour; 3] = [
    Colour::new(0x0f, 0x11, 0x14),
    Colour::new(0x18, 0x1b, 0x20),
    Colour::new(0x22, 0x26, 0x2d),
];

/// The page where the operator has chosen no colour for it.
const GREY: Colour = LIGHT_SURFACES[0];
const BLACK: Colour = Colour::new(0, 0, 0);
const WHITE: Colour = Colour::new(0xff, 0xff, 0xff);

/// Text against its ground (WCAG 2.2, 1.4.3).
const TEXT: f64 = 4.5;
/// The edge of a control against its ground (WCAG 2.2, 1.4.11).
const EDGE: f64 = 3.0;

/// A colour in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    red: u8,
    green: u8,
    blue: u8,
}

/// The colours that pages take from the operator's, in one scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Buttons and the stripe on top: stands out from every surface by 3:1.
    pub fill: Colour,
    /// The same under the pointer.
    pub strong: Colour,
    /// Text on both of them, by 4.5:1.
    pub on_fill: Colour,
    /// Links and focus rings: readable on every surface by 4.5:1.
    pub link: Colour,
}

impl Colour {
    /// The colour of operators who have not chosen one: a calm blue.
    pub const DEFAULT: Self = Self::new(0x1d, 0x5f, 0xd1);

    /// A colour by its parts.
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// Reads `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| {
            digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        })?;
        let part = |range| u8::from_str_radix(digits.get(range)?, 16).ok();
        Some(Self::new(part(0..2)?, part(2..4)?, part(4..6)?))
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.0722f64.mul_add(
            linear(self.blue),
            0.2126f64.mul_add(linear(self.red), 0.7152 * linear(self.green)),
        )
    }

    /// The contrast ratio with another colour (WCAG 2.2): 1 to 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This colour with `percent` of `other` in it.
    fn mixed(self, other: Self, percent: u16) -> Self {
        let part = |own: u8, its: u8| {
            let sum = u16::from(own) * (100 - percent) + u16::from(its) * percent;
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        Self::new(
            part(self.red, other.red),
            part(self.green, other.green),
            part(self.blue, other.blue),
        )
    }

    /// The nearest mix with `towards` that stands out from all `surfaces` by `ratio`.
    fn standing_out(self, surfaces: &[Self], towards: Self, ratio: f64) -> Self {
        (0..=100)
            .map(|percent| self.mixed(towards, percent))
            .find(|mix| {
                surfaces
                    .iter()
                    .all(|surface| mix.contrast(*surface) >= ratio)
            })
            .unwrap_or(towards)
    }

    fn as_css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl Palette {
    /// The palette of a brand colour for the light scheme, on the page's own colour.
    pub fn light(brand: Colour, page: Colour) -> Self {
        let [_, card, hover] = LIGHT_SURFACES;
        Self::on(brand, &[page, card, hover], BLACK)
    }

    /// The palette of a brand colour for the dark scheme.
    pub fn dark(brand: Colour) -> Self {
        Self::on(brand, &DARK_SURFACES, WHITE)
    }

    fn on(brand: Colour, surfaces: &[Colour], towards: Colour) -> Self {
        let fill = brand.standing_out(surfaces, towards, EDGE);
        // One of the two always passes: the worst case is 4.58:1 with both.
        let on_fill = if fill.contrast(WHITE) >= TEXT {
            WHITE
        } else {
            BLACK
        };
        let away = if on_fill == WHITE { BLACK } else { WHITE };
        Self {
            fill,
            strong: fill.mixed(away, 14),
            on_fill,
            link: brand.standing_out(surfaces, towards, TEXT),
        }
    }

    fn write(self, css: &mut String) {
        let Self {
            fill,
            strong,
            on_fill,
            link,
        } = self;
        // Writing to a string cannot fail.
        let _ = write!(
            css,
            ":root{{--brand:{};--brand-strong:{};--on-brand:{};--link:{}}}",
            fill.as_css(),
            strong.as_css(),
            on_fill.as_css(),
            link.as_css()
        );
    }
}

/// The texts that stand on the page itself in the light scheme: `--text`, `--muted`, `--error`.
const LIGHT_TEXTS: [Colour; 3] = [
    Colour::new(0x17, 0x1a, 0x1f),
    Colour::new(0x54, 0x5d, 0x69),
    Colour::new(0xb3, 0x26, 0x1e),
];

/// The page's own colour in the light scheme, lightened until all texts are readable on it.
fn page(background: Colour) -> Colour {
    background.standing_out(&LIGHT_TEXTS, WHITE, TEXT)
}

/// The custom properties of a brand colour, and of the page's own, for both schemes.
pub fn stylesheet(brand: Colour, background: Option<Colour>) -> String {
    let mut css = String::new();
    let page = background.map(page);
    Palette::light(brand, page.unwrap_or(GREY)).write(&mut css);
    css.push_str("@media (prefers-color-scheme:dark){");
    Palette::dark(brand).write(&mut css);
    css.push_str("}\n");
    if let Some(page) = page {
        // Writing to a string cannot fail.
        let _ = writeln!(
            css,
            "@media (prefers-color-scheme:light){{body{{--page:{}}}}}",
            page.as_css()
        );
    }
    css
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passes(palette: Palette, surfaces: &[Colour]) {
        let Palette {
            fill,
            strong,
            on_fill,
            link,
        } = palette;
        assert!(
            on_fill.contrast(fill) >= TEXT && on_fill.contrast(strong) >= TEXT,
            "{palette:?}"
        );
        for surface in surfaces {
            assert!(
                link.contrast(*surface) >= TEXT,
                "{palette:?} on {surface:?}"
            );
            assert!(
                fill.contrast(*surface) >= EDGE,
                "{palette:?} on {surface:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_colour_is_readable_in_both_schemes(red: u8, green: u8, blue: u8) {
            let brand = Colour::new(red, green, blue);
            passes(Palette::light(brand, GREY), &LIGHT_SURFACES);
            passes(Palette::dark(brand), &DARK_SURFACES);
        }
    }

    proptest! {
        #[test]
        fn texts_are_readable_on_any_background(red: u8, green: u8, blue: u8) {
            let page = page(Colour::new(red, green, blue));
            for text in LIGHT_TEXTS {
                prop_assert!(text.contrast(page) >= TEXT);
            }
        }
    }

    #[test]
    fn grey_and_the_corners_are_readable() {
        for level in 0..=255 {
            for brand in [
                Colour::new(level, level, level),
                Colour::new(level, 0, 255),
                Colour::new(255, level, 0),
                Colour::new(0, 255, level),
            ] {
                passes(Palette::light(brand, GREY), &LIGHT_SURFACES);
                passes(Palette::dark(brand), &DARK_SURFACES);
            }
        }
    }

    #[test]
    fn a_colour_that_passes_is_left_alone() {
        let brand = Colour::parse("#0b5fff").unwrap();
        assert_eq!(Palette::light(brand, GREY).fill, brand);
        assert_eq!(Palette::light(brand, GREY).link, brand);
        assert_eq!(Palette::light(brand, GREY).on_fill, WHITE);
    }

    #[test]
    fn only_six_hexadecimal_digits_are_a_colour() {
        for text in [
            "",
            "#fff",
            "0b5fff",
            "#0b5ffg",
            "#0b5fff;}",
            "red",
            "#+10203",
            "#ü1234",
        ] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }

    /// The value of a custom property in the n-th block of the stylesheet.
    fn property(name: &str, dark: bool) -> Colour {
        let css = include_str!("../../templates/assets/vestibule.css");
        let values: Vec<_> = css.split(&format!("  --{name}: ")).skip(1).collect();
        Colour::parse(values[usize::from(dark)].get(..7).unwrap()).unwrap()
    }

    #[test]
    fn the_stylesheet_uses_the_surfaces_that_are_checked_here() {
        for (dark, surfaces) in [(false, LIGHT_SURFACES), (true, DARK_SURFACES)] {
            assert_eq!(
                ["page", "card", "hover"].map(|name| property(name, dark)),
                surfaces
            );
        }
    }

    #[test]
    fn the_stylesheets_own_colours_pass() {
        for (dark, surfaces) in [(false, LIGHT_SURFACES), (true, DARK_SURFACES)] {
            for surface in surfaces {
                for text in ["text", "muted", "error", "good"] {
                    let ratio = property(text, dark).contrast(surface);
                    assert!(ratio >= TEXT, "--{text} (dark: {dark}) {ratio}");
                }
                assert!(
                    property("control", dark).contrast(surface) >= EDGE,
                    "dark: {dark}"
                );
            }
            let error = property("error", dark).contrast(property("error-fill", dark));
            assert!(
                error >= TEXT,
                "--error on --error-fill (dark: {dark}) {error}"
            );
        }
    }
}
