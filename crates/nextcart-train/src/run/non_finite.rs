//! The samples behind a number that is not finite.

use std::path::Path;

use serde_json::json;

use crate::checkpoint::replace;
use crate::config::wrong;
use crate::error::{Error, Result};

/// Where they are listed.
pub(super) const NON_FINITE: &str = "non_finite.json";

/// What the caller calls the samples; empty where they have no names.
#[derive(Debug, Default)]
pub(super) struct SampleIds {
    pub(super) training: Vec<String>,
    pub(super) held_out: Vec<String>,
}

impl SampleIds {
    /// There must be one for each sample, or none.
    pub(super) fn check(&self, training: usize, held_out: usize) -> Result<()> {
        let lists =
            [("training", &self.training, training), ("held-out", &self.held_out, held_out)];
        for (list, ids, samples) in lists {
            if !ids.is_empty() && ids.len() != samples {
                let expected = format!("one for each of {samples} {list} samples");
                return Err(wrong("", "sample_ids", &expected, ids.len()));
            }
        }
        Ok(())
    }
}

/// Lists the samples behind an error after so many steps; of other errors, nothing.
pub(super) fn list(error: &Error, steps: u64, ids: &SampleIds, folder: &Path) -> Result<()> {
    let (quantity, step, samples, batch) = match error {
        Error::NonFinite { quantity, step, samples, batch, .. } => {
            (*quantity, *step, samples, batch)
        }
        Error::NonFiniteEvaluation { samples, .. } => ("loss", steps, samples, samples),
        _ => return Ok(()),
    };
    let (of, ids) = match error {
        Error::NonFinite { .. } => ("training", &ids.training),
        _ => ("held_out", &ids.held_out),
    };
    let mut list = json!({
        "quantity": quantity, "step": step, "of": of, "samples": samples, "batch": batch,
    });
    if !ids.is_empty() {
        let named = |places: &[usize]| -> Vec<&String> {
            places.iter().map(|&place| &ids[place]).collect()
        };
        list["sample_ids"] = json!(named(samples));
        list["batch_ids"] = json!(named(batch));
    }
    replace(&folder.join(NON_FINITE), format!("{list:#}\n").as_bytes())
}
