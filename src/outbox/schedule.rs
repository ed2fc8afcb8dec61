//! When a delivery that failed is tried again.

use std::time::Duration;

/// Short at first, because somebody waits for a code; then as long as a mail server's own queue
/// would wait.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
    Duration::from_mins(2),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_hours(1),
    Duration::from_hours(4),
];

/// The pause after so many tries; between three quarters and all of it by chance, so that what
/// failed together does not come back together.
pub(super) fn pause_after(attempts: u32, chance: u16) -> Duration {
    let nth = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let longest = PAUSES.last().copied().unwrap_or_default();
    let whole = PAUSES.get(nth).copied().unwrap_or(longest);
    whole.mul_f64(0.75 + f64::from(chance) / f64::from(u16::MAX) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ_by_chance() {
        assert_eq!(pause_after(1, u16::MAX), PAUSES[0]);
        assert_eq!(pause_after(1, 0), PAUSES[0].mul_f64(0.75));
        for pair in PAUSES.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for attempts in [9, 10, 1000, u32::MAX] {
            assert_eq!(pause_after(attempts, u16::MAX), PAUSES[8]);
        }
    }
}
