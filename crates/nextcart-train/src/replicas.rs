//! Copies of a model that share the passes of a step.

use burn::module::Module;
use burn::tensor::Device;
use nextcart_models::Llama;

use crate::config::wrong_training;
use crate::error::Result;
use crate::parameters::{trainable, with_values};

/// Copies of a run's model, each on a device beside the model's own. Frozen weights are copied once, trained ones after
/// every update.
#[derive(Debug)]
pub(crate) struct Replicas(Vec<Llama>);

impl Replicas {
    /// What makes, with the model itself, one of it for each of so many devices, at least one.
    pub(crate) fn new(model: &Llama, devices: usize) -> Result<Self> {
        let copy = |device: Device| model.clone().fork(&device);
        Ok(Self(beside(&model.device(), devices)?.into_iter().map(copy).collect()))
    }

    /// The model and its copies.
    pub(crate) fn with<'a>(&'a self, model: &'a Llama) -> Vec<&'a Llama> {
        std::iter::once(model).chain(&self.0).collect()
    }

    /// Gives all copies the model's trained values.
    pub(crate) fn follow(&mut self, model: &Llama) {
        if self.0.is_empty() {
            return;
        }
        let values = trainable(model);
        let old = std::mem::take(&mut self.0);
        self.0 = old.into_iter().map(|copy| with_values(copy, values.clone())).collect();
    }
}

/// The devices that make so many with the first: others of its kind, or a CPU, which is one device, again.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) if there are not so many.
pub(crate) fn beside(first: &Device, devices: usize) -> Result<Vec<Device>> {
    if devices <= 1 {
        return Ok(Vec::new());
    }
    let plain = first.clone().inner();
    // A CPU has no memory of its own.
    if plain.memory_pool_usage().is_none() {
        return Ok(vec![first.clone(); devices - 1]);
    }
    let mut others = of_its_kind(&plain);
    others.retain(|device| *device != plain);
    if others.len() + 1 < devices {
        let expected = format!("at most {}, the GPUs of CUDA that are there", others.len() + 1);
        return Err(wrong_training("devices", &expected, devices));
    }
    others.truncate(devices - 1);
    Ok(others.into_iter().map(Device::autodiff).collect())
}

/// All GPUs of CUDA, if the device is one. What wgpu lists are adapters of any speed, software among them.
fn of_its_kind(device: &Device) -> Vec<Device> {
    #[cfg(feature = "cuda")]
    {
        let all = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec();
        if all.contains(device) {
            return all;
        }
    }
    vec![device.clone()]
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::Tensor;
    use nextcart_adapters::LoraConfig;
    use nextcart_models::LlamaConfig;

    use super::*;
    use crate::parameters::is_trainable;

    /// Adds one to all that trains.
    struct Moved;

    impl ModuleMapper for Moved {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if !param.is_require_grad() {
                return param;
            }
            param.map(|value| (value.inner() + 1.0).autodiff().require_grad())
        }
    }

    fn values(model: &Llama) -> Vec<(String, Vec<f32>)> {
        let host =
            |value: &crate::parameters::AnyTensor| value.to_host().try_to_vec().expect("floats");
        trainable(model).iter().map(|(path, value)| (path.clone(), host(value))).collect()
    }

    #[test]
    fn copies_have_what_the_model_has_and_train() {
        let model = LlamaConfig::tiny(16).init(7, &Device::flex().autodiff()).frozen();
        let model = model.with_adapters(&LoraConfig::new(), 3).expect("adapters");
        let mut replicas = Replicas::new(&model, 3).expect("a CPU");
        let moved = model.clone().map(&mut Moved);
        assert_ne!(values(&moved), values(&model));
        let check = |replicas: &Replicas, expected: &Llama| {
            let all = replicas.with(&model);
            assert_eq!(all.len(), 3);
            for copy in &all[1..] {
                assert!(is_trainable(*copy));
                assert_eq!(values(copy), values(expected));
            }
        };
        check(&replicas, &model);
        replicas.follow(&moved);
        check(&replicas, &moved);
    }
}
