//! Which server of an upstream takes a request: the next in turn, or the one of a caller.

/// The turns of servers: each as often as its weight says, spread as evenly as can be.
#[derive(Debug, Default)]
pub(super) struct Turns(Box<[usize]>);

impl Turns {
    /// The turns of servers with these weights; servers are meant by their places.
    pub(super) fn of(weights: &[u32]) -> Self {
        let weights: Vec<i64> = weights.iter().map(|weight| i64::from(*weight)).collect();
        let total: i64 = weights.iter().sum();
        let mut owed = vec![0; weights.len()];
        let turns = (0..total).filter_map(|_| {
            for (owed, weight) in owed.iter_mut().zip(&weights) {
                *owed += weight;
            }
            let most = owed.iter().copied().max()?;
            let place = owed.iter().position(|owed| *owed == most)?;
            *owed.get_mut(place)? -= total;
            Some(place)
        });
        Self(turns.collect())
    }

    /// The server of this turn. Turns of servers that take nothing go to the others by weight.
    pub(super) fn choose(&self, turn: usize, takes: impl Fn(usize) -> bool) -> Option<usize> {
        let count = self.0.len();
        let own = self.0.get(turn.checked_rem(count)?).copied();
        if own.is_some_and(&takes) {
            return own;
        }
        let others = || self.0.iter().copied().filter(|place| takes(*place));
        let round = turn / count;
        others().nth(round.checked_rem(others().count())?)
    }
}

/// The server of a caller, among those that take requests: every node comes to the same, and when
/// a server goes, nobody but its own callers moves (rendezvous hashing, weighted).
///
/// A server is given by its place, the digest of its address, and its weight.
pub(super) fn of_caller(
    caller: &str,
    servers: impl Iterator<Item = (usize, u64, u32)>,
) -> Option<usize> {
    let caller = digest(caller.as_bytes());
    let score = |(place, server, weight): (usize, u64, u32)| {
        let drawn = u32::try_from(mix(caller ^ server) >> 32).unwrap_or_default();
        let share = (f64::from(drawn) + 0.5) / (f64::from(u32::MAX) + 1.0);
        (place, f64::from(weight) / -share.ln())
    };
    let best = servers
        .map(score)
        .max_by(|one, other| one.1.total_cmp(&other.1));
    best.map(|(place, _)| place)
}

/// A digest that is the same on every node and in every version (FNV-1a, mixed); it keeps no
/// secret.
pub(super) fn digest(octets: &[u8]) -> u64 {
    let fold = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    mix(octets.iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// The last step of `SplitMix64`: every bit depends on all.
pub(in crate::proxy) fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(turns: &Turns, among: usize, takes: impl Fn(usize) -> bool + Copy) -> Vec<usize> {
        let mut counts = vec![0; among];
        for turn in 0..600 {
            counts[turns.choose(turn, takes).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn turns_are_by_weight_and_spread() {
        let turns = Turns::of(&[3, 1, 2]);
        assert_eq!(counts(&turns, 3, |_| true), [300, 100, 200]);
        let first: Vec<_> = (0..6)
            .filter_map(|turn| turns.choose(turn, |_| true))
            .collect();
        assert_eq!(first, [0, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn the_turns_of_a_server_that_is_down_go_to_all_others_alike() {
        let turns = Turns::of(&[1, 1, 1]);
        assert_eq!(counts(&turns, 3, |place| place != 1), [300, 0, 300]);
        assert_eq!(turns.choose(0, |_| false), None);
        assert_eq!(Turns::default().choose(0, |_| true), None);
    }

    fn servers(count: usize) -> Vec<(usize, u64, u32)> {
        let server = |place| (place, digest(format!("10.0.0.{place}:80").as_bytes()), 1);
        (0..count).map(server).collect()
    }

    #[test]
    fn when_a_server_goes_only_its_sessions_move() {
        let all = servers(5);
        let mut moved = 0;
        for number in 0..5000 {
            let session = format!("session-{number}");
            let before = of_caller(&session, all.iter().copied()).unwrap();
            let left = all.iter().copied().filter(|(place, ..)| *place != 3);
            let after = of_caller(&session, left).unwrap();
            assert!(before == after || before == 3);
            moved += usize::from(before != after);
        }
        assert!((800..1200).contains(&moved), "{moved}");
    }

    #[test]
    fn sessions_are_spread_by_weight() {
        let mut both = servers(2);
        both[1].2 = 3;
        let heavy = (0..4000)
            .filter(|number| of_caller(&format!("s{number}"), both.iter().copied()) == Some(1))
            .count();
        assert!((2850..3150).contains(&heavy), "{heavy}");
    }

    /// A change would move all sessions when nodes of two versions run side by side.
    #[test]
    fn the_digest_stays_as_it_is() {
        assert_eq!(digest(b"10.0.0.5:8080"), 0x3856_026c_f745_109f);
    }
}
