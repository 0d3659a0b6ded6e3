//! Merged, packed and on its own, a projection gives the same outputs.

use burn::tensor::{Device, Tensor};
use nextcart_adapters::{Base, LoraConfig, MergeOnto, Projection};

use super::{base, close, kinds, random, trained, values};

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
fn loftq_onto_the_original_adds_what_packing_took_a_second_time() {
    let device = Device::flex();
    let dense = base([24, 40], false, &device);
    let packed = dense.clone().quantize().unwrap();
    // Of full rank, the adapter holds all that was taken.
    let config = LoraConfig::new().with_rank(24);
    let started = packed.clone().with_loftq(dense.weight(), &config, 3).unwrap();
    let merged = |onto: MergeOnto| started.clone().merge_and_unload(onto).unwrap().weight();
    close("own", &merged(MergeOnto::Own), &dense.weight(), 1e-5);
    let twice = dense.weight() * 2.0 - packed.weight();
    close("original", &merged(MergeOnto::Original(dense.weight())), &twice, 1e-5);
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
