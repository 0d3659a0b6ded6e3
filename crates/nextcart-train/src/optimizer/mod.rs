//! AdamW with a state that can be saved and resumed exactly.

mod blockwise;
#[cfg(test)]
mod golden;
mod state;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::config::SftConfig;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::parameters::{HostTensors, ModulePath};
use state::{Constants, State};

pub(crate) use state::{elements, saved};

/// How the optimiser keeps its moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Optimizer {
    /// In f32 on the parameters' device: 8 bytes a parameter.
    #[default]
    AdamW,
    /// In 8 bits in the host's memory, a little over 2 bytes a parameter, as bitsandbytes' `AdamW8bit` (Dettmers et al.,
    /// <https://arxiv.org/abs/2110.02861>): blocks of 256 values with a scale each and a dynamic map, signed for
    /// the first moment, unsigned for the second. Parameters of fewer than 4,096 values keep f32.
    AdamW8bit,
}

/// AdamW (Loshchilov and Hutter, <https://arxiv.org/abs/1711.05101>) as PyTorch computes it.
///
/// `m ← β₁ m + (1 - β₁) g`, `v ← β₂ v + (1 - β₂) g²`,
/// `p ← p · (1 - lr · λ) - lr · m̂ / (√v̂ + ε)` with `m̂ = m / (1 - β₁ᵗ)` and `v̂ = v / (1 - β₂ᵗ)`.
///
/// In 8 bits ([`Optimizer::AdamW8bit`]), `m` and `v` are rounded between two steps, never within one. With LoRA+
/// ([`SftConfig::lora_plus_ratio`]), `lr` is that many times as high for every adapter's `B`.
///
/// Moments bear the path of their parameter. burn's own optimiser keys them by random
/// ids that a freshly made model does not share, which rules out resuming one run in another process.
#[derive(Debug, Clone)]
pub struct AdamW {
    kind: Optimizer,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    lora_plus_ratio: f64,
    steps: u64,
    moments: BTreeMap<String, State>,
}

impl AdamW {
    /// A fresh optimiser with the constants of a configuration.
    ///
    /// # Errors
    /// If the configuration does not [validate](SftConfig::validate).
    pub fn new(config: &SftConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            kind: config.optimizer,
            beta1: config.beta1,
            beta2: config.beta2,
            epsilon: config.epsilon,
            weight_decay: config.weight_decay,
            lora_plus_ratio: config.lora_plus_ratio.unwrap_or(1.0),
            steps: 0,
            moments: BTreeMap::new(),
        })
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step: every trainable parameter that has a gradient moves, and nothing else.
    ///
    /// A parameter in less than f32 is rounded after each step.
    #[must_use]
    pub fn step<M: Module>(&mut self, module: M, gradients: Gradients, learning_rate: f64) -> M {
        self.steps += 1;
        let update = Update { optimizer: self, gradients, learning_rate };
        module.map(&mut Updater { update, path: ModulePath::default() })
    }

    /// All moments, named `m.{path}` and `v.{path}`; where they have scales, `m_scales.{path}` and
    /// `v_scales.{path}` too.
    pub(crate) fn to_host(&self) -> HostTensors {
        let named = |(path, state): (&String, &State)| {
            let parts = state.to_host();
            parts
                .into_iter()
                .map(|(kind, data)| (format!("{kind}.{path}"), data))
                .collect::<Vec<_>>()
        };
        self.moments.iter().flat_map(named).collect()
    }

    /// Takes over the moments that [`to_host`](Self::to_host) gave after `steps` steps.
    pub(crate) fn restore(&mut self, steps: u64, mut moments: HostTensors, device: &Device) {
        let paths: Vec<String> =
            moments.keys().filter_map(|name| name.strip_prefix("m.")).map(str::to_owned).collect();
        self.steps = steps;
        self.moments.clear();
        for path in paths {
            let part = |kind: &str| moments.remove(&format!("{kind}.{path}"));
            if let Some(state) = State::from_host(part, device) {
                self.moments.insert(path, state);
            }
        }
    }
}

/// Biases and gains do not decay, as in Hugging Face's trainer.
fn decays(path: &str) -> bool {
    ![".bias", ".trained_bias", ".gamma"].iter().any(|name| path.ends_with(name))
}

/// One step of all parameters.
struct Update<'a> {
    optimizer: &'a mut AdamW,
    gradients: Gradients,
    learning_rate: f64,
}

