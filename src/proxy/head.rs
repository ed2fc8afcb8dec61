//! Judges the head of an HTTP/1 request before anything parses it leniently.
//!
//! Whatever two parsers could read differently is refused here (RFC 9112, sections 2 to 6): the
//! proxy library takes bare line feeds, raw spaces in targets and requests without `Host`.

use memchr::{memchr, memchr_iter};

/// Bounds of a head.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    /// The whole head, octets.
    pub(super) head: usize,
    /// The request target, octets.
    pub(super) target: usize,
    /// Fields.
    pub(super) fields: usize,
}

/// Why a head is refused; the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadProblem {
    /// A line ends with a bare line feed, or a carriage return stands alone.
    #[error("a line does not end with CR LF")]
    LineEnd,
    /// The request line is not `METHOD SP target SP HTTP/1.x`.
    #[error("the request line is malformed")]
    RequestLine,
    /// Not HTTP/1.0 or HTTP/1.1.
    #[error("the version is not HTTP/1.0 or HTTP/1.1")]
    Version,
    /// A control character, a space or another octet that targets do not have.
    #[error("the request target has an octet that must be encoded")]
    Target,
    /// A field name is not a token, or the line is folded.
    #[error("a field name is malformed")]
    FieldName,
    /// A field value has a control character.
    #[error("a field value has a control character")]
    FieldValue,
    /// No `Host`, or several.
    #[error("there must be one Host field")]
    Host,
    /// The length of the body is in doubt.
    #[error("the length of the body is in doubt")]
    Framing,
    /// Something follows a WebSocket handshake that nobody has agreed to yet.
    #[error("octets follow a handshake before it is agreed to")]
    EarlyTunnel,
    /// The request target is too long.
    #[error("the request target is too long")]
    TargetTooLong,
    /// The head is too large.
    #[error("the head is too large")]
    TooLarge,
    /// Too many fields.
    #[error("there are too many fields")]
    TooManyFields,
}

impl HeadProblem {
    /// The status that says so.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::TooLarge | Self::TooManyFields => 431,
            _ => 400,
        }
    }
}

/// Finds the end of a head that arrives in pieces, each octet looked at once.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    seen: usize,
    line_start: usize,
}

impl HeadScanner {
    /// The length of the head, once it is complete; `buffer` begins with the request line and
    /// only ever grows.
    pub(super) fn end(
        &mut self,
        buffer: &[u8],
        limits: HeadLimits,
    ) -> Result<Option<usize>, HeadProblem> {
        while let Some(found) = memchr(b'\n', buffer.get(self.seen..).unwrap_or_default()) {
            let line_feed = self.seen + found;
            let line = buffer.get(self.line_start..line_feed).unwrap_or_default();
            self.seen = line_feed + 1;
            self.line_start = line_feed + 1;
            match line {
                b"\r" if self.seen <= limits.head => return Ok(Some(self.seen)),
                [.., b'\r'] => {}
                _ => return Err(HeadProblem::LineEnd),
            }
        }
        self.seen = buffer.len();
        match buffer.len() > limits.head {
            true if self.line_start == 0 => Err(HeadProblem::TargetTooLong),
            true => Err(HeadProblem::TooLarge),
            false => Ok(None),
        }
    }
}

/// Judges a complete head, its last empty line included.
pub(super) fn judge(head: &[u8], limits: HeadLimits) -> Result<(), HeadProblem> {
    if head.len() > limits.head {
        return Err(HeadProblem::TooLarge);
    }
    let mut lines = lines_of(head);
    let version = judge_request_line(lines.next().unwrap_or_default(), limits.target)?;
    let mut framing = Framing::default();
    let mut fields = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        fields += 1;
        if fields > limits.fields {
            return Err(HeadProblem::TooManyFields);
        }
        let (name, value) = judge_field(line)?;
        framing.note(name, value)?;
    }
    framing.judge(version)
}

