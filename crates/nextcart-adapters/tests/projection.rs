//! What a projection promises, whatever its numbers.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::cell::RefCell;
use std::sync::Arc;

use burn::backend::Flex;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use nextcart_adapters::{Base, Error, Init, LoraConfig, MergeOnto, Projection};
use proptest::prelude::*;
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

#[test]
fn a_fresh_adapter_changes_nothing() {
    let device = Device::flex();
    for (kind, packed, config) in kinds() {
        let base = base([24, 40], packed, &device);
        let adapted = base.clone().with_adapter(&config, 3).unwrap();
        let x = random([2, 3, 40], &device);
        let (found, expected) = (adapted.forward(x.clone()), base.forward(x));
        assert_eq!(values(&found), values(&expected), "{kind}, packed: {packed}");
        assert!(values(&adapted.adapter().unwrap().a()).iter().any(|&a| a != 0.0));
    }
}

#[test]
fn a_row_of_zeros_stays_zero_under_dora() {
    let device = Device::flex();
    let weight = Tensor::<2>::from_floats([[0.0, 0.0], [3.0, 4.0]], &device);
    let config = LoraConfig::new().with_rank(1).with_use_dora(true);
    let fresh = Projection::dense(weight, None).with_adapter(&config, 0).unwrap();
    let magnitude = fresh.adapter().unwrap().magnitude().unwrap();
    assert_eq!(values(&magnitude), [0.0, 5.0], "the norm of each row");
    let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
    assert_eq!(values(&fresh.forward(x.clone())), [0.0, 11.0]);
    assert_eq!(values(&fresh.merge_and_unload(MergeOnto::Own).unwrap().forward(x)), [0.0, 11.0]);
}

#[test]
fn merged_equals_unmerged() {
    let device = Device::flex();
    for (kind, packed, config) in kinds() {
        let projection = trained(base([24, 40], packed, &device), &config, &device);
        let x = random([2, 3, 40], &device);
        let expected = projection.forward(x.clone());
        let without = projection.clone().without_adapter().forward(x.clone());
        assert!((expected.clone() - without).abs().max().into_scalar::<f32>() > 0.1, "{kind}");

        let merged = projection.merge_and_unload(MergeOnto::Own).unwrap();
        assert!(merged.adapter().is_none());
        assert!(matches!(merged.base(), Base::Dense(_)));
        close(&format!("{kind}, packed: {packed}"), &merged.forward(x), &expected, 2e-5);
    }
}

#[test]
fn row_norms_of_a_weight_in_parts_are_those_of_the_whole() {
    // Of 512 values a row, 64 rows of a packed weight and 34 of a dense one are a part; the last is shorter.
    let device = Device::flex();
    let config = LoraConfig::new().with_rank(4).with_use_dora(true);
    for packed in [false, true] {
        let bare = base([270, 512], packed, &device);
        let fresh = bare.clone().with_adapter(&config, 3).unwrap();
        let expected = bare.weight().square().sum_dim(1).sqrt().squeeze_dim::<1>(1);
        close("fresh", &fresh.adapter().unwrap().magnitude().unwrap(), &expected, 1e-5);
        let x = random([3, 512], &device);
        assert_eq!(values(&fresh.forward(x.clone())), values(&bare.forward(x.clone())));

        let projection = trained(bare, &config, &device);
        let expected = projection.clone().merge_and_unload(MergeOnto::Own).unwrap();
        close("trained", &projection.forward(x.clone()), &expected.forward(x), 5e-5);
    }
}

#[test]
fn an_adapter_that_is_off_takes_no_part() {
    let device = Device::flex();
    for (kind, packed, config) in kinds() {
        let plain = base([24, 40], packed, &device);
        let mut projection = trained(plain.clone(), &config, &device);
        let x = random([5, 40], &device);
        let (on, expected) = (values(&projection.forward(x.clone())), plain.forward(x.clone()));

        projection.set_adapter_enabled(false);
        assert_eq!(values(&projection.forward(x.clone())), values(&expected), "{kind}");
        let merged = projection.clone().merge_and_unload(MergeOnto::Own).unwrap();
        assert_eq!(values(&merged.forward(x.clone())), values(&expected), "{kind}");
        assert_eq!(matches!(merged.base(), Base::Nf4(_)), packed, "{kind}");

        projection.set_adapter_enabled(true);
        assert_eq!(values(&projection.forward(x)), on, "{kind}");
    }
}

