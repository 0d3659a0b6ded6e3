//! Greedy generation.

use burn::tensor::{Int, Tensor};

use crate::cache::KvCache;
use crate::config::LlamaConfig;
use crate::input::{ModelInput, Padding};
use crate::llama::Llama;

/// When generation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateOptions {
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// Tokens that end an answer and are not part of it.
    pub stop_tokens: Vec<u32>,
}

impl GenerateOptions {
    /// At most so many tokens, ended by the model's own end of text.
    #[must_use]
    pub fn new(max_new_tokens: usize, config: &LlamaConfig) -> Self {
        Self { max_new_tokens, stop_tokens: config.eos_token_ids.clone() }
    }
}

/// Continues each prompt with the likeliest token, one after the other.
///
/// The prompts go through the model once, left-padded as one batch; each further step computes one
/// position a row, with the keys and values of the earlier ones from a cache. Returns the new
/// tokens of each prompt.
///
/// # Panics
/// If there is no prompt or one of them has no token.
#[must_use]
pub fn generate(
    model: &Llama,
    config: &LlamaConfig,
    prompts: &[&[u32]],
    options: &GenerateOptions,
) -> Vec<Vec<u32>> {
    assert!(prompts.iter().all(|prompt| !prompt.is_empty()), "a prompt needs at least one token");
    let device = model.device();
    let mut cache = KvCache::new(prompts.len());
    let mut answers = vec![Vec::new(); prompts.len()];
    if options.max_new_tokens == 0 {
        return answers;
    }
    let mut done = vec![false; prompts.len()];
    let mut input = ModelInput::padded(prompts, Padding::Left, config, &device);

    loop {
        let next = likeliest(model, &input, &mut cache);
        for ((answer, done), &token) in answers.iter_mut().zip(&mut done).zip(&next) {
            *done |= options.stop_tokens.contains(&token);
            if !*done {
                answer.push(token);
                *done = answer.len() == options.max_new_tokens;
            }
        }
        if done.iter().all(|&done| done) {
            break;
        }
        let rows: Vec<&[u32]> = next.iter().map(std::slice::from_ref).collect();
        input = ModelInput::continued(&rows, &cache, config, &device);
    }
    answers
}

/// The likeliest token after each row's last one.
fn likeliest(model: &Llama, input: &ModelInput, cache: &mut KvCache) -> Vec<u32> {
    let [batch, seq] = input.dims();
    let hidden = model.hidden(input, Some(cache)); // [batch, seq, d_model]
    let logits = model.logits(hidden.narrow(1, seq - 1, 1)); // [batch, 1, vocab]
    let best: Tensor<1, Int> = logits.argmax(2).reshape([batch]);
    best.into_data().iter::<i64>().map(|id| u32::try_from(id).expect("a token id")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_batch_gives_what_each_prompt_gives_alone() {
        let config = LlamaConfig { sliding_window: Some(5), ..LlamaConfig::tiny(50) };
        let model = config.init(2, &Device::flex());
        let prompts: [&[u32]; 3] = [&[1, 7, 9, 30, 4, 11, 12], &[1, 3], &[1, 40, 41, 42]];
        let options = GenerateOptions { max_new_tokens: 9, stop_tokens: vec![] };
        let together = generate(&model, &config, &prompts, &options);
        for (prompt, together) in prompts.iter().zip(together) {
            assert_eq!(together.len(), 9);
            assert_eq!(generate(&model, &config, &[prompt], &options), [together]);
        }
    }

    #[test]
    fn a_stop_token_ends_a_row_and_is_left_out() {
        let config = LlamaConfig::tiny(50);
        let model = config.init(2, &Device::flex());
        let free = GenerateOptions { max_new_tokens: 6, stop_tokens: vec![] };
        let tokens = generate(&model, &config, &[&[1, 3]], &free).remove(0);
        let place = tokens.iter().position(|&token| token == tokens[3]).expect("it is there");
        let stopped = GenerateOptions { stop_tokens: vec![tokens[3]], ..free };
        assert_eq!(generate(&model, &config, &[&[1, 3]], &stopped), [tokens[..place].to_vec()]);
    }
}
