//! Several adapters on one base.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::adapter::LoraAdapter;
use crate::projection::Projection;

/// What a projection holds under a name while another one is in use: nothing of it takes a gradient.
#[derive(Module, Debug)]
pub(crate) struct SetAside {
    adapter: Option<LoraAdapter>,
    bias: Option<Param<Tensor<1>>>, // [d_output], trained with the adapter
    trains_bias: bool,              // when it is in use
    #[module(skip)]
    name: String,
}

impl Projection {
    /// Names of all adapters, the one in use first.
    pub fn adapter_names(&self) -> impl Iterator<Item = &str> {
        let set_aside = self.set_aside.iter().filter_map(|aside| aside.adapter.as_ref());
        self.adapter.iter().chain(set_aside).map(LoraAdapter::name)
    }

    /// Sets the adapter in use aside, with the bias that was trained with it, and takes those of this name instead, or none
    /// if there are none of this name. Says whether there is an adapter.
    ///
    /// What is set aside stays on the device, takes part in nothing and takes no gradient. An adapter that is
    /// added afterwards bears this name. At first the name is [`DEFAULT_ADAPTER`](crate::DEFAULT_ADAPTER).
    pub fn switch_adapter(&mut self, name: &str) -> bool {
        if self.adapter_name != name {
            self.merged = None;
            self.set_in_use_aside();
            self.adapter_name = name.to_owned();
            if let Some(place) = self.set_aside.iter().position(|aside| aside.name == name) {
                let SetAside { adapter, bias, trains_bias, .. } = self.set_aside.remove(place);
                self.adapter = adapter.map(|adapter| adapter.trained(true));
                self.trained_bias = bias.map(|bias| bias.set_require_grad(trains_bias));
            }
        }
        self.adapter.is_some()
    }

    fn set_in_use_aside(&mut self) {
        let (adapter, bias) = (self.adapter.take(), self.trained_bias.take());
        if adapter.is_none() && bias.is_none() {
            return;
        }
        self.set_aside.push(SetAside {
            adapter: adapter.map(|adapter| adapter.trained(false)),
            trains_bias: bias.as_ref().is_some_and(|bias| bias.is_require_grad()),
            bias: bias.map(|bias| bias.set_require_grad(false)),
            name: self.adapter_name.clone(),
        });
    }
}
