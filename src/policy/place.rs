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

    /// Whether it matches every path that the other matches.
    pub fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Exact(path) => self.matches(path),
            Self::Below(prefix) => matches!(self, Self::Below(_)) && self.matches(prefix),
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

impl std::fmt::Display for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Below(prefix) => write!(f, "{prefix}/**"),
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
/// choice does not take longer the more there are: the path leads from segment to segment through
/// a tree, and stops where none of them goes any further.
#[derive(Debug)]
pub struct Places<T> {
    ordered: Vec<Arc<T>>,
    root: Node<T>,
}

/// By a segment or a host. Operators alone fill it, so that strangers cannot make it slow.
type ByName<T> = HashMap<Box<str>, T, RandomState>;

/// A path at which some begin, or through which the way to some leads.
#[derive(Debug)]
struct Node<T> {
    /// The paths one segment longer.
    next: ByName<Self>,
    /// Those for this path alone.
    exact: AtPath<T>,
    /// Those for this path and everything below it.
    below: AtPath<T>,
}

/// Those of one path: of a host, and of all hosts, each in their order.
#[derive(Debug)]
struct AtPath<T> {
    by_host: ByName<Vec<Arc<T>>>,
    of_all_hosts: Vec<Arc<T>>,
}

impl<T: Placed> Places<T> {
    /// Orders them.
    pub fn new(all: impl IntoIterator<Item = T>) -> Self {
        let mut ordered: Vec<_> = all.into_iter().map(Arc::new).collect();
        ordered.sort_by_key(|one| std::cmp::Reverse(specificity(&**one)));
        let mut root = Node::default();
        for one in &ordered {
            root.at(one.path()).add(one);
        }
        Self { ordered, root }
    }

    /// The one for a request, if any is.
    pub fn choose(&self, host: &str, path: &str, method: &str) -> Option<&Arc<T>> {
        let mut node = &self.root;
        let mut chosen = node.below.choose(host, method);
        for segment in path.split('/').skip(1) {
            let Some(next) = node.next.get(segment) else {
                return chosen;
            };
            node = next;
            chosen = node.below.choose(host, method).or(chosen);
        }
        node.exact.choose(host, method).or(chosen)
    }

    /// All, the most specific first.
    pub fn all(&self) -> &[Arc<T>] {
        &self.ordered
    }
}

impl<T: Placed> Node<T> {
    /// Where those for a path are kept.
    fn at(&mut self, path: &PathPattern) -> &mut AtPath<T> {
        let (PathPattern::Exact(text) | PathPattern::Below(text)) = path;
        let segments = text.split('/').skip(1);
        let node = segments.fold(self, |node, segment| {
            node.next.entry(segment.into()).or_default()
        });
        match path {
            PathPattern::Exact(_) => &mut node.exact,
            PathPattern::Below(_) => &mut node.below,
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            next: ByName::default(),
            exact: AtPath::default(),
            below: AtPath::default(),
        }
    }
}

impl<T: Placed> AtPath<T> {
    /// Adds one that is no more specific than those that are there.
    fn add(&mut self, one: &Arc<T>) {
        let places = match one.host() {
            Some(host) => self.by_host.entry(host.into()).or_default(),
            None => &mut self.of_all_hosts,
        };
        places.push(Arc::clone(one));
    }

    fn choose(&self, host: &str, method: &str) -> Option<&Arc<T>> {
        let of_host = self.by_host.get(host).into_iter().flatten();
        of_host
            .chain(&self.of_all_hosts)
            .find(|one| one.methods().is_empty() || one.methods().iter().any(|own| own == method))
    }
}

impl<T> Default for AtPath<T> {
    fn default() -> Self {
        Self {
            by_host: ByName::default(),
            of_all_hosts: Vec::new(),
        }
    }
}

/// How specific something is: of two for the same request, the greater is chosen.
pub type Specificity = ((usize, bool), (bool, bool));

