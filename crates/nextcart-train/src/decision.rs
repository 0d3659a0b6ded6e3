//! The loss of choices between options.

use std::ops::Range;

use nextcart_text::Choice;

/// A choice of a batch: whose the log-likelihoods at its places are.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    options: Vec<Range<usize>>, // among the places of the batch
    choice: Choice,
}

/// A loss and its derivative by the log-likelihood of each place.
pub(crate) struct Objective {
    /// In nats, summed over tokens and choices.
    pub(crate) loss: f64,
    /// `dL / d ln p`, one a place: -1 for a token of its own, `scale · (p_i - y_i)` for one of a choice's option `i`.
    pub(crate) slopes: Vec<f32>,
}

impl Decision {
    /// The choice whose tokens begin at the `first` place.
    pub(crate) fn new(choice: &Choice, first: usize) -> Self {
        let place = |id: usize| first + id - choice.prompt();
        Self {
            options: choice.options().map(|ids| place(ids.start)..place(ids.end)).collect(),
            choice: choice.clone(),
        }
    }

    fn places(&self) -> Range<usize> {
        self.options[0].start..self.options[self.options.len() - 1].end
    }

    fn scores(&self, log_likelihoods: &[f32]) -> Vec<f64> {
        let option = |places: &Range<usize>| -> f64 {
            log_likelihoods[places.clone()].iter().map(|&ll| f64::from(ll)).sum()
        };
        let options: Vec<f64> = self.options.iter().map(option).collect();
        self.choice.scores(&options)
    }
}

/// What a batch's log-likelihoods, one a place, are worth.
pub(crate) fn objective(decisions: &[Decision], log_likelihoods: &[f32]) -> Objective {
    let mut slopes = vec![-1.0; log_likelihoods.len()];
    let mut loss = 0.0;
    let mut next = 0;
    let alone =
        |range: Range<usize>| log_likelihoods[range].iter().map(|&ll| f64::from(-ll)).sum::<f64>();
    for decision in decisions {
        let places = decision.places();
        loss += alone(next..places.start);
        next = places.end;
        let (answer, scale) = (decision.choice.answer(), decision.choice.scale());
        let scores = decision.scores(log_likelihoods);
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total = most + scores.iter().map(|score| (score - most).exp()).sum::<f64>().ln();
        loss += total - scores[answer];
        for (index, (option, score)) in decision.options.iter().zip(&scores).enumerate() {
            let right = if index == answer { 1.0 } else { 0.0 };
            slopes[option.clone()].fill((scale * ((score - total).exp() - right)) as f32);
        }
    }
    loss += alone(next..log_likelihoods.len());
    Objective { loss, slopes }
}

#[cfg(test)]
mod tests {
    use nextcart_text::Sample;

    use super::*;

    #[test]
    fn tokens_count_alone_and_options_against_each_other() {
        let sample = Sample::choice(&[1], &[&[2, 3], &[4]], 1).unwrap();
        let sample = sample.with_offsets(&[0.5, 0.0]).unwrap();
        let decision = Decision::new(sample.as_choice().unwrap(), 1);
        let found = objective(&[decision], &[-0.25, -1.0, -2.0, -1.5, -4.0]);
        // Scores -2.5 and -1.5.
        let p = 1.0 / (1.0 + f64::exp(-1.0));
        assert!((found.loss - (0.25 - p.ln() + 4.0)).abs() < 1e-6, "{}", found.loss);
        let expected = [-1.0, 1.0 - p, 1.0 - p, p - 1.0, -1.0];
        for (found, expected) in found.slopes.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found}, {expected}");
        }
    }

    #[test]
    fn a_scale_makes_scores_and_slopes_smaller() {
        let sample = Sample::choice(&[1], &[&[2, 3], &[4]], 1).unwrap().with_scale(0.5).unwrap();
        let decision = Decision::new(sample.as_choice().unwrap(), 0);
        let found = objective(&[decision], &[-1.0, -2.0, -1.0]);
        let p = 1.0 / (1.0 + f64::exp(-1.0)); // of scores -1.5 and -0.5
        assert!((found.loss + p.ln()).abs() < 1e-6, "{}", found.loss);
        let slope = (0.5 * (1.0 - p)) as f32;
        assert_eq!(found.slopes, [slope, slope, -slope]);
    }

    #[test]
    fn a_hopeless_answer_has_a_finite_loss_and_a_broken_one_does_not() {
        let sample = Sample::choice(&[1], &[&[2], &[4]], 1).unwrap();
        let decision = Decision::new(sample.as_choice().unwrap(), 0);
        let found = objective(&[decision], &[0.0, -2000.0]);
        assert_eq!((found.loss, found.slopes.as_slice()), (2000.0, &[1.0, -1.0][..]));
        let decision = Decision::new(sample.as_choice().unwrap(), 0);
        assert!(objective(&[decision], &[0.0, f32::NAN]).loss.is_nan());
    }
}
