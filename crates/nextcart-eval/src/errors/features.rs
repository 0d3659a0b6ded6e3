//! What may make a question easy or hard.

use std::collections::{BTreeSet, HashMap};

use nextcart_data::{Product, Question};

use super::facts::TrainingFacts;
use super::slices::Values;
use crate::evaluation::Prediction;
use crate::tfidf::{TfIdf, Weights, cosine};
use crate::words::words;

/// A property of questions by which they are cut into slices.
pub(super) struct Feature {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) values: Values,
}

/// A question and what was predicted.
pub(super) type Asked<'a> = (&'a Question, &'a Prediction);

/// All features; those that need to know the training are left out without facts.
pub(super) fn features(asked: &[Asked<'_>], facts: Option<&TrainingFacts>) -> Vec<Feature> {
    let count = |name, meaning, f: &dyn Fn(&Asked<'_>) -> usize| {
        let values = Values::Counts(asked.iter().map(f).collect());
        Feature { name, meaning, values }
    };
    let flag = |name, meaning, f: &dyn Fn(&Asked<'_>) -> bool| {
        let label = |asked| if f(asked) { "yes" } else { "no" };
        let values = Values::Labels(asked.iter().map(|asked| label(asked).to_owned()).collect());
        Feature { name, meaning, values }
    };
    let share = |name, meaning, values| Feature { name, meaning, values: Values::Shares(values) };

    let mut found = vec![count("history length", "purchases in the history", &|(question, _)| {
        question.history.len()
    })];
    if let Some(facts) = facts {
        let purchases = |(question, _): &Asked<'_>| facts.purchases(&question.target().item);
        found.push(count("target popularity", "purchases of the target in training", &|asked| {
            purchases(asked) as usize
        }));
        found.push(flag("seen in training", "whether training saw the target", &|asked| {
            purchases(asked) > 0
        }));
    }
    if let Some(categories) = categories(asked) {
        let (name, values) = ("category", Values::Labels(categories));
        found.push(Feature {
            name,
            meaning: "the target's, at the first level that tells any apart",
            values,
        });
    }
    let mut similarity = Similarity::new(asked, facts);
    let (to_history, to_distractors) = asked.iter().map(|(q, _)| similarity.of(q)).unzip();
    found.extend([
        share(
            "similarity to the history",
            "largest TF-IDF cosine of the target's title with one of the history",
            to_history,
        ),
        share(
            "similarity to the distractors",
            "largest TF-IDF cosine of the target's title with another option's",
            to_distractors,
        ),
        flag("repeat purchase", "whether the target is in the history", &|(question, _)| {
            let target = question.target();
            question.history.iter().any(|bought| same(&bought.product, target))
        }),
        count("title length", "words of the target's title", &|(question, _)| {
            words(&question.target().title).count()
        }),
        count("answer position", "place of the target among the options", &|(question, _)| {
            question.answer + 1
        }),
    ]);
    let confidence =
        asked.iter().map(|(_, found)| found.probabilities().map(|shares| shares[found.predicted]));
    // What is written has none.
    if let Some(confidence) = confidence.collect() {
        found.push(share(
            "confidence",
            "probability of the prediction, by the softmax of the scores over the options",
            confidence,
        ));
    }
    found
}

/// The same item or, where titles are all there is, the same title.
fn same(a: &Product, b: &Product) -> bool {
    a.item == b.item || a.title == b.title
}

/// The targets' categories at the first level on which two of them differ; `None` if there is none.
fn categories(asked: &[Asked<'_>]) -> Option<Vec<String>> {
    let path = |(question, _): &Asked<'_>| question.target().category.clone();
    let paths: Vec<Vec<String>> = asked.iter().map(path).collect();
    let deepest = paths.iter().map(Vec::len).max().unwrap_or_default();
    let at = |level: usize| {
        let label =
            |path: &Vec<String>| path.get(level).map_or("unknown", String::as_str).to_owned();
        paths.iter().map(label).collect::<Vec<_>>()
    };
    (0..deepest).map(at).find(|labels| labels.iter().collect::<BTreeSet<_>>().len() > 1)
}

/// Cosines of titles, each title weighted once.
struct Similarity<'a> {
    words: TfIdf,
    known: HashMap<&'a str, Weights>,
}

impl<'a> Similarity<'a> {
    /// Words weigh as in training or, where nothing is known of it, as among the options.
    fn new(asked: &[Asked<'a>], facts: Option<&TrainingFacts>) -> Self {
        let options = || asked.iter().flat_map(|(question, _)| &question.candidates);
        let words = match facts {
            Some(facts) => facts.words.clone(),
            None => {
                TfIdf::fit(options().map(|product| product.title.as_str()).collect::<BTreeSet<_>>())
            }
        };
        Self { words, known: HashMap::new() }
    }

    /// The largest with a title of the history, and with another option.
    fn of(&mut self, question: &'a Question) -> (f64, f64) {
        let target = question.target();
        let distractors = question.candidates.iter().enumerate();
        let distractors = distractors.filter(|(place, _)| *place != question.answer);
        (
            self.largest(target, question.history.iter().map(|bought| &bought.product)),
            self.largest(target, distractors.map(|(_, product)| product)),
        )
    }

    fn largest(&mut self, target: &'a Product, others: impl Iterator<Item = &'a Product>) -> f64 {
        let words = &self.words;
        let mut know = |title: &'a str| {
            self.known.entry(title).or_insert_with(|| words.weights(title));
        };
        know(&target.title);
        let mut largest = 0.0_f64;
        let mut titles = Vec::new();
        for other in others {
            know(&other.title);
            titles.push(other.title.as_str());
        }
        for title in titles {
            largest = largest.max(cosine(&self.known[target.title.as_str()], &self.known[title]));
        }
        largest
    }
}
