//! The product with a frozen weight against burn's own product.

use burn::tensor::{DType, Device, Tensor, TensorData, Tolerance};
use nextcart_kernels::{adapted_product, frozen_product};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Uniform values from -0.9 to 0.9, whose deviation is about a half.
fn matrix(seed: u64, shape: [usize; 2]) -> Tensor<2> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape[0] * shape[1])
        .map(|_| rng.next_u32() as f32 / u32::MAX as f32 * 1.8 - 0.9)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// Input and weight; the weight rounded to a type, and widened again.
fn drawn(
    seed: u64,
    rows: usize,
    shape: [usize; 2],
    dtype: DType,
) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
    let weight = matrix(seed, shape).cast(dtype);
    let x = matrix(!seed, [rows, shape[1]]) * 2.0;
    (x, weight.clone(), weight.cast(DType::F32))
}

fn assert_close(found: Tensor<2>, expected: Tensor<2>) {
    let tolerance = Tolerance::absolute(3e-4).set_relative(1e-4);
    found.into_data().assert_approx_eq::<f32>(&expected.into_data(), tolerance);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Few rows and many, one tile and several, weights in every type; forward and backward.
    #[test]
    fn products_and_gradients_are_burns(
        seed in any::<u64>(),
        rows in prop_oneof![1_usize..=20, 100_usize..=120],
        d_output in prop_oneof![1_usize..=40, 900_usize..=1100],
        d_input in prop_oneof![1_usize..=40, 1000_usize..=1200],
        dtype in prop_oneof![Just(DType::F32), Just(DType::BF16), Just(DType::F16)],
    ) {
        let (x, weight, wide) = drawn(seed, rows, [d_output, d_input], dtype);
        let run = |f: &dyn Fn(Tensor<2>) -> Tensor<2>| {
            let x = x.clone().require_grad();
            let y = f(x.clone());
            let gradients = y.clone().square().sum().backward();
            (y.detach() / (d_input as f64).sqrt(),
             x.grad(&gradients).expect("a gradient") / (d_input * d_output) as f64)
        };
        let (found, found_gradient) = run(&|x| frozen_product(x, weight.clone()));
        let (expected, expected_gradient) = run(&|x| x.matmul(wide.clone().transpose()));
        assert_close(found, expected);
        assert_close(found_gradient, expected_gradient);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// With an update: the output and all three gradients, or those that are asked for.
    #[test]
    fn updates_and_their_gradients_are_burns(
        seed in any::<u64>(),
        rows in prop_oneof![1_usize..=20, 60_usize..=70],
        d_output in prop_oneof![1_usize..=40, 300_usize..=400],
        d_input in prop_oneof![1_usize..=40, 300_usize..=400],
        rank in prop_oneof![1_usize..=20, 120_usize..=140],
        dtype in prop_oneof![Just(DType::F32), Just(DType::BF16), Just(DType::F16)],
        tracked in proptest::array::uniform3(any::<bool>()),
    ) {
        const SCALE: f64 = 1.7;
        let (x, weight, wide) = drawn(seed, rows, [d_output, d_input], dtype);
        let a = matrix(seed.wrapping_add(1), [rank, d_input]);
        let b = matrix(seed.wrapping_add(2), [d_output, rank]);
        let run = |f: &dyn Fn(&Tensor<2>, &Tensor<2>, &Tensor<2>) -> Tensor<2>| {
            let leaves = [x.clone(), a.clone(), b.clone()];
            let mut tracked = tracked.iter();
            let leaves = leaves.map(|leaf| leaf.set_require_grad(*tracked.next().expect("three")));
            let y = f(&leaves[0], &leaves[1], &leaves[2]);
            let size = y.clone().square().mean().sqrt().into_scalar::<f32>() + 1e-3;
            let gradients = y.clone().is_tracked().then(|| y.clone().square().sum().backward());
            let found = leaves.map(|leaf| leaf.grad(gradients.as_ref()?));
            (y.detach() / size, found)
        };
        let (found, gradients) = run(&|x, a, b| {
            adapted_product(x, &weight, a, b, SCALE).expect("an operation of its own")
        });
        let (expected, expected_gradients) = run(&|x, a, b| {
            let update = x.clone().matmul(a.clone().transpose()).matmul(b.clone().transpose());
            x.clone().matmul(wide.clone().transpose()) + update * SCALE
        });
        assert_close(found, expected);
        for (found, expected) in gradients.into_iter().zip(expected_gradients) {
            prop_assert_eq!(found.is_some(), expected.is_some());
            if let Some((found, expected)) = found.zip(expected) {
                let size = expected.clone().square().mean().sqrt().into_scalar::<f32>() + 1e-3;
                assert_close(found / size, expected / size);
            }
        }
    }
}

#[test]
fn updates_of_inputs_in_16_bits_are_in_their_type() {
    let (x, weight, _) = drawn(1, 30, [70, 40], DType::BF16);
    let a = matrix(2, [4, 40]);
    let b = matrix(3, [70, 4]);
    let (a, b) = (a.detach().require_grad(), b.detach().require_grad());
    let x = x.cast(DType::BF16).detach().require_grad();
    let y = adapted_product(&x, &weight, &a, &b, 0.5).expect("an operation of its own");
    assert_eq!(y.dtype(), DType::BF16);
    let gradients = y.sum().backward();
    assert_eq!(x.grad(&gradients).expect("x's").dtype(), DType::BF16);
    assert_eq!(a.grad(&gradients).expect("A's").dtype(), DType::F32);
    assert_eq!(b.grad(&gradients).expect("B's").dtype(), DType::F32);
}

/// Parts of larger tensors, and tensors that lie the other way round.
#[test]
fn updates_read_views_as_they_are() {
    let (x, weight, _) = drawn(1, 20, [30, 40], DType::F32);
    let a = matrix(2, [4, 40]);
    let b = matrix(3, [30, 4]);
    let turned = |tensor: &Tensor<2>| {
        let [rows, _] = tensor.dims();
        let eye = Tensor::eye(rows, &tensor.device());
        tensor.clone().transpose().matmul(eye).transpose()
    };
    let part = |tensor: &Tensor<2>| {
        let [rows, columns] = tensor.dims();
        let frame = Tensor::<2>::ones([rows + 3, columns + 5], &tensor.device());
        let frame = frame.slice_assign([1..rows + 1, 2..columns + 2], tensor.clone());
        frame.narrow(0, 1, rows).narrow(1, 2, columns)
    };
    let run = |x: Tensor<2>, weight: &Tensor<2>, a: Tensor<2>, b: Tensor<2>| {
        let leaves = [x, a, b].map(|leaf| leaf.detach().require_grad());
        let [x, a, b] = &leaves;
        let y = adapted_product(x, weight, a, b, 1.5).expect("an operation of its own");
        let gradients = y.clone().square().sum().backward();
        (y.detach(), leaves.map(|leaf| leaf.grad(&gradients).expect("a gradient")))
    };
    let (expected, expected_gradients) = run(x.clone(), &weight, a.clone(), b.clone());
    for view in [&turned as &dyn Fn(&Tensor<2>) -> Tensor<2>, &part] {
        let (found, gradients) = run(view(&x), &view(&weight), view(&a), view(&b));
        assert_close(found, expected.clone());
        for (found, expected) in gradients.into_iter().zip(expected_gradients.clone()) {
            let size = expected.clone().square().mean().sqrt().into_scalar::<f32>();
            assert_close(found / size, expected / size);
        }
    }
}

/// One adapter in two places of a graph gets the gradients of both.
#[test]
fn updates_used_twice_add_up() {
    let (x, weight, wide) = drawn(1, 12, [24, 24], DType::F32);
    let a = matrix(2, [3, 24]);
    let b = matrix(3, [24, 3]);
    let run = |f: &dyn Fn(&Tensor<2>, &Tensor<2>, &Tensor<2>) -> Tensor<2>| {
        let leaves = [a.clone(), b.clone()].map(|leaf| leaf.detach().require_grad());
        let once = f(&x, &leaves[0], &leaves[1]);
        let gradients = f(&once, &leaves[0], &leaves[1]).mean().backward();
        leaves.map(|leaf| leaf.grad(&gradients).expect("a gradient"))
    };
    let found = run(&|x, a, b| adapted_product(x, &weight, a, b, 0.5).expect("an operation"));
    let expected = run(&|x, a, b| {
        let update = x.clone().matmul(a.clone().transpose()).matmul(b.clone().transpose());
        x.clone().matmul(wide.clone().transpose()) + update * 0.5
    });
    for (found, expected) in found.into_iter().zip(expected) {
        let size = expected.clone().square().mean().sqrt().into_scalar::<f32>();
        assert_close(found / size, expected / size);
    }
}

#[test]
fn threads_change_no_bit_of_an_update() {
    for rows in [3, 70] {
        let (x, weight, _) = drawn(1, rows, [500, 300], DType::F32);
        let a = matrix(2, [8, 300]);
        let b = matrix(3, [500, 8]);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads").install(|| {
                let leaves = [&x, &a, &b].map(|leaf| leaf.clone().detach().require_grad());
                let [x, a, b] = &leaves;
                let y = adapted_product(x, &weight, a, b, 1.5).expect("an operation of its own");
                let gradients = y.clone().square().sum().backward();
                let gradients = leaves.map(|leaf| leaf.grad(&gradients).expect("a gradient"));
                gradients.into_iter().chain([y.detach()]).map(Tensor::into_data).collect::<Vec<_>>()
            })
        };
        assert_eq!(run(1), run(3));
    }
}