#[test]
fn packing_keeps_the_adapter_and_the_bias() {
    let device = Device::flex();
    let config = LoraConfig::new().with_rank(4);
    let dense = trained(base([64, 64], false, &device), &config, &device);
    let packed = dense.clone().quantize().unwrap();
    let x = random([3, 64], &device);

    let update = |projection: &Projection| {
        projection.forward(x.clone()) - projection.clone().without_adapter().forward(x.clone())
    };
    close("update", &update(&packed), &update(&dense), 2e-5);
    assert_eq!(values(&packed.bias().unwrap()), values(&dense.bias().unwrap()));

    // NF4 of normal values is off by about 9 % of their deviation, and never by half a step more.
    let (found, exact) = (values(&packed.weight()), values(&dense.weight()));
    let square = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>();
    let off: Vec<f32> = found.iter().zip(&exact).map(|(a, b)| a - b).collect();
    let ratio = (square(&off) / square(&exact)).sqrt();
    assert!((0.03..0.15).contains(&ratio), "{ratio}");
}

/// How many float parameters there are, and how many of them have a gradient.
struct Count<'a> {
    gradients: &'a burn::tensor::Gradients,
    all: usize,
    with_gradient: usize,
}

impl ModuleVisitor for Count<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.all += 1;
        self.with_gradient += usize::from(param.val().grad(self.gradients).is_some());
    }
}

#[test]
fn only_the_adapter_receives_gradients() {
    let device = Device::flex().autodiff();
    for (kind, packed, config) in kinds() {
        let projection = trained(base([24, 40], packed, &device), &config, &device);
        let x = random([5, 40], &device).require_grad();
        let gradients = projection.forward(x.clone()).powi_scalar(2).sum().backward();

        let adapter = projection.adapter().unwrap();
        let mut tensors = 2;
        assert!(adapter.a().grad(&gradients).is_some(), "{kind}: A");
        assert!(adapter.b().grad(&gradients).is_some(), "{kind}: B");
        if let Some(magnitude) = adapter.magnitude() {
            assert!(magnitude.grad(&gradients).is_some(), "{kind}: m");
            tensors += 1;
        }
        assert!(x.grad(&gradients).is_some(), "{kind}: the layer below would learn nothing");
        if let Base::Dense(base) = projection.base() {
            assert!(base.weight().grad(&gradients).is_none(), "{kind}: W");
        }
        let mut count = Count { gradients: &gradients, all: 0, with_gradient: 0 };
        projection.visit(&mut count);
        assert_eq!(count.with_gradient, tensors, "{kind}");
        assert!(count.all > tensors, "{kind}: the base was not visited");
    }
}

#[test]
fn switching_to_inference_and_back_leaves_the_base_frozen() {
    let device = Device::flex().autodiff();
    for (kind, packed, config) in kinds() {
        let projection = trained(base([24, 40], packed, &device), &config, &device);
        let x = random([3, 40], &device);
        let still = projection.valid();
        let expected = values(&projection.forward(x.clone()));
        assert_eq!(values(&still.forward(x.clone().inner())), expected, "{kind}");

        let projection = still.train();
        let gradients = projection.forward(x).sum().backward();
        let mut count = Count { gradients: &gradients, all: 0, with_gradient: 0 };
        projection.visit(&mut count);
        assert_eq!(count.with_gradient, if config.use_dora { 3 } else { 2 }, "{kind}");
    }
}

#[test]
fn a_base_can_be_made_trainable_and_frozen_again() {
    let device = Device::flex().autodiff();
    let trainable = base([6, 8], false, &device).trainable();
    for (projection, expected) in [(trainable.clone(), 2), (trainable.frozen(), 0)] {
        let x = random([3, 8], &device).require_grad();
        let gradients = projection.forward(x).sum().backward();
        let mut count = Count { gradients: &gradients, all: 0, with_gradient: 0 };
        projection.visit(&mut count);
        assert_eq!(count.with_gradient, expected);
    }
}

/// Whether the graph behind a projection's output keeps the input's values, without which the
/// gradient of a weight, `gradientᵀ · input`, cannot be computed.
fn keeps_input(projection: &Projection) -> bool {
    let values = random([5, 40], &Device::flex());
    let storage = values.clone().try_into_primitive::<Flex>().unwrap().data_arc();
    let input = Tensor::from_inner(values).require_grad();
    assert_eq!(Arc::strong_count(&storage), 2, "the input lies in the storage that is watched");
    let output = projection.forward(input);
    let kept = Arc::strong_count(&storage) > 1;
    let _ = output.sum().backward();
    kept
}

