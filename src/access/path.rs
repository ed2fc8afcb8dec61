//! The one canonical path: made once, decided on, and sent upstream, byte for byte.
//!
//! Encoded unreserved octets are decoded, other escapes upper-cased (RFC 3986, section 6.2.2),
//! raw octets that a path must encode and that browsers leave alone are encoded; whatever two
//! servers could read differently is refused.

/// A canonical path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath {
    text: String,
    has_encoded_slash: bool,
    has_semicolon: bool,
    has_encoded_delimiter: bool,
}

/// Why a request target has no canonical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// It does not begin with a slash.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// A `.` or `..` segment, plain or encoded.
    #[error("the path has a dot segment")]
    DotSegment,
    /// An empty segment (`//`).
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A backslash, plain or encoded.
    #[error("the path has a backslash")]
    Backslash,
    /// A control octet, plain or encoded.
    #[error("the path has a control character")]
    Control,
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("the path has an invalid escape")]
    Escape,
    /// An encoded `%` (double encoding).
    #[error("the path is encoded twice")]
    EncodedPercent,
    /// The octets are not UTF-8.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// A raw octet that has no place in a path: space, `#`, `?`, `"`, `<`, `>`, `^`, `` ` ``, `{`, `}`.
    #[error("the path has a character that must be encoded")]
    Unencoded,
}

impl CanonicalPath {
    /// Makes a path canonical, once; `raw_path` is the target without query.
    pub fn parse(raw_path: &[u8]) -> Result<Self, PathProblem> {
        if raw_path.first() != Some(&b'/') {
            return Err(PathProblem::NotAbsolute);
        }
        let mut path = Self {
            text: String::with_capacity(raw_path.len()),
            has_encoded_slash: false,
            has_semicolon: false,
            has_encoded_delimiter: false,
        };
        if is_plain(raw_path)
            && let Ok(text) = std::str::from_utf8(raw_path)
        {
            path.text.push_str(text);
            return Ok(path);
        }
        let mut is_ascii = true;
        let mut rest = raw_path;
        while let [octet, after @ ..] = rest {
            rest = match octet {
                b'%' => {
                    let (decoded, after) = unescape(after)?;
                    is_ascii &= decoded.is_ascii();
                    path.push_encoded(decoded)?;
                    after
                }
                plain => {
                    is_ascii &= plain.is_ascii();
                    path.push_plain(*plain)?;
                    after
                }
            };
        }
        if !is_ascii
            && percent_encoding::percent_decode_str(&path.text)
                .decode_utf8()
                .is_err()
        {
            return Err(PathProblem::NotUtf8);
        }
        check_segments(&path.text)?;
        Ok(path)
    }

    fn push_plain(&mut self, octet: u8) -> Result<(), PathProblem> {
        match octet {
            b'\\' => return Err(PathProblem::Backslash),
            0..=0x1f | 0x7f => return Err(PathProblem::Control),
            b' ' | b'#' | b'?' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'}' => {
                return Err(PathProblem::Unencoded);
            }
            // Browsers send these as they are; one spelling is enough for policy and upstream.
            b'[' | b']' | b'|' | 0x80.. => self.push_escape(octet),
            _ => {
                self.has_semicolon |= octet == b';';
                self.text.push(char::from(octet));
            }
        }
        Ok(())
    }

    fn push_encoded(&mut self, octet: u8) -> Result<(), PathProblem> {
        match octet {
            b'\\' => return Err(PathProblem::Backslash),
            b'%' => return Err(PathProblem::EncodedPercent),
            0..=0x1f | 0x7f => return Err(PathProblem::Control),
            _ if is_unreserved(octet) => self.text.push(char::from(octet)),
            _ => {
                self.has_encoded_slash |= octet == b'/';
                self.has_semicolon |= octet == b';';
                self.has_encoded_delimiter |= is_delimiter(octet);
                self.push_escape(octet);
            }
        }
        Ok(())
    }

    fn push_escape(&mut self, octet: u8) {
        self.text
            .push_str(percent_encoding::percent_encode_byte(octet));
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has `%2F`, which a rule must allow.
    pub fn has_encoded_slash(&self) -> bool {
        self.has_encoded_slash
    }

    /// Whether it has `;` or `%3B`, which a rule must allow.
    pub fn has_semicolon(&self) -> bool {
        self.has_semicolon
    }

    /// The path as a server reads it that takes encoded delimiters (`%40`, `%21`) for plain ones;
    /// none when that is the path itself. A rule must not depend on the spelling.
    pub fn with_plain_delimiters(&self) -> Option<String> {
        if !self.has_encoded_delimiter {
            return None;
        }
        let mut plain = String::with_capacity(self.text.len());
        let mut pieces = self.text.split('%');
        plain.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            match unescape(piece.as_bytes()) {
                Ok((octet, _)) if is_delimiter(octet) => {
                    plain.push(char::from(octet));
                    plain.push_str(piece.get(2..).unwrap_or_default());
                }
                _ => {
                    plain.push('%');
                    plain.push_str(piece);
                }
            }
        }
        Some(plain)
    }
}

