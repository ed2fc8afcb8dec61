//! Runs parsers that strangers reach on hostile octets: a committed corpus first, then changes of it.
//!
//! What a target gives back is the shape of its answer. An input with a shape that was not seen
//! before is kept and changed further, so that a run finds its way into a parser by itself, on any
//! compiler. The tests change inputs by fixed seeds, so that they say the same each time.
//! `FUZZ_SECONDS` has every target run that long by a new seed, which a failure names (`make fuzz`).

#![expect(clippy::print_stderr, reason = "a run tells what it found")]

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::seal::to_base64;

/// Changed inputs in a run of the tests, by each seed.
const INPUTS: u64 = 10_000;

/// By which inputs are changed in the tests.
const SEEDS: [u64; 2] = [1, 2];

/// Inputs are cut there; parsers have bounds of their own, which the corpus reaches.
const LONGEST: usize = 4096;

/// Inputs that are kept for further changes.
const KEPT: usize = 4096;

/// What parsers stumble over, for every target.
const TOKENS: [&[u8]; 40] = [
    b"/",
    b"//",
    b"..",
    b"/../",
    b".",
    b"%2e",
    b"%2F",
    b"%5c",
    b"%25",
    b"%00",
    b"%",
    b"\\",
    b"?",
    b"#",
    b"&",
    b"=",
    b";",
    b"; ",
    b",",
    b":",
    b"@",
    b"[",
    b"]",
    b"\"",
    b"'",
    b"<",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\t",
    b" ",
    b"\x7f",
    b"\xc0\xae",
    b"\xff",
    b"\xc3\xbc",
    b"\xef\xbc\x8f",
    b"-1",
    b"18446744073709551616",
    b"{",
];

/// A token whose parts are lines of the input, encoded here, so that changes reach what is inside.
pub(crate) fn token_of(octets: &[u8]) -> String {
    let parts = octets.split(|octet| *octet == b'\n');
    parts.map(to_base64).collect::<Vec<_>>().join(".")
}

/// A target with its corpus: one input a line, with `\r`, `\n`, `\t`, `\0`, `\\` and `\x..` for
/// octets that are no plain text; lines that begin with `# ` are remarks.
pub(crate) struct Fuzz {
    pub(crate) name: &'static str,
    pub(crate) corpus: &'static str,
    /// Words of the target's own language.
    pub(crate) words: &'static [&'static str],
}

impl Fuzz {
    /// Runs it.
    pub(crate) fn run<S: Hash>(&self, target: impl Fn(&[u8]) -> S) {
        let mut pool = Pool::default();
        for line in self.corpus.lines().filter(|line| !line.starts_with("# ")) {
            let input = read(line);
            pool.keep_if_new(self.shape(&target, &input, 0), input);
        }
        if let Some(span) = how_long() {
            let random = u64::from_ne_bytes(crate::seal::random_bytes());
            let began = Instant::now();
            let inputs = self.change(&target, &mut pool, random, || began.elapsed() < span);
            eprintln!(
                "{}: {inputs} inputs, {} shapes",
                self.name,
                pool.shapes.len()
            );
        } else {
            for seed in SEEDS {
                let mut left = INPUTS;
                self.change(&target, &mut pool, seed, || {
                    left -= 1;
                    left > 0
                });
            }
        }
    }

    fn change<S: Hash>(
        &self,
        target: &impl Fn(&[u8]) -> S,
        pool: &mut Pool,
        seed: u64,
        mut goes_on: impl FnMut() -> bool,
    ) -> u64 {
        let (mut chance, mut inputs) = (Chance(seed), 0);
        while goes_on() {
            let input = self.changed(pool, &mut chance);
            pool.keep_if_new(self.shape(target, &input, seed), input);
            inputs += 1;
        }
        inputs
    }

    /// The shape of the target's answer; a panic is told with the input as a line for the corpus.
    fn shape<S: Hash>(&self, target: &impl Fn(&[u8]) -> S, input: &[u8], seed: u64) -> u64 {
        match catch_unwind(AssertUnwindSafe(|| target(input))) {
            Ok(shape) => {
                let mut hasher = DefaultHasher::new();
                shape.hash(&mut hasher);
                hasher.finish()
            }
            Err(panic) => {
                let line = input.escape_ascii();
                eprintln!("tests/fuzz/corpus/{}.txt (seed {seed}):\n{line}", self.name);
                resume_unwind(panic)
            }
        }
    }