#[test]
fn a_frozen_base_does_not_keep_its_input_and_so_computes_no_gradient() {
    let device = Device::flex().autodiff();
    for packed in [false, true] {
        assert!(!keeps_input(&base([24, 40], packed, &device)), "packed: {packed}");
    }
    // The same probe finds what must be kept: for a trainable weight, and for A.
    assert!(keeps_input(&base([24, 40], false, &device).trainable()));
    for (kind, packed, config) in kinds() {
        let projection = trained(base([24, 40], packed, &device), &config, &device);
        assert!(keeps_input(&projection), "{kind}, packed: {packed}");
    }
}

#[test]
fn dropout_acts_in_training_alone_and_on_the_update_alone() {
    let device = Device::flex().autodiff();
    let config = LoraConfig::new().with_rank(4).with_dropout(0.5);
    let projection = trained(base([24, 40], false, &device), &config, &device);
    let x = random([64, 40], &device);

    let still = projection.valid();
    let inner = x.clone().inner();
    assert_eq!(values(&still.forward(inner.clone())), values(&still.forward(inner)));
    let (first, second) = (projection.forward(x.clone()), projection.forward(x.clone()));
    assert_ne!(values(&first), values(&second));

    let mut off = projection.clone();
    off.set_adapter_enabled(false);
    assert_eq!(values(&off.forward(x.clone())), values(&off.forward(x)));
}

#[test]
fn a_seed_decides_the_start() {
    let device = Device::flex();
    let config = LoraConfig::new().with_rank(3);
    let a = |seed| {
        let projection = base([4, 25], false, &device).with_adapter(&config, seed).unwrap();
        values(&projection.adapter().unwrap().a())
    };
    assert_eq!(a(1), a(1));
    assert_ne!(a(1), a(2));
    // kaiming_uniform with a = √5: uniform up to 1 / √25
    assert!(a(1).iter().all(|value| value.abs() <= 0.2));
    assert!(a(1).iter().any(|value| value.abs() > 0.1));
}

#[test]
fn factors_that_do_not_fit_are_refused() {
    let device = Device::flex();
    let plain = LoraConfig::new().with_rank(2);
    let dora = plain.clone().with_use_dora(true);
    let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    let vector = |length: usize| Some(Tensor::<1>::zeros([length], &device));
    for (a, b, magnitude, config, expected) in [
        ([2, 9], [6, 2], None, &plain, "adapter's A: expected shape [2, 8], found [2, 9]"),
        ([3, 8], [6, 2], None, &plain, "adapter's A: expected shape [2, 8], found [3, 8]"),
        ([2, 8], [2, 6], None, &plain, "adapter's B: expected shape [6, 2], found [2, 6]"),
        ([2, 8], [6, 2], vector(6), &plain, "magnitude vector: expected none, found one"),
        ([2, 8], [6, 2], None, &dora, "magnitude vector: expected one, found none"),
        (
            [2, 8],
            [6, 2],
            vector(8),
            &dora,
            "adapter's magnitude vector: expected shape [6], found [8]",
        ),
    ] {
        let mut projection = base([6, 8], false, &device);
        let error = projection.set_adapter(zeros(a), zeros(b), magnitude, config).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(projection.adapter().is_none(), "left as it was");
    }
    let refused = base([6, 8], false, &device).with_adapter(&plain.with_rank(0), 0);
    assert!(matches!(refused, Err(Error::Config { field: "rank", .. })));
}

#[test]
#[should_panic(expected = "one bias for each output")]
fn a_bias_of_another_length_is_a_mistake_of_the_caller() {
    let device = Device::flex();
    let _ = Projection::dense(Tensor::zeros([3, 2], &device), Some(Tensor::zeros([2], &device)));
}

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

#[test]
fn merging_for_a_while_is_undone_to_the_bit() {
    let device = Device::flex();
    for (kind, packed, config) in kinds() {
        let mut projection = trained(base([24, 40], packed, &device), &config, &device);
        let x = random([2, 3, 40], &device);
        let expected = projection.forward(x.clone());
        projection.merge_adapter();
        assert!(projection.is_merged() && projection.adapter().is_some());
        let merged = projection.forward(x.clone());
        close(&format!("{kind}, packed: {packed}"), &merged, &expected, 2e-5);
        projection.unmerge_adapter();
        assert_eq!(values(&projection.forward(x)), values(&expected), "{kind}, packed: {packed}");
    }
}

