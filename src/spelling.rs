//! Did you mean: the known word closest to a mistyped one (pure).

/// The known word that is closest to `written`, if one is close.
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase().replace('-', "_");
    let bound = 1 + written.chars().count() / 3;
    known
        .into_iter()
        .map(|word| (distance(&written, word), word))
        .filter(|(far, word)| *far <= bound || is_part(&written, word))
        .min()
        .map(|(_, word)| word)
}

fn is_part(written: &str, word: &str) -> bool {
    written.len() > 2 && (word.starts_with(written) || written.starts_with(word))
}

/// How many letters to change, add or drop (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, a) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.chars()) {
            let changed = diagonal + usize::from(a != b);
            diagonal = *cell;
            *cell = changed.min(*cell + 1).min(previous + 1);
            previous = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshtein() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn the_closest_word_is_proposed_and_far_ones_are_not() {
        let known = ["origin", "address", "issuer"];
        assert_eq!(closest("orign", known), Some("origin"));
        assert_eq!(closest("Issuer", known), Some("issuer"));
        assert_eq!(closest("addr", known), Some("address"));
        assert_eq!(closest("colour", known), None);
    }
}
