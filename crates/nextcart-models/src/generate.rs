//! Generation: one token after the other, greedy or drawn, free or within a trie.

use std::ops::ControlFlow;

use burn::module::Module as _;
use burn::tensor::{DType, Int, Tensor};
use nextcart_text::Tokenizer;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::cache::KvCache;
use crate::config::LlamaConfig;
use crate::error::Result;
use crate::input::{ModelInput, Padding};
use crate::llama::Llama;
use crate::sampling::Sampling;
use crate::trie::{ROOT, TokenTrie};

/// How tokens are chosen and when generation ends.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Tokens of an answer at most; within a trie, its sequences are the limit.
    pub max_new_tokens: usize,
    /// Tokens that end an answer and are not part of it.
    pub stop_tokens: Vec<u32>,
    /// How the next token is chosen (default greedy).
    pub sampling: Sampling,
}

impl GenerateOptions {
    /// At most so many tokens, ended by the model's own end of text.
    #[must_use]
    pub fn new(max_new_tokens: usize, config: &LlamaConfig) -> Self {
        let stop_tokens = config.eos_token_ids.clone();
        Self { max_new_tokens, stop_tokens, sampling: Sampling::Greedy }
    }

    /// The same with another choice of tokens.
    #[must_use]
    pub fn with_sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }
}

/// Continues each prompt, one token after the other.
///
/// The prompts go through the model once, left-padded as one batch; each further step computes one
/// position a row, with the keys and values of the earlier ones from a cache. Returns the new
/// tokens of each prompt.
///
/// It computes off the autodiff graph and with dropout off, on whatever device the model is.
///
/// # Panics
/// If a prompt has no token.
#[must_use]
pub fn generate(
    model: &Llama,
    config: &LlamaConfig,
    prompts: &[&[u32]],
    options: &GenerateOptions,
) -> Vec<Vec<u32>> {
    generate_with(model, config, prompts, options, None, |_, _| ControlFlow::Continue(()))
}

/// As [`generate`], with every answer one of the sequences of `within`, if there is one, and with each
/// token shown to `on_token` as soon as it is known: the index of the prompt and the token. What it
/// breaks off ends there, with the token as its last.
///
/// A row draws from a generator of its own, so that its answer does not depend on the others'.
///
/// # Panics
/// If a prompt has no token, or the trie is empty or has a token that the model does not know.
#[must_use]
pub fn generate_with(
    model: &Llama,
    config: &LlamaConfig,
    prompts: &[&[u32]],
    options: &GenerateOptions,
    within: Option<&TokenTrie>,
    mut on_token: impl FnMut(usize, u32) -> ControlFlow<()>,
) -> Vec<Vec<u32>> {
    assert!(prompts.iter().all(|prompt| !prompt.is_empty()), "a prompt needs at least one token");
    assert!(within.is_none_or(|trie| !trie.is_empty()), "a trie needs at least one sequence");
    let model = &model.valid();
    let device = model.device();
    let mut cache = KvCache::new(prompts.len());
    let mut rows: Vec<Row<'_>> =
        (0..prompts.len()).map(|row| Row::new(row, options, within)).collect();
    if rows.iter().all(|row| row.done) {
        return rows.into_iter().map(|row| row.answer).collect();
    }
    let mut input = ModelInput::padded(prompts, Padding::Left, config, &device);
    loop {
        let next = choose(model, &input, &mut cache, &mut rows, options.sampling);
        for (index, (row, &token)) in rows.iter_mut().zip(&next).enumerate() {
            if !row.done && row.take(token) && on_token(index, token).is_break() {
                row.done = true;
            }
        }
        if rows.iter().all(|row| row.done) {
            break;
        }
        let last: Vec<&[u32]> = next.iter().map(std::slice::from_ref).collect();
        input = ModelInput::continued(&last, &cache, config, &device);
    }
    rows.into_iter().map(|row| row.answer).collect()
}

