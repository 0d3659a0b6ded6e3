//! The trained model as a predictor.

use std::sync::Arc;

use burn::tensor::Device;
use nextcart_data::{History, Question};

use super::batches::Padded;
use super::config::SasRecConfig;
use super::dropout::Dropout;
use super::model::Model;
use super::train::{self, Epoch};
use crate::baselines::interactions::ItemIndex;
use crate::baselines::ranker::CatalogueRanker;
use crate::error::Result;
use crate::predictor::Predictor;

/// Scores a candidate by what a small transformer expects next; name `sasrec`.
///
/// Self-attention over the purchases so far with learned positions (Kang and McAuley, *Self-attentive
/// sequential recommendation*, <https://arxiv.org/abs/1808.09781>), trained with cross-entropy over the whole
/// catalogue in place of the paper's sampled negatives, which is what makes it strong (Klenitskiy and
/// Vasilev, <https://arxiv.org/abs/2309.07602>). Items are scored by the embeddings that they are read with.
///
/// Of a history it sees the latest purchases that training knows; without one all items are alike. A
/// candidate that training does not know comes last.
#[derive(Debug, Clone)]
pub struct SasRec {
    items: Arc<ItemIndex>,
    model: Model,
    max_length: usize,
    curve: Vec<Epoch>,
}

impl SasRec {
    /// Trains on histories until NDCG@10 on validation questions, among all items but those that the customer
    /// has, gets no better; the best epoch's weights stay.
    ///
    /// The same histories, options and seed give the same model on the same machine.
    ///
    /// # Errors
    /// If an option lies outside its range, no history has two purchases, there are no validation questions or
    /// one of them is of the test, or the loss stops being a number.
    pub fn fit(
        training: &[History],
        validation: &[Question],
        config: &SasRecConfig,
        device: &Device,
    ) -> Result<Self> {
        train::fit(training, validation, config, device)
    }

    pub(super) fn new(items: Arc<ItemIndex>, model: Model, max_length: usize) -> Self {
        Self { items, model, max_length, curve: Vec::new() }
    }

    pub(super) fn with_curve(self, curve: Vec<Epoch>) -> Self {
        Self { curve, ..self }
    }

    /// What training did, epoch by epoch, those after the best included.
    #[must_use]
    pub fn curve(&self) -> &[Epoch] {
        &self.curve
    }

    /// Scores of all items behind histories that are not empty.
    fn logits(&self, histories: &[Vec<u32>]) -> Vec<f32> {
        if histories.is_empty() {
            return Vec::new();
        }
        let scores = self.model.logits(&Padded::ends(histories), &mut Dropout::off());
        scores.into_data().iter::<f32>().collect()
    }
}

impl Predictor for SasRec {
    fn name(&self) -> &str {
        "sasrec"
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        let all = self.score_items(&[question])?.remove(0);
        let known = question.candidates.iter().map(|product| self.items.position(&product.item));
        Ok(known.map(|item| item.map_or(f64::NEG_INFINITY, |item| all[item as usize])).collect())
    }
}

impl CatalogueRanker for SasRec {
    fn items(&self) -> &ItemIndex {
        &self.items
    }

    fn score_items(&mut self, questions: &[&Question]) -> Result<Vec<Vec<f64>>> {
        let histories: Vec<Vec<u32>> = questions
            .iter()
            .map(|question| {
                let history = self.items.history(question);
                history[history.len().saturating_sub(self.max_length)..].to_vec()
            })
            .collect();
        let known: Vec<Vec<u32>> = histories.iter().filter(|h| !h.is_empty()).cloned().collect();
        let logits = self.logits(&known);
        let mut rows = logits.chunks(self.items.len().max(1));
        let score = |history: &Vec<u32>| match history.is_empty() {
            true => vec![0.0; self.items.len()],
            false => rows.next().unwrap_or_default().iter().map(|s| f64::from(*s)).collect(),
        };
        Ok(histories.iter().map(score).collect())
    }
}

#[cfg(test)]
mod tests {
    use nextcart_data::Part;

    use super::*;
    use crate::Error;
    use crate::fixtures::question;

    /// Customers who go round a circle of items, each from another start.
    fn circle(length: usize) -> Vec<History> {
        let item = |place: usize| format!("{:02}", place % 12);
        (0..60)
            .map(|start| History {
                user: start.to_string(),
                items: (start..start + length).map(item).collect(),
                times: vec![None; length],
            })
            .collect()
    }

    fn asked(history: &[&str], candidates: &[&str], answer: usize) -> Question {
        Question { part: Part::Validation, ..question("q", history, candidates, answer) }
    }

    fn config() -> SasRecConfig {
        SasRecConfig::new()
            .with_d_model(16)
            .with_max_length(4)
            .with_max_epochs(40)
            .with_batch_size(10)
            .with_learning_rate(1e-2)
            .with_dropout(0.1)
            .with_patience(40)
    }

    fn trained(config: &SasRecConfig) -> SasRec {
        let item = |place: usize| format!("{:02}", place % 12);
        let ask = |place: usize| {
            let [first, second, next, other] = [0_usize, 1, 2, 5].map(|step| item(place + step));
            asked(&[&first, &second], &[&next, &other], 0)
        };
        let validation: Vec<Question> = (0..12).map(ask).collect();
        SasRec::fit(&circle(5), &validation, config, &Device::flex()).unwrap()
    }

    #[test]
    fn it_learns_what_comes_next_and_gives_the_best_epoch() {
        let mut found = trained(&config());
        let best = found.curve().iter().map(|epoch| epoch.ndcg).fold(0.0, f64::max);
        assert!(best > 0.99, "{:?}", found.curve());
        let last = found.curve().last().unwrap().loss;
        assert!(last < 0.7 * found.curve()[0].loss, "{:?}", found.curve());
        let candidates = ["05", "06", "07", "08", "x"];
        let asked = asked(&["x", "06", "07"], &candidates, 3);
        let scores = found.score(&asked).unwrap();
        assert!(scores[..3].iter().all(|score| *score < scores[3]), "{scores:?}");
        assert_eq!(scores[4], f64::NEG_INFINITY);
        let empty = question("q", &["x"], &["05", "06"], 0);
        assert_eq!(found.score(&empty).unwrap(), [0.0, 0.0]);
        let all = found.score_items(&[&empty, &asked]).unwrap();
        assert!((all[1][8] - scores[3]).abs() < 1e-5);
    }

    #[test]
    fn a_seed_gives_the_same_curve_and_patience_ends_it() {
        let config = config().with_max_epochs(3);
        let curve = |seed| trained(&config.clone().with_seed(seed)).curve().to_vec();
        assert_eq!(curve(1), curve(1));
        assert_ne!(curve(1), curve(2));
        // Nothing is learnt, so that the first epoch stays the best.
        let still = config.with_learning_rate(1e-30).with_max_epochs(9).with_patience(2);
        assert_eq!(trained(&still).curve().len(), 3);
    }

    #[test]
    fn what_cannot_be_trained_is_refused() {
        let fit = |training: &[History], validation: &[Question]| {
            SasRec::fit(training, validation, &config(), &Device::flex()).unwrap_err()
        };
        let validation = [asked(&[], &["01", "02"], 0)];
        assert!(matches!(fit(&circle(1), &validation), Error::NoSequences));
        assert!(matches!(fit(&circle(3), &[]), Error::NoQuestions { .. }));
        let test = [question("q", &[], &["01", "02"], 0)];
        assert!(fit(&circle(3), &test).to_string().contains("of Test"));
    }
}