/// How specific one is.
pub fn specificity(one: &impl Placed) -> Specificity {
    let is_narrow = (one.host().is_some(), !one.methods().is_empty());
    (one.path().weight(), is_narrow)
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
    use std::cell::Cell;

    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Sign {
        name: String,
        host: Option<String>,
        path: PathPattern,
        methods: Vec<String>,
        looked_at: Cell<usize>,
    }

    impl Placed for Sign {
        fn host(&self) -> Option<&str> {
            self.host.as_deref()
        }

        fn path(&self) -> &PathPattern {
            &self.path
        }

        fn methods(&self) -> &[String] {
            self.looked_at.update(|times| times + 1);
            &self.methods
        }
    }

    fn sign(path: &str) -> Sign {
        Sign {
            name: path.to_owned(),
            host: None,
            path: PathPattern::parse(path).unwrap(),
            methods: vec![],
            looked_at: Cell::default(),
        }
    }

    #[test]
    fn the_most_specific_is_chosen_whatever_the_order() {
        let places = Places::new(["/**", "/adm/**", "/adm/x", "/adm/x/**"].map(sign));
        let name = |path| places.choose("h", path, "GET").unwrap().name.clone();
        assert_eq!(name("/adm/x"), "/adm/x");
        assert_eq!(name("/adm/x/y"), "/adm/x/**");
        assert_eq!(name("/adm"), "/adm/**");
        assert_eq!(name("/adm/"), "/adm/**");
        assert_eq!(name("/administer"), "/**");
    }

    /// So many, on many paths and for many hosts, and those that the requests below are for.
    fn many(count: usize) -> Places<Sign> {
        let on_paths = (0..count).map(|number| sign(&format!("/things/{number}/**")));
        let on_hosts = (0..count).map(|number| Sign {
            host: Some(format!("host-{number}")),
            ..sign("/shop/**")
        });
        let asked = ["/**", "/things/7/parts/**", "/shop/till"].map(sign);
        Places::new(on_paths.chain(on_hosts).chain(asked))
    }

    #[test]
    fn of_a_thousand_no_more_are_looked_at_than_of_ten() {
        let looked_at = |places: &Places<Sign>, (host, path)| {
            let count = || places.all().iter().map(|one| one.looked_at.get()).sum();
            let before: usize = count();
            let chosen = places.choose(host, path, "GET").unwrap();
            (chosen.name.clone(), count() - before)
        };
        let (few, lots) = (many(10), many(1000));
        for request in [
            ("host-7", "/things/7/parts/x"),
            ("host-7", "/things/7"),
            ("host-7", "/shop/a/b"),
            ("other", "/shop/a/b"),
            ("host-7", "/shop/till"),
            ("host-7", "/nowhere"),
        ] {
            let (chosen, looks) = looked_at(&lots, request);
            assert_eq!((chosen, looks), looked_at(&few, request), "{request:?}");
            assert!(looks <= 4, "{request:?}: {looks}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_matches_all_of() {
        let covers = |one: &str, other: &str| {
            let parse = |path| PathPattern::parse(path).unwrap();
            parse(one).covers(&parse(other))
        };
        for (wide, narrow) in [("/**", "/a/**"), ("/a/**", "/a"), ("/a/**", "/a/b/**")] {
            assert!(
                covers(wide, narrow) && !covers(narrow, wide),
                "{wide} {narrow}"
            );
        }
        assert!(covers("/a", "/a") && covers("/a/**", "/a/**"));
        assert!(!covers("/a/**", "/ab") && !covers("/ab/**", "/a/**"));
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
            patterns in proptest::collection::vec(
                ("(/[ab]){0,3}/?", any::<bool>(), "|h|i", "|GET|POST"), 0..12
            ),
            host in "h|i|j",
            path in "(/[abc]){0,4}/?",
            method in "GET|POST|PUT"
        ) {
            let some = |text: &String| (!text.is_empty()).then(|| text.clone());
            let signs = patterns.iter().enumerate().map(|(number, (path, is_exact, host, method))| {
                let path = if *is_exact {
                    PathPattern::Exact(if path.is_empty() { "/" } else { path }.to_owned())
                } else {
                    PathPattern::Below(path.trim_end_matches('/').to_owned())
                };
                Sign {
                    name: number.to_string(),
                    host: some(host),
                    methods: some(method).into_iter().collect(),
                    path,
                    looked_at: Cell::default(),
                }
            });
            let path = if path.is_empty() { "/" } else { path.as_str() };
            let places = Places::new(signs);
            let by_looking = places.all().iter().find(|one| {
                one.path.matches(path)
                    && one.host.as_ref().is_none_or(|own| *own == host)
                    && (one.methods.is_empty() || one.methods.contains(&method))
            });
            let chosen = places.choose(&host, path, &method);
            prop_assert_eq!(chosen.map(|one| &one.name), by_looking.map(|one| &one.name));
        }
    }
}