#[test]
fn other_types_and_trained_weights_have_no_such_operation() {
    let (x, weight, _) = drawn(1, 3, [7, 4], DType::F32);
    let a = matrix(2, [2, 4]);
    let b = matrix(3, [7, 2]);
    let trained = weight.clone().detach().require_grad();
    assert!(adapted_product(&x, &weight, &a, &b, 1.0).is_some());
    assert!(adapted_product(&x, &trained, &a, &b, 1.0).is_none());
    assert!(adapted_product(&x, &weight, &a.cast(DType::BF16), &b, 1.0).is_none());
}

#[test]
fn a_weight_that_wants_gradients_gets_them() {
    let (x, weight, _) = drawn(1, 3, [4, 5], DType::F32);
    let leaf = weight.detach().require_grad();
    // A parameter, and what is computed from one.
    for (weight, factor) in [(leaf.clone(), 1.0), (leaf.clone() * 2.0, 2.0)] {
        let gradients = frozen_product(x.clone(), weight).sum().backward();
        let found = leaf.grad(&gradients).expect("a gradient");
        assert_close(found, x.clone().sum_dim(0).repeat_dim(0, 4) * factor);
    }
}

/// In f32, which is what the CPU's own product computes in, they would be off by 1e-7.
#[test]
fn inputs_in_f64_are_multiplied_in_f64() {
    for (rows, dtype) in [(3, DType::F32), (30, DType::F32), (3, DType::BF16), (30, DType::F16)] {
        let (x, weight, _) = drawn(1, rows, [70, 40], dtype);
        let x = x.cast(DType::F64).detach();
        let wide = weight.clone().cast(DType::F64);
        let run = |f: &dyn Fn(Tensor<2>) -> Tensor<2>| {
            let x = x.clone().require_grad();
            let y = f(x.clone());
            let gradients = y.clone().square().sum().backward();
            [y.detach(), x.grad(&gradients).expect("a gradient")].map(Tensor::into_data)
        };
        let found = run(&|x| frozen_product(x, weight.clone()));
        let expected = run(&|x| x.matmul(wide.clone().transpose()));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.dtype(), DType::F64);
            let tolerance = Tolerance::absolute(1e-12).set_relative(1e-12);
            found.assert_approx_eq::<f64>(expected, tolerance);
        }
    }
}

