//! However gradients are computed, they are those of the plain loss.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use nextcart_adapters::LoraConfig;
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;
use nextcart_train::{
    Batch, Checkpointing, Gradients, PassOptions, SftConfig, StepGradients, Trainer,
    loss_and_gradients_with, loss_sum,
};

use crate::common::{
    adapted, base, bits, largest_difference, learnt, llama, lora, samples, values,
};

const MODES: [Checkpointing; 3] =
    [Checkpointing::None, Checkpointing::Blocks, Checkpointing::BlocksOnHost];

/// Two micro-batches, each a graph of its own from the loss down to the embedding.
fn plainly(model: &Llama, llama: &LlamaConfig, batches: &[Vec<&Sample>]) -> (f64, Gradients) {
    let trained: usize = batches.iter().flatten().map(|sample| sample.trained_tokens()).sum();
    let (mut loss, mut gradients) = (0.0, Gradients::default());
    for samples in batches {
        let sum = loss_sum(model, &Batch::new(samples, llama, &model.device()));
        gradients.add_backward(model, &(sum.clone() / trained as f64));
        loss += f64::from(sum.into_scalar::<f32>()) / trained as f64;
    }
    (loss, gradients)
}

fn pass(
    model: &Llama,
    llama: &LlamaConfig,
    batches: &[Vec<&Sample>],
    options: PassOptions,
) -> StepGradients {
    let trained = batches.iter().flatten().map(|sample| sample.trained_tokens()).sum();
    let batches = batches.iter().map(|samples| Batch::new(samples, llama, &model.device()));
    loss_and_gradients_with(model, batches, trained, options)
}

/// Loss and gradients in every mode and in pieces of several sizes against those of the plain loss.
#[track_caller]
fn check(what: &str, model: &Llama, llama: &LlamaConfig) {
    let samples = samples(7);
    let batches: Vec<Vec<&Sample>> = samples.chunks(4).map(|part| part.iter().collect()).collect();
    let (loss, expected) = plainly(model, llama, &batches);
    let paths: Vec<&str> = expected.paths().collect();
    let scale = values(&expected).iter().fold(0.0_f32, |max, value| max.max(value.abs()));
    assert!(scale > 1e-3, "{what}: {scale}");
    let mut largest = 0.0_f32;
    for loss_rows in [1, 5, 256] {
        let [at_once, blocks, on_host] = MODES.map(|checkpointing| {
            let options = PassOptions { checkpointing, loss_rows, ..PassOptions::default() };
            let found = pass(model, llama, &batches, options);
            assert_eq!(found.gradients.paths().collect::<Vec<_>>(), paths, "{what}");
            assert!((found.loss() - loss).abs() < 1e-6 * loss, "{what}: {}, {loss}", found.loss());
            let off = largest_difference(&values(&found.gradients), &values(&expected));
            largest = largest.max(off / scale);
            values(&found.gradients)
        });
        assert_eq!(blocks, on_host, "{what}");
        assert_eq!(at_once.len(), blocks.len());
    }
    assert!(largest < 2e-6, "{what}: {largest} of {scale}");
}

#[test]
fn adapters_get_the_same_gradients_in_every_mode() {
    let deeper = LlamaConfig { layers: 4, sliding_window: Some(4), ..llama() };
    let deep = |config: &LoraConfig| {
        let model = deeper.init(5, &Device::flex().autodiff()).with_adapters(config, 3).unwrap();
        learnt(model, &deeper)
    };
    check("LoRA", &learnt(adapted(&lora()), &llama()), &llama());
    check("LoRA on four blocks with a window", &deep(&lora()), &deeper);
    check("DoRA", &deep(&lora().with_use_dora(true)), &deeper);
    let packed = base().quantized().with_adapters(&lora(), 3).unwrap();
    check("QLoRA", &learnt(packed, &llama()), &llama());
    let packed = base().quantized().with_adapters(&lora().with_use_dora(true), 3).unwrap();
    check("QLoRA with DoRA", &learnt(packed, &llama()), &llama());
    let one = deep(&lora().with_target_modules(["v_proj"].into()));
    check("adapters on the values alone", &one, &deeper);
}

#[test]
fn whatever_else_trains_gets_the_same_gradients_in_every_mode() {
    let deeper = LlamaConfig { layers: 3, tie_word_embeddings: false, ..llama() };
    let model = || deeper.init(5, &Device::flex().autodiff());
    check("all weights, tied", &base().trainable(), &llama());
    check("all weights, untied", &model().trainable(), &deeper);
    for part in ["lm_head", "embed_tokens", "norm", "layers.0.", "layers.1.", "layers.2.mlp"] {
        check(part, &with_trainable(model().frozen(), part), &deeper);
    }
    check("a tied embedding", &with_trainable(base(), "embed_tokens"), &llama());
}

/// The model with gradients for the parameters whose path has `part` in it.
fn with_trainable(model: Llama, part: &str) -> Llama {
    model.map(&mut Marker { part: part.to_owned(), path: Vec::new() })
}

struct Marker {
    part: String,
    path: Vec<String>,
}

impl ModuleMapper for Marker {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.path.join(".").contains(&self.part) {
            true => param.set_require_grad(true),
            false => param,
        }
    }
}

#[test]
#[should_panic(expected = "a trainable parameter")]
fn a_pass_over_a_frozen_model_is_refused() {
    let samples = samples(1);
    let _ = pass(&base(), &llama(), &[vec![&samples[0]]], PassOptions::default());
}

#[test]
fn a_run_ends_alike_in_every_mode() {
    let samples = samples(6);
    let run = |checkpointing, loss_rows| {
        let config = SftConfig {
            checkpointing,
            loss_rows,
            batch_size: 2,
            gradient_accumulation: 2,
            learning_rate: 1e-2,
            // Above the rounding of a gradient that should be zero, which Adam would make a whole step of.
            epsilon: 1e-4,
            ..SftConfig::default()
        };
        let mut trainer = Trainer::new(adapted(&lora()), &llama(), config, &samples).unwrap();
        while trainer.step().unwrap().is_some() {}
        bits(&trainer.into_model())
    };
    let expected = run(Checkpointing::None, 256);
    for (checkpointing, rows) in
        [(Checkpointing::None, 2), (Checkpointing::Blocks, 256), (Checkpointing::BlocksOnHost, 3)]
    {
        for (path, values) in run(checkpointing, rows) {
            let floats = |bits: &[u32]| bits.iter().map(|b| f32::from_bits(*b)).collect::<Vec<_>>();
            let off = largest_difference(&floats(&values), &floats(&expected[&path]));
            assert!(off < 1e-5, "{checkpointing:?}, {path}: {off}");
        }
    }
}
