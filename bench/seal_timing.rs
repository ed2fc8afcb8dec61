//! Measures whether time tells where a sealed cookie was changed, or which key had sealed it: 10,000
//! tries of each kind, in turns. A kind that stands twice shows the noise.
//!
//! `cargo run --example seal_timing`; what it showed is in
//! `docs/decisions/0009-one-answer-for-changed-cookies.md`.

use std::hint::black_box;
use std::time::Instant;

use vestibule::seal::{KeyRing, Purpose, SealKey};

const TRIES: usize = 10_000;
const HOST: &[u8] = b"app.example.com";
/// About what a login attempt takes.
const PLAIN: [u8; 400] = [7; 400];

/// A cookie that does not open, for one reason.
struct Kind {
    name: &'static str,
    sealed: Vec<u8>,
    nanoseconds: Vec<u128>,
}

fn main() {
    let (first, older) = (SealKey::random(), SealKey::random());
    let ring = KeyRing::new(first, vec![older.clone()]);
    let mut kinds = kinds(&ring, &KeyRing::new(older, Vec::new()));
    for _ in 0..TRIES {
        for kind in &mut kinds {
            kind.try_once(&ring);
        }
        kinds.rotate_left(1);
    }
    kinds.sort_by_key(|kind| kind.name);
    println!("| kind | quartile, ns | median, ns |\n|---|---|---|");
    for kind in &mut kinds {
        kind.nanoseconds.sort_unstable();
        let at = |place: usize| kind.nanoseconds.get(place).copied().unwrap_or_default();
        println!("| {} | {} | {} |", kind.name, at(TRIES / 4), at(TRIES / 2));
    }
}

impl Kind {
    fn new(name: &'static str, sealed: Vec<u8>) -> Self {
        let nanoseconds = Vec::with_capacity(TRIES);
        Self {
            name,
            sealed,
            nanoseconds,
        }
    }

    fn try_once(&mut self, ring: &KeyRing) {
        let began = Instant::now();
        let opened = ring.open(Purpose::LoginAttempt, HOST, black_box(&self.sealed));
        self.nanoseconds.push(began.elapsed().as_nanos());
        assert!(opened.is_err(), "{} opens", self.name);
    }
}

fn kinds(ring: &KeyRing, older: &KeyRing) -> Vec<Kind> {
    let by_first = ring.seal(Purpose::LoginAttempt, HOST, &PLAIN);
    let by_older = older.seal(Purpose::LoginAttempt, HOST, &PLAIN);
    let elsewhere = ring.seal(Purpose::LoginAttempt, b"bpp.example.com", &PLAIN);
    let nobody = KeyRing::new(SealKey::random(), Vec::new());
    let nobodys = nobody.seal(Purpose::LoginAttempt, HOST, &PLAIN);
    let last = by_first.len() - 1;
    vec![
        Kind::new("first key, nonce changed", changed(&by_first, 0)),
        Kind::new("first key, nonce changed (again)", changed(&by_first, 0)),
        Kind::new("first key, text changed", changed(&by_first, last / 2)),
        Kind::new("first key, tag changed", changed(&by_first, last)),
        Kind::new("older key, nonce changed", changed(&by_older, 0)),
        Kind::new("older key, text changed", changed(&by_older, last / 2)),
        Kind::new("older key, tag changed", changed(&by_older, last)),
        Kind::new("sealed for another host", elsewhere),
        Kind::new("sealed by nobody's key", nobodys),
    ]
}

fn changed(sealed: &[u8], place: usize) -> Vec<u8> {
    let flip = |(position, octet): (usize, &u8)| octet ^ u8::from(position == place);
    sealed.iter().enumerate().map(flip).collect()
}
