//! Steps in 8 bits against bitsandbytes' `AdamW8bit`.
//!
//! `NEXTCART_REFERENCE` names the folder of its numbers.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;

use super::blockwise::{Blockwise, Map};
use super::state::State;
use super::{AdamW, Optimizer};
use crate::config::SftConfig;
use crate::gradients::Gradients;

/// Bound of a parameter after a step from the stored state.
const STEP: f32 = 1e-6;

/// How much farther from its value than the nearest entry, in units of its block's scale, a code of bitsandbytes may
/// lie: it searches the map only roughly.
const ROUGH: f64 = 3.04e-5;

type Floats = BTreeMap<String, Vec<f32>>;

/// The tensors of the reference, codes as they are; `None` with a note if no folder is named.
fn reference() -> Option<(Floats, BTreeMap<String, Vec<u8>>)> {
    let Some(folder) = std::env::var_os("NEXTCART_REFERENCE") else {
        // Straight to the terminal: what a passing test prints would not be shown.
        std::io::stderr().write_all(b"skipped: NEXTCART_REFERENCE is not set\n").unwrap();
        return None;
    };
    let path = PathBuf::from(folder).join("nf4/adamw8bit.safetensors");
    let bytes =
        std::fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    let (mut floats, mut codes) = (BTreeMap::new(), BTreeMap::new());
    for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
        match view.dtype() {
            safetensors::Dtype::U8 => {
                codes.insert(name.to_owned(), view.data().to_vec());
            }
            _ => {
                let values = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
                floats.insert(name.to_owned(), values.collect());
            }
        }
    }
    Some((floats, codes))
}

#[derive(Module, Debug)]
struct Toy {
    weight: Param<Tensor<1>>,
}

impl Toy {
    fn new(values: &[f32]) -> Self {
        Self { weight: Param::from_tensor(row(values)) }
    }

    fn values(&self) -> Vec<f32> {
        self.weight.val().try_into_vec_as().unwrap()
    }
}

fn row(values: &[f32]) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, &Device::flex().autodiff())
}

/// A step with a given gradient.
fn step(optimizer: &mut AdamW, toy: Toy, gradient: &[f32]) -> Toy {
    let mut gradients = Gradients::default();
    gradients.add_backward(&toy, &(toy.weight.val() * row(gradient)).sum());
    optimizer.step(toy, gradients, 1e-3)
}

fn optimizer() -> AdamW {
    let (optimizer, weight_decay) = (Optimizer::AdamW8bit, 0.01);
    AdamW::new(&SftConfig { optimizer, weight_decay, ..SftConfig::default() }).unwrap()
}

fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(l, r)| (l - r).abs()).fold(0.0, f32::max)
}

/// The moment that bitsandbytes stored after a step.
fn stored(
    (floats, codes): &(Floats, BTreeMap<String, Vec<u8>>),
    moment: usize,
    step: usize,
) -> Blockwise {
    let map = if moment == 1 { Map::Signed } else { Map::Unsigned };
    let codes = codes[&format!("adam.big.state{moment}_{step}")].clone();
    let scales = floats[&format!("adam.big.absmax{moment}_{step}")].clone();
    let (count, blocks) = (codes.len(), scales.len());
    Blockwise::from_host(map, TensorData::new(codes, [count]), TensorData::new(scales, [blocks]))
}

#[test]
fn golden_steps_from_the_stored_state_equal_bitsandbytes() {
    let Some(reference) = reference() else { return };
    let of = |name: &str| &reference.0[&format!("adam.big.{name}")];
    // From nothing to the first parameter, and from the state after it to the second.
    let first = step(&mut optimizer(), Toy::new(of("init")), of("grad1"));
    let off = largest_difference(&first.values(), of("param1"));
    assert!(off <= STEP, "step 1: {off}");

    let mut optimizer = optimizer();
    optimizer.steps = 1;
    let (first, second) = (stored(&reference, 1, 1), stored(&reference, 2, 1));
    optimizer.moments.insert("model.weight".to_owned(), State::Blocks { first, second });
    let second = step(&mut optimizer, Toy::new(of("param1")), of("grad2"));
    let off = largest_difference(&second.values(), of("param2"));
    assert!(off <= STEP, "step 2: {off}");
}

/// Four steps of our own: codes that bitsandbytes does not round to the nearest entry move a parameter by less than a
/// tenth of a step.
#[test]
fn golden_runs_stay_near_bitsandbytes() {
    let Some((floats, _)) = reference() else { return };
    for (name, bound) in [("big", 1e-4), ("small", STEP)] {
        let of = |what: &str| &floats[&format!("adam.{name}.{what}")];
        let mut optimizer = optimizer();
        let mut toy = Toy::new(of("init"));
        for number in 1..=4 {
            toy = step(&mut optimizer, toy, of(&format!("grad{number}")));
            let off = largest_difference(&toy.values(), of(&format!("param{number}")));
            assert!(off <= bound, "{name}, step {number}: {off}");
        }
        let packed = matches!(optimizer.moments["model.weight"], State::Blocks { .. });
        assert_eq!(packed, name == "big");
    }
}

#[test]
fn golden_codes_are_as_near_as_those_of_bitsandbytes() {
    let Some(reference) = reference() else { return };
    let gradient = &reference.0["adam.big.grad1"];
    let first: Vec<f32> = gradient.iter().map(|g| 0.1 * g).collect();
    let second: Vec<f32> = gradient.iter().map(|g| 0.001 * g * g).collect();
    for (moment, map, values) in [(1, Map::Signed, first), (2, Map::Unsigned, second)] {
        let theirs = stored(&reference, moment, 1);
        let ours = Blockwise::packed(map, &values);
        let scales = |list: &Blockwise| list.scales_to_host().try_into_vec_as::<f32>().unwrap();
        let scale = scales(&theirs);
        for (ours, theirs) in scales(&ours).iter().zip(&scale) {
            assert!((ours - theirs).abs() <= 1e-6 * theirs, "{ours}, {theirs}");
        }
        let both = ours.unpacked().into_iter().zip(theirs.unpacked());
        for (place, ((ours, theirs), value)) in both.zip(values).enumerate() {
            let off = |found: f32| (f64::from(found) - f64::from(value)).abs();
            let scale = f64::from(scale[place / 256]);
            assert!(off(ours) <= off(theirs) + 1e-6 * scale, "{place}: {ours}, {theirs}");
            assert!(off(theirs) <= off(ours) + ROUGH * scale, "{place}: {ours}, {theirs}");
        }
    }
}
