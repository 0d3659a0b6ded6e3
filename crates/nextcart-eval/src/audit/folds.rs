//! Questions in folds, so that nothing is learnt from the customer who is asked about.

use std::collections::HashMap;

use nextcart_data::Question;
use nextcart_metrics::SplitMix64;

use crate::fnv::hash;

/// The fold of each question, below `folds`: all of a customer's questions share one, drawn by the customer's
/// name and the seed, so that it does not depend on the order of the questions.
pub(super) fn by_user(questions: &[Question], folds: usize, seed: u64) -> Vec<usize> {
    let fold =
        |question: &Question| SplitMix64::new(seed ^ hash(question.user.as_bytes())).below(folds);
    questions.iter().map(fold).collect()
}

/// Scores for the option at each place: how often the answer stands there in the questions of other folds that
/// have as many options.
pub(super) fn common_places(questions: &[Question], folds: &[usize]) -> Vec<Vec<f64>> {
    // By number of options and place: over all folds, and in each.
    let mut all: HashMap<(usize, usize), u32> = HashMap::new();
    let mut within: HashMap<(usize, usize, usize), u32> = HashMap::new();
    for (question, &fold) in questions.iter().zip(folds) {
        let options = question.candidates.len();
        *all.entry((options, question.answer)).or_default() += 1;
        *within.entry((options, question.answer, fold)).or_default() += 1;
    }
    let score = |options: usize, place: usize, fold: usize| {
        let all = all.get(&(options, place)).copied().unwrap_or_default();
        f64::from(all - within.get(&(options, place, fold)).copied().unwrap_or_default())
    };
    let questions = questions.iter().zip(folds);
    questions
        .map(|(question, &fold)| {
            let options = question.candidates.len();
            (0..options).map(|place| score(options, place, fold)).collect()
        })
        .collect()
}
