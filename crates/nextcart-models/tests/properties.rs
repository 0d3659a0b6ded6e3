//! What must hold for every shape of model, every text and every batch.

use burn::tensor::{Device, Tensor};
use nextcart_models::{
    GenerateOptions, KvCache, Llama, LlamaConfig, ModelInput, Padding, RopeScaling, Sampling,
    TokenTrie, generate_with, score_continuations, score_trie,
};
use proptest::prelude::*;

const VOCAB: usize = 40;

/// Bound of a logit; those of these models are below 1.
const OFF: f32 = 2e-5;

/// Shapes of all kinds: grouped heads, windows shorter than the text, biases, ties, stretched positions.
fn configs() -> impl Strategy<Value = LlamaConfig> {
    let heads = prop_oneof![Just((4, 4)), Just((4, 2)), Just((6, 1))];
    let scaling = prop_oneof![Just(None), Just(Some(RopeScaling::Linear { factor: 2.0 }))];
    (heads, prop::option::of(1_usize..7), any::<[bool; 2]>(), scaling, 1_usize..4).prop_map(
        |((heads, kv_heads), sliding_window, [tie, bias], rope_scaling, layers)| LlamaConfig {
            d_model: 24,
            d_hidden: 40,
            layers,
            heads,
            kv_heads,
            head_dim: 8,
            sliding_window,
            tie_word_embeddings: tie,
            attention_bias: bias,
            rope_scaling,
            ..LlamaConfig::tiny(VOCAB)
        },
    )
}

fn text(length: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0..VOCAB as u32, length)
}

/// Logits of a text that is alone in its batch, `[seq, vocab]`.
fn alone(model: &Llama, config: &LlamaConfig, text: &[u32]) -> Tensor<2> {
    model.forward(&ModelInput::new(&[text], config, &Device::flex())).squeeze_dim(0)
}

fn off(a: Tensor<2>, b: Tensor<2>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn cached_is_uncached(config in configs(), text in text(2..14), seed in 0_u64..9, cuts in any::<[u8; 2]>()) {
        let device = Device::flex();
        let model = config.init(seed, &device);
        let whole = alone(&model, &config, &text);
        let mut cuts = cuts.map(|cut| usize::from(cut) % text.len());
        cuts.sort_unstable();
        let mut cache = KvCache::new(1);
        let mut parts = Vec::new();
        for part in [&text[..cuts[0]], &text[cuts[0]..cuts[1]], &text[cuts[1]..]] {
            if !part.is_empty() {
                let input = ModelInput::continued(&[part], &cache, &config, &device);
                parts.push(model.logits(model.hidden(&input, Some(&mut cache))).squeeze_dim(0));
            }
        }
        prop_assert_eq!(cache.len(), text.len());
        prop_assert!(off(Tensor::cat(parts, 0), whole) < OFF);
    }

    #[test]
    fn batched_and_padded_on_either_side_is_alone(
        config in configs(),
        texts in prop::collection::vec(text(1..12), 1..5),
        seed in 0_u64..9,
        left in any::<bool>(),
    ) {
        let device = Device::flex();
        let model = config.init(seed, &device);
        let rows: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let padding = if left { Padding::Left } else { Padding::Right };
        let logits = model.forward(&ModelInput::padded(&rows, padding, &config, &device));
        let [_, seq, _] = logits.dims();
        for (row, text) in rows.iter().enumerate() {
            let start = if left { seq - text.len() } else { 0 };
            let found = logits.clone().narrow(0, row, 1).narrow(1, start, text.len());
            prop_assert!(off(found.squeeze_dim(0), alone(&model, &config, text)) < OFF);
        }
    }

    #[test]
    fn later_tokens_change_no_earlier_logits(
        config in configs(),
        text in text(2..12),
        other in text(12),
        seed in 0_u64..9,
        cut in any::<u8>(),
    ) {
        let cut = usize::from(cut) % (text.len() - 1) + 1;
        let model = config.init(seed, &Device::flex());
        let changed = [&text[..cut], &other].concat();
        let (a, b) = (alone(&model, &config, &text), alone(&model, &config, &changed));
        prop_assert!(off(a.narrow(0, 0, cut), b.narrow(0, 0, cut)) < OFF);
    }

    #[test]
    fn a_shared_prompt_and_a_trie_score_as_each_alone(
        config in configs(),
        prompt in text(1..9),
        answers in prop::collection::vec(text(1..5), 1..40),
        seed in 0_u64..9,
        rows in 1_usize..9,
    ) {
        let model = config.init(seed, &Device::flex());
        let answers: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
        // One pass for few, a cache for many.
        let shared = score_continuations(&model, &config, &prompt, &answers);
        let ranked = score_trie(&model, &config, &prompt, &TokenTrie::new(answers.iter().copied()), rows);
        for ((answer, shared), ranked) in answers.iter().zip(shared).zip(ranked) {
            let text = [&prompt, *answer].concat();
            let log = burn::tensor::activation::log_softmax(alone(&model, &config, &text), 1);
            let log: Vec<f32> = log.into_data().iter().collect();
            let expected: f64 = (prompt.len()..text.len())
                .map(|place| f64::from(log[(place - 1) * VOCAB + text[place] as usize]))
                .sum();
            for found in [shared, ranked] {
                prop_assert!((found.log_likelihood - expected).abs() < 1e-4);
                prop_assert_eq!(found.tokens, answer.len());
            }
        }
    }

    #[test]
    fn an_answer_within_a_catalogue_is_one_of_its_titles(
        config in configs(),
        prompts in prop::collection::vec(text(1..6), 1..4),
        titles in prop::collection::vec(text(1..6), 1..12),
        seed in 0_u64..99,
        greedy in any::<bool>(),
    ) {
        let model = config.init(seed, &Device::flex());
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let ended: Vec<Vec<u32>> = titles.iter().map(|title| [title, &[VOCAB as u32 - 1][..]].concat()).collect();
        let trie = TokenTrie::new(ended.iter().map(Vec::as_slice));
        let sampling = match greedy {
            true => Sampling::Greedy,
            false => Sampling::Random { temperature: 2.0, top_k: Some(5), top_p: 0.9, seed },
        };
        let stop_tokens = vec![VOCAB as u32 - 1];
        let options = GenerateOptions { max_new_tokens: 1, stop_tokens, sampling };
        let go_on = |_, _| std::ops::ControlFlow::Continue(());
        for answer in generate_with(&model, &config, &prompts, &options, Some(&trie), go_on) {
            let ended_answer = [answer.as_slice(), &[VOCAB as u32 - 1]].concat();
            prop_assert!(ended.contains(&ended_answer), "{:?} of {:?}", answer, titles);
        }
    }
}
