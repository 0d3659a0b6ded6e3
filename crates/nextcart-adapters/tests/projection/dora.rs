//! What holds for DoRA alone.

use burn::tensor::{Device, Tensor};
use nextcart_adapters::{LoraConfig, MergeOnto, Projection};

use super::{base, close, random, trained, values};

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
