//! Which samples a training step sees.

use crate::random::{Use, generator, shuffled};

/// The samples of every step: each epoch is all samples once, shuffled by seed and epoch.
///
/// The last step of an epoch takes what is left. The samples of a step follow from its number alone,
/// so a checkpoint needs no state of a generator.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    seed: u64,
    samples: usize,
    samples_per_step: usize,
    order: Option<(u64, Vec<usize>)>, // of the epoch asked for last
}

impl Sampler {
    pub(crate) fn new(seed: u64, samples: usize, samples_per_step: usize) -> Self {
        Self { seed, samples, samples_per_step, order: None }
    }

    pub(crate) fn steps_per_epoch(&self) -> u64 {
        self.samples.div_ceil(self.samples_per_step) as u64
    }

    /// Epochs done after so many steps, in parts.
    pub(crate) fn epochs(&self, steps: u64) -> f64 {
        let whole = steps / self.steps_per_epoch();
        let seen = (steps % self.steps_per_epoch()) as usize * self.samples_per_step;
        whole as f64 + seen as f64 / self.samples as f64
    }

    /// Indices of the samples of a step, counted from 0.
    pub(crate) fn samples_of(&mut self, step: u64) -> &[usize] {
        let (epoch, place) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        if self.order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            self.order = None; // frees the old order before the new one is made
        }
        let (seed, samples) = (self.seed, self.samples);
        let (_, order) = self.order.get_or_insert_with(|| {
            (epoch, shuffled(samples, &mut generator(seed, Use::Order, epoch)))
        });
        let start = place as usize * self.samples_per_step;
        &order[start..samples.min(start + self.samples_per_step)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(sampler: &mut Sampler, number: u64) -> Vec<Vec<usize>> {
        let steps = sampler.steps_per_epoch();
        (number * steps..(number + 1) * steps).map(|s| sampler.samples_of(s).to_vec()).collect()
    }

    #[test]
    fn an_epoch_is_every_sample_once_and_the_last_step_takes_the_rest() {
        let mut sampler = Sampler::new(7, 10, 4);
        for number in 0..3 {
            let steps = epoch(&mut sampler, number);
            assert_eq!(steps.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
            let mut all = steps.concat();
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own() {
        let mut sampler = Sampler::new(7, 30, 4);
        let first = epoch(&mut sampler, 0);
        assert_ne!(first, epoch(&mut sampler, 1));
        assert_ne!(first, epoch(&mut Sampler::new(8, 30, 4), 0));
        assert_eq!(first, epoch(&mut sampler, 0));
    }

    #[test]
    fn a_step_may_hold_more_than_there_are_samples() {
        let mut sampler = Sampler::new(7, 3, 8);
        assert_eq!(sampler.steps_per_epoch(), 1);
        assert_eq!(sampler.samples_of(5).len(), 3);
    }

    #[test]
    fn epochs_count_samples_and_not_steps() {
        let sampler = Sampler::new(7, 10, 4);
        assert_eq!([0, 1, 2, 3, 4].map(|s| sampler.epochs(s)), [0.0, 0.4, 0.8, 1.0, 1.4]);
    }
}