/// Whether a path is canonical at first sight: unreserved octets and slashes, and no segment that
/// is empty or begins with a dot.
fn is_plain(path: &[u8]) -> bool {
    let mut after_slash = false;
    path.iter().all(|octet| {
        let is_fine = match octet {
            b'/' | b'.' => !after_slash,
            octet => is_unreserved(*octet),
        };
        after_slash = *octet == b'/';
        is_fine
    })
}

/// RFC 3986, section 2.3.
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// What a segment may hold unencoded besides unreserved octets (RFC 3986, section 3.3); `;` is
/// judged by itself.
fn is_delimiter(octet: u8) -> bool {
    matches!(
        octet,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
    )
}

/// The octet that two hexadecimal digits stand for, and what follows them.
fn unescape(digits: &[u8]) -> Result<(u8, &[u8]), PathProblem> {
    let [high, low, after @ ..] = digits else {
        return Err(PathProblem::Escape);
    };
    let digit = |octet: u8| {
        char::from(octet)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    match (digit(*high), digit(*low)) {
        (Some(high), Some(low)) => Ok((high << 4 | low, after)),
        _ => Err(PathProblem::Escape),
    }
}

/// Looks for dot segments, also where a server would decode `%2F` or cut parameters off, and for
/// empty ones.
fn check_segments(path: &str) -> Result<(), PathProblem> {
    let without_first_slash = path.get(1..).unwrap_or_default();
    let mut segments = without_first_slash.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if without_parameters(segment).is_empty() && !(is_last && segment.is_empty()) {
            return Err(PathProblem::EmptySegment);
        }
        if segment
            .split("%2F")
            .any(|part| matches!(without_parameters(part), "." | ".."))
        {
            return Err(PathProblem::DotSegment);
        }
    }
    Ok(())
}

