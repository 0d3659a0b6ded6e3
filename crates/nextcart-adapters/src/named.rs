//! Several adapters on one base.

use crate::adapter::LoraAdapter;
use crate::projection::Projection;

impl Projection {
    /// Names of all adapters, the one in use first.
    pub fn adapter_names(&self) -> impl Iterator<Item = &str> {
        self.adapter.iter().chain(&self.set_aside).map(LoraAdapter::name)
    }

    /// Sets the adapter in use aside and takes the one of this name instead, or none if there is none of this name.
    /// Says whether there is one.
    ///
    /// What is set aside stays on the device, takes part in nothing and takes no gradient. An adapter that is
    /// added afterwards bears this name. At first the name is [`DEFAULT_ADAPTER`](crate::DEFAULT_ADAPTER).
    pub fn switch_adapter(&mut self, name: &str) -> bool {
        if self.adapter_name != name {
            self.merged = None;
            self.adapter_name = name.to_owned();
            self.set_aside.extend(self.adapter.take().map(|adapter| adapter.trained(false)));
            let place = self.set_aside.iter().position(|adapter| adapter.name() == name);
            self.adapter = place.map(|place| self.set_aside.remove(place).trained(true));
        }
        self.adapter.is_some()
    }
}
