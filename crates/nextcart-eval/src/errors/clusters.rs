//! Wrong answers that have words in common.

use std::collections::BTreeMap;

use nextcart_metrics::wilson;
use serde::Serialize;

use super::answers::{AnswerPair, EXAMPLES, ErrorExample};
use crate::error::{Error, Result};
use crate::evaluation::CONFIDENCE;
use crate::tfidf::{TfIdf, Weights};
use crate::words::words;

/// How many clusters are named at most.
const CLUSTERS: usize = 8;

/// How many words name a cluster.
const TERMS: usize = 4;

/// Words that say nothing of a product.
const FILLERS: [&str; 18] = [
    "a", "an", "and", "as", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or", "the",
    "to", "with", "your",
];

/// Right titles of wrong answers that share a telling word.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorCluster {
    /// The words that weigh the most in these titles, the one that all of them share first.
    pub terms: Vec<String>,
    /// Wrong answers in the cluster.
    pub errors: usize,
    /// Questions, right or wrong, whose right title has the first term.
    pub questions: usize,
    /// Share of those that were answered wrong: well above the share over all questions, the term
    /// marks where the model fails; near it, the term is just frequent.
    pub error_rate: f64,
    /// Lower bound of the 95 % Wilson interval.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// The first of the wrong answers.
    pub examples: Vec<ErrorExample>,
}

/// Groups wrong answers greedily: the term with the largest TF-IDF weight over the titles left, summed,
/// takes the titles that have it, until no term is shared by two. Fillers such as `with` and single letters are
/// no terms. Weights are counted on the wrong answers'
/// titles alone, ties go to the first in the alphabet.
pub(super) fn cluster(answers: &[AnswerPair<'_>]) -> Result<Vec<ErrorCluster>> {
    let wrong = || answers.iter().enumerate().filter(|(_, answer)| !answer.right);
    let fitted = TfIdf::fit(wrong().map(|(_, answer)| answer.truth));
    let mut left: Vec<(usize, Weights)> =
        wrong().map(|(index, answer)| (index, fitted.weights(answer.truth))).collect();
    let mut clusters = Vec::new();
    let mut with_words: Option<Vec<Vec<String>>> = None;
    while clusters.len() < CLUSTERS {
        let Some(term) = heaviest(&left, 2).into_iter().next() else { break };
        let (members, others): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(_, weights)| weights.contains_key(&term));
        left = others;
        let mut terms = heaviest(&members, 1);
        terms.retain(|other| *other != term);
        terms.insert(0, term);
        terms.truncate(TERMS);
        let words = with_words
            .get_or_insert_with(|| answers.iter().map(|a| words(a.truth).collect()).collect());
        let having = || words.iter().zip(answers).filter(|(words, _)| words.contains(&terms[0]));
        let (questions, errors) = (having().count(), having().filter(|(_, a)| !a.right).count());
        let interval = wilson(errors as f64, questions, CONFIDENCE)?
            .ok_or(Error::NoQuestions { purpose: "cluster" })?;
        clusters.push(ErrorCluster {
            errors: members.len(),
            questions,
            error_rate: errors as f64 / questions as f64,
            low: interval.low,
            high: interval.high,
            examples: (members.iter().take(EXAMPLES))
                .map(|(index, _)| ErrorExample::of(&answers[*index]))
                .collect(),
            terms,
        });
    }
    // The heaviest term need not take the most.
    clusters.sort_by(|a, b| b.errors.cmp(&a.errors).then_with(|| a.terms.cmp(&b.terms)));
    Ok(clusters)
}

/// Terms by their summed weight, the heaviest first, of those that `least` titles have.
fn heaviest(titles: &[(usize, Weights)], least: usize) -> Vec<String> {
    let mut sums: BTreeMap<&String, (f64, usize)> = BTreeMap::new();
    let telling = |word: &str| word.chars().nth(1).is_some() && !FILLERS.contains(&word);
    let weights = titles.iter().flat_map(|(_, weights)| weights);
    for (word, weight) in weights.filter(|(word, _)| telling(word)) {
        let (sum, titles_with) = sums.entry(word).or_default();
        *sum += weight;
        *titles_with += 1;
    }
    let mut terms: Vec<_> = sums.into_iter().filter(|(_, (_, n))| *n >= least).collect();
    terms.sort_by(|(_, a), (_, b)| b.0.total_cmp(&a.0));
    terms.into_iter().map(|(word, _)| word.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers<'a>(wrong: &[&'a str], right: &[&'a str]) -> Vec<AnswerPair<'a>> {
        let wrong =
            wrong.iter().map(|truth| AnswerPair { id: "w", truth, given: "x", right: false });
        let right =
            right.iter().map(|truth| AnswerPair { id: "r", truth, given: truth, right: true });
        wrong.chain(right).collect()
    }

    #[test]
    fn what_is_planted_is_found_with_its_error_rate() {
        let wrong = ["Salt 12 Ounce", "Pepper Ounce", "Rice Ounce", "Dog Leash", "Dog Bed", "Soap"];
        let answers = answers(&wrong, &["Honey Ounce", "Tea", "Dog", "Dog Bowl"]);
        let found = cluster(&answers).unwrap();
        let shape: Vec<_> =
            found.iter().map(|c| (c.terms[0].as_str(), c.errors, c.questions)).collect();
        assert_eq!(shape, [("ounce", 3, 4), ("dog", 2, 4)]);
        assert_eq!((found[0].error_rate, found[1].error_rate), (0.75, 0.5));
        assert!(found.iter().all(|c| c.low < c.error_rate && c.error_rate < c.high));
        let truths: Vec<&str> = found[1].examples.iter().map(|e| e.truth.as_str()).collect();
        assert_eq!(truths, ["Dog Leash", "Dog Bed"]);
        assert_eq!(cluster(&answers).unwrap(), found);
    }

    #[test]
    fn errors_without_a_common_word_make_no_cluster() {
        assert!(cluster(&answers(&["Tea", "Soap", ""], &["Tea"])).unwrap().is_empty());
        assert!(cluster(&answers(&[], &["Tea", "Tea"])).unwrap().is_empty());
        assert!(cluster(&answers(&["Tea with 5", "Soap with 5"], &[])).unwrap().is_empty());
        assert!(cluster(&[]).unwrap().is_empty());
    }
}
