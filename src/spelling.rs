//! Which word somebody most likely meant.

/// Returns the word of `known` that `given` was most likely meant to be, if one is near.
pub(crate) fn nearest<'k>(given: &str, known: &[&'k str]) -> Option<&'k str> {
    // A name far longer than any key is not a misspelt one, and not worth comparing.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_lowercase();
    let near = known.iter().map(|word| (distance(&given, word), *word)).min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, word)| *distance <= (word.len().max(given.len()) / 3).max(1)).map(|(_, word)| word)
}

/// Counts the letters to add, drop, change or swap with their neighbour until `a` is `b`.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["segment_bytes", "keep_for", "keep_bytes"];
        assert_eq!(nearest("keep_form", &known), Some("keep_for"));
        assert_eq!(nearest("Keep_ofr", &known), Some("keep_for"));
        assert_eq!(nearest("segments", &known), None);
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