#[test]
fn merged_onto_the_original_the_difference_is_what_packing_took() {
    let device = Device::flex();
    let dense = base([24, 40], false, &device);
    let config = LoraConfig::new().with_rank(4);
    let packed = trained(dense.clone().quantize().unwrap(), &config, &device);
    let original = MergeOnto::Original(dense.weight());
    let x = random([5, 40], &device);
    let own = packed.clone().merge_and_unload(MergeOnto::Own).unwrap();
    let other = packed.clone().merge_and_unload(original).unwrap();
    close("own", &own.forward(x.clone()), &packed.forward(x.clone()), 2e-5);
    let expected = dense.forward(x.clone()) - dense.quantize().unwrap().forward(x.clone());
    assert!(expected.clone().abs().max().into_scalar::<f32>() > 0.01);
    close("original", &(other.forward(x.clone()) - own.forward(x)), &expected, 3e-5);
}

#[test]
fn an_original_of_another_shape_is_refused() {
    let device = Device::flex();
    let config = LoraConfig::new().with_rank(4);
    let packed = base([24, 40], true, &device);
    for projection in [packed.clone(), trained(packed, &config, &device)] {
        let other = MergeOnto::Original(Tensor::ones([24, 41], &device));
        let error = projection.merge_and_unload(other).map(|_| ()).unwrap_err();
        let expected = "original weight: expected shape [24, 40], found [24, 41]";
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn adapters_are_switched_on_one_base() {
    let device = Device::flex();
    for (kind, packed, config) in kinds() {
        let bare = base([24, 40], packed, &device);
        let x = random([3, 40], &device);
        let mut projection = trained(bare.clone(), &config, &device);
        let first = values(&projection.forward(x.clone()));
        assert!(!projection.switch_adapter("second"), "{kind}");
        assert!(projection.adapter().is_none());
        assert_eq!(values(&projection.forward(x.clone())), values(&bare.forward(x.clone())));
        let mut projection = trained(projection, &config, &device);
        let second = values(&projection.forward(x.clone()));
        assert_ne!(first, second);

        for (name, expected) in [("default", &first), ("second", &second), ("default", &first)] {
            projection.merge_adapter();
            assert!(projection.switch_adapter(name));
            assert_eq!(&values(&projection.forward(x.clone())), expected, "{kind}, {name}");
            assert_eq!(projection.adapter().unwrap().name(), name);
            let mut names: Vec<_> = projection.adapter_names().collect();
            assert_eq!(names[0], name);
            names.sort_unstable();
            assert_eq!(names, ["default", "second"]);
        }
    }
}

#[test]
fn an_adapter_set_aside_takes_no_gradient() {
    let device = Device::flex().autodiff();
    let config = LoraConfig::new().with_rank(4);
    let mut projection = trained(base([24, 40], true, &device), &config, &device);
    let a = projection.adapter().unwrap().a();
    projection.switch_adapter("other");
    let projection = trained(projection, &config, &device);
    let gradients = projection.forward(random([3, 40], &device)).sum().backward();
    assert!(a.grad(&gradients).is_none());
    assert!(projection.adapter().unwrap().a().grad(&gradients).is_some());
    let mut trainable = 0;
    projection.visit(&mut Trainable(&mut trainable));
    assert_eq!(trainable, 2, "A and B of the adapter in use");
}

struct Trainable<'a>(&'a mut usize);

impl ModuleVisitor for Trainable<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        *self.0 += usize::from(param.is_require_grad());
    }
}

#[test]
fn loftq_starts_closer_to_the_original_weight() {
    let device = Device::flex();
    let dense = base([48, 80], false, &device);
    let off = |projection: &Projection| {
        let x = random([64, 80], &device);
        let difference = projection.forward(x.clone()) - dense.forward(x);
        difference.square().mean().sqrt().into_scalar::<f32>()
    };
    let packed = dense.clone().quantize().unwrap();
    let mut last = off(&packed);
    for rank in [8, 24, 48] {
        for dora in [false, true] {
            let config = LoraConfig::new().with_rank(rank).with_use_dora(dora);
            let found = packed.clone().with_loftq(dense.weight(), &config, 3).unwrap();
            let found = off(&found);
            assert!(
                found < last * 0.95 + 1e-7,
                "rank {rank}, DoRA {dora}: {found}, not below {last}"
            );
            if dora {
                last = found;
            }
        }
    }
    assert!(last < 1e-5, "of full rank, nothing is lost: {last}");

    let config = LoraConfig::new().with_init(Init::Loftq);
    let error = packed.clone().with_adapter(&config, 1).unwrap_err();
    assert!(matches!(error, Error::Config { field: "init", .. }), "{error}");
    let other = Tensor::ones([3, 4], &device);
    assert!(matches!(packed.with_loftq(other, &config, 1), Err(Error::Shape { .. })));
}

