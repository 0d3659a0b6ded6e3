//! What a run writes, beside what was foretold.

use std::fs;
use std::path::Path;

use burn::module::Module;
use nextcart_models::{Llama, LoadOptions, Precision, SaveOptions, save_merged_checkpoint};
use nextcart_train::{Every, Optimizer, Planner, Run, RunRecord, SftConfig, WatchConfig, Workload};

use crate::common::{adapted, base, llama};
use crate::watching::go;
use crate::{config, lora, samples, turn, watch};

/// Bytes of the files in a folder.
fn bytes(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// Checkpoints of nine steps must be as large as foretold, within a fifth and 16 KB, and no more than that many.
#[track_caller]
fn check(model: Llama, optimizer: Optimizer) {
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let training = SftConfig { optimizer, ..config(9) };
    let each = WatchConfig { evaluate: Every::Steps(1), save: Every::Steps(1), ..watch() };
    let mut run = Run::open(folder.path(), model, &llama(), training, &samples)
        .unwrap()
        .with_watch(each)
        .with_held_out(&held_out);
    run.train(&go()).unwrap();
    let disk = RunRecord::read(folder.path()).unwrap().plan.unwrap().plan.disk;
    let mut checkpoints: u64 = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let seen = bytes(&path);
            let bound = seen / 5 + 16 * 1024;
            assert!(disk.checkpoint.abs_diff(seen) <= bound, "{seen} bytes seen, {disk:?}");
            checkpoints += 1;
        }
    }
    // When the last one was written, another one was still there.
    assert!((2..disk.at_once).contains(&checkpoints), "{checkpoints}, {disk:?}");
}

#[test]
fn a_checkpoint_is_as_large_as_foretold() {
    let _turn = turn();
    check(adapted(&lora()), Optimizer::AdamW8bit);
    check(adapted(&lora().with_use_dora(true)), Optimizer::AdamW);
    check(base().trainable(), Optimizer::AdamW);
    check(adapted(&lora()).trainable(), Optimizer::AdamW8bit);
    check(base().quantized().unwrap().trainable(), Optimizer::AdamW);
}

#[test]
fn a_merged_model_is_as_large_as_foretold() {
    let (samples, _) = samples();
    let training = config(3);
    let planner = Planner {
        model: llama(),
        load: LoadOptions::default(),
        lora: Some(lora()),
        trained: None,
        workload: Workload::of(&samples, &training).unwrap(),
        training,
        watch: WatchConfig::default(),
        memory_limit: None,
    };
    let model = adapted(&lora()).valid();
    for format in [Precision::F32, Precision::Bf16] {
        let folder = tempfile::tempdir().unwrap();
        let options = SaveOptions { format, ..SaveOptions::default() };
        save_merged_checkpoint(folder.path(), &model, &llama(), None, &options).unwrap();
        // Names of the tensors and the model's configuration are not counted.
        let (foretold, seen) = (planner.merged_bytes(format), bytes(folder.path()));
        assert!((foretold..foretold + 8192).contains(&seen), "{foretold} foretold, {seen} seen");
    }
    assert_eq!(planner.disk().merged, planner.merged_bytes(Precision::F32));
}
