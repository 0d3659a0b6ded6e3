//! How long samples are, and what was dropped to keep them so.

use std::fmt;

use serde::Serialize;

use crate::Built;

/// The spread of some counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: usize,
    /// Half are not above it.
    pub median: usize,
    /// 95 of 100 are not above it.
    pub p95: usize,
    /// The largest.
    pub max: usize,
    /// The mean.
    pub mean: f64,
}

impl Spread {
    /// `None` if there is nothing to spread.
    fn of(mut counts: Vec<usize>) -> Option<Self> {
        counts.sort_unstable();
        let (min, max) = (*counts.first()?, *counts.last()?);
        // The smallest count that so many of a hundred do not exceed.
        let rank = |percent: usize| counts[(counts.len() * percent).div_ceil(100).max(1) - 1];
        let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
        Some(Self { min, median: rank(50), p95: rank(95), max, mean })
    }
}

/// Lengths of samples and what truncation did to them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lengths {
    /// Number of samples.
    pub samples: usize,
    /// Tokens of a sample; `None` without samples.
    pub tokens: Option<Spread>,
    /// Trained tokens of a sample; `None` without samples.
    pub trained: Option<Spread>,
    /// Samples that lost purchases.
    pub truncated: usize,
    /// Purchases dropped from all of them; where a question makes several samples, from each.
    pub dropped: usize,
}

impl Lengths {
    /// Looks at all samples.
    #[must_use]
    pub fn of(built: &[Built]) -> Self {
        let count = |tokens: fn(&Built) -> usize| Spread::of(built.iter().map(tokens).collect());
        Self {
            samples: built.len(),
            tokens: count(|built| built.sample.len()),
            trained: count(|built| built.sample.trained_tokens()),
            truncated: built.iter().filter(|built| built.dropped > 0).count(),
            dropped: built.iter().map(|built| built.dropped).sum(),
        }
    }

    /// Share of the samples that lost purchases; `None` without samples.
    #[must_use]
    pub fn truncated_share(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.truncated as f64 / self.samples as f64)
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples", self.samples)?;
        for (what, spread) in [("tokens", self.tokens), ("trained", self.trained)] {
            if let Some(Spread { min, median, p95, max, mean }) = spread {
                write!(
                    f,
                    "\n{what}: {min} to {max}, median {median}, 95 % up to {p95}, mean {mean:.1}"
                )?;
            }
        }
        if let Some(share) = self.truncated_share() {
            let (truncated, dropped, percent) = (self.truncated, self.dropped, 100.0 * share);
            write!(f, "\ntruncated: {truncated} ({percent:.1} %), {dropped} purchases dropped")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nextcart_prompt::Prompt;

    use super::*;
    use crate::Sample;

    fn built(prompt: usize, answer: usize, dropped: usize) -> Built {
        let text = String::new;
        Built {
            prompt: Prompt { instruction: text(), input: text(), output: text() },
            sample: Sample::completion(&vec![5; prompt], &vec![6; answer]).unwrap(),
            dropped,
        }
    }

    #[test]
    fn lengths_are_counted() {
        let lengths =
            Lengths::of(&[built(8, 2, 0), built(18, 2, 3), built(27, 3, 0), built(5, 5, 1)]);
        let spread = lengths.tokens.unwrap();
        assert_eq!((spread.min, spread.median, spread.p95, spread.max), (10, 10, 30, 30));
        assert_eq!((spread.mean, lengths.trained.unwrap().mean), (17.5, 3.0));
        assert_eq!((lengths.truncated, lengths.dropped), (2, 4));
        assert_eq!(
            lengths.to_string(),
            "4 samples\n\
             tokens: 10 to 30, median 10, 95 % up to 30, mean 17.5\n\
             trained: 2 to 5, median 2, 95 % up to 5, mean 3.0\n\
             truncated: 2 (50.0 %), 4 purchases dropped"
        );
    }

    #[test]
    fn no_samples_have_no_lengths() {
        let lengths = Lengths::of(&[]);
        assert_eq!((lengths.tokens, lengths.truncated_share()), (None, None));
        assert_eq!(lengths.to_string(), "0 samples");
    }
}
