//! Several adapters on one base, and adapters set aside.

use burn::tensor::{Device, Tensor};
use nextcart_adapters::{Base, LoraConfig, MergeOnto, Projection};

use super::{base, kinds, random, trainable, trained, values};

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
fn a_trained_bias_is_set_aside_with_its_adapter() {
    let device = Device::flex().autodiff();
    let config = LoraConfig::new().with_rank(2);
    for packed in [false, true] {
        let bare = base([6, 8], packed, &device);
        let start = values(&bare.bias().unwrap());
        let bias = |projection: &Projection| values(&projection.bias().unwrap());
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