    fn changed(&self, pool: &Pool, chance: &mut Chance) -> Vec<u8> {
        let mut input = pool.any(chance).to_vec();
        for _ in 0..=chance.below(4) {
            let at = chance.below(input.len() + 1);
            let end = (at + 1 + chance.below(8)).min(input.len());
            match chance.below(8) {
                0 => drop(input.splice(at..at, self.word(chance))),
                1 => drop(input.splice(at..end, self.word(chance))),
                2 => drop(input.drain(at..end)),
                3 => {
                    let again = input.get(at..end).unwrap_or_default().to_vec();
                    input.splice(at..at, again);
                }
                4 => {
                    let other = pool.any(chance);
                    let from = chance.below(other.len() + 1);
                    input.truncate(at);
                    input.extend(other.get(from..).unwrap_or_default());
                }
                5 => {
                    if let Some(octet) = input.get_mut(at) {
                        *octet ^= 1 << chance.below(8);
                    }
                }
                6 => {
                    if let Some(octet) = input.get(at).copied() {
                        input.splice(at..=at, format!("%{octet:02x}").into_bytes());
                    }
                }
                _ => input.insert(at, u8::try_from(chance.below(256)).unwrap_or_default()),
            }
        }
        input.truncate(LONGEST);
        input
    }

    fn word(&self, chance: &mut Chance) -> Vec<u8> {
        let of_target = chance.below(2) == 0 && !self.words.is_empty();
        if of_target {
            self.words[chance.below(self.words.len())]
                .as_bytes()
                .to_vec()
        } else {
            TOKENS[chance.below(TOKENS.len())].to_vec()
        }
    }
}

/// Inputs that led to something new.
#[derive(Default)]
struct Pool {
    inputs: Vec<Vec<u8>>,
    shapes: HashSet<u64>,
}

impl Pool {
    fn keep_if_new(&mut self, shape: u64, input: Vec<u8>) {
        if self.shapes.insert(shape) && self.inputs.len() < KEPT {
            self.inputs.push(input);
        }
    }

    fn any(&self, chance: &mut Chance) -> &[u8] {
        self.inputs
            .get(chance.below(self.inputs.len().max(1)))
            .map_or(b"/", Vec::as_slice)
    }
}

/// Sebastiano Vigna's `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap_or(1).max(1)).unwrap_or(0)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration to read it"
)]
fn how_long() -> Option<Duration> {
    let seconds = std::env::var("FUZZ_SECONDS").ok()?;
    Some(Duration::from_secs(
        seconds.parse().expect("FUZZ_SECONDS is a number"),
    ))
}

/// The octets that a line of a corpus stands for; the reverse of `escape_ascii`.
fn read(line: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = line.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        octets.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
            }
            Some(other) => other,
            None => b'\\',
        });
    }
    octets
}

#[test]
fn a_line_of_a_corpus_stands_for_any_octets() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(read(&all.escape_ascii().to_string()), all);
}

#[test]
fn a_run_finds_its_way_into_a_parser() {
    let fuzz = Fuzz {
        name: "none",
        corpus: "a",
        words: &["one", "two"],
    };
    let deepest = std::cell::Cell::new(0);
    fuzz.run(|octets| {
        let has = |word: &str| octets.windows(3).any(|window| window == word.as_bytes());
        let depth = [
            has("one"),
            has("one") && has("two"),
            has("one") && octets.ends_with(b"two"),
        ];
        let depth = depth.iter().filter(|reached| **reached).count();
        deepest.set(deepest.get().max(depth));
        depth
    });
    assert_eq!(deepest.get(), 3);
}

#[test]
#[should_panic(expected = "on purpose")]
fn a_panic_of_a_parser_is_a_failure() {
    let fuzz = Fuzz {
        name: "none",
        corpus: "a\nb",
        words: &[],
    };
    fuzz.run(|octets| assert_ne!(octets, b"b", "on purpose"));
}
