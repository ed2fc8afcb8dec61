//! How long to wait before a platform is asked again that could not be reached. Pure.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(500);
/// The longest.
pub(super) const LONGEST: Duration = Duration::from_mins(5);

/// Doubles with every try, up to the longest; between half and all of it by chance, so that many
/// registrations do not come back at the same moment.
pub(super) fn after(attempts: u32, chance: u16) -> Duration {
    let whole = FIRST
        .saturating_mul(1_u32.checked_shl(attempts.min(20)).unwrap_or(u32::MAX))
        .min(LONGEST);
    whole.mul_f64(0.5 + f64::from(chance) / f64::from(u16::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ_by_chance() {
        assert_eq!(after(0, u16::MAX), FIRST);
        assert_eq!(after(0, 0), FIRST / 2);
        assert_eq!(after(3, u16::MAX), FIRST * 8);
        for attempts in [20, 31, 32, u32::MAX] {
            assert_eq!(after(attempts, u16::MAX), LONGEST);
        }
    }
}
