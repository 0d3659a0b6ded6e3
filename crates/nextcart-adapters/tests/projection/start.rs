//! How a fresh adapter starts.

use burn::tensor::{Device, Tensor};
use nextcart_adapters::{Error, Init, LoraConfig, Projection};

use super::{base, kinds, random, values};

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
fn loftq_needs_a_packed_weight() {
    let device = Device::flex();
    let dense = base([6, 8], false, &device);
    let config = LoraConfig::new().with_rank(2);
    let error = dense.clone().with_loftq(dense.weight(), &config, 1).unwrap_err();
    let expected = "adapter configuration, `init`: expected another start than `loftq` where the weight is not packed, \
                    found loftq";
    assert_eq!(error.to_string(), expected);
    let packed = dense.clone().quantize().unwrap();
    assert!(packed.with_loftq(dense.weight(), &config, 1).is_ok());
}
