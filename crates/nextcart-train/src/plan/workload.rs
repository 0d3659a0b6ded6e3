//! What the steps of a run compute on.

use nextcart_text::{Contrast, Sample};
use serde::{Deserialize, Serialize};

use crate::batch::read_tokens;
use crate::config::SftConfig;
use crate::contrast::layout;
use crate::error::Result;
use crate::loss::evaluation_batches;
use crate::packing::{Rows, passes};
use crate::sampler::Sampler;

/// Steps that are looked at beyond those of the first epoch: later ones hold the same samples in other company.
const MOST_STEPS: u64 = 20_000;

/// The rows of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassShape {
    /// Rows side by side.
    pub rows: usize,
    /// Tokens of the longest, to which all are padded.
    pub seq: usize,
    /// Places of the row with the most whose hidden states the loss is computed of: trained tokens.
    pub most: usize,
    /// Trained tokens of all rows, which have logits: none in contrasts between titles.
    pub trained: usize,
}

impl PassShape {
    /// Whether this is at least as large in every respect.
    pub(super) fn covers(self, other: Self) -> bool {
        let Self { rows, seq, most, trained } = self;
        rows >= other.rows && seq >= other.seq && most >= other.most && trained >= other.trained
    }
}

/// What a step computes on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct StepWork {
    /// Tokens, padding included.
    pub tokens: f64,
    /// Pairs of tokens of one row, padding included.
    pub pairs: f64,
    /// Places of which the last block is computed, those that fill up shorter rows included.
    #[serde(default)]
    pub places: f64,
    /// Pairs of such a place and a token of its row.
    #[serde(default)]
    pub place_pairs: f64,
    /// Trained tokens.
    pub trained: f64,
    /// Those of passes with a choice among their samples, whose likelihoods are computed before the way back begins.
    #[serde(default)]
    pub scored: f64,
}

impl StepWork {
    pub(crate) fn of(samples: &[Sample], passes: &[Rows]) -> Self {
        passes.iter().fold(Self::default(), |work, rows| work.with(samples, rows))
    }

    fn with(self, samples: &[Sample], rows: &[Vec<usize>]) -> Self {
        let PassShape { rows: count, seq, most, trained } = shape(samples, rows);
        let with_choice = rows.iter().flatten().any(|&index| samples[index].as_choice().is_some());
        let scored = if with_choice { trained } else { 0 };
        Self {
            tokens: self.tokens + (count * seq) as f64,
            pairs: self.pairs + (count * seq * seq) as f64,
            places: self.places + (count * most) as f64,
            place_pairs: self.place_pairs + (count * most * seq) as f64,
            trained: self.trained + trained as f64,
            scored: self.scored + scored as f64,
        }
    }
}

/// What the passes of a run look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Shapes of training passes, without those that another one is at least as large as in every respect. Which of
    /// them takes the most memory depends on the model.
    pub passes: Vec<PassShape>,
    /// Shapes of an evaluation's passes, likewise; empty without one.
    pub evaluation: Vec<PassShape>,
    /// A step on average.
    pub step: StepWork,
    /// Steps of the whole run.
    pub steps: u64,
    /// Steps of a pass over all samples.
    pub steps_per_epoch: u64,
}

impl Workload {
    /// That of a run: of all its steps, or of its first 20,000 and its first epoch if it has more.
    ///
    /// # Errors
    /// If there are no samples, the configuration does not validate, the warm-up does not end before the run, or a
    /// sample does not fit in a packed row.
    pub fn of(samples: &[Sample], config: &SftConfig) -> Result<Self> {
        config.validate()?;
        if samples.is_empty() {
            return Err(crate::error::Error::NoSamples);
        }
        crate::check::check_packing(samples, config.packing)?;
        let mut sampler = Sampler::new(config, samples);
        let an_epoch = sampler.steps_per_epoch();
        let steps = config.total_steps(an_epoch)?;
        let seen = steps.min(an_epoch.max(MOST_STEPS));
        let (mut shapes, mut all) = (Vec::new(), StepWork::default());
        for step in 0..seen {
            for rows in passes(samples, sampler.samples_of(step), config) {
                add(&mut shapes, shape(samples, &rows));
                all = all.with(samples, &rows);
            }
        }
        let mean = |sum: f64| sum / seen as f64;
        let step = StepWork {
            tokens: mean(all.tokens),
            pairs: mean(all.pairs),
            places: mean(all.places),
            place_pairs: mean(all.place_pairs),
            trained: mean(all.trained),
            scored: mean(all.scored),
        };
        Ok(Self { passes: shapes, evaluation: Vec::new(), step, steps, steps_per_epoch: an_epoch })
    }

    /// The same with an evaluation of these samples, so many of them in a pass (default none).
    #[must_use]
    pub fn with_evaluation(mut self, held_out: &[Sample], batch: usize) -> Self {
        self.evaluation.clear();
        for indices in evaluation_batches(held_out, batch.max(1)) {
            let rows: Rows = indices.into_iter().map(|index| vec![index]).collect();
            add(&mut self.evaluation, shape(held_out, &rows));
        }
        self
    }
}

/// Adds a shape unless one of the others covers it, and drops those that it covers.
fn add(shapes: &mut Vec<PassShape>, new: PassShape) {
    if !shapes.iter().any(|shape| shape.covers(new)) {
        shapes.retain(|shape| !new.covers(*shape));
        shapes.push(new);
    }
}

fn shape(samples: &[Sample], rows: &[Vec<usize>]) -> PassShape {
    let rows: Vec<RowShape> = rows.iter().flat_map(|row| row_shapes(samples, row)).collect();
    PassShape {
        rows: rows.len(),
        seq: rows.iter().map(|row| row.tokens).max().unwrap_or(0),
        most: rows.iter().map(|row| row.places).max().unwrap_or(0),
        trained: rows.iter().map(|row| row.trained).sum(),
    }
}

/// A row that the model reads.
struct RowShape {
    tokens: usize,
    /// Places whose hidden states the loss is computed of.
    places: usize,
    /// Those that have logits.
    trained: usize,
}

/// One row, or as many as the titles of contrasts take.
fn row_shapes(samples: &[Sample], row: &[usize]) -> Vec<RowShape> {
    let of_row = || row.iter().map(|&index| &samples[index]);
    let contrasts: Vec<&Contrast> = of_row().filter_map(Sample::as_contrast).collect();
    if contrasts.is_empty() {
        let trained = of_row().map(Sample::trained_tokens).sum();
        let tokens = of_row().map(read_tokens).sum();
        return vec![RowShape { tokens, places: trained, trained }];
    }
    let shapes = contrasts.into_iter().flat_map(|contrast| {
        let lengths: Vec<usize> = contrast.texts().map(|title| title.len()).collect();
        let rows = layout(contrast).rows().to_vec();
        rows.into_iter().map(move |row| {
            let tokens = row.iter().map(|&title| lengths[title]).sum();
            RowShape { tokens, places: tokens - row.len(), trained: 0 }
        })
    });
    shapes.collect()
}
