//! Products with random shapes: packed and dense, fused and apart, merged and not.

use burn::tensor::{DType, Device, Tensor, TensorData, Tolerance};
use nextcart_adapters::{Base, LoraConfig, MergeOnto, Projection};
use proptest::prelude::*;

use super::{base, close, random, trained, values};

/// A weight, input and output gradient of any shape, the weight with an outlier here and there.
fn products() -> impl Strategy<Value = (usize, [usize; 2], Vec<f32>)> {
    (1..9_usize, 1..80_usize, 1..80_usize).prop_flat_map(|(rows, d_output, d_input)| {
        let value = prop_oneof![20 => -1.0_f32..1.0, 1 => -30.0_f32..30.0, 1 => Just(0.0_f32)];
        let count = d_output * d_input + rows * (d_output + d_input);
        (Just(rows), Just([d_output, d_input]), prop::collection::vec(value, count))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_packed_product_equals_a_dense_one_with_the_unpacked_weight(
        (rows, shape, numbers) in products(),
    ) {
        let [d_output, d_input] = shape;
        let device = Device::flex().autodiff();
        let (weight, rest) = numbers.split_at(d_output * d_input);
        let (x, gradient) = rest.split_at(rows * d_input);
        let tensor = |values: &[f32], shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        let packed = Projection::dense(tensor(weight, shape), None).quantize().unwrap();
        let Base::Nf4(base) = packed.base() else { panic!("just packed") };
        let host = base.to_host();
        prop_assert_eq!(host.dequantize(), values(&packed.weight()));
        let dense = Projection::dense(tensor(&host.dequantize(), shape), None);

        let run = |projection: &Projection| {
            let x = tensor(x, [rows, d_input]).require_grad();
            let y = projection.forward(x.clone());
            let gradients = (y.clone() * tensor(gradient, [rows, d_output])).sum().backward();
            (values(&y), values(&x.grad(&gradients).unwrap()))
        };
        // The same numbers in the same kernel: equal to the last bit.
        prop_assert_eq!(run(&packed), run(&dense));
    }

    /// Base and update in one operation against both on their own.
    #[test]
    fn an_adapter_on_a_packed_base_trains_as_beside_it(
        rows in prop_oneof![1..9_usize, 60..70_usize],
        d_output in 1..60_usize,
        d_input in 1..60_usize,
        rank in 1..9_usize,
    ) {
        let device = Device::flex().autodiff();
        let config = LoraConfig::new().with_rank(rank).with_alpha(8.0);
        let base = base([d_output, d_input], true, &device);
        let (a, b) = (random([rank, d_input], &device) * 0.3, random([d_output, rank], &device) * 0.3);
        let mut adapted = base.clone();
        adapted.set_adapter(a.clone(), b.clone(), None, &config).unwrap();
        let (x, slope) = (random([rows, d_input], &device), random([rows, d_output], &device));
        let scale = 8.0 / rank as f64;

        let x_fused = x.clone().require_grad();
        let y = adapted.forward(x_fused.clone());
        let backward = (y.clone() * slope.clone()).sum().backward();
        let adapter = adapted.adapter().unwrap();
        let found = [&x_fused, &adapter.a(), &adapter.b()]
            .map(|leaf| leaf.grad(&backward).unwrap());

        let leaves = [x, a, b].map(|leaf| leaf.require_grad());
        let [x, a, b] = &leaves;
        let update = x.clone().matmul(a.clone().transpose()).matmul(b.clone().transpose());
        let beside = base.forward(x.clone()) + update * scale;
        let backward = (beside.clone() * slope).sum().backward();
        let expected = [x, a, b].map(|leaf| leaf.grad(&backward).unwrap());

        let pairs = found.into_iter().zip(expected).chain([(y.inner(), beside.inner())]);
        for (found, expected) in pairs {
            let size: f32 = expected.clone().abs().max().into_scalar();
            close("of the largest", &(found / size.max(1e-3)), &(expected / size.max(1e-3)), 1e-5);
        }
    }

    #[test]
    fn merging_changes_no_output_of_any_shape(
        d_output in 1..40_usize,
        d_input in 1..40_usize,
        rank in 1..9_usize,
        kind in 0..3_usize,
        packed in any::<bool>(),
    ) {
        let device = Device::flex();
        // DoRA divides by the length of a row: with few columns, weight and update may cancel to nearly nothing, and what
        // is left is rounding.
        let d_input = if kind == 2 { d_input.max(8) } else { d_input };
        let config = LoraConfig::new()
            .with_rank(rank)
            .with_alpha(8.0)
            .with_use_rslora(kind == 1)
            .with_use_dora(kind == 2);
        let projection = trained(base([d_output, d_input], packed, &device), &config, &device);
        let x = random([2, 2, d_input], &device);
        let expected = projection.forward(x.clone());
        prop_assert_eq!(expected.dims(), [2, 2, d_output]);
        let scale: f32 = expected.clone().abs().max().into_scalar();
        let merged = projection.merge_and_unload(MergeOnto::Own).unwrap();
        let off: f32 = (merged.forward(x) - expected).abs().max().into_scalar();
        prop_assert!(off <= 1e-5 * scale.max(1.0), "{} of {}", off, scale);
    }
}

/// In f32, which is what the CPU unpacks to and multiplies in, they would be off by 1e-7.
#[test]
fn inputs_in_f64_are_multiplied_in_f64_with_a_packed_weight() {
    let device = Device::flex().autodiff();
    let packed = base([24, 40], true, &device);
    let weight = packed.weight().cast(DType::F64);
    let bias = packed.bias().unwrap().cast(DType::F64);
    for rows in [3, 30] {
        let x = random([rows, 40], &device).cast(DType::F64).detach();
        let run = |f: &dyn Fn(Tensor<2>) -> Tensor<2>| {
            let x = x.clone().require_grad();
            let y = f(x.clone());
            let gradients = y.clone().square().sum().backward();
            [y.detach(), x.grad(&gradients).unwrap()].map(Tensor::into_data)
        };
        let found = run(&|x| packed.forward(x));
        let expected =
            run(&|x| x.matmul(weight.clone().transpose()) + bias.clone().unsqueeze_dim(0));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.dtype(), DType::F64);
            let tolerance = Tolerance::absolute(1e-12).set_relative(1e-12);
            found.assert_approx_eq::<f64>(expected, tolerance);
        }
    }
}
