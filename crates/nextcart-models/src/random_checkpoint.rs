//! Checkpoints of any size with random weights, for rehearsals.

use std::borrow::Cow;
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use safetensors::{Dtype, View};

use crate::config::LlamaConfig;
use crate::error::Result;
use crate::names;
use crate::precision::Precision;
use crate::save::{SaveOptions, write_checkpoint};

/// Uniform values up to this have the deviation of fresh weights, 0.02.
const BOUND: f32 = 0.034_641_016;

/// Writes a checkpoint of this shape and layout with random weights, of which one tensor at a time is in memory:
/// to see what a full-size model needs before fetching it.
///
/// Weights are uniform with deviation 0.02, gains are 1. A seed means the same values in every format, up to
/// rounding.
///
/// # Errors
/// If a file cannot be written.
pub fn write_random_checkpoint(
    folder: impl AsRef<Path>,
    config: &LlamaConfig,
    seed: u64,
    options: &SaveOptions,
) -> Result<()> {
    let tensors = names::tensors(config).into_iter().enumerate().map(|(index, (name, shape))| {
        (name, RandomTensor { shape, format: options.format, seed, stream: index as u64 })
    });
    write_checkpoint(folder.as_ref(), tensors.collect(), config, None, &[], options)
}

struct RandomTensor {
    shape: Vec<usize>,
    format: Precision,
    seed: u64,
    stream: u64,
}

impl View for RandomTensor {
    fn dtype(&self) -> Dtype {
        self.format.stored()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        let count = self.shape.iter().product();
        if self.shape.len() == 1 {
            self.format.encode(std::iter::repeat_n(1.0, count), &mut bytes);
        } else {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(self.stream);
            let values = std::iter::repeat_with(|| {
                let unit = (random.next_u32() >> 8) as f32 / (1_u32 << 23) as f32 - 1.0;
                unit * BOUND
            });
            self.format.encode(values.take(count), &mut bytes);
        }
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.format.size() * self.shape.iter().product::<usize>()
    }
}