/// Continues a prompt as text, and ends before the first of the `stop` texts. `on_text` sees all that is
/// known so far after each token; stop texts may still be part of it.
///
/// # Errors
/// [`nextcart_text::Error::NoTokens`] if the prompt has none, and if the tokenizers library refuses.
pub fn generate_text(
    model: &Llama,
    config: &LlamaConfig,
    tokenizer: &Tokenizer,
    prompt: &str,
    options: &GenerateOptions,
    stop: &[&str],
    mut on_text: impl FnMut(&str),
) -> Result<String> {
    let text = prompt;
    let prompt = tokenizer.encode(text)?;
    if prompt.is_empty() {
        let text = text.to_owned();
        return Err(nextcart_text::Error::NoTokens { what: "the prompt", text }.into());
    }
    let mut tokens = Vec::new();
    let mut text = Ok(String::new());
    let _ = generate_with(model, config, &[&prompt], options, None, |_, token| {
        tokens.push(token);
        text = tokenizer.decode(&tokens);
        let Ok(text) = &text else { return ControlFlow::Break(()) };
        on_text(text);
        match stop.iter().any(|stop| text.contains(stop)) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    let mut text = text?;
    if let Some(end) = stop.iter().filter_map(|stop| text.find(stop)).min() {
        text.truncate(end);
    }
    Ok(text)
}

/// One prompt on its way.
struct Row<'a> {
    answer: Vec<u32>,
    done: bool,
    options: &'a GenerateOptions,
    /// Where the answer stands in its trie.
    within: Option<(&'a TokenTrie, usize)>,
    random: ChaCha8Rng,
}

impl<'a> Row<'a> {
    fn new(row: usize, options: &'a GenerateOptions, within: Option<&'a TokenTrie>) -> Self {
        let seed = match options.sampling {
            Sampling::Random { seed, .. } => seed,
            Sampling::Greedy => 0,
        };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(row as u64);
        Self {
            answer: Vec::new(),
            done: within.is_none() && options.max_new_tokens == 0,
            options,
            within: within.map(|trie| (trie, ROOT)),
            random,
        }
    }

    /// The tokens that may follow; `None` for all.
    fn allowed(&self) -> Option<Vec<u32>> {
        let (trie, node) = self.within?;
        Some(trie.children(node).map(|(token, _)| token).collect())
    }

    /// Goes on with a token; whether it is part of the answer.
    fn take(&mut self, token: u32) -> bool {
        if let Some((trie, node)) = &mut self.within {
            *node = trie.child(*node, token).expect("an allowed token");
            self.done = trie.children(*node).next().is_none();
        }
        let may_stop = self.within.is_none() || self.done;
        if may_stop && self.options.stop_tokens.contains(&token) {
            self.done = true;
            return false;
        }
        self.answer.push(token);
        if self.within.is_none() {
            self.done = self.answer.len() == self.options.max_new_tokens;
        }
        true
    }
}

/// The token after each row's last one.
fn choose(
    model: &Llama,
    input: &ModelInput,
    cache: &mut KvCache,
    rows: &mut [Row<'_>],
    sampling: Sampling,
) -> Vec<u32> {
    let [batch, seq] = input.dims();
    let hidden = model.hidden_at(input, &vec![vec![seq - 1]; batch], Some(cache)); // [batch, d_model]
    let logits = model.logits(hidden); // [batch, vocab]
    if sampling == Sampling::Greedy && rows.iter().all(|row| row.within.is_none()) {
        let best: Tensor<1, Int> = logits.argmax(1).reshape([batch]);
        let best = best.into_data();
        return best.iter::<i64>().map(|id| u32::try_from(id).expect("a token id")).collect();
    }
    let [_, vocab] = logits.dims();
    let logits: Vec<f32> = logits.cast(DType::F32).into_data().iter::<f32>().collect();
    rows.iter_mut()
        .zip(logits.chunks_exact(vocab))
        .map(|(row, logits)| match row.done {
            true => 0, // goes through the model and nowhere else
            false => {
                let allowed = row.allowed();
                let known = allowed.iter().flatten().all(|id| (*id as usize) < vocab);
                assert!(known, "a trie of tokens that the model knows");
                sampling.choose(logits, allowed.as_deref(), &mut row.random)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn free() -> GenerateOptions {
        GenerateOptions { max_new_tokens: 6, stop_tokens: vec![], sampling: Sampling::Greedy }
    }

    #[test]
    fn a_batch_gives_what_each_prompt_gives_alone() {
        let config = LlamaConfig { sliding_window: Some(5), ..LlamaConfig::tiny(50) };
        let model = config.init(2, &Device::flex());
        let prompts: [&[u32]; 3] = [&[1, 7, 9, 30, 4, 11, 12], &[1, 3], &[1, 40, 41, 42]];
        let options = GenerateOptions { max_new_tokens: 9, stop_tokens: vec![], ..free() };
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
        let tokens = generate(&model, &config, &[&[1, 3]], &free()).remove(0);
        let place = tokens.iter().position(|&token| token == tokens[3]).expect("it is there");
        let stopped = GenerateOptions { stop_tokens: vec![tokens[3]], ..free() };
        assert_eq!(generate(&model, &config, &[&[1, 3]], &stopped), [tokens[..place].to_vec()]);
    }

    #[test]
    fn a_seed_decides_what_is_drawn_and_rows_do_not_depend_on_each_other() {
        let config = LlamaConfig::tiny(50);
        let model = config.init(2, &Device::flex());
        let sampling = |seed| Sampling::Random { temperature: 1.0, top_k: None, top_p: 1.0, seed };
        let draw = |prompts: &[&[u32]], seed| {
            generate(&model, &config, prompts, &free().with_sampling(sampling(seed)))
        };
        let first = draw(&[&[1, 3]], 5);
        assert_eq!(draw(&[&[1, 3]], 5), first);
        assert_ne!(draw(&[&[1, 3]], 6), first);
        assert_eq!(draw(&[&[1, 3], &[1, 9, 9]], 5)[0], first[0]);
    }

    #[test]
    fn an_answer_within_a_trie_is_always_one_of_its_sequences() {
        let config = LlamaConfig::tiny(50);
        let model = config.init(2, &Device::flex());
        let sequences: [&[u32]; 4] = [&[7, 8, 2], &[7, 9, 30, 31, 2], &[12, 2], &[12, 13, 2]];
        let trie = TokenTrie::new(sequences);
        let prompts: [&[u32]; 3] = [&[1, 3], &[1, 40, 41], &[1]];
        for seed in 0..20 {
            let sampling = Sampling::Random { temperature: 3.0, top_k: None, top_p: 1.0, seed };
            let options = GenerateOptions { max_new_tokens: 1, stop_tokens: vec![2], sampling };
            let mut seen = vec![Vec::new(); 3];
            let on_token = |row: usize, token| {
                seen[row].push(token);
                ControlFlow::Continue(())
            };
            let answers = generate_with(&model, &config, &prompts, &options, Some(&trie), on_token);
            assert_eq!(answers, seen);
            for answer in answers {
                assert!(trie.find(&[answer.as_slice(), &[2]].concat()).is_some(), "{answer:?}");
            }
        }
    }

    #[test]
    fn a_callback_ends_its_row_alone() {
        let config = LlamaConfig::tiny(50);
        let model = config.init(2, &Device::flex());
        let answers =
            generate_with(&model, &config, &[&[1, 3], &[1, 4]], &free(), None, |row, _| {
                if row == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [1, 6]);
    }

    #[test]
    fn text_ends_before_a_stop_text() {
        let texts = ["Green Tea", "Acacia Honey"];
        let tokenizer = Tokenizer::train(texts.iter(), 280).expect("trained");
        let config = LlamaConfig::tiny(280);
        let model = config.init(2, &Device::flex());
        let options = GenerateOptions { max_new_tokens: 12, ..GenerateOptions::new(12, &config) };
        let mut seen = String::new();
        let run = |stop: &[&str], seen: &mut String| {
            generate_text(&model, &config, &tokenizer, "Tea\n", &options, stop, |text| {
                text.clone_into(seen);
            })
            .expect("generated")
        };
        let whole = run(&[], &mut seen);
        assert_eq!(whole, seen);
        let middle: String = whole.chars().skip(3).take(2).collect();
        let ended = run(&["no such text", &middle], &mut seen);
        assert_eq!(ended, whole[..whole.find(&middle).expect("it is there")]);
    }
}
