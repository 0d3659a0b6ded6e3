//! Titles as words.

use std::collections::BTreeMap;

/// Words of a title with their counts, sorted so that sums have one order on every run.
pub(super) fn counts(title: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    for word in words {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}