impl Update<'_> {
    /// The new value of a parameter, flat; the old one if it has no gradient.
    fn apply(&mut self, path: &str, value: Tensor<1>) -> Tensor<1> {
        let Some(gradient) = self.gradients.take(path) else { return value };
        let AdamW { kind, beta1, beta2, epsilon, weight_decay, lora_plus_ratio, steps, .. } =
            *self.optimizer;
        let is_b = path.ends_with(".adapter.b");
        let rate = self.learning_rate * if is_b { lora_plus_ratio } else { 1.0 };

        // Both corrections are numbers on the host, folded into factors that are needed anyway.
        let power = steps.min(i32::MAX as u64) as i32;
        let correction1 = 1.0 - beta1.powi(power);
        let root_correction2 = (1.0 - beta2.powi(power)).sqrt();
        let constants = Constants { beta1, beta2, epsilon, root_correction2 };

        // Taken out of the map, so that the tensors have one owner and change in place.
        let state = self.optimizer.moments.remove(path);
        let state = state.unwrap_or_else(|| State::zero(kind, &gradient));
        let (state, direction) = state.step(gradient, constants);
        self.optimizer.moments.insert(path.to_owned(), state);

        let decay = if decays(path) { rate * weight_decay } else { 0.0 };
        let kept = if decay == 0.0 { value } else { value * (1.0 - decay) };
        kept - direction * (rate / correction1)
    }
}

struct Updater<'a> {
    update: Update<'a>,
    path: ModulePath,
}

