//! Rules that pick an option by how it looks.

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
                    }
            })
            .collect()
    }
}

pub(super) const RULES: [Rule; 18] = [
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
];
