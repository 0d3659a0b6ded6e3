//! Which samples a training step sees.

use nextcart_text::{Sample, buckets};
use rand_chacha::rand_core::Rng;

use crate::config::SftConfig;
use crate::random::{Use, generator, shuffled};

/// The samples of every step: each epoch is all samples once, in an order made of seed and epoch.
///
/// A step of each epoch takes what is left, the last where samples are not grouped by length. The samples of a step
/// follow from its number alone, so a checkpoint needs no state of a generator.
#[derive(Debug, Clone)]
pub(crate) struct Sampler<'a> {
    samples: &'a [Sample],
    samples_per_step: usize,
    seed: u64,
    group_by_length: bool,
    epoch: Option<(u64, Vec<Vec<usize>>)>, // the steps of the epoch asked for last
}

impl<'a> Sampler<'a> {
    pub(crate) fn new(config: &SftConfig, samples: &'a [Sample]) -> Self {
        let SftConfig { seed, group_by_length, .. } = *config;
        let samples_per_step = config.samples_per_step();
        Self { samples, samples_per_step, seed, group_by_length, epoch: None }
    }

    pub(crate) fn steps_per_epoch(&self) -> u64 {
        self.samples.len().div_ceil(self.samples_per_step) as u64
    }

    /// Epochs done after so many steps, in parts.
    pub(crate) fn epochs(&mut self, steps: u64) -> f64 {
        let (whole, place) = (steps / self.steps_per_epoch(), steps % self.steps_per_epoch());
        if place == 0 {
            return whole as f64; // without making the next epoch's order
        }
        let seen: usize = self.epoch(whole)[..place as usize].iter().map(Vec::len).sum();
        whole as f64 + seen as f64 / self.samples.len() as f64
    }

    /// Indices of the samples of a step, counted from 0.
    pub(crate) fn samples_of(&mut self, step: u64) -> &[usize] {
        let (epoch, place) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        &self.epoch(epoch)[place as usize]
    }

    fn epoch(&mut self, number: u64) -> &[Vec<usize>] {
        if self.epoch.as_ref().is_none_or(|(of, _)| *of != number) {
            self.epoch = None; // frees the old order before the new one is made
        }
        let Self { samples, samples_per_step, seed, group_by_length, .. } = *self;
        let steps = || {
            let mut generator = generator(seed, Use::Order, number);
            if group_by_length {
                return buckets(samples, samples_per_step, generator.next_u64());
            }
            let order = shuffled(samples.len(), &mut generator);
            order.chunks(samples_per_step).map(<[usize]>::to_vec).collect()
        };
        &self.epoch.get_or_insert_with(|| (number, steps())).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of unequal lengths.
    fn samples(count: usize) -> Vec<Sample> {
        (0..count).map(|n| Sample::text(&vec![1; 2 + n * 7 % 23]).unwrap()).collect()
    }

    fn sampler(seed: u64, samples: &[Sample], group_by_length: bool) -> Sampler<'_> {
        let config = SftConfig { seed, group_by_length, batch_size: 4, ..SftConfig::default() };
        Sampler::new(&config, samples)
    }

    fn epoch(sampler: &mut Sampler, number: u64) -> Vec<Vec<usize>> {
        let steps = sampler.steps_per_epoch();
        (number * steps..(number + 1) * steps).map(|s| sampler.samples_of(s).to_vec()).collect()
    }

    #[test]
    fn an_epoch_is_every_sample_once_and_one_step_takes_the_rest() {
        let samples = samples(10);
        for grouped in [false, true] {
            let mut sampler = sampler(7, &samples, grouped);
            for number in 0..3 {
                let steps = epoch(&mut sampler, number);
                let mut sizes: Vec<usize> = steps.iter().map(Vec::len).collect();
                if grouped {
                    sizes.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
                }
                assert_eq!(sizes, [4, 4, 2]);
                let mut all = steps.concat();
                all.sort_unstable();
                assert_eq!(all, (0..10).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own() {
        let samples = samples(30);
        for grouped in [false, true] {
            let mut first = sampler(7, &samples, grouped);
            let order = epoch(&mut first, 0);
            assert_ne!(order, epoch(&mut first, 1));
            assert_ne!(order, epoch(&mut sampler(8, &samples, grouped), 0));
            assert_eq!(order, epoch(&mut first, 0));
        }
    }

    #[test]
    fn grouped_steps_hold_samples_of_like_length() {
        let samples = samples(90);
        let spread = |grouped| -> usize {
            let steps = epoch(&mut sampler(7, &samples, grouped), 0);
            let lengths = steps.iter().map(|step| step.iter().map(|&index| samples[index].len()));
            lengths.map(|of| of.clone().max().unwrap() - of.min().unwrap()).sum()
        };
        assert!(spread(true) * 5 < spread(false), "{}, {}", spread(true), spread(false));
    }

    /// A checkpoint relies on these orders: a library that shuffles otherwise must not go unnoticed.
    #[test]
    fn the_order_of_a_seed_stays() {
        let samples = samples(10);
        assert_eq!(
            epoch(&mut sampler(7, &samples, false), 1),
            [vec![6, 1, 2, 9], vec![3, 0, 5, 4], vec![8, 7]]
        );
        assert_eq!(
            epoch(&mut sampler(7, &samples, true), 1),
            [vec![3, 6, 9, 2], vec![7, 0], vec![5, 8, 1, 4]]
        );
    }

    #[test]
    fn a_step_may_hold_more_than_there_are_samples() {
        let samples = samples(3);
        for grouped in [false, true] {
            let mut sampler = sampler(7, &samples, grouped);
            assert_eq!(sampler.steps_per_epoch(), 1);
            assert_eq!(sampler.samples_of(5).len(), 3);
        }
    }

    #[test]
    fn epochs_count_samples_and_not_steps() {
        let samples = samples(10);
        let mut plain = sampler(7, &samples, false);
        assert_eq!([0, 1, 2, 3, 4].map(|s| plain.epochs(s)), [0.0, 0.4, 0.8, 1.0, 1.4]);
        // Grouped, the step with fewer samples may come before others.
        let mut grouped = sampler(7, &samples, true);
        for step in 1..9 {
            let seen: usize = (0..step).map(|step| grouped.samples_of(step).len()).sum();
            assert!((grouped.epochs(step) - seen as f64 / 10.0).abs() < 1e-12);
        }
    }
}