impl ModuleMapper for Updater<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let path = self.path.dotted();
        param.map(|old| {
            let (dims, dtype) = (old.dims(), old.dtype());
            let flat = old.inner().cast(DType::F32).reshape([dims.iter().product::<usize>()]);
            let new = self.update.apply(&path, flat).reshape(dims).cast(dtype);
            Tensor::from_inner(new).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A weight, a bias and a gain, for their names.
    #[derive(Module, Debug)]
    struct Toy {
        weight: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
        gamma: Param<Tensor<1>>,
        frozen: Param<Tensor<1>>,
    }

    const WEIGHT: [f32; 4] = [0.5, -1.0, 2.0, 0.25];
    const SLOPES: [f32; 4] = [0.3, -2.0, 0.0, 1e-3];

    fn toy() -> Toy {
        let device = Device::flex().autodiff();
        let row = |values: [f32; 4]| Tensor::<1>::from_floats(values, &device);
        Toy {
            weight: Param::from_tensor(row(WEIGHT).reshape([2, 2])),
            bias: Param::from_tensor(row(WEIGHT)),
            gamma: Param::from_tensor(row(WEIGHT)),
            frozen: Param::from_tensor(row(WEIGHT)).set_require_grad(false),
        }
    }

    /// `slopes · p · (1 + p)`, the same function of every parameter: gradients change as they move.
    fn gradients(toy: &Toy) -> Gradients {
        let slopes = Tensor::<1>::from_floats(SLOPES, &toy.bias.val().device());
        let loss = |p: Tensor<1>| (slopes.clone() * (p.clone() + p.clone() * p)).sum();
        let weight = toy.weight.val().reshape([4]);
        let mut gradients = Gradients::default();
        let sum = loss(weight) + loss(toy.bias.val()) + loss(toy.gamma.val());
        gradients.add_backward(toy, &(sum + loss(toy.frozen.val())));
        gradients
    }

    /// The definition, one number at a time in f64.
    fn by_hand(start: f64, slope: f64, rates: &[f64], decay: f64, config: &SftConfig) -> f64 {
        let (mut p, mut m, mut v) = (start, 0.0, 0.0);
        for (step, rate) in rates.iter().enumerate() {
            let t = step as i32 + 1;
            let gradient = slope * (1.0 + 2.0 * p);
            p *= 1.0 - rate * decay;
            m = config.beta1 * m + (1.0 - config.beta1) * gradient;
            v = config.beta2 * v + (1.0 - config.beta2) * gradient * gradient;
            let (m_hat, v_hat) =
                (m / (1.0 - config.beta1.powi(t)), v / (1.0 - config.beta2.powi(t)));
            p -= rate * m_hat / (v_hat.sqrt() + config.epsilon);
        }
        p
    }

    #[track_caller]
    fn check(found: Vec<f32>, decay: f64, rates: &[f64], config: &SftConfig) {
        for ((start, slope), found) in WEIGHT.into_iter().zip(SLOPES).zip(found) {
            let expected = by_hand(start.into(), slope.into(), rates, decay, config);
            let difference = (f64::from(found) - expected).abs();
            assert!(difference < 1e-5, "{found}, not {expected}");
        }
    }

    #[test]
    fn equals_the_definition_over_many_steps() {
        for (weight_decay, epsilon) in [(0.0, 1e-8), (0.1, 1e-8), (0.1, 1e-3)] {
            let config = SftConfig { weight_decay, epsilon, ..SftConfig::default() };
            let rates: Vec<f64> = (0..20).map(|step| 0.05 / f64::from(step + 1)).collect();
            let mut optimizer = AdamW::new(&config).unwrap();
            let mut toy = toy();
            for &rate in &rates {
                let gradients = gradients(&toy);
                toy = optimizer.step(toy, gradients, rate);
            }
            assert_eq!(optimizer.steps(), 20);
            let list = |tensor: Tensor<1>| tensor.try_into_vec_as::<f32>().unwrap();
            check(list(toy.weight.val().reshape([4])), weight_decay, &rates, &config);
            // Neither a bias nor a gain decays, and what is frozen stays.
            check(list(toy.bias.val()), 0.0, &rates, &config);
            check(list(toy.gamma.val()), 0.0, &rates, &config);
            assert_eq!(list(toy.frozen.val()), WEIGHT);
        }
    }

    /// LoRA+ on an adapter's B, and on nothing else.
    #[test]
    fn lora_plus_raises_the_rate_of_b() {
        #[derive(Module, Debug)]
        struct Adapter {
            a: Param<Tensor<1>>,
            b: Param<Tensor<1>>,
        }

        #[derive(Module, Debug)]
        struct Layer {
            adapter: Adapter,
            b: Param<Tensor<1>>,
        }

        let row = || {
            let device = Device::flex().autodiff();
            Param::from_tensor(Tensor::<1>::from_floats(WEIGHT, &device))
        };
        let config =
            SftConfig { lora_plus_ratio: Some(16.0), weight_decay: 0.5, ..SftConfig::default() };
        let mut optimizer = AdamW::new(&config).unwrap();
        let mut layer = Layer { adapter: Adapter { a: row(), b: row() }, b: row() };
        let rates = [0.01, 0.003, 0.02];
        for rate in rates {
            let slopes = Tensor::<1>::from_floats(SLOPES, &layer.b.val().device());
            let loss = |p: Tensor<1>| (slopes.clone() * (p.clone() + p.clone() * p)).sum();
            let (a, b) = (layer.adapter.a.val(), layer.adapter.b.val());
            let mut gradients = Gradients::default();
            gradients.add_backward(&layer, &(loss(a) + loss(b) + loss(layer.b.val())));
            layer = optimizer.step(layer, gradients, rate);
        }
        let list = |param: &Param<Tensor<1>>| param.val().try_into_vec_as::<f32>().unwrap();
        check(list(&layer.adapter.a), 0.5, &rates, &config);
        check(list(&layer.adapter.b), 0.5, &rates.map(|rate| 16.0 * rate), &config);
        check(list(&layer.b), 0.5, &rates, &config);
    }

    /// As the paths of a model's parameters end.
    #[test]
    fn weights_and_adapters_decay_and_no_bias_does() {
        let projection = "model.layers.0.self_attn.q_proj";
        for (parameter, expected) in [
            ("base.weight", true),
            ("adapter.a", true),
            ("adapter.magnitude", true),
            ("base.bias", false),
            ("trained_bias", false),
        ] {
            assert_eq!(decays(&format!("{projection}.{parameter}")), expected, "{parameter}");
        }
        assert!(!decays("model.norm.gamma"));
    }

    #[test]
    fn a_parameter_without_a_gradient_stays_and_does_not_decay() {
        let config = SftConfig { weight_decay: 0.5, ..SftConfig::default() };
        let toy = AdamW::new(&config).unwrap().step(toy(), Gradients::default(), 0.1);
        assert_eq!(toy.weight.val().reshape([4]).try_into_vec_as::<f32>().unwrap(), WEIGHT);
        assert!(toy.weight.val().is_require_grad());
    }

    #[test]
    fn a_restored_optimizer_goes_on_as_the_old_one() {
        let config = SftConfig::default();
        let step = |optimizer: &mut AdamW, toy: Toy| {
            let gradients = gradients(&toy);
            optimizer.step(toy, gradients, 0.1)
        };
        let mut old = AdamW::new(&config).unwrap();
        let toy = step(&mut old, toy());
        let saved = old.to_host();
        assert_eq!(
            saved.keys().map(String::as_str).collect::<Vec<_>>(),
            ["m.model.bias", "m.model.gamma", "m.model.weight"]
                .into_iter()
                .chain(["v.model.bias", "v.model.gamma", "v.model.weight"])
                .collect::<Vec<_>>()
        );
        let mut new = AdamW::new(&config).unwrap();
        new.restore(old.steps(), saved, &Device::flex());
        let (left, right) = (step(&mut old, toy.clone()), step(&mut new, toy));
        assert_eq!(left.weight.val().into_data(), right.weight.val().into_data());
        assert_eq!(old.to_host(), new.to_host());
    }
}
