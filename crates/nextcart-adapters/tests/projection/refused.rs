//! What a projection refuses.

use burn::tensor::{Device, Tensor};
use nextcart_adapters::{Error, LoraConfig, Projection};

use super::base;

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

#[test]
#[should_panic(expected = "inputs as wide as the weight")]
fn inputs_of_another_width_are_a_mistake_of_the_caller() {
    let device = Device::flex();
    // As many values as two rows have.
    let _ = base([6, 8], true, &device).forward(Tensor::<2>::ones([4, 4], &device));
}

#[test]
fn weights_that_are_not_finite_are_not_packed() {
    let weight = Tensor::<2>::from_floats([[1.0, 2.0], [f32::NAN, 4.0]], &Device::flex());
    let error = Projection::dense(weight, None).quantize().unwrap_err().to_string();
    assert_eq!(error, "weight: expected finite numbers, found NaN at place 2");
}
