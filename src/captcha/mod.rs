//! Telling people from robots, without a third party.

mod proof_of_work;

pub use proof_of_work::{Challenge, NotSolved, Solved, challenge, judge};
