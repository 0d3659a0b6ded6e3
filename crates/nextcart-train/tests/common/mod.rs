//! A model small enough to train in a test, and samples of unequal length.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use nextcart_adapters::LoraConfig;
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;
use nextcart_train::{Gradients, SftConfig, Trainer};

pub(crate) const VOCAB: usize = 24;

pub(crate) fn llama() -> LlamaConfig {
    LlamaConfig {
        d_model: 32,
        d_hidden: 48,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        ..LlamaConfig::tiny(VOCAB)
    }
}

/// A frozen model, the same at every call.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn base() -> Llama {
    llama().init(7, &Device::flex().autodiff()).frozen()
}

pub(crate) fn lora() -> LoraConfig {
    LoraConfig::new().with_rank(4).with_alpha(8.0)
}

/// [`base`] with fresh adapters, the same at every call.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn adapted(config: &LoraConfig) -> Llama {
    base().with_adapters(config, 3).expect("a valid adapter config")
}

/// A model whose adapters have learnt something: beside a fresh one, whose B is zero, A has no gradient.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn learnt(model: Llama, llama: &LlamaConfig) -> Llama {
    let samples = samples(4);
    let options = SftConfig { max_steps: Some(3), learning_rate: 0.05, ..SftConfig::default() };
    let mut trainer = Trainer::new(model, llama, options, &samples).expect("a run");
    while trainer.step().expect("a finite step").is_some() {}
    trainer.into_model().train()
}

/// All gradients in the order of their paths.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn values(gradients: &Gradients) -> Vec<f32> {
    let value = |path: &str| -> Vec<f32> {
        let gradient = match path.ends_with("gamma") || path.ends_with("magnitude") {
            true => gradients.get::<1>(path).expect("listed").try_into_vec_as(),
            false => gradients.get::<2>(path).expect("listed").try_into_vec_as(),
        };
        gradient.expect("floats")
    };
    gradients.paths().flat_map(value).collect()
}

#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(l, r)| (l - r).abs()).fold(0.0, f32::max)
}

/// Gradients lie within a share of the largest of those that are expected.
#[allow(dead_code, reason = "not every test binary needs it")]
#[track_caller]
pub(crate) fn check_close(found: &Gradients, expected: &Gradients, share: f32) {
    let (found, expected) = (values(found), values(expected));
    let scale = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let off = largest_difference(&found, &expected) / scale;
    assert!(off < share, "{off} of the largest");
}

/// Completions of which no two have both the same length and the same number of trained tokens.
pub(crate) fn samples(count: usize) -> Vec<Sample> {
    (0..count)
        .map(|n| {
            let id = |place: usize| (3 + (n * 5 + place * 7 + n * place) % (VOCAB - 3)) as u32;
            let prompt: Vec<u32> = (0..2 + n % 5).map(id).collect();
            let mut answer: Vec<u32> = (0..1 + n % 3).map(|place| id(place + 9)).collect();
            answer.push(2);
            Sample::completion(&prompt, &answer).expect("neither part is empty")
        })
        .collect()
}

/// Every float of a module as bits, by path.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn bits<M: Module>(module: &M) -> BTreeMap<String, Vec<u32>> {
    let mut reader = Reader { path: Vec::new(), bits: BTreeMap::new() };
    module.visit(&mut reader);
    reader.bits
}

/// The module with NaN in one row of its token embedding.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn with_broken_token(model: Llama, token: usize) -> Llama {
    model.map(&mut Breaker { token, path: Vec::new() })
}

#[allow(dead_code, reason = "not every test binary needs it")]
struct Reader {
    path: Vec<String>,
    bits: BTreeMap<String, Vec<u32>>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().try_into_vec_as::<f32>().expect("floats");
        let bits = values.into_iter().map(f32::to_bits).collect();
        self.bits.insert(self.path.join("."), bits);
    }
}

struct Breaker {
    token: usize,
    path: Vec<String>,
}

impl ModuleMapper for Breaker {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.path != ["embed_tokens"] {
            return param;
        }
        param.map(|weight| {
            let row = self.token..self.token + 1;
            weight.inner().slice_fill(row, f32::NAN).autodiff()
        })
    }
}
