//! Likelihood of continuations that share a prompt.

use burn::module::Module as _;
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

/// Scores continuations of one prompt, which goes through the model once.
///
/// Short continuations go with it, side by side and hidden from each other, so that the weights are read once;
/// where they have more than 64 tokens together and more than a quarter of the prompt's, they follow as one batch
/// behind its keys and values.
///
/// It computes off the autodiff graph and with dropout off, on whatever device the model is.
///
/// # Panics
/// If the prompt or a continuation has no token, there are no continuations, or the model does not know a token.
#[must_use]
pub fn score_continuations(
    model: &Llama,
    config: &LlamaConfig,
    prompt: &[u32],
    continuations: &[&[u32]],
) -> Vec<ContinuationScore> {
    assert!(!prompt.is_empty(), "a prompt needs at least one token");
    assert!(!continuations.is_empty(), "at least one continuation");
    assert!(continuations.iter().all(|c| !c.is_empty()), "a continuation needs at least one token");
    let model = &model.valid();
    // The last token of a continuation predicts nothing that is asked for.
    let branches: Vec<&[u32]> = continuations.iter().map(|c| &c[..c.len() - 1]).collect();
    let tokens: usize = branches.iter().map(|branch| branch.len()).sum();
    let hidden = match tokens <= ONE_PASS.max(prompt.len() / 4) {
        true => in_one_pass(model, config, prompt, &branches),
        false => behind_cache(model, config, prompt, &branches),
    };
    likelihoods(model, hidden, continuations)
}

/// Tokens of continuations that go through the model with any prompt: more would see mostly each other, hidden.
const ONE_PASS: usize = 64;

/// Hidden states of the prompt's last token and of all branches' tokens, `[1 + tokens, d_model]`.
fn in_one_pass(
    model: &Llama,
    config: &LlamaConfig,
    prompt: &[u32],
    branches: &[&[u32]],
) -> Tensor<2> {
    let input = ModelInput::branched(prompt, branches, config, &model.device());
    let [_, seq] = input.dims();
    model.hidden_at(&input, &[(prompt.len() - 1..seq).collect()], None)
}

/// The same, with the prompt alone at first.
fn behind_cache(
    model: &Llama,
    config: &LlamaConfig,
    prompt: &[u32],
    branches: &[&[u32]],
) -> Tensor<2> {
    let device = model.device();
    let mut cache = KvCache::new(1);
    let input = ModelInput::new(&[prompt], config, &device);
    let first = model.hidden_at(&input, &[vec![prompt.len() - 1]], Some(&mut cache));
    let mut cache = cache.repeated(branches.len());
    let input = ModelInput::continued(branches, &cache, config, &device);
    let places: Vec<Vec<usize>> = branches.iter().map(|b| (0..b.len()).collect()).collect();
    let rest = model.hidden_at(&input, &places, Some(&mut cache));
    Tensor::cat(vec![first, rest], 0)
}

/// The scores, from hidden states of the prompt's last token and of all but each continuation's last.
fn likelihoods(
    model: &Llama,
    hidden: Tensor<2>,
    continuations: &[&[u32]],
) -> Vec<ContinuationScore> {
    let logits = model.logits(hidden).cast(DType::F32); // [1 + tokens, vocab]
    let [rows, vocab] = logits.dims();
    // A continuation's first token is predicted by the prompt's end, each other by the one before.
    let mut targets = Vec::new();
    let mut next = 1;
    for continuation in continuations {
        for (place, &token) in continuation.iter().enumerate() {
            assert!((token as usize) < vocab, "a token that the model knows");
            let row = if place == 0 { 0 } else { next + place - 1 };
            targets.push((row * vocab) as i64 + i64::from(token));
        }
        next += continuation.len() - 1;
    }
    let count = targets.len();
    let targets = TensorData::new(targets, [count]);
    let targets = Tensor::<1, Int>::from_data(targets, &logits.device());
    let scores = activation::log_softmax(logits, 1).reshape([rows * vocab]).select(0, targets);
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
        let branches = continuations.map(|c| &c[..c.len() - 1]);
        let apart = behind_cache(&model, &config, &prompt, &branches);
        for (a, b) in scores.iter().zip(likelihoods(&model, apart, &continuations)) {
            assert!((a.log_likelihood - b.log_likelihood).abs() < 1e-4, "{a:?}, {b:?}");
        }
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