/// The lines of a head without their ends.
fn lines_of(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = memchr_iter(b'\n', head).chain(std::iter::once(head.len()));
    ends.map(move |end| {
        let line = head.get(start..end).unwrap_or_default();
        start = end + 1;
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

fn judge_request_line(line: &[u8], longest_target: usize) -> Result<Version, HeadProblem> {
    let mut parts = line.split(|octet| *octet == b' ');
    let method = parts.next().unwrap_or_default();
    let target = parts.next().ok_or(HeadProblem::RequestLine)?;
    let version = parts.next().ok_or(HeadProblem::RequestLine)?;
    if !is_token(method) {
        return Err(HeadProblem::RequestLine);
    }
    if target.len() > longest_target {
        return Err(HeadProblem::TargetTooLong);
    }
    if target.is_empty() || parts.next().is_some() || !all(target, is_target) {
        return Err(HeadProblem::Target);
    }
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        _ => Err(HeadProblem::Version),
    }
}

/// Whether all octets are of a kind; looks at many at once, and therefore at all in any case.
fn all(octets: &[u8], is_of_kind: impl Fn(u8) -> bool) -> bool {
    octets
        .iter()
        .fold(true, |so_far, octet| so_far & is_of_kind(*octet))
}

/// Everything that is visible, but for the fragment mark; beyond ASCII the canonical path judges.
fn is_target(octet: u8) -> bool {
    octet > b' ' && octet != 0x7f && octet != b'#'
}

/// No control characters but the tab.
fn is_value(octet: u8) -> bool {
    octet >= b' ' && octet != 0x7f || octet == b'\t'
}

fn judge_field(line: &[u8]) -> Result<(&[u8], &[u8]), HeadProblem> {
    let name_end = line.iter().position(|octet| !is_in_token(*octet));
    let (name, rest) = line
        .split_at_checked(name_end.unwrap_or_default())
        .ok_or(HeadProblem::FieldName)?;
    let value = rest.strip_prefix(b":").filter(|_| !name.is_empty());
    let value = value.ok_or(HeadProblem::FieldName)?;
    all(value, is_value)
        .then(|| (name, value.trim_ascii()))
        .ok_or(HeadProblem::FieldValue)
}

/// RFC 9110, section 5.6.2.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|octet| is_in_token(*octet))
}

fn is_in_token(octet: u8) -> bool {
    IN_TOKENS
        .get(usize::from(octet))
        .is_some_and(|is_in| *is_in)
}

/// Which octets a token may have.
#[expect(clippy::indexing_slicing, reason = "it is made while compiling")]
const IN_TOKENS: [bool; 256] = {
    let mut set = [false; 256];
    let mut octet: u8 = 0;
    while octet < 128 {
        let is_in = octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        set[octet as usize] = is_in;
        octet += 1;
    }
    set
};

/// What decides where the body ends.
#[derive(Debug, Default)]
struct Framing {
    hosts: usize,
    lengths: usize,
    encodings: usize,
}

impl Framing {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadProblem> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.hosts += 1,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                self.lengths += 1;
                let is_number =
                    (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
                return is_number.then_some(()).ok_or(HeadProblem::Framing);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.encodings += 1;
                let is_chunked = value.eq_ignore_ascii_case(b"chunked");
                return is_chunked.then_some(()).ok_or(HeadProblem::Framing);
            }
            // What CGI-like servers fold to the same name would frame the body for them alone.
            14 | 17 if folds_to_framing(name) => return Err(HeadProblem::Framing),
            _ => {}
        }
        Ok(())
    }

    fn judge(&self, version: Version) -> Result<(), HeadProblem> {
        if self.hosts != 1 {
            return Err(HeadProblem::Host);
        }
        let is_clear = self.lengths + self.encodings <= 1
            && (self.encodings == 0 || version == Version::Http11);
        is_clear.then_some(()).ok_or(HeadProblem::Framing)
    }
}

/// Whether a head that was judged asks for a WebSocket: what follows it then is no request, and no
/// body either, until the upstream has agreed.
pub(super) fn asks_for_websocket(head: &[u8]) -> bool {
    let fields = head.split(|octet| *octet == b'\n').skip(1);
    let named = |wanted: &'static [u8]| {
        let mut named = fields.clone().filter_map(|line| {
            let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
            name.eq_ignore_ascii_case(wanted)
                .then(|| value.get(1..).unwrap_or_default().trim_ascii())
        });
        named.next()
    };
    named(b"upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
        && named(b"content-length").is_none()
        && named(b"transfer-encoding").is_none()
}