#[test]
fn a_frozen_weight_in_16_bits_gives_inputs_in_16_bits_their_own_type() {
    let (x, weight, wide) = drawn(1, 30, [70, 40], DType::BF16);
    let found = frozen_product(x.clone().cast(DType::BF16), weight);
    assert_eq!(found.dtype(), DType::BF16);
    let exact = x.cast(DType::BF16).cast(DType::F32).matmul(wide.transpose());
    let difference = (found.cast(DType::F32) - exact.clone()).abs() / (exact.abs() + 0.1);
    assert!(difference.max().into_scalar::<f32>() < 5e-3);
}

#[test]
fn transposed_views_are_read_as_they_are() {
    let (x, weight, _) = drawn(1, 20, [30, 40], DType::F32);
    let turned = x.clone().transpose().matmul(Tensor::eye(20, &x.device())).transpose(); // [20, 40]
    let view = weight.clone().transpose().matmul(Tensor::eye(30, &x.device())).transpose();
    assert_close(frozen_product(turned, view), x.matmul(weight.transpose()));
}

#[test]
fn no_rows_give_no_rows() {
    let device = Device::flex();
    let product = frozen_product(Tensor::zeros([0, 8], &device), Tensor::ones([3, 8], &device));
    assert_eq!(product.dims(), [0, 3]);
}
