//! Rules that pick an option by how it looks.

use std::cmp::Ordering;

use nextcart_data::Question;

use crate::titles;

/// A way to pick an option by its title or place alone.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) picks: &'static str,
    sign: f64,
    feature: Feature,
}

enum Feature {
    Title(fn(&str) -> f64),
    Place,
    /// How many options have a smaller id.
    Id,
}

/// Ids of digits alone by their number, all others by their characters.
fn by_id(a: &str, b: &str) -> Ordering {
    let is_number = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(a) && is_number(b) {
        let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
        return a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    }
    a.cmp(b)
}

impl Rule {
    const fn most(name: &'static str, picks: &'static str, feature: fn(&str) -> f64) -> Self {
        Self { name, picks, sign: 1.0, feature: Feature::Title(feature) }
    }

    const fn fewest(name: &'static str, picks: &'static str, feature: fn(&str) -> f64) -> Self {
        Self { name, picks, sign: -1.0, feature: Feature::Title(feature) }
    }

    /// One score an option.
    pub(super) fn scores(&self, question: &Question) -> Vec<f64> {
        let candidates = question.candidates.iter().enumerate();
        candidates
            .map(|(place, candidate)| {
                self.sign
                    * match self.feature {
                        Feature::Title(feature) => feature(&candidate.title),
                        Feature::Place => place as f64,
                        Feature::Id => {
                            let smaller = question.candidates.iter().filter(|other| {
                                by_id(&other.item, &candidate.item) == Ordering::Less
                            });
                            smaller.count() as f64
                        }
                    }
            })
            .collect()
    }
}

pub(super) const RULES: [Rule; 20] = [
    Rule::fewest(
        "punctuation_rule",
        "the title with the fewest digits and punctuation marks",
        titles::digits_and_punctuation,
    ),
    Rule::most(
        "most_digits_and_punctuation",
        "the title with the most digits and punctuation marks",
        titles::digits_and_punctuation,
    ),
    Rule::fewest("fewest_digits", "the title with the fewest digits", titles::digits),
    Rule::most("most_digits", "the title with the most digits", titles::digits),
    Rule::fewest(
        "fewest_punctuation",
        "the title with the fewest punctuation marks",
        titles::punctuation,
    ),
    Rule::most(
        "most_punctuation",
        "the title with the most punctuation marks",
        titles::punctuation,
    ),
    Rule::fewest("shortest", "the shortest title", titles::characters),
    Rule::most("longest", "the longest title", titles::characters),
    Rule::fewest("fewest_words", "the title with the fewest words", titles::words),
    Rule::most("most_words", "the title with the most words", titles::words),
    Rule::fewest("fewest_capitals", "the title with the fewest capital letters", titles::capitals),
    Rule::most("most_capitals", "the title with the most capital letters", titles::capitals),
    Rule::most("lower_case", "a title without capital letters", titles::lower_case),
    Rule::fewest("not_lower_case", "a title with capital letters", titles::lower_case),
    Rule::most("html_entity", "a title with an HTML entity", titles::html_entity),
    Rule::fewest("no_html_entity", "a title without an HTML entity", titles::html_entity),
    Rule { name: "first", picks: "the first option", sign: -1.0, feature: Feature::Place },
    Rule { name: "last", picks: "the last option", sign: 1.0, feature: Feature::Place },
    Rule {
        name: "smallest_id",
        picks: "the option whose id comes first in order",
        sign: -1.0,
        feature: Feature::Id,
    },
    Rule {
        name: "largest_id",
        picks: "the option whose id comes last in order",
        sign: 1.0,
        feature: Feature::Id,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_as_numbers_and_other_ids_as_texts() {
        for (a, b) in [("9", "10"), ("099", "100"), ("B00A9", "B00B1"), ("10", "B9"), ("", "0")] {
            assert_eq!((by_id(a, b), by_id(b, a)), (Ordering::Less, Ordering::Greater), "{a}, {b}");
        }
        assert_eq!(by_id("007", "7"), Ordering::Equal);
    }
}
