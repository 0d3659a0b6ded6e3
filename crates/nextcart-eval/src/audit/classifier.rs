//! A classifier that is trained to tell the answer from the other options.

use std::collections::HashMap;

use nextcart_data::{Part, Product, Question};
use nextcart_metrics::SplitMix64;

use crate::edited::shuffle;
use crate::{titles, words};

/// Questions that a fold's classifier is trained on at most, and passes over them.
const MOST_TRAINED: usize = 20_000;
const EPOCHS: usize = 4;

/// Options in which a word must occur to count.
const LEAST_OPTIONS: u32 = 4;

const LEARNING_RATE: f64 = 0.2;
const DECAY: f64 = 1e-3;

/// Weights of features by their number.
type Sparse = Vec<(usize, f64)>;

/// Scores of all options, those of a question by weights that were trained on other folds.
///
/// A conditional logit (McFadden 1974): the probability that option `k` is the answer is
/// `exp(w · x_k) / Σ_j exp(w · x_j)`, with `w` fitted by AdaGrad (Duchi et al., JMLR 2011) with weight
/// decay. `x` holds the words and punctuation marks of the title, its shape in numbers, whether brand and
/// price are known, and the place. Where questions of the training part exist, it is fitted on those alone,
/// so that it knows of no later purchase than a model would. `None` where a fold has nothing to be fitted on.
pub(super) fn scores(questions: &[Question], folds: &[usize], seed: u64) -> Option<Vec<Vec<f64>>> {
    let (features, size) = extract(questions);
    let has_training = questions.iter().any(|question| question.part == Part::Train);
    let mut scores = vec![Vec::new(); questions.len()];
    let count = folds.iter().max()? + 1;
    for fold in 0..count {
        let mut training: Vec<usize> = (0..questions.len())
            .filter(|&i| folds[i] != fold)
            .filter(|&i| !has_training || questions[i].part == Part::Train)
            .collect();
        if !folds.contains(&fold) {
            continue;
        }
        if training.is_empty() {
            return None;
        }
        let mut random = SplitMix64::new(seed.wrapping_add(fold as u64));
        shuffle(&mut training, &mut random);
        training.truncate(MOST_TRAINED);
        let weights = fit(questions, &features, size, &training);
        for (index, scores) in scores.iter_mut().enumerate().filter(|(i, _)| folds[*i] == fold) {
            *scores = features[index].iter().map(|option| dot(option, &weights)).collect();
        }
    }
    Some(scores)
}

fn fit(
    questions: &[Question],
    features: &[Vec<Sparse>],
    size: usize,
    training: &[usize],
) -> Vec<f64> {
    let mut weights = vec![0.0; size];
    let mut squares = vec![1.0; size];
    for _ in 0..EPOCHS {
        for &index in training {
            let options = &features[index];
            let mut shares: Vec<f64> = options.iter().map(|option| dot(option, &weights)).collect();
            let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            shares.iter_mut().for_each(|score| *score = (*score - most).exp());
            let total: f64 = shares.iter().sum();
            for (place, option) in options.iter().enumerate() {
                let right = f64::from(u8::from(place == questions[index].answer));
                let error = shares[place] / total - right;
                for &(feature, value) in option {
                    let gradient = error * value + DECAY * weights[feature];
                    squares[feature] += gradient * gradient;
                    weights[feature] -= LEARNING_RATE * gradient / squares[feature].sqrt();
                }
            }
        }
    }
    weights
}

fn dot(features: &[(usize, f64)], weights: &[f64]) -> f64 {
    features.iter().map(|&(feature, value)| value * weights[feature]).sum()
}

/// Numbers that describe a title.
const SHAPES: [fn(&str) -> f64; 7] = [
    titles::characters,
    titles::words,
    titles::digits,
    titles::punctuation,
    titles::capitals,
    titles::lower_case,
    titles::html_entity,
];

/// What is known of a title wherever it stands.
struct Title {
    /// Numbers of its words and marks, each once.
    words: Vec<usize>,
    shape: [f64; SHAPES.len()],
    /// Options that bear it.
    options: u32,
}

/// The features of every option of every question, and how many there are.
fn extract(questions: &[Question]) -> (Vec<Vec<Sparse>>, usize) {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut number = |name: String| {
        let fresh = numbers.len();
        *numbers.entry(name).or_insert(fresh)
    };
    // A title is an option of many questions.
    let mut titles: HashMap<&str, Title> = HashMap::new();
    for candidate in questions.iter().flat_map(|question| &question.candidates) {
        let title = titles.entry(&candidate.title).or_insert_with(|| Title {
            words: tokens(&candidate.title).into_iter().map(&mut number).collect(),
            shape: SHAPES.map(|shape| shape(&candidate.title)),
            options: 0,
        });
        title.options += 1;
    }
    let size = numbers.len();
    let mut counts = vec![0; size];
    for title in titles.values() {
        title.words.iter().for_each(|word| counts[*word] += title.options);
    }
    let places = questions.iter().map(|question| question.candidates.len()).max();
    let features = questions
        .iter()
        .map(|question| {
            let options = &question.candidates;
            let told: Vec<&Title> = options.iter().map(|option| &titles[&*option.title]).collect();
            let shapes = shapes(options, &told);
            let options = told.iter().zip(shapes).enumerate();
            options
                .map(|(place, (title, shape))| {
                    let words = title.words.iter();
                    let frequent = words.filter(|&&word| counts[word] >= LEAST_OPTIONS);
                    let mut features: Sparse = frequent.map(|&word| (word, 1.0)).collect();
                    let shape = shape.into_iter().enumerate();
                    features.extend(shape.map(|(i, value)| (size + i, value)));
                    features.push((size + SHAPES.len() + 2 + place, 1.0));
                    features
                })
                .collect()
        })
        .collect();
    (features, size + SHAPES.len() + 2 + places.unwrap_or_default())
}

/// Words in lower case and punctuation marks, each once a title.
fn tokens(title: &str) -> Vec<String> {
    let marks = title.chars().filter(char::is_ascii_punctuation).map(String::from);
    let mut tokens: Vec<String> = words::words(title).chain(marks).collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// What each option is beside the others: its shapes less their mean, in units of their spread.
fn shapes(options: &[Product], titles: &[&Title]) -> Vec<Vec<f64>> {
    let known = |known: bool| f64::from(u8::from(known));
    let mut columns: Vec<Vec<f64>> = (0..SHAPES.len())
        .map(|shape| titles.iter().map(|title| title.shape[shape]).collect())
        .collect();
    columns.push(options.iter().map(|option| known(option.brand.is_some())).collect());
    columns.push(options.iter().map(|option| known(option.price.is_some())).collect());
    for column in &mut columns {
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        let spread = (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        for x in column {
            *x = if spread > 0.0 { (*x - mean) / spread } else { 0.0 };
        }
    }
    (0..options.len()).map(|i| columns.iter().map(|column| column[i]).collect()).collect()
}
