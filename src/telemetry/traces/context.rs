//! How a trace goes from one to the next: `traceparent` and `tracestate` (W3C Trace Context).

use std::str::FromStr as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// The fields by which a caller tells of its trace.
pub const FIELDS: [HeaderName; 2] = [PARENT, STATE];

/// What of `tracestate` is carried on, octets; a longer one is left out as a whole.
const MOST_STATE: usize = 512;

/// The caller's span; none where it says nothing, or nothing that can be understood.
pub(super) fn read(headers: &HeaderMap) -> Option<SpanContext> {
    let mut fields = headers.get_all(&PARENT).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let (trace, span, flags) = parent(field.to_str().ok()?)?;
    let caller = SpanContext::new(trace, span, flags, true, state(headers));
    caller.is_valid().then_some(caller)
}

/// `version-trace-parent-flags`, section 3.2; later versions may say more after the flags.
fn parent(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut parts = text.splitn(5, '-');
    let version = digits(parts.next()?, 2).filter(|version| *version != "ff")?;
    let trace = digits(parts.next()?, 32)?;
    let span = digits(parts.next()?, 16)?;
    let flags = digits(parts.next()?, 2)?;
    if version == "00" && parts.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    Some((
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        flags & TraceFlags::SAMPLED,
    ))
}

/// So many hexadecimal digits, in lower case.
fn digits(text: &str, count: usize) -> Option<&str> {
    let is_digit = |octet: u8| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet);
    (text.len() == count && text.bytes().all(is_digit)).then_some(text)
}

/// What other systems say of the trace (section 3.3); nothing where it cannot be understood.
fn state(headers: &HeaderMap) -> TraceState {
    let fields = headers.get_all(&STATE).iter();
    let fields: Result<Vec<&str>, _> = fields.map(HeaderValue::to_str).collect();
    let whole = fields.map(|fields| fields.join(",")).unwrap_or_default();
    if whole.len() > MOST_STATE {
        return TraceState::default();
    }
    TraceState::from_str(&whole).unwrap_or_default()
}

/// The fields that tell of a span.
pub(super) fn fields(
    span: &SpanContext,
) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
    let sampled = u8::from(span.is_sampled());
    let parent = format!("00-{}-{}-{sampled:02x}", span.trace_id(), span.span_id());
    let state = span.trace_state().header();
    let state = Some(state).filter(|state| !state.is_empty());
    [(PARENT, Some(parent)), (STATE, state)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value?).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn told(span: &SpanContext) -> Vec<String> {
        let fields = fields(span);
        fields
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn what_a_caller_says_is_told_on() {
        let span = read(&headers(&[
            (PARENT, CALLER),
            (STATE, "one=1"),
            (STATE, "two=a:b , three=3"),
        ]));
        let span = span.unwrap();
        assert!(span.is_remote() && span.is_sampled());
        let state = "tracestate: one=1,two=a:b,three=3".to_owned();
        assert_eq!(told(&span), [format!("traceparent: {CALLER}"), state]);
    }

    #[test]
    fn only_the_flag_that_is_known_is_read() {
        let not_kept = CALLER.replace("-01", "-fe");
        let span = read(&headers(&[(PARENT, &not_kept)])).unwrap();
        assert!(!span.is_sampled());
        assert_eq!(
            told(&span),
            [format!("traceparent: {}", CALLER.replace("-01", "-00"))]
        );
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = format!("{}-what", CALLER.replacen("00", "cc", 1));
        assert!(read(&headers(&[(PARENT, &later)])).is_some());
    }

    #[test]
    fn what_cannot_be_understood_is_nothing() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(read(&headers(&[(PARENT, bad)])).is_none(), "{bad}");
        }
        let twice = headers(&[(PARENT, CALLER), (PARENT, CALLER)]);
        assert!(read(&twice).is_none(), "which of the two it is");
    }

    #[test]
    fn a_state_that_is_no_list_or_too_long_is_left_out() {
        for bad in [
            "no list".to_owned(),
            format!("a={}", "x".repeat(MOST_STATE)),
        ] {
            let span = read(&headers(&[(PARENT, CALLER), (STATE, &bad)])).unwrap();
            assert_eq!(told(&span).len(), 1, "{bad}");
        }
    }
    #[test]
    fn fuzzed_callers_are_told_on_as_they_were_read() {
        let fuzz = crate::fuzz::Fuzz {
            name: "traces",
            corpus: include_str!("../../../tests/fuzz/corpus/traces.txt"),
            words: &[
                "00-",
                "-01",
                "ff-",
                "0af7651916cd43dd8448eb211c80319c",
                "a=1,",
                "t@v=",
                "\n",
            ],
        };
        fuzz.run(|octets| {
            // The first line is the parent, every other one a state.
            let mut sent = HeaderMap::new();
            for (number, field) in octets.split(|octet| *octet == b'\n').enumerate() {
                let name = if number == 0 { PARENT } else { STATE };
                if let Ok(value) = HeaderValue::from_bytes(field) {
                    sent.append(name, value);
                }
            }
            let Some(span) = read(&sent) else {
                return (false, false, 0);
            };
            let parent = sent[PARENT].to_str().unwrap();
            assert_eq!(parent[3..35], span.trace_id().to_string());
            assert_eq!(parent[36..52], span.span_id().to_string());
            let told: HeaderMap = fields(&span).collect();
            let state = told.get(STATE).map(HeaderValue::as_bytes);
            let length = state.unwrap_or_default().len();
            assert!(length <= MOST_STATE);
            assert_eq!(
                read(&told),
                Some(span.clone()),
                "the next one reads the same"
            );
            (true, span.is_sampled(), length.min(64) / 4)
        });
    }
}