/// Whether a server may read a name as one that frames the body.
pub(super) fn folds_to_framing(name: &[u8]) -> bool {
    let folded: Vec<u8> = name
        .iter()
        .map(|octet| {
            if octet.is_ascii_alphanumeric() {
                octet.to_ascii_lowercase()
            } else {
                b'-'
            }
        })
        .collect();
    folded == b"content-length" || folded == b"transfer-encoding"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: HeadLimits = HeadLimits {
        head: 4096,
        target: 1024,
        fields: 20,
    };

    fn verdict(head: &[u8]) -> Result<(), HeadProblem> {
        match HeadScanner::default().end(head, LIMITS)? {
            Some(end) => judge(&head[..end], LIMITS),
            None => panic!("incomplete"),
        }
    }

    fn with_lines(lines: &str) -> Result<(), HeadProblem> {
        verdict(format!("POST /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes())
    }

    #[test]
    fn ordinary_requests_pass() {
        assert_eq!(verdict(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(()));
        assert_eq!(
            verdict(b"GET /?q=a HTTP/1.0\r\nhOST:a\r\nX:\r\n\r\n"),
            Ok(())
        );
        assert_eq!(
            verdict("GET /ü?ü HTTP/1.1\r\nHost: a\r\nX-N: ü\r\n\r\n".as_bytes()),
            Ok(())
        );
        assert_eq!(with_lines("Content-Length: 12\r\nX-Tab: a\tb\r\n"), Ok(()));
        assert_eq!(with_lines("Transfer-Encoding: Chunked\r\n"), Ok(()));
    }

    #[test]
    fn line_ends_are_cr_lf_and_nothing_else() {
        for head in [
            &b"GET / HTTP/1.1\nHost: a\n\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        ] {
            assert_eq!(verdict(head), Err(HeadProblem::LineEnd));
        }
        assert_eq!(with_lines("X: a\rb\r\n"), Err(HeadProblem::FieldValue));
        assert_eq!(with_lines("X: a\r\r\n"), Err(HeadProblem::FieldValue));
    }

    #[test]
    fn targets_have_no_raw_space_control_or_fragment() {
        for target in ["/a b", "/a\tb", "/a\u{b}", "/\0", "/a\u{7f}", "/a#b", ""] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(
                verdict(head.as_bytes()),
                Err(HeadProblem::Target),
                "{target:?}"
            );
        }
        for line in [
            "GET /",
            "GET",
            "/ HTTP/1.1",
            "G(T / HTTP/1.1",
            " GET / HTTP/1.1",
            "",
        ] {
            let head = format!("{line}\r\nHost: a\r\n\r\n");
            assert_eq!(
                verdict(head.as_bytes()),
                Err(HeadProblem::RequestLine),
                "{line:?}"
            );
        }
        for version in ["HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/0.9", "HTTP/1.1x"] {
            let head = format!("GET / {version}\r\nHost: a\r\n\r\n");
            assert_eq!(
                verdict(head.as_bytes()),
                Err(HeadProblem::Version),
                "{version:?}"
            );
        }
    }

    #[test]
    fn field_lines_are_name_colon_value() {
        for line in [
            " folded: a",
            "\tfolded",
            "X : a",
            ": a",
            "no colon",
            "X\0: a",
            "X(: a",
        ] {
            assert_eq!(
                with_lines(&format!("{line}\r\n")),
                Err(HeadProblem::FieldName),
                "{line:?}"
            );
        }
        assert_eq!(with_lines("X: a\0b\r\n"), Err(HeadProblem::FieldValue));
        assert_eq!(with_lines("X: a\u{b}b\r\n"), Err(HeadProblem::FieldValue));
    }

    #[test]
    fn a_handshake_is_known_by_its_fields() {
        let asks = |lines: &str| {
            asks_for_websocket(format!("GET /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes())
        };
        assert!(asks("Upgrade: websocket\r\nConnection: Upgrade\r\n"));
        assert!(asks("upgrade:WebSocket\r\n"));
        for lines in [
            "",
            "Upgrade: h2c\r\n",
            "X: a\r\nX-Upgrade: websocket\r\n",
            "Upgrade: websocket\r\nContent-Length: 3\r\n",
            "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert!(!asks(lines), "{lines:?}");
        }
    }

    #[test]
    fn there_is_one_host() {
        assert_eq!(
            verdict(b"GET / HTTP/1.1\r\nX: a\r\n\r\n"),
            Err(HeadProblem::Host)
        );
        assert_eq!(verdict(b"GET / HTTP/1.0\r\n\r\n"), Err(HeadProblem::Host));
        assert_eq!(with_lines("Host: a\r\n"), Err(HeadProblem::Host));
    }

    #[test]
    fn the_length_of_the_body_is_never_in_doubt() {
        for lines in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Content-Length: 3, 3\r\n",
            "Content-Length: +3\r\n",
            "Content-Length: 0x3\r\n",
            "Content-Length:\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 9999999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding:\r\n",
            "Content_Length: 3\r\n",
            "Transfer.Encoding: chunked\r\n",
        ] {
            assert_eq!(with_lines(lines), Err(HeadProblem::Framing), "{lines:?}");
        }
        assert_eq!(
            verdict(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Err(HeadProblem::Framing)
        );
    }

    #[test]
    fn heads_have_bounds() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1024));
        assert_eq!(verdict(long.as_bytes()), Err(HeadProblem::TargetTooLong));
        let endless = vec![b'a'; 5000];
        let scan = |octets: &[u8]| HeadScanner::default().end(octets, LIMITS);
        assert_eq!(scan(&endless), Err(HeadProblem::TargetTooLong));
        let large = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(5000));
        assert_eq!(scan(large.as_bytes()), Err(HeadProblem::TooLarge));
        assert_eq!(
            with_lines(&"X: a\r\n".repeat(20)),
            Err(HeadProblem::TooManyFields)
        );
        assert_eq!(with_lines(&"X: a\r\n".repeat(19)), Ok(()));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_a_head_arrives(
            head in "(GET / HTTP/1.1|Host: a|X: b|\r\n|\n|\r| ){0,12}",
            cuts in proptest::collection::vec(0usize..80, 0..6)
        ) {
            let head = head.as_bytes();
            let whole = HeadScanner::default().end(head, LIMITS);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(head.len())).collect();
            cuts.push(head.len());
            cuts.sort_unstable();
            let mut scanner = HeadScanner::default();
            let mut piecemeal = Ok(None);
            for cut in cuts {
                piecemeal = scanner.end(&head[..cut], LIMITS);
                if piecemeal != Ok(None) {
                    break;
                }
            }
            prop_assert_eq!(piecemeal, whole);
        }

        #[test]
        fn what_passes_is_read_the_same_way_by_another_parser(
            head in "(GET|POST) /[a-z ]{0,3} HTTP/1\\.[01]\r\n(Host: a\r\n|X ?:[ a-z\t]{0,4}\r\n|Content-Length: [0-9+]{1,2}\r\n| x\r\n){0,5}\r\n"
        ) {
            if verdict(head.as_bytes()).is_ok() {
                let lines = head.trim_end().split("\r\n").skip(1);
                for line in lines {
                    let (name, _) = line.split_once(':').unwrap();
                    prop_assert!(http::HeaderName::try_from(name).is_ok());
                }
            }
        }
    }

    #[test]
    fn fuzzed_heads_are_read_one_way_or_refused() {
        let fuzz = crate::fuzz::Fuzz {
            name: "heads",
            corpus: include_str!("../../tests/fuzz/corpus/heads.txt"),
            words: &[
                "Host: app.example.com\r\n",
                "Content-Length: 3\r\n",
                "Transfer-Encoding: chunked\r\n",
                "Upgrade: websocket\r\n",
                "HTTP/1.1",
                "GET ",
                ": ",
            ],
        };
        fuzz.run(|octets| {
            let end = match HeadScanner::default().end(octets, LIMITS) {
                Ok(Some(end)) => end,
                Ok(None) => return (None, 0),
                Err(problem) => return (Some(problem as u8), 0),
            };
            let head = &octets[..end];
            if let Err(problem) = judge(head, LIMITS) {
                return (Some(problem as u8), 1);
            }
            // Another parser reads it to the same end and in the same way, or not at all.
            let mut fields = [httparse::EMPTY_HEADER; 32];
            let mut other = httparse::Request::new(&mut fields);
            match other.parse(head) {
                Ok(status) => assert_eq!(status, httparse::Status::Complete(end)),
                Err(_) => return (None, 1),
            }
            let named = |name: &str| {
                let same = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
                other.headers.iter().filter(same).count()
            };
            let (lengths, encodings) = (named("content-length"), named("transfer-encoding"));
            assert_eq!(named("host"), 1);
            assert!(lengths + encodings <= 1);
            let line = head.split(|octet| *octet == b'\r').next().unwrap();
            let (method, path) = (other.method.unwrap(), other.path.unwrap());
            let version = other.version.unwrap();
            assert_eq!(format!("{method} {path} HTTP/1.{version}").as_bytes(), line);
            let asks = asks_for_websocket(head);
            (
                None,
                2 + u8::from(asks) + 2 * version + 4 * u8::from(lengths + encodings > 0),
            )
        });
    }
}
