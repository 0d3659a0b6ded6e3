//! Sizes and training of the model.

use burn::config::Config;

use crate::error::{Error, Result};

/// Sizes and training of a [`SasRec`](crate::SasRec).
///
/// The defaults are those of small catalogues in Klenitskiy and Vasilev
/// (<https://arxiv.org/abs/2309.07602>).
#[derive(Config, Debug)]
pub struct SasRecConfig {
    /// Width of the model (default 64).
    #[config(default = 64)]
    pub d_model: usize,
    /// Blocks of attention and feed-forward layer (default 2).
    #[config(default = 2)]
    pub layers: usize,
    /// Heads of attention, which divide the width (default 2).
    #[config(default = 2)]
    pub heads: usize,
    /// Purchases that it looks back on, the latest (default 50).
    #[config(default = 50)]
    pub max_length: usize,
    /// Share of values that training sets to zero (default 0.2).
    #[config(default = 0.2)]
    pub dropout: f64,
    /// Learning rate of Adam (default 0.001).
    #[config(default = 1e-3)]
    pub learning_rate: f64,
    /// Histories in an optimiser step (default 128). Memory of a step grows with their purchases times the
    /// items of the catalogue.
    #[config(default = 128)]
    pub batch_size: usize,
    /// Passes over the histories at most (default 200).
    #[config(default = 200)]
    pub max_epochs: usize,
    /// Passes without a better NDCG@10 on validation after which training stops (default 10).
    #[config(default = 10)]
    pub patience: usize,
    /// Seed of weights, order and dropout (default 0).
    #[config(default = 0)]
    pub seed: u64,
}

impl SasRecConfig {
    /// Checks every option's range.
    ///
    /// # Errors
    /// Names the first option outside its range.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("d_model", self.d_model),
            ("layers", self.layers),
            ("heads", self.heads),
            ("max_length", self.max_length),
            ("batch_size", self.batch_size),
            ("max_epochs", self.max_epochs),
            ("patience", self.patience),
        ];
        if let Some((name, value)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::option(name, "at least 1", value));
        }
        if !self.d_model.is_multiple_of(self.heads) {
            return Err(Error::option("heads", "a divisor of the width", self.heads));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::option("dropout", "at least 0 and below 1", self.dropout));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(Error::option("learning_rate", "a number above 0", self.learning_rate));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: SasRecConfig, expected: Option<&str>) {
        let found = match config.validate() {
            Err(Error::Option { name, .. }) => Some(name),
            _ => None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn names_the_option_outside_its_range() {
        let config = SasRecConfig::new;
        check(config(), None);
        check(config().with_layers(0), Some("layers"));
        check(config().with_heads(3), Some("heads"));
        check(config().with_dropout(1.0), Some("dropout"));
        check(config().with_dropout(f64::NAN), Some("dropout"));
        check(config().with_learning_rate(0.0), Some("learning_rate"));
    }
}