#[test]
fn a_bias_is_trained_where_asked() {
    let device = Device::flex().autodiff();
    for packed in [false, true] {
        let config = LoraConfig::new().with_rank(2);
        let projection = base([6, 8], packed, &device).with_adapter(&config, 1).unwrap();
        let start = values(&projection.bias().unwrap());
        let bias_gradient = |projection: &Projection| {
            let gradients = projection.forward(random([3, 8], &device)).sum().backward();
            projection.bias().unwrap().grad(&gradients).map(|gradient| values(&gradient))
        };
        assert_eq!(bias_gradient(&projection), None);
        let projection = projection.with_trainable_bias();
        assert_eq!(bias_gradient(&projection), Some(vec![3.0; 6]));
        assert_eq!(values(&projection.bias().unwrap()), start);
        assert_eq!(bias_gradient(&projection.clone().frozen()), None);

        // What was trained comes and goes with the adapter.
        let mut projection = projection;
        projection.set_trained_bias(Tensor::ones([6], &device)).unwrap();
        assert_eq!(values(&projection.bias().unwrap()), [1.0; 6]);
        projection.set_adapter_enabled(false);
        assert_eq!(values(&projection.bias().unwrap()), start);
        projection.set_adapter_enabled(true);
        let merged = projection.clone().merge_and_unload(MergeOnto::Own).unwrap();
        assert_eq!(values(&merged.bias().unwrap()), [1.0; 6]);
        assert_eq!(values(&projection.without_adapter().bias().unwrap()), start);
    }
}

#[test]
fn a_trained_bias_is_set_aside_with_its_adapter() {
    let device = Device::flex().autodiff();
    let config = LoraConfig::new().with_rank(2);
    for packed in [false, true] {
        let bare = base([6, 8], packed, &device);
        let start = values(&bare.bias().unwrap());
        let bias = |projection: &Projection| values(&projection.bias().unwrap());
        let trainable = |projection: &Projection| {
            let mut count = 0;
            projection.visit(&mut Trainable(&mut count));
            count
        };
        // With an adapter, and on a layer that has none where the model's others do.
        for (mut projection, factors) in
            [(trained(bare.clone(), &config, &device), 2), (bare.clone(), 0)]
        {
            projection.set_trained_bias(Tensor::ones([6], &device)).unwrap();
            let mut projection = projection.with_trainable_bias();
            assert_eq!(trainable(&projection), factors + 1);
            projection.switch_adapter("other");
            assert_eq!((bias(&projection), trainable(&projection)), (start.clone(), 0));
            assert!(!projection.has_trained_bias());
            projection.set_trained_bias(Tensor::ones([6], &device) * 2.0).unwrap();
            projection.switch_adapter("default");
            assert_eq!((bias(&projection), trainable(&projection)), (vec![1.0; 6], factors + 1));
            projection.switch_adapter("other");
            assert_eq!((bias(&projection), trainable(&projection)), (vec![2.0; 6], 0));
        }
    }
}

#[test]
fn dropout_leaves_the_layer_as_it_was_under_dora() {
    // Of inputs that are all dropped, the weight as it was is left: PEFT's `(f - 1) · dropout(x) Wᵀ`.
    let device = Device::flex().autodiff();
    let config = LoraConfig::new().with_rank(2).with_use_dora(true).with_dropout(1.0 - 1e-9);
    let base = base([6, 8], false, &device);
    let projection = trained(base.clone(), &config, &device);
    let x = random([3, 8], &device);
    close("dropped", &projection.forward(x.clone()), &base.forward(x.clone()), 1e-6);
    let config = config.with_dropout(0.0);
    let projection = trained(base.clone(), &config, &device);
    let off = (projection.forward(x.clone()) - base.forward(x)).abs().max().into_scalar::<f32>();
    assert!(off > 0.1);
}

#[test]
fn weights_that_are_not_finite_are_not_packed() {
    let weight = Tensor::<2>::from_floats([[1.0, 2.0], [f32::NAN, 4.0]], &Device::flex());
    let error = Projection::dense(weight, None).quantize().unwrap_err().to_string();
    assert_eq!(error, "weight: expected finite numbers, found NaN at place 2");
}
