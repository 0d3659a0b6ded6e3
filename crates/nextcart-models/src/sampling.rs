//! How the next token is chosen.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Sampling {
    /// The likeliest.
    #[default]
    Greedy,
    /// Drawn from the distribution, after it was sharpened and cut: first the temperature, then `top_k`,
    /// then `top_p`, as transformers does.
    Random {
        /// Divides the logits; below 1 the likely become likelier. 0 and less means greedy.
        temperature: f64,
        /// Keeps so many of the likeliest, of equal ones the lower ids; `None` and 0 for all.
        top_k: Option<usize>,
        /// Keeps the likeliest until their probabilities add up to this, the one that crosses it
        /// included (nucleus sampling, Holtzman et al., <https://arxiv.org/abs/1904.09751>); 1 for all.
        top_p: f64,
        /// Seeds the generator: the same seed gives the same text.
        seed: u64,
    },
}

impl Sampling {
    /// The token to go on with, of those allowed; `None` allows all. Equal logits go to the lower id.
    ///
    /// # Panics
    /// If no token is allowed.
    pub(crate) fn choose(
        self,
        logits: &[f32],
        allowed: Option<&[u32]>,
        random: &mut ChaCha8Rng,
    ) -> u32 {
        let all;
        let ids = match allowed {
            Some(ids) => ids,
            None => {
                all = (0..logits.len() as u32).collect::<Vec<_>>();
                &all
            }
        };
        let mut ranked: Vec<(u32, f64)> =
            ids.iter().map(|&id| (id, f64::from(logits[id as usize]))).collect();
        assert!(!ranked.is_empty(), "at least one token must be allowed");
        let greedy =
            ranked.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best });
        let greedy = greedy.map(|(id, _)| id).unwrap_or_default();
        let Self::Random { temperature, top_k, top_p, .. } = self else { return greedy };
        if temperature.is_nan() || temperature <= 0.0 {
            return greedy;
        }
        ranked.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
        ranked.truncate(top_k.filter(|k| *k > 0).unwrap_or(usize::MAX));
        let most = ranked[0].1;
        for (_, logit) in &mut ranked {
            *logit = ((*logit - most) / temperature).exp(); // a weight from here on
        }
        let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
        if !total.is_finite() {
            return greedy;
        }
        let mut sum = 0.0;
        let kept = ranked.iter().position(|(_, weight)| {
            sum += weight;
            sum >= top_p * total
        });
        ranked.truncate(kept.map_or(ranked.len(), |last| last + 1));
        let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
        let mut left = unit(random) * total;
        let drawn = ranked.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        drawn.unwrap_or(&ranked[ranked.len() - 1]).0
    }
}

/// A number of at least 0 and below 1.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const LOGITS: [f32; 5] = [0.0, 2.0, 1.0, 2.0, -5.0];

    /// How often each token is drawn in 20,000 draws.
    fn shares(sampling: Sampling, allowed: Option<&[u32]>) -> [f64; 5] {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut counts = [0.0; 5];
        for _ in 0..20_000 {
            counts[sampling.choose(&LOGITS, allowed, &mut random) as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    fn random(temperature: f64, top_k: Option<usize>, top_p: f64) -> Sampling {
        Sampling::Random { temperature, top_k, top_p, seed: 0 }
    }

    #[track_caller]
    fn check(sampling: Sampling, allowed: Option<&[u32]>, weights: [f64; 5]) {
        let total: f64 = weights.iter().sum();
        for (share, weight) in shares(sampling, allowed).iter().zip(weights) {
            assert!((share - weight / total).abs() < 0.015, "{share} {weight}");
        }
    }

    #[test]
    fn greedy_takes_the_likeliest_that_is_allowed() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        assert_eq!(Sampling::Greedy.choose(&LOGITS, None, &mut random), 1);
        assert_eq!(Sampling::Greedy.choose(&LOGITS, Some(&[0, 2, 4]), &mut random), 2);
    }

    #[test]
    fn draws_follow_the_distribution_that_is_left() {
        let weights = LOGITS.map(|logit| f64::from(logit).exp());
        check(random(1.0, None, 1.0), None, weights);
        check(random(0.5, None, 1.0), None, LOGITS.map(|logit| f64::from(2.0 * logit).exp()));
        check(random(1.0, Some(2), 1.0), None, [0.0, 1.0, 0.0, 1.0, 0.0]);
        check(random(1.0, Some(0), 1.0), None, weights);
        for temperature in [0.0, -1.0, f64::NAN] {
            check(random(temperature, None, 1.0), None, [0.0, 1.0, 0.0, 0.0, 0.0]);
        }
        // Two tokens hold 0.80 of the whole, three 0.94: the third crosses 0.9 and is kept.
        check(random(1.0, None, 0.9), None, [0.0, weights[1], weights[2], weights[3], 0.0]);
        check(random(1.0, None, 0.1), None, [0.0, 1.0, 0.0, 0.0, 0.0]);
        check(random(1.0, None, 1.0), Some(&[0, 2]), [weights[0], 0.0, weights[2], 0.0, 0.0]);
    }
}
