//! Proof of work: the browser looks for a number whose digest the page names, which costs it a
//! second or so and nobody's attention. Pure, but for chance.
//!
//! The page gets salt, digest and a bound; number and end are sealed in the token that comes back
//! with the form, so that nothing is kept. A solved challenge counts once: its id is to be
//! remembered until it is over.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::seal::{self, KeyRing, Purpose};

/// How long a challenge counts; a page may stay open for a while before it is sent.
const VALID_FOR: Duration = Duration::from_mins(30);
/// The number is below this: half as many digests on average.
const BOUND: u32 = 50_000;

/// A challenge for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Comes back with the form; holds the number, sealed.
    pub token: String,
    /// What is digested together with the number: `salt:number`.
    pub salt: String,
    /// The digest to find, base64url.
    pub target: String,
    /// The number is below this.
    pub bound: u32,
}

/// A challenge that was solved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solved {
    /// Names the challenge, which counts once.
    pub id: String,
    /// Until when it would count.
    pub ends_at: Timestamp,
}

/// Why what came back does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSolved {
    /// It is not the number, or the challenge was not for this host.
    #[error("the proof of work is wrong")]
    Wrong,
    /// The challenge is over.
    #[error("the proof of work came too late")]
    Over,
}

/// A fresh challenge for a page on a host.
pub fn challenge(keys: &KeyRing, host: &str, now: Timestamp) -> Challenge {
    let salt = seal::random_token();
    // The remainder favours no number noticeably.
    let number = u32::from_le_bytes(seal::random_bytes()) % BOUND;
    let plain = format!("{number} {}", now.plus(VALID_FOR).millis());
    Challenge {
        token: keys.seal_text(Purpose::ProofOfWork, host.as_bytes(), plain.as_bytes()),
        target: seal::digest(format!("{salt}:{number}").as_bytes()),
        salt,
        bound: BOUND,
    }
}

/// Judges what came back.
pub fn judge(
    keys: &KeyRing,
    host: &str,
    (token, number): (&str, &str),
    now: Timestamp,
) -> Result<Solved, NotSolved> {
    let opened = keys.open_text(Purpose::ProofOfWork, host.as_bytes(), token);
    let opened = opened.map_err(|_| NotSolved::Wrong)?;
    let plain = String::from_utf8(opened).map_err(|_| NotSolved::Wrong)?;
    let (wanted, ends_at) = plain.split_once(' ').ok_or(NotSolved::Wrong)?;
    let ends_at = ends_at.parse().map_err(|_| NotSolved::Wrong)?;
    let ends_at = Timestamp::from_millis(ends_at);
    if wanted != number {
        return Err(NotSolved::Wrong);
    }
    if now >= ends_at {
        return Err(NotSolved::Over);
    }
    Ok(Solved {
        id: format!("work {}", seal::digest(token.as_bytes())),
        ends_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealKey;

    const HOST: &str = "app.example.com";

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_mins(minutes))
    }

    fn solve(challenge: &Challenge) -> String {
        let is_it = |n: &u32| {
            seal::digest(format!("{}:{n}", challenge.salt).as_bytes()) == challenge.target
        };
        (0..challenge.bound).find(is_it).unwrap().to_string()
    }

    #[test]
    fn only_the_number_that_was_looked_for_counts_and_only_in_time_and_place() {
        let keys = KeyRing::new(SealKey::random(), vec![]);
        let challenge = challenge(&keys, HOST, at(0));
        let number = solve(&challenge);
        let answer = (challenge.token.as_str(), number.as_str());
        let solved = judge(&keys, HOST, answer, at(29)).unwrap();
        assert_eq!(solved, judge(&keys, HOST, answer, at(0)).unwrap());
        assert_eq!(judge(&keys, HOST, answer, at(30)), Err(NotSolved::Over));
        assert_eq!(
            judge(&keys, "b.example", answer, at(1)),
            Err(NotSolved::Wrong)
        );
        for number in ["", "x", "-1", "50000", &format!("0{number}")] {
            let wrong = (challenge.token.as_str(), number);
            assert_eq!(
                judge(&keys, HOST, wrong, at(1)),
                Err(NotSolved::Wrong),
                "{number}"
            );
        }
        assert_eq!(
            judge(&keys, HOST, ("x", &number), at(1)),
            Err(NotSolved::Wrong)
        );
    }

    #[test]
    fn the_number_cannot_be_read_from_the_page() {
        let keys = KeyRing::new(SealKey::random(), vec![]);
        let one = challenge(&keys, HOST, at(0));
        let other = challenge(&keys, HOST, at(0));
        assert_ne!(one.salt, other.salt);
        let swapped = (one.token.as_str(), solve(&other));
        let judged = judge(&keys, HOST, (swapped.0, &swapped.1), at(1));
        assert!(judged.is_err() || solve(&one) == swapped.1);
    }
}
