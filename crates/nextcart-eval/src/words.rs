//! Titles as words.

use std::collections::BTreeMap;

/// Runs of letters and digits, in lower case.
pub(crate) fn words(title: &str) -> impl Iterator<Item = String> {
    let runs = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    runs.map(str::to_lowercase)
}

/// Words of a title with their counts, sorted so that sums have one order on every run.
pub(crate) fn counts(title: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in words(title) {
        *counts.entry(word).or_default() += 1;
    }
    counts
}
