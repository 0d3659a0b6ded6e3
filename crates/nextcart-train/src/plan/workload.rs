use nextcart_text::Sample;

use crate::config::SftConfig;
use crate::error::Result;
use crate::packing::passes;
use crate::sampler::Sampler;

/// The rows of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassShape {
    /// Rows side by side.
    pub rows: usize,
    /// Tokens of the longest, to which all are padded.
    pub seq: usize,
    /// Trained tokens of the row with the most.
    pub most: usize,
    /// Trained tokens of all rows.
    pub trained: usize,
}

/// What the passes of a run look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// The largest pass, of which memory is planned.
    pub largest: PassShape,
    /// Tokens of a step on average, padding included.
    pub tokens_per_step: f64,
    /// Pairs of tokens of one row in a step on average, padding included.
    pub pairs_per_step: f64,
    /// Trained tokens of a step on average.
    pub trained_per_step: f64,
}

impl Workload {
    /// That of the first epoch of a run.
    ///
    /// # Errors
    /// If there are no samples, the configuration does not validate, or a sample does not fit in a packed row.
    pub fn of(samples: &[Sample], config: &SftConfig) -> Result<Self> {
        config.validate()?;
        if samples.is_empty() {
            return Err(crate::error::Error::NoSamples);
        }
        crate::check::check_packing(samples, config.packing)?;
        let mut sampler = Sampler::new(config, samples);
        let steps = sampler.steps_per_epoch();
        let mut largest = PassShape { rows: 0, seq: 0, most: 0, trained: 0 };
        let (mut tokens, mut pairs, mut trained) = (0, 0, 0);
        for step in 0..steps {
            for rows in passes(samples, sampler.samples_of(step), config) {
                let shape = shape(samples, &rows);
                let size = |shape: PassShape| (shape.rows * shape.seq, shape.trained);
                if size(shape) > size(largest) {
                    largest = shape;
                }
                tokens += shape.rows * shape.seq;
                pairs += shape.rows * shape.seq * shape.seq;
                trained += shape.trained;
            }
        }
        let mean = |sum: usize| sum as f64 / steps as f64;
        Ok(Self {
            largest,
            tokens_per_step: mean(tokens),
            pairs_per_step: mean(pairs),
            trained_per_step: mean(trained),
        })
    }
}

fn shape(samples: &[Sample], rows: &[Vec<usize>]) -> PassShape {
    let sum = |row: &[usize], of: fn(&Sample) -> usize| -> usize {
        row.iter().map(|&index| of(&samples[index])).sum()
    };
    let trained = || rows.iter().map(|row| sum(row, Sample::trained_tokens));
    PassShape {
        rows: rows.len(),
        // The last token of a sample is not read: nothing follows it.
        seq: rows.iter().map(|row| sum(row, |sample| sample.len() - 1)).max().unwrap_or(0),
        most: trained().max().unwrap_or(0),
        trained: trained().sum(),
    }
}
