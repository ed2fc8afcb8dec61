//! What a platform demands of passwords.

/// What a platform publishes about the passwords that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordRules {
    /// The fewest characters.
    pub min_length: usize,
    /// The most characters.
    pub max_length: usize,
    /// The fewest upper-case letters.
    pub uppercase: usize,
    /// The fewest lower-case letters.
    pub lowercase: usize,
    /// The fewest digits.
    pub digits: usize,
    /// The fewest characters that are neither letters nor digits.
    pub specials: usize,
    /// Whether spaces are taken.
    pub spaces: bool,
}