fn without_parameters(segment: &str) -> &str {
    let end = segment
        .find(';')
        .into_iter()
        .chain(segment.find("%3B"))
        .min();
    segment
        .get(..end.unwrap_or(segment.len()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(raw: &str) -> Result<String, PathProblem> {
        CanonicalPath::parse(raw.as_bytes()).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn plain_paths_stay_as_they_are() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a.b/..c/.d/e..",
            "/~u/-/_/!$&'()*+,=:@",
            "/%C3%BC",
        ] {
            assert_eq!(canonical(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn one_resource_has_one_spelling() {
        assert_eq!(canonical("/%61dmin%2d%7e").as_deref(), Ok("/admin-~"));
        assert_eq!(canonical("/%c3%bc").as_deref(), Ok("/%C3%BC"));
        assert_eq!(canonical("/ü").as_deref(), Ok("/%C3%BC"));
        assert_eq!(canonical("/a[1]|b").as_deref(), Ok("/a%5B1%5D%7Cb"));
    }

    #[test]
    fn what_servers_could_read_differently_is_refused() {
        use PathProblem::{
            Backslash, Control, DotSegment, EmptySegment, EncodedPercent, Escape, NotAbsolute,
            NotUtf8, Unencoded,
        };
        for (raw, problem) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("a", NotAbsolute),
            ("\\admin", NotAbsolute),
            ("/public/../admin", DotSegment),
            ("/public/%2e%2e/admin", DotSegment),
            ("/public/.%2E/admin", DotSegment),
            ("/admin/.", DotSegment),
            ("/./a", DotSegment),
            ("/public%2f..%2fadmin", DotSegment),
            ("/public%2F%2e%2e%2Fadmin", DotSegment),
            ("/public/..;/admin", DotSegment),
            ("/public/..%3b/admin", DotSegment),
            ("/public/%252e%252e/admin", EncodedPercent),
            ("/a%25", EncodedPercent),
            ("//", EmptySegment),
            ("//a", EmptySegment),
            ("/admin//", EmptySegment),
            ("/;/admin", EmptySegment),
            ("/admin/;x", EmptySegment),
            ("/%3b/admin", EmptySegment),
            ("/public\\..\\admin", Backslash),
            ("/public/..%5cadmin", Backslash),
            ("/a%00", Control),
            ("/a%0d%0ab", Control),
            ("/a\u{1}", Control),
            ("/a%7f", Control),
            ("/a%", Escape),
            ("/a%2", Escape),
            ("/a%zz", Escape),
            ("/a%u002e", Escape),
            ("/a%+1", Escape),
            ("/public/%c0%ae%c0%ae/admin", NotUtf8),
            ("/%ff", NotUtf8),
            ("/a b", Unencoded),
            ("/admin#/public/", Unencoded),
            ("/a?b", Unencoded),
            ("/a{b}", Unencoded),
        ] {
            assert_eq!(canonical(raw), Err(problem), "{raw:?}");
        }
        assert_eq!(CanonicalPath::parse(b"/\xff"), Err(NotUtf8));
        assert_eq!(
            CanonicalPath::parse(b"/%c3\xbc").map(|p| p.text),
            Ok("/%C3%BC".to_owned())
        );
    }

    #[test]
    fn full_width_dots_are_letters_not_dots() {
        assert_eq!(
            canonical("/public/．．/admin").as_deref(),
            Ok("/public/%EF%BC%8E%EF%BC%8E/admin")
        );
    }

    #[test]
    fn what_a_rule_must_allow_is_told() {
        let path = |raw: &str| CanonicalPath::parse(raw.as_bytes()).unwrap();
        assert!(path("/a%2fb").has_encoded_slash() && !path("/a/b").has_encoded_slash());
        assert!(path("/a;b").has_semicolon() && path("/a%3bb").has_semicolon());
        assert!(!path("/a,b").has_semicolon());
    }

    #[test]
    fn encoded_delimiters_have_a_plain_reading() {
        let path = |raw: &str| CanonicalPath::parse(raw.as_bytes()).unwrap();
        assert_eq!(
            path("/api/%40me%2Fü%21").with_plain_delimiters().as_deref(),
            Some("/api/@me%2F%C3%BC!")
        );
        assert_eq!(path("/api/@me%20x").with_plain_delimiters(), None);
    }

    proptest! {
        #[test]
        fn what_is_canonical_at_first_sight_is_so_at_the_second(raw in "/[a-z.~_/-]{0,12}") {
            let is_canonical = check_segments(&raw).is_ok();
            prop_assert!(is_canonical || !is_plain(raw.as_bytes()), "{raw}");
        }

        #[test]
        fn a_canonical_path_is_its_own_canonical_path(raw in "/[a-z./%0-9A-F;:@ü-]{0,24}") {
            if let Ok(path) = CanonicalPath::parse(raw.as_bytes()) {
                prop_assert_eq!(CanonicalPath::parse(path.as_str().as_bytes()), Ok(path));
            }
        }

        #[test]
        fn no_decoding_of_a_canonical_path_climbs(
            raw in "/([a-z]|\\.|%2e|%2E|/|%2f|%5c|\\\\|;|%3b|%25|%){0,16}"
        ) {
            if let Ok(path) = CanonicalPath::parse(raw.as_bytes()) {
                let decoded = percent_encoding::percent_decode_str(path.as_str())
                    .decode_utf8().unwrap().replace('\\', "/");
                let climbs = decoded.split('/')
                    .map(|segment| segment.split(';').next().unwrap())
                    .any(|segment| segment == "." || segment == "..");
                prop_assert!(!climbs, "{raw} -> {decoded}");
                prop_assert!(!path.as_str().contains("//"));
            }
        }

        #[test]
        fn any_octets_give_a_plain_ascii_path_or_a_problem(
            raw in proptest::collection::vec(any::<u8>(), 0..40)
        ) {
            if let Ok(path) = CanonicalPath::parse(&raw) {
                prop_assert!(path.as_str().bytes().all(|octet| octet.is_ascii_graphic()));
                prop_assert!(http::Uri::try_from(path.as_str()).is_ok());
            }
        }
    }

    #[test]
    fn fuzzed_paths_are_canonical_or_refused() {
        let fuzz = crate::fuzz::Fuzz {
            name: "path",
            corpus: include_str!("../../tests/fuzz/corpus/path.txt"),
            words: &["/public/", "/admin", "..;", "%3b", "%2F..%2F", "%40"],
        };
        fuzz.run(|octets| {
            let path = CanonicalPath::parse(octets);
            if let Ok(path) = &path {
                let text = path.as_str();
                let again = CanonicalPath::parse(text.as_bytes());
                assert_eq!(again.as_ref().map(CanonicalPath::as_str), Ok(text));
                // Nothing is lost, nothing is added, and a browser would leave it as it is.
                let meant = |octets: &[u8]| -> Vec<u8> {
                    percent_encoding::percent_decode(octets).collect()
                };
                assert_eq!(meant(octets), meant(text.as_bytes()));
                let url = url::Url::parse(&format!("https://app.example.com{text}")).unwrap();
                assert_eq!(url.path(), text);
                let decoded = String::from_utf8(meant(text.as_bytes())).unwrap();
                let climbs = |segment: &str| matches!(segment, "." | "..");
                assert!(!decoded.split(['/', '\\']).any(climbs));
                assert!(!text.contains("//") && text.is_ascii());
            }
            path.map(|path| {
                let plain = path.with_plain_delimiters().is_some();
                (path.has_encoded_slash(), path.has_semicolon(), plain)
            })
            .map_err(|problem| problem as u8)
        });
    }
}
