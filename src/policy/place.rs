//! Where a request is for, and which of many places that name hosts, paths and methods is the most
//! specific one: that of a rule, or of an upstream.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::paths;

/// Which paths a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// This path alone.
    Exact(String),
    /// This path and everything below it; without the trailing slash (`/admin` for `/admin/**`).
    Below(String),
}

impl PathPattern {
    /// Reads an exact path, or a prefix ending in `/**`; both as canonical paths are written.
    pub fn parse(path: &str) -> Result<Self, PatternProblem> {
        let below = path.strip_suffix("/**");
        let text = below.unwrap_or(path);
        if !path.starts_with('/') {
            return Err(PatternProblem::NoSlash(path.to_owned()));
        }
        if text.contains('*') {
            return Err(PatternProblem::InnerStar);
        }
        if !is_canonical(text) {
            return Err(PatternProblem::NotCanonical);
        }
        if paths::is_ours(text) {
            return Err(PatternProblem::Ours);
        }
        let text = text.to_owned();
        Ok(match below {
            Some(_) => Self::Below(text),
            None => Self::Exact(text),
        })
    }

    /// Everything.
    pub fn everything() -> Self {
        Self::Below(String::new())
    }

    /// Whether a canonical path matches.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Below(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    /// How specific it is: longer wins, exact wins over a prefix of the same length.
    fn weight(&self) -> (usize, bool) {
        match self {
            Self::Exact(path) => (path.len(), true),
            Self::Below(prefix) => (prefix.len(), false),
        }
    }
}

/// Why a text is no path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// It does not begin with a slash.
    #[error("a path begins with a slash")]
    NoSlash(String),
    /// `*` stands elsewhere than at the end.
    #[error("`*` stands at the end only, as `/**`")]
    InnerStar,
    /// It is not written as canonical paths are.
    #[error("no request has this path")]
    NotCanonical,
    /// It is one of the gateway's own.
    #[error("no request with this path is ever forwarded")]
    Ours,
}

impl PatternProblem {
    /// What to write instead.
    pub fn advice(&self) -> String {
        match self {
            Self::NoSlash(path) => format!("write `/{path}`"),
            Self::InnerStar => "end the path in `/**` for everything below it".to_owned(),
            Self::NotCanonical => "no empty segments, no `.` or `..`, no query, `%XX` only where \
                                   it is needed and in capitals"
                .to_owned(),
            Self::Ours => format!("paths under `{}` are the gateway's own", paths::PREFIX),
        }
    }
}

/// Something that is for the requests of a place.
pub trait Placed {
    /// The host that it is for; none for all.
    fn host(&self) -> Option<&str>;

    /// The paths that it is for.
    fn path(&self) -> &PathPattern;

    /// The methods that it is for, case-sensitive; empty for all.
    fn methods(&self) -> &[String] {
        &[]
    }
}

/// Many of a kind, of which the most specific one is chosen: by path, then host, then methods. A
/// choice does not take longer the more there are.
#[derive(Debug)]
pub struct Places<T> {
    ordered: Vec<Arc<T>>,
    exact: ByPath<T>,
    below: ByPath<T>,
}

/// By path; those of one path in their order. Operators alone fill it, so that strangers cannot
/// make it slow.
type ByPath<T> = HashMap<String, Vec<Arc<T>>, RandomState>;

impl<T: Placed> Places<T> {
    /// Orders them.
    pub fn new(all: impl IntoIterator<Item = T>) -> Self {
        let mut ordered: Vec<_> = all.into_iter().map(Arc::new).collect();
        ordered.sort_by_key(|one| {
            let is_narrow = (one.host().is_some(), !one.methods().is_empty());
            std::cmp::Reverse((one.path().weight(), is_narrow))
        });
        let (mut exact, mut below) = (ByPath::default(), ByPath::default());
        for one in &ordered {
            let (places, path) = match one.path() {
                PathPattern::Exact(path) => (&mut exact, path),
                PathPattern::Below(path) => (&mut below, path),
            };
            places
                .entry(path.clone())
                .or_default()
                .push(Arc::clone(one));
        }
        Self {
            ordered,
            exact,
            below,
        }
    }

