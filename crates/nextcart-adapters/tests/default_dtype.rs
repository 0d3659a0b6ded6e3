//! What is in f32 is so on a device that makes floats of 16 bits unless told otherwise.
//!
//! A device is configured once, before its first tensor, and for the whole process: this file holds one test.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use nextcart_adapters::nf4::Nf4Weight;
use nextcart_adapters::{Base, Bias, Init, LoraConfig, Projection, load_peft, save_peft};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const SHAPE: [usize; 2] = [24, 40];
const ROWS: usize = 5;
const MODULE: &str = "q_proj";

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F32))
}

/// The values, which must be in f32.
fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// `x Wᵀ`, in f64 and far from any device.
fn product(x: &[f32], weight: &[f32]) -> Vec<f32> {
    let mut y = Vec::new();
    for x in x.chunks(SHAPE[1]) {
        for weight in weight.chunks(SHAPE[1]) {
            let terms = x.iter().zip(weight).map(|(x, w)| f64::from(*x) * f64::from(*w));
            y.push(terms.sum::<f64>() as f32);
        }
    }
    y
}

#[track_caller]
fn close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 1e-4, "{what}, {i}: {found} is not {expected}");
    }
}

#[test]
fn a_device_of_16_bits_gets_scales_and_factors_in_32() {
    let mut device = Device::flex();
    device.configure(FloatDType::BF16).unwrap();
    assert_eq!(Tensor::<1>::zeros([1], &device).dtype(), DType::BF16);

    let (numbers, inputs) = (random(SHAPE[0] * SHAPE[1], 1), random(ROWS * SHAPE[1], 2));
    let x = tensor(&inputs, [ROWS, SHAPE[1]], &device);
    let weight = Nf4Weight::quantize(&numbers, SHAPE).unwrap();
    let unpacked = weight.dequantize();
    let packed = Projection::nf4(&weight, None, &device);
    let Base::Nf4(base) = packed.base() else { panic!("just packed") };
    assert_eq!(base.to_host(), weight);
    assert_eq!(values(packed.weight()), unpacked);
    close("packed", &values(packed.forward(x.clone())), &product(&inputs, &unpacked));

    // Fresh adapters, to the disk and back.
    let bias = random(SHAPE[0], 3);
    let with_bias = || Projection::nf4(&weight, Some(tensor(&bias, [SHAPE[0]], &device)), &device);
    for init in [Init::Kaiming, Init::Gaussian] {
        let config = LoraConfig::new()
            .with_rank(4)
            .with_use_dora(true)
            .with_bias(Bias::LoraOnly)
            .with_target_modules([MODULE].into())
            .with_init(init);
        let fresh = with_bias().with_adapter(&config, 3).unwrap();
        let folder = tempfile::tempdir().unwrap();
        save_peft(folder.path(), "some/base", &config, &[(MODULE, &fresh)]).unwrap();
        let saved = load_peft(folder.path()).unwrap();
        let mut loaded = with_bias();
        loaded.load_adapter(&saved.modules[MODULE], &saved.config).unwrap();
        let [fresh, loaded] = [&fresh, &loaded].map(|projection| {
            let adapter = projection.adapter().unwrap();
            [values(adapter.a()), values(adapter.b()), values(adapter.magnitude().unwrap())]
        });
        assert_eq!(loaded, fresh, "{init:?}");
        assert_eq!(values(saved.biases[MODULE].to_tensor(&device)), bias);
    }

    // Of more rank than the weight has, so that nothing is lost and the rest is filled up.
    let config = LoraConfig::new().with_rank(30);
    let original = tensor(&numbers, SHAPE, &device);
    let started = packed.with_loftq(original, &config, 3).unwrap();
    close("LoftQ", &values(started.forward(x)), &product(&inputs, &numbers));
}
