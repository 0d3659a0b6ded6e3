//! A whole catalogue behind one prompt.

use burn::module::Module as _;
use burn::tensor::{DType, Int, Tensor, TensorData, activation};

use crate::cache::KvCache;
use crate::config::LlamaConfig;
use crate::input::ModelInput;
use crate::llama::Llama;
use crate::score::ContinuationScore;
use crate::trie::{ROOT, TokenTrie};

/// Scores every sequence of a trie as a continuation of one prompt, in the order in which they went in.
///
/// The prompt goes through the model once, and so does every beginning that sequences share. At most
/// `rows` beginnings are computed at a time; each of them holds keys and values of prompt and beginning,
/// and so do those that lead to it, where they branch into more than `rows`: memory is that of `rows`
/// prompts times the number of such branchings one above the other. Of sequences that are equal, all have
/// the score.
///
/// It computes off the autodiff graph and with dropout off, on whatever device the model is.
///
/// # Panics
/// If the prompt has no token, `rows` is 0 or the model does not know a token of the trie.
#[must_use]
pub fn score_trie(
    model: &Llama,
    config: &LlamaConfig,
    prompt: &[u32],
    trie: &TokenTrie,
    rows: usize,
) -> Vec<ContinuationScore> {
    assert!(!prompt.is_empty(), "a prompt needs at least one token");
    assert!(rows > 0, "at least one beginning is computed at a time");
    let model = &model.valid();
    let none = ContinuationScore { log_likelihood: f64::NEG_INFINITY, tokens: 0 };
    let mut ranking = Ranking { model, config, trie, rows, scores: vec![none; trie.len()] };
    if !trie.is_empty() {
        let device = model.device();
        let mut cache = KvCache::new(1);
        let input = ModelInput::new(&[prompt], config, &device);
        let hidden = model.hidden(&input, Some(&mut cache)); // [1, prompt, d_model]
        let hidden = hidden.narrow(1, prompt.len() - 1, 1); // [1, 1, d_model]
        let root = Beginning { node: ROOT, log_likelihood: 0.0, tokens: 0 };
        ranking.expand(&[root], hidden, cache);
    }
    trie.spread(ranking.scores)
}

/// A beginning of some sequences that has been computed.
#[derive(Clone, Copy)]
struct Beginning {
    node: usize,
    log_likelihood: f64,
    tokens: usize,
}

struct Ranking<'a> {
    model: &'a Llama,
    config: &'a LlamaConfig,
    trie: &'a TokenTrie,
    rows: usize,
    scores: Vec<ContinuationScore>,
}

impl Ranking<'_> {
    /// Scores what follows some beginnings, whose last hidden states and caches are given row by row.
    fn expand(&mut self, beginnings: &[Beginning], hidden: Tensor<3>, cache: KvCache) {
        let (children, scores) = self.children(beginnings, hidden);
        let mut ahead: Vec<(usize, u32, Beginning)> = Vec::new(); // row, token, where it leads
        for ((row, token, node), score) in children.into_iter().zip(scores) {
            let before = beginnings[row];
            let log_likelihood = before.log_likelihood + score;
            let reached = Beginning { node, log_likelihood, tokens: before.tokens + 1 };
            if let Some(sequence) = self.trie.ends(node) {
                let tokens = reached.tokens;
                self.scores[sequence] = ContinuationScore { log_likelihood, tokens };
            }
            if self.trie.children(node).next().is_some() {
                ahead.push((row, token, reached));
            }
        }
        let mut held = Some(cache);
        let parts = ahead.len().div_ceil(self.rows);
        for (number, part) in ahead.chunks(self.rows).enumerate() {
            let of: Vec<usize> = part.iter().map(|(row, ..)| *row).collect();
            let Some(mut cache) = held.as_ref().map(|held| held.select(&of)) else { return };
            if number + 1 == parts {
                held = None; // nothing more is taken from it
            }
            let tokens: Vec<&[u32]> =
                part.iter().map(|(_, token, _)| std::slice::from_ref(token)).collect();
            let device = self.model.device();
            let input = ModelInput::continued(&tokens, &cache, self.config, &device);
            let hidden = self.model.hidden(&input, Some(&mut cache)); // [part, 1, d_model]
            let reached: Vec<Beginning> = part.iter().map(|(.., reached)| *reached).collect();
            self.expand(&reached, hidden, cache);
        }
    }

    /// All tokens that follow, as row, token and node, with their log-probabilities.
    fn children(
        &self,
        beginnings: &[Beginning],
        hidden: Tensor<3>,
    ) -> (Vec<(usize, u32, usize)>, Vec<f64>) {
        let children: Vec<(usize, u32, usize)> = beginnings
            .iter()
            .enumerate()
            .flat_map(|(row, beginning)| {
                self.trie.children(beginning.node).map(move |(token, node)| (row, token, node))
            })
            .collect();
        let logits = self.model.logits(hidden).cast(DType::F32); // [rows, 1, vocab]
        let [rows, _, vocab] = logits.dims();
        let known = children.iter().all(|(_, token, _)| (*token as usize) < vocab);
        assert!(known, "a trie of tokens that the model knows");
        let all = activation::log_softmax(logits, 2).reshape([rows * vocab]);
        let places: Vec<i64> = children
            .iter()
            .map(|(row, token, _)| (row * vocab) as i64 + i64::from(*token))
            .collect();
        let count = places.len();
        let places =
            Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &self.model.device());
        let scores = all.select(0, places).into_data();
        (children, scores.iter::<f32>().map(f64::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::score::score_continuations;

    #[test]
    fn a_trie_gives_each_sequence_the_score_that_it_has_alone() {
        let config = LlamaConfig { sliding_window: Some(6), ..LlamaConfig::tiny(50) };
        let model = config.init(5, &Device::flex());
        let prompt = [1, 8, 20, 33, 4];
        let sequences: [&[u32]; 7] = [
            &[9, 2],
            &[10, 11, 12, 2],
            &[10, 11, 2],
            &[7, 2],
            &[10, 40, 41, 42, 43, 2],
            &[10, 11, 12, 13, 2],
            &[7, 2],
        ];
        let trie = TokenTrie::new(sequences);
        let expected = score_continuations(&model, &config, &prompt, &sequences);
        for rows in [1, 2, 100] {
            let scores = score_trie(&model, &config, &prompt, &trie, rows);
            assert_eq!(scores.len(), 7);
            for (found, expected) in scores.iter().zip(&expected) {
                let difference = (found.log_likelihood - expected.log_likelihood).abs();
                assert!(difference < 1e-4, "{found:?} {expected:?}");
                assert_eq!(found.tokens, expected.tokens);
            }
        }
        assert!(score_trie(&model, &config, &prompt, &TokenTrie::default(), 4).is_empty());
    }
}