    /// The one for a request, if any is.
    pub fn choose(&self, host: &str, path: &str, method: &str) -> Option<&Arc<T>> {
        let exact = self.exact.get(path).into_iter();
        let below = prefixes(path).filter_map(|prefix| self.below.get(prefix));
        exact.chain(below).flatten().find(|one| {
            one.host().is_none_or(|own| own == host)
                && (one.methods().is_empty() || one.methods().iter().any(|own| own == method))
        })
    }

    /// All, the most specific first.
    pub fn all(&self) -> &[Arc<T>] {
        &self.ordered
    }
}

/// The path and everything above it, the longest first, each ending at a segment border; the last
/// is empty.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |longer| {
        let border = longer.bytes().rposition(|octet| octet == b'/')?;
        longer.get(..border)
    })
}

/// Whether the path is written as canonical paths are: rules are compared with those.
fn is_canonical(path: &str) -> bool {
    let mut segments = path.split('/').skip(1).peekable();
    let mut are_segments_sound = true;
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        are_segments_sound &= !matches!(segment, "." | "..") && (is_last || !segment.is_empty());
    }
    let escapes = path.split('%').skip(1);
    let are_escapes_sound = escapes.into_iter().all(|rest| {
        let code = rest.get(..2).filter(|code| code.to_uppercase() == *code);
        let octet = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        octet.is_some_and(|octet| {
            !(octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~' | b'%'))
        })
    });
    let is_plain = path
        .chars()
        .all(|c| c.is_ascii_graphic() && !"?#\\\"<>^`{|}".contains(c));
    are_segments_sound && are_escapes_sound && is_plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Sign {
        name: String,
        host: Option<String>,
        path: PathPattern,
        methods: Vec<String>,
    }

    impl Placed for Sign {
        fn host(&self) -> Option<&str> {
            self.host.as_deref()
        }

        fn path(&self) -> &PathPattern {
            &self.path
        }

        fn methods(&self) -> &[String] {
            &self.methods
        }
    }

    fn sign(path: &str) -> Sign {
        Sign {
            name: path.to_owned(),
            host: None,
            path: PathPattern::parse(path).unwrap(),
            methods: vec![],
        }
    }

    #[test]
    fn the_most_specific_is_chosen_whatever_the_order() {
        let places = Places::new(["/**", "/adm/**", "/adm/x", "/adm/x/**"].map(sign));
        let name = |path| places.choose("h", path, "GET").unwrap().name.clone();
        assert_eq!(name("/adm/x"), "/adm/x");
        assert_eq!(name("/adm/x/y"), "/adm/x/**");
        assert_eq!(name("/adm"), "/adm/**");
        assert_eq!(name("/administer"), "/**");
    }

    #[test]
    fn what_no_request_has_is_no_pattern() {
        for (path, problem) in [
            ("a/**", PatternProblem::NoSlash("a/**".to_owned())),
            ("/a/*/b", PatternProblem::InnerStar),
            ("/a//b", PatternProblem::NotCanonical),
            ("/a?b", PatternProblem::NotCanonical),
            ("/auth/login", PatternProblem::Ours),
        ] {
            assert_eq!(PathPattern::parse(path), Err(problem));
        }
    }

    proptest! {
        #[test]
        fn the_choice_is_that_of_looking_at_every_one(
            patterns in proptest::collection::vec(("(/[ab]){1,3}", any::<bool>(), 0u8..3), 0..8),
            path in "(/[abc]){0,4}/?",
            method in "GET|POST"
        ) {
            let signs = patterns.iter().enumerate().map(|(number, (path, is_exact, scope))| {
                let path = if *is_exact { path.clone() } else { format!("{path}/**") };
                Sign {
                    name: number.to_string(),
                    host: (*scope == 1).then(|| "h".to_owned()),
                    methods: if *scope == 2 { vec!["GET".to_owned()] } else { vec![] },
                    ..sign(&path)
                }
            });
            let places = Places::new(signs);
            let by_looking = places.all().iter().find(|one| {
                one.path.matches(&path)
                    && one.host.as_deref().is_none_or(|own| own == "h")
                    && (one.methods.is_empty() || one.methods.contains(&method))
            });
            let chosen = places.choose("h", &path, &method);
            prop_assert_eq!(chosen.map(|one| &one.name), by_looking.map(|one| &one.name));
        }
    }
}
