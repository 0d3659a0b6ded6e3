//! What of a model takes gradients.

use nextcart_models::Llama;

use crate::parameters::trained_sizes;

/// What of a model takes gradients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainedSizes {
    /// Values of each parameter.
    pub parameters: Vec<usize>,
    /// Whether weights of the model itself are among them, and not adapters and biases trained with them alone.
    pub of_base: bool,
}

impl TrainedSizes {
    /// Those of a model; none where nothing takes gradients, as off an autodiff device.
    #[must_use]
    pub fn of(model: &Llama) -> Option<Self> {
        let sizes = trained_sizes(model);
        let of_base = sizes.keys().any(|path| !is_of_adapter(path));
        (!sizes.is_empty()).then(|| Self { parameters: sizes.into_values().collect(), of_base })
    }
}

/// Whether a parameter of this path belongs to an adapter.
fn is_of_adapter(path: &str) -> bool {
    path.contains(".adapter.") || path.ends_with(".trained_bias")
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Device;
    use nextcart_adapters::{Bias, LoraConfig};
    use nextcart_models::LlamaConfig;

    use super::*;

    #[test]
    fn what_takes_gradients_is_counted_and_told_from_adapters() {
        let llama = LlamaConfig { layers: 1, attention_bias: true, ..LlamaConfig::tiny(16) };
        let model = || llama.init(1, &Device::flex().autodiff()).frozen();
        let adapted = |lora: &LoraConfig| model().with_adapters(lora, 1).unwrap();
        let check = |model: &Llama, parameters: Option<usize>, of_base: bool| {
            let found = TrainedSizes::of(model);
            assert_eq!(
                found.as_ref().map(|sizes| sizes.parameters.iter().sum::<usize>()),
                parameters
            );
            assert_eq!(found.is_some_and(|sizes| sizes.of_base), of_base);
        };
        let whole = model().num_params();
        let lora = LoraConfig::new().with_rank(2).with_target_modules(["up_proj"].into());
        let factors = 2 * (llama.d_model + llama.d_hidden);
        check(&model(), None, false);
        check(&adapted(&lora), Some(factors), false);
        // Queries, keys, values and what comes of them.
        let heads = llama.heads * llama.head_dim + 2 * llama.kv_heads * llama.head_dim;
        let biases = heads + llama.d_model;
        check(&adapted(&lora.clone().with_bias(Bias::All)), Some(factors + biases), false);
        check(&model().trainable(), Some(whole), true);
        check(&adapted(&lora).trainable(), Some(whole + factors), true);
        // Off the autodiff device nobody can tell.
        check(&adapted(&lora).valid(), None, false);

        // What is packed takes none: embedding, norms and biases.
        let packed = model().quantized().unwrap().trainable();
        let rest = (llama.vocab + 3) * llama.d_model + biases;
        check(&packed, Some(rest), true);
    }
}
