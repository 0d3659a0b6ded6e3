//! What of a projection has gradients, when, and where dropout acts.

use std::sync::Arc;

use burn::backend::Flex;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use nextcart_adapters::{Base, LoraConfig, MergeOnto, Projection};

use super::{base, kinds, random, trainable, trained, values};

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
    assert_eq!(trainable(&projection), 2, "A and B of the adapter in use");
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
        let mut trained_on = projection.clone().with_trainable_bias();
        trained_on.set_adapter_enabled(true);
        assert_eq!(values(&trained_on.bias().unwrap()), [1.0; 6], "it starts from what was learnt");
        projection.set_adapter_enabled(true);
        let merged = projection.clone().merge_and_unload(MergeOnto::Own).unwrap();
        assert_eq!(values(&merged.bias().unwrap()), [1.0; 6]);
        assert_eq!(values(&projection.without_adapter().bias().unwrap()), start);
    }
}
