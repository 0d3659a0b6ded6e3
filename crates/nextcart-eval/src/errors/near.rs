//! How near two titles are.

/// Whether `part` is `whole` with some words left out, or none.
pub(super) fn is_part(part: &[String], whole: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|word| rest.any(|other| other == word))
}

/// Whether two texts are at least this similar: `1 - distance / length of the longer`, by
/// Levenshtein's distance in characters.
pub(super) fn are_similar(a: &str, b: &str, least: f64) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (longer, shorter) = (a.len().max(b.len()), a.len().min(b.len()));
    let allowed = (1.0 - least) * longer as f64;
    // So many characters must be added at least; most pairs end here.
    if (longer - shorter) as f64 > allowed {
        return false;
    }
    distance(&a, &b) as f64 <= allowed
}

/// Insertions, deletions and substitutions that make one text of the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: usize) {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        assert_eq!((distance(&a, &b), distance(&b, &a)), (expected, expected), "{a:?} {b:?}");
    }

    #[test]
    fn distances_are_levenshteins() {
        check("", "", 0);
        check("", "tea", 3);
        check("kitten", "sitting", 3);
        check("flaw", "lawn", 2);
        check("Tée", "Tee", 1);
    }

    #[test]
    fn similarity_counts_from_the_longer_text() {
        assert!(are_similar("kitten", "sitting", 1.0 - 3.0 / 7.0));
        assert!(!are_similar("kitten", "sitting", 0.6));
        assert!(are_similar("", "", 1.0));
        assert!(!are_similar("tea", "a tea of many other words", 0.5));
    }

    #[test]
    fn words_may_be_left_out_but_not_change_places() {
        let words = |title: &str| crate::words::words(title).collect::<Vec<_>>();
        let is = |part: &str, whole: &str| is_part(&words(part), &words(whole));
        assert!(is("Pure Golden", "Pure Cane, Golden!"));
        assert!(is("", "Tea") && is("Tea", "tea"));
        assert!(!is("Golden Pure", "Pure Cane Golden"));
        assert!(!is("Sea Sea", "Sea Kelp"));
    }
}
