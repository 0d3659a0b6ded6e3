//! Packed samples are worth what they are worth alone.

use burn::tensor::Device;
use nextcart_adapters::LoraConfig;
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::{Sample, pack};
use nextcart_train::{
    Batch, Checkpointing, Packing, PassOptions, SftConfig, StepGradients, Trainer,
    loss_and_gradients_with,
};

use crate::common::{adapted, bits, largest_difference, learnt, llama, lora, samples, values};

/// The pass over batches of two rows each.
fn pass(
    model: &Llama,
    llama: &LlamaConfig,
    rows: &[Vec<&Sample>],
    checkpointing: Checkpointing,
) -> StepGradients {
    let trained = rows.iter().flatten().map(|sample| sample.trained_tokens()).sum();
    let batches = rows.chunks(2).map(|rows| Batch::packed(rows, llama, &model.device()));
    let options = PassOptions { checkpointing, ..PassOptions::default() };
    loss_and_gradients_with(model, batches, trained, options)
}

/// Loss and gradients packed into windows against those of single rows.
#[track_caller]
fn check(model: &Llama, llama: &LlamaConfig, samples: &[Sample], window: usize) {
    let single: Vec<Vec<&Sample>> = samples.iter().map(|sample| vec![sample]).collect();
    let windows = pack(samples, window).unwrap();
    assert!(windows.iter().any(|window| window.len() > 2));
    let of_window = |window: &Vec<usize>| window.iter().map(|&index| &samples[index]).collect();
    let packed: Vec<Vec<&Sample>> = windows.iter().map(of_window).collect();
    let expected = pass(model, llama, &single, Checkpointing::None);
    let list = values(&expected.gradients);
    let scale = list.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
    for checkpointing in [Checkpointing::None, Checkpointing::Blocks] {
        let found = pass(model, llama, &packed, checkpointing);
        assert!(found.loss_sums.len() < expected.loss_sums.len());
        let off = (found.loss() / expected.loss() - 1.0).abs();
        assert!(off < 2e-6, "loss: {off}");
        let off = largest_difference(&values(&found.gradients), &list) / scale;
        assert!(off < 1e-5, "gradients: {off} of the largest");
    }

    // One after the other as if they were one text, they are worth something else.
    let join = |row: &Vec<&Sample>| {
        let ids = row.iter().flat_map(|sample| sample.ids()).copied().collect();
        let mask = row.iter().flat_map(|sample| sample.loss_mask()).copied().collect();
        Sample::new(ids, mask).unwrap()
    };
    let joined: Vec<Sample> = packed.iter().map(join).collect();
    let joined: Vec<Vec<&Sample>> = joined.iter().map(|sample| vec![sample]).collect();
    let other = pass(model, llama, &joined, Checkpointing::None);
    let off = largest_difference(&values(&other.gradients), &list) / scale;
    assert!(off > 1e-2, "attention across borders changes gradients by {off} alone");
}

#[test]
fn packed_samples_have_the_loss_and_gradients_of_single_ones() {
    let samples = samples(14);
    for sliding_window in [None, Some(3)] {
        let config = LlamaConfig { layers: 3, sliding_window, ..llama() };
        let model = || config.init(7, &Device::flex().autodiff());
        for lora in [lora(), lora().with_use_dora(true)] {
            let model = learnt(model().with_adapters(&lora, 3).unwrap(), &config);
            for window in [20, 33] {
                check(&model, &config, &samples, window);
            }
        }
        check(&model().trainable(), &config, &samples, 20);
    }
}

/// Grouped queries, heads of 64, and texts of up to 150 tokens in rows of 400, beyond a window of 48.
#[test]
fn packing_holds_on_the_shapes_of_a_real_model() {
    let samples: Vec<Sample> = [150, 31, 97, 12, 64, 120, 5, 88, 40]
        .into_iter()
        .map(|tokens: usize| {
            let ids = |n: usize| (0..n).map(|place| ((tokens * 31 + place * 17) % 500) as u32);
            let (prompt, answer) = (ids(tokens - 1 - tokens % 4), ids(1 + tokens % 4));
            Sample::completion(&prompt.collect::<Vec<_>>(), &answer.collect::<Vec<_>>()).unwrap()
        })
        .collect();
    for sliding_window in [None, Some(48)] {
        let config = LlamaConfig {
            d_model: 512,
            d_hidden: 688,
            layers: 2,
            heads: 8,
            kv_heads: 2,
            head_dim: 64,
            sliding_window,
            ..LlamaConfig::tiny(500)
        };
        let model = config.init(1, &Device::flex().autodiff());
        let model = model.with_adapters(&LoraConfig::new(), 3).unwrap();
        check(&learnt(model, &config), &config, &samples, 400);
    }
}

#[test]
fn a_packed_run_ends_as_one_of_single_rows() {
    let samples = samples(10);
    let run = |packing| {
        let config = SftConfig {
            packing,
            batch_size: 5,
            learning_rate: 1e-2,
            // Above the rounding of a gradient that should be zero, which Adam would make a whole step of.
            epsilon: 1e-4,
            ..SftConfig::default()
        };
        let mut trainer = Trainer::new(adapted(&lora()), &llama(), config, &samples).unwrap();
        let mut reports = Vec::new();
        while let Some(report) = trainer.step().unwrap() {
            reports.push((report.tokens, report.trained_tokens, report.epoch));
        }
        (reports, bits(&trainer.into_model()))
    };
    let (reports, expected) = run(Packing::None);
    let (packed_reports, packed) = run(Packing::Packed { window: 16, rows: 2 });
    assert_eq!(reports, packed_reports);
    for (path, values) in &packed {
        let floats = |bits: &[u32]| bits.iter().map(|b| f32::from_bits(*b)).collect::<Vec<_>>();
        let off = largest_difference(&floats(values), &floats(&expected[path]));
        assert!(off < 1e-5, "{path}: {off}");
    }
}
