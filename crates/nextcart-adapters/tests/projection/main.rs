//! What a projection promises, whatever its numbers.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod dora;
mod merging;
mod products;
mod refused;
mod start;
mod switching;
mod trained;

use std::cell::RefCell;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use nextcart_adapters::{LoraConfig, Projection};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The kinds of base and adapter that a projection may have.
fn kinds() -> Vec<(&'static str, bool, LoraConfig)> {
    let config = LoraConfig::new().with_rank(4).with_alpha(6.0);
    let mut kinds = Vec::new();
    for packed in [false, true] {
        kinds.push(("LoRA", packed, config.clone()));
        kinds.push(("rsLoRA", packed, config.clone().with_use_rslora(true)));
        kinds.push(("DoRA", packed, config.clone().with_use_dora(true)));
    }
    kinds
}

thread_local! {
    // Each test has a thread to itself and so the same numbers in every run.
    static RNG: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::seed_from_u64(7));
}

/// Roughly normal values of mean 0 and deviation 1.
fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let normal = |rng: &mut ChaCha8Rng| {
        (0..12).map(|_| rng.next_u32() as f32 / u32::MAX as f32).sum::<f32>() - 6.0
    };
    let count = shape.iter().product();
    let values: Vec<f32> =
        RNG.with_borrow_mut(|rng| std::iter::repeat_with(|| normal(rng)).take(count).collect());
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A projection without an adapter, with a bias.
fn base([d_output, d_input]: [usize; 2], packed: bool, device: &Device) -> Projection {
    let weight = random([d_output, d_input], device) / (d_input as f64).sqrt();
    let dense = Projection::dense(weight, Some(random([d_output], device)));
    if packed { dense.quantize().unwrap() } else { dense }
}

/// The same projection with an adapter that has learnt something.
fn trained(mut projection: Projection, config: &LoraConfig, device: &Device) -> Projection {
    let (d_output, d_input, rank) = (projection.d_output(), projection.d_input(), config.rank);
    let a = random([rank, d_input], device) / (d_input as f64).sqrt();
    let b = random([d_output, rank], device) * 0.3;
    let magnitude = config.use_dora.then(|| random([d_output], device).abs() + 0.2);
    projection.set_adapter(a, b, magnitude, config).unwrap();
    projection
}

/// How many of a projection's float parameters are trained.
fn trainable(projection: &Projection) -> usize {
    struct Count(usize);

    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 += usize::from(param.is_require_grad());
        }
    }

    let mut count = Count(0);
    projection.visit(&mut count);
    count.0
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().into_data().try_into_vec().unwrap()
}

#[track_caller]
fn close<const D: usize>(what: &str, found: &Tensor<D>, expected: &Tensor<D>, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (values(found), values(expected));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let off = (found - expected).abs();
        assert!(off <= tolerance, "{what}, {i}: {found} is not {expected}");
    }
}
