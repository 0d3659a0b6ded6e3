//! Likelihood of continuations that share a prompt.

use burn::tensor::{DType, Int, Tensor, TensorData, activation};
use nextcart_text::{Tokenizer, shared_prefix};

use crate::cache::KvCache;
use crate::config::LlamaConfig;
use crate::error::Result;
use crate::input::ModelInput;
use crate::llama::Llama;

/// How likely a model finds one continuation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ContinuationScore {
    /// Sum of the log-probabilities of its tokens, in nats.
    pub log_likelihood: f64,
    /// Number of its tokens.
    pub tokens: usize,
}

impl ContinuationScore {
    /// Log-probability a token, in nats, which does not punish length.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.log_likelihood / self.tokens as f64
    }

    /// How much more likely the prompt makes the continuation than another prompt does, one without the
    /// history: pointwise mutual information, in nats, which does not favour what is likely anyway
    /// (Holtzman et al., <https://arxiv.org/abs/2104.08315>).
    #[must_use]
    pub fn pmi(&self, without: &Self) -> f64 {
        self.log_likelihood - without.log_likelihood
    }
}

/// How likely single tokens are after a prompt, as log-probabilities in nats: for answers by letter or
/// by yes and no.
///
/// # Panics
/// If the prompt has no token.
#[must_use]
pub fn score_next(model: &Llama, config: &LlamaConfig, prompt: &[u32], tokens: &[u32]) -> Vec<f64> {
    let continuations: Vec<&[u32]> = tokens.iter().map(std::slice::from_ref).collect();
    if continuations.is_empty() {
        return Vec::new();
    }
    let scores = score_continuations(model, config, prompt, &continuations);
    scores.iter().map(|score| score.log_likelihood).collect()
}

/// Scores continuations of one prompt: the prompt goes through the model once, then all
/// continuations as one batch behind its cached keys and values.
///
/// # Panics
/// If the prompt or a continuation has no token, or there are no continuations.
#[must_use]
pub fn score_continuations(
    model: &Llama,
    config: &LlamaConfig,
    prompt: &[u32],
    continuations: &[&[u32]],
) -> Vec<ContinuationScore> {
    assert!(!prompt.is_empty(), "a prompt needs at least one token");
    assert!(continuations.iter().all(|c| !c.is_empty()), "a continuation needs at least one token");
    let device = model.device();

    let mut cache = KvCache::new(1);
    let input = ModelInput::new(&[prompt], config, &device);
    let hidden = model.hidden(&input, Some(&mut cache)); // [1, prompt, d_model]
    let [_, _, d_model] = hidden.dims();
    let mut hidden = hidden.narrow(1, prompt.len() - 1, 1).reshape([1, d_model]);

    // The last token of a continuation predicts nothing that is asked for.
    let rows: Vec<&[u32]> = continuations.iter().map(|c| &c[..c.len() - 1]).collect();
    let seq = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    if seq > 0 {
        let mut cache = cache.repeated(rows.len());
        let input = ModelInput::continued(&rows, &cache, config, &device);
        let more = model.hidden(&input, Some(&mut cache)).reshape([rows.len() * seq, d_model]);
        hidden = Tensor::cat(vec![hidden, more], 0); // [1 + rows · seq, d_model]
    }

    // A continuation's first token is predicted by the prompt's end, the others by their row.
    let mut places = Vec::new();
    let mut targets = Vec::new();
    for (row, continuation) in continuations.iter().enumerate() {
        for (place, &token) in continuation.iter().enumerate() {
            places.push(if place == 0 { 0 } else { (row * seq + place) as i64 });
            targets.push(i64::from(token));
        }
    }
    let count = places.len();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &device);
    let targets = Tensor::<2, Int>::from_data(TensorData::new(targets, [count, 1]), &device);
    let logits = model.logits(hidden.select(0, places)).cast(DType::F32); // [count, vocab]
    let scores = activation::log_softmax(logits, 1).gather(1, targets); // [count, 1]

    let mut scores =
        scores.into_data().iter::<f32>().map(f64::from).collect::<Vec<_>>().into_iter();
    continuations
        .iter()
        .map(|continuation| ContinuationScore {
            log_likelihood: scores.by_ref().take(continuation.len()).sum(),
            tokens: continuation.len(),
        })
        .collect()
}

/// Scores answers to one prompt, each with the end of text after it, so that an answer is not
/// preferred for being the beginning of a longer one.
///
/// # Errors
/// [`nextcart_text::Error::NoTokens`] if an answer has none or nothing stands before all of them, and if the
/// tokenizers library refuses.
pub fn score_texts(
    model: &Llama,
    config: &LlamaConfig,
    tokenizer: &Tokenizer,
    prompt: &str,
    answers: &[&str],
) -> Result<Vec<ContinuationScore>> {
    let encoded = answers
        .iter()
        .map(|answer| tokenizer.encode_pair(prompt, answer))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(first) = encoded.first() else {
        return Ok(Vec::new());
    };
    // What all have in common is the prompt, and the rest is scored.
    let shared = shared_prefix(encoded.iter().map(|e| (&*e.ids, e.spans[1].start)));
    if shared == 0 {
        let text = prompt.to_owned();
        return Err(nextcart_text::Error::NoTokens { what: "the prompt", text }.into());
    }
    let continuations: Vec<&[u32]> = encoded.iter().map(|e| &e.ids[shared..]).collect();
    Ok(score_continuations(model, config, &first.ids[..shared], &continuations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_shared_prompt_gives_what_the_whole_text_gives() {
        let config = LlamaConfig { sliding_window: Some(4), ..LlamaConfig::tiny(50) };
        let device = Device::flex();
        let model = config.init(5, &device);
        let prompt = [1, 8, 20, 33, 4];
        let continuations: [&[u32]; 3] = [&[9], &[10, 11, 12, 2], &[7, 2]];
        let scores = score_continuations(&model, &config, &prompt, &continuations);
        for (continuation, score) in continuations.iter().zip(scores) {
            let text = [&prompt, *continuation].concat();
            let logits = model.forward(&ModelInput::new(&[&text], &config, &device));
            let log = activation::log_softmax(logits, 2).into_data();
            let log: Vec<f32> = log.iter::<f32>().collect();
            let expected: f64 = (prompt.len()..text.len())
                .map(|i| f64::from(log[(i - 1) * config.vocab + text[i] as usize]))
                .sum();
            assert!((score.log_likelihood - expected).abs() < 1e-4, "{score:?}, {expected}");
            assert_eq!(score.tokens, continuation.len());
        }
    }

    #[test]
    fn the_order_of_answers_does_not_matter() {
        let texts = ["Green Tea", "Honey", "Tea Strainer"];
        let tokenizer = Tokenizer::train(texts.iter(), 280).expect("trained");
        let config = LlamaConfig::tiny(280);
        let model = config.init(5, &Device::flex());
        let score = |answers: &[&str]| {
            score_texts(&model, &config, &tokenizer, "I bought:\n", answers).expect("scored")
        };
        let forward = score(&texts);
        let backward = score(&["Tea Strainer", "Honey", "Green Tea"]);
        for (a, b) in forward.iter().zip(backward.iter().rev()) {
            assert!((a.log_likelihood - b.log_likelihood).abs() < 1e-4);
        }
    }
}
