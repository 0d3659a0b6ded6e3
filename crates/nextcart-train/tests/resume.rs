//! Stopping, resuming and what a folder of checkpoints may look like.
//!
//! Training with dropout draws from a generator that burn's CPU backend has once a process, so these
//! tests take turns.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;
use common::{adapted, base, bits, llama, lora, samples};
use nextcart_adapters::LoraConfig;
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;
use nextcart_train::{
    Checkpointing, Error, Optimizer, Packing, Schedule, SftConfig, Trainer, best_checkpoint,
    evaluate_loss, newest_checkpoint,
};
use tempfile::TempDir;

static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 10 samples, 4 a step: 3 steps an epoch, 7 in all.
fn config() -> SftConfig {
    SftConfig {
        max_steps: Some(7),
        batch_size: 2,
        gradient_accumulation: 2,
        // All its digits, so that a JSON reader has a chance to get them wrong.
        learning_rate: 0.03 / 7.0,
        warmup_steps: 2,
        schedule: Schedule::Cosine,
        weight_decay: 0.01,
        ..SftConfig::default()
    }
}

fn dropout() -> LoraConfig {
    lora().with_dropout(0.3)
}

fn take(trainer: &mut Trainer, steps: usize) {
    for _ in 0..steps {
        trainer.step().unwrap().expect("the run is not over");
    }
}

/// Runs to the end: every bit of the model, and the losses.
fn finish(mut trainer: Trainer) -> (impl PartialEq + std::fmt::Debug + use<>, Vec<(u64, f64)>) {
    while trainer.step().unwrap().is_some() {}
    let losses = trainer.losses().to_vec();
    (bits(&trainer.into_model()), losses)
}

/// A folder with the checkpoints of these steps.
fn folder_with(steps: &[usize], samples: &[Sample]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(adapted(&dropout()), &llama(), config(), samples).unwrap();
    for &step in steps {
        let done = trainer.steps() as usize;
        take(&mut trainer, step - done);
        trainer.save(folder.path()).unwrap();
    }
    folder
}

fn resume<'a>(folder: &TempDir, samples: &'a [Sample]) -> Result<Trainer<'a>, Error> {
    Trainer::resume(adapted(&dropout()), &llama(), config(), samples, folder.path())
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// [`check_resumed_with`] the usual configuration.
fn check_resumed(model: impl Fn() -> Llama, stops: &[usize]) {
    check_resumed_with(&config(), model, stops);
}

/// Stops after each of these steps, resumes into a freshly made model and compares the ends.
fn check_resumed_with(config: &SftConfig, model: impl Fn() -> Llama, stops: &[usize]) {
    let samples = samples(10);
    let start = || Trainer::new(model(), &llama(), config.clone(), &samples).unwrap();
    let expected = finish(start());
    assert_eq!(expected.1.len(), 7);
    for &stop in stops {
        let folder = tempfile::tempdir().unwrap();
        let mut trainer = start();
        take(&mut trainer, stop);
        trainer.save(folder.path()).unwrap();
        drop(trainer);
        let resumed =
            Trainer::resume(model(), &llama(), config.clone(), &samples, folder.path()).unwrap();
        assert_eq!(resumed.steps(), stop as u64);
        assert_eq!(resumed.losses(), &expected.1[..stop]);
        assert_eq!(finish(resumed), expected, "stopped after step {stop}");
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_bits_as_an_uninterrupted_one() {
    let _turn = turn();
    // At the very start, in the warm-up, within an epoch, at its end, and at the end of the run.
    check_resumed(|| adapted(&dropout()), &[0, 1, 2, 3, 5, 7]);
}

#[test]
fn whatever_trains_resumes_exactly() {
    let _turn = turn();
    check_resumed(|| adapted(&dropout().with_use_dora(true)), &[4]);
    check_resumed(|| base().trainable(), &[4]);
    check_resumed(|| base().quantized().unwrap().with_adapters(&dropout(), 3).unwrap(), &[4]);
}

/// Large enough that most factors' moments are in 8 bits.
fn large() -> LoraConfig {
    dropout().with_rank(128).with_alpha(32.0)
}

#[test]
fn moments_in_8_bits_resume_exactly() {
    let _turn = turn();
    let config =
        SftConfig { optimizer: Optimizer::AdamW8bit, lora_plus_ratio: Some(4.0), ..config() };
    check_resumed_with(&config, || adapted(&large()), &[0, 1, 4, 7]);
    check_resumed_with(&config, || adapted(&large().with_use_dora(true)), &[3]);

    let samples = samples(10);
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(adapted(&large()), &llama(), config, &samples).unwrap();
    take(&mut trainer, 2);
    trainer.save(folder.path()).unwrap();
    let bytes = fs::read(folder.path().join("checkpoint-2/optimizer.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let of = |name: &str| {
        let view = tensors.tensor(&format!("{name}.adapter.a")).unwrap();
        (view.dtype(), view.shape().to_vec())
    };
    let query = |kind: &str| of(&format!("{kind}.model.layers.0.self_attn.q_proj"));
    for moment in ["m", "v"] {
        assert_eq!(query(moment), (safetensors::Dtype::U8, vec![128 * 32]));
        assert_eq!(query(&format!("{moment}_scales")), (safetensors::Dtype::F32, vec![16]));
    }
    // Fewer than 4,096 values.
    let b = tensors.tensor("m.model.layers.0.self_attn.k_proj.adapter.b").unwrap();
    assert_eq!((b.dtype(), b.shape()), (safetensors::Dtype::F32, &[128 * 16][..]));
}

#[test]
fn blocks_computed_again_resume_exactly() {
    let _turn = turn();
    for checkpointing in [Checkpointing::Blocks, Checkpointing::BlocksOnHost] {
        let config = SftConfig { checkpointing, loss_rows: 3, ..config() };
        check_resumed_with(&config, || adapted(&dropout()), &[3]);
    }
}

#[test]
fn packed_and_grouped_samples_resume_exactly() {
    let _turn = turn();
    let packing = Packing::Packed { window: 18, rows: 2 };
    let config = SftConfig { packing, group_by_length: true, ..config() };
    check_resumed_with(&config, || adapted(&dropout()), &[0, 2, 3, 5]);
    let config = SftConfig {
        checkpointing: Checkpointing::Blocks,
        optimizer: Optimizer::AdamW8bit,
        ..config
    };
    check_resumed_with(&config, || adapted(&large()), &[4]);
}

#[test]
fn a_run_may_stop_and_resume_at_every_step() {
    let _turn = turn();
    let samples = samples(10);
    let start = || Trainer::new(adapted(&dropout()), &llama(), config(), &samples).unwrap();
    let folder = tempfile::tempdir().unwrap();
    start().save(folder.path()).unwrap();
    for _ in 0..7 {
        let mut trainer = resume(&folder, &samples).unwrap();
        take(&mut trainer, 1);
        trainer.save(folder.path()).unwrap();
    }
    assert_eq!(finish(resume(&folder, &samples).unwrap()), finish(start()));
}

#[test]
fn dropout_acts_and_each_step_has_its_own() {
    let _turn = turn();
    let samples = samples(2);
    let config = SftConfig { learning_rate: 0.0, max_steps: Some(3), ..config() };
    // Trained a little first: beside a fresh adapter, whose B is zero, dropout does nothing.
    let warm = SftConfig { learning_rate: 0.1, ..config.clone() };
    let mut trainer = Trainer::new(adapted(&dropout()), &llama(), warm, &samples).unwrap();
    take(&mut trainer, 3);
    let model = trainer.into_model();
    let plain = evaluate_loss(&model, &llama(), &samples, 2).unwrap();
    let mut trainer = Trainer::new(model, &llama(), config, &samples).unwrap();
    let losses: Vec<f64> = (0..3).map(|_| trainer.step().unwrap().unwrap().loss).collect();
    for (place, loss) in losses.iter().enumerate() {
        assert!((loss - plain).abs() > 1e-6, "{losses:?} {plain}");
        assert!(losses[..place].iter().all(|other| (loss - other).abs() > 1e-6), "{losses:?}");
    }
}

#[test]
fn a_checkpoint_holds_what_trains_and_nothing_frozen() {
    let _turn = turn();
    let samples = samples(10);
    let folder = folder_with(&[2], &samples);
    let names = |file: &str| {
        let bytes = fs::read(folder.path().join("checkpoint-2").join(file)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names: Vec<String> = tensors.names().into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    let parameters = names("parameters.safetensors");
    assert_eq!(parameters.len(), 2 * 14);
    assert_eq!(parameters[0], "model.layers.0.mlp.down_proj.adapter.a");
    assert!(parameters.iter().all(|name| name.contains(".adapter.")));
    let of = |kind: &str| -> Vec<String> {
        parameters.iter().map(|name| format!("{kind}.{name}")).collect()
    };
    assert_eq!(names("optimizer.safetensors"), [of("m"), of("v")].concat());
}

#[test]
fn a_folder_keeps_the_newest_checkpoints_and_no_leftovers() {
    let _turn = turn();
    let samples = samples(10);
    let folder = folder_with(&[1, 2], &samples);
    fs::create_dir(folder.path().join(".unfinished-killed")).unwrap();
    fs::create_dir(folder.path().join("notes")).unwrap();
    let mut trainer = resume(&folder, &samples).unwrap();
    take(&mut trainer, 1);
    let path = trainer.save(folder.path()).unwrap();
    assert_eq!(names(&folder), ["checkpoint-2", "checkpoint-3", "notes"]);
    assert_eq!(newest_checkpoint(folder.path()).unwrap(), Some(path.clone()));
    // The same step again replaces its checkpoint.
    assert_eq!(trainer.save(folder.path()).unwrap(), path);
    assert_eq!(names(&folder), ["checkpoint-2", "checkpoint-3", "notes"]);
    assert!(resume(&folder, &samples).is_ok());
}

#[test]
fn a_damaged_checkpoint_does_not_count_among_those_that_stay() {
    let _turn = turn();
    let samples = samples(10);
    let folder = folder_with(&[1, 2], &samples);
    assert_eq!(config().checkpoints_kept, 2);
    let tear = |step: u64| {
        let path = folder.path().join(format!("checkpoint-{step}/parameters.safetensors"));
        edit(path, |bytes| bytes.truncate(9));
    };
    let mut trainer = resume(&folder, &samples).unwrap();
    let mut save = |damaged| {
        tear(damaged);
        take(&mut trainer, 1);
        trainer.save(folder.path()).unwrap();
        names(&folder)
    };
    // The first is the last whole one beside the new.
    assert_eq!(save(2), ["checkpoint-1", "checkpoint-2", "checkpoint-3"]);
    assert_eq!(save(3), ["checkpoint-1", "checkpoint-2", "checkpoint-3", "checkpoint-4"]);
    tear(4);
    assert_eq!(resume(&folder, &samples).unwrap().steps(), 1);
    take(&mut trainer, 1);
    trainer.save(folder.path()).unwrap();
    take(&mut trainer, 1);
    trainer.save(folder.path()).unwrap();
    assert_eq!(names(&folder), ["checkpoint-5", "checkpoint-6"]);
}

#[test]
fn a_damaged_best_checkpoint_is_not_kept_in_place_of_the_next() {
    let _turn = turn();
    let samples = samples(10);
    let (folder, evaluations, _) = with_best_second(&samples);
    edit(folder.path().join("checkpoint-2/state.json"), |bytes| bytes.truncate(9));
    let mut trainer = resume(&folder, &samples).unwrap();
    take(&mut trainer, 1);
    trainer.save(folder.path()).unwrap();
    let next = if evaluations[4].1 <= evaluations[5].1 { "checkpoint-5" } else { "checkpoint-6" };
    let mut expected = vec![next.to_owned(), "checkpoint-6".to_owned(), "checkpoint-7".to_owned()];
    expected.dedup();
    assert_eq!(names(&folder), expected);
}

/// Damages the newer of two checkpoints; the run must go on from the older to the same end.
fn check_torn(damage: impl Fn(&Path)) {
    let _turn = turn();
    let samples = samples(10);
    let folder = folder_with(&[2, 4], &samples);
    damage(&folder.path().join("checkpoint-4"));
    assert_eq!(newest_checkpoint(folder.path()).unwrap(), Some(folder.path().join("checkpoint-2")));
    let resumed = resume(&folder, &samples).unwrap();
    assert_eq!(resumed.steps(), 2);
    let start = Trainer::new(adapted(&dropout()), &llama(), config(), &samples).unwrap();
    assert_eq!(finish(resumed), finish(start));
}

fn edit(path: PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_cut_file_makes_the_run_fall_back() {
    check_torn(|path| edit(path.join("parameters.safetensors"), |b| b.truncate(b.len() - 1)));
}

#[test]
fn a_changed_bit_makes_the_run_fall_back() {
    check_torn(|path| {
        edit(path.join("optimizer.safetensors"), |b| *b.last_mut().unwrap() ^= 1);
    });
}

#[test]
fn a_missing_file_makes_the_run_fall_back() {
    check_torn(|path| fs::remove_file(path.join("optimizer.safetensors")).unwrap());
    check_torn(|path| fs::remove_file(path.join("state.json")).unwrap());
}

#[test]
fn a_cut_state_makes_the_run_fall_back() {
    check_torn(|path| edit(path.join("state.json"), |b| b.truncate(b.len() / 2)));
    check_torn(|path| edit(path.join("state.json"), |b| *b = b"{}".to_vec()));
}

#[test]
fn a_changed_number_in_the_state_makes_the_run_fall_back() {
    // JSON as good as before, of another loss, another step and another rate.
    for (field, places) in [("\"losses\"", 60), ("\"step\"", 9), ("\"learning_rate\"", 20)] {
        check_torn(|path| {
            edit(path.join("state.json"), |bytes| {
                let field = field.as_bytes();
                let at = bytes.windows(field.len()).position(|text| text == field).unwrap();
                let digit = (at..at + places).rev().find(|&at| bytes[at].is_ascii_digit()).unwrap();
                bytes[digit] ^= 1;
            });
        });
    }
}

#[test]
fn without_a_whole_checkpoint_there_is_an_error_and_not_a_fresh_run() {
    let _turn = turn();
    let samples = samples(10);
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(resume(&folder, &samples), Err(Error::NoCheckpoint { .. })));
    assert_eq!(newest_checkpoint(folder.path().join("absent")).unwrap(), None);

    let folder = folder_with(&[1], &samples);
    let path = folder.path().join("checkpoint-1");
    edit(path.join("parameters.safetensors"), |bytes| bytes.push(0));
    match resume(&folder, &samples) {
        Err(Error::Damaged { path, expected, found }) => {
            assert!(path.ends_with("parameters.safetensors"));
            assert!(expected.contains("SHA-256") && expected != found);
        }
        other => panic!("expected a damaged file, got {other:?}"),
    }
    assert!(newest_checkpoint(folder.path()).is_err());
}

/// Resuming must fail with an error that names `field`.
#[track_caller]
fn check_refused(
    field: &str,
    folder: &TempDir,
    model: Llama,
    llama: &LlamaConfig,
    config: SftConfig,
    samples: &[Sample],
) {
    match Trainer::resume(model, llama, config, samples, folder.path()) {
        Err(Error::OtherRun { field: named, expected, found, .. }) => {
            assert_eq!(named, field);
            assert_ne!(expected, found);
        }
        other => panic!("expected a difference in {field}, got {other:?}"),
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_the_field_that_differs() {
    let _turn = turn();
    let ours = samples(10);
    let folder = folder_with(&[3], &ours);
    let model = || adapted(&dropout());
    let check = |field: &str, config, samples: &[Sample]| {
        check_refused(field, &folder, model(), &llama(), config, samples);
    };
    check("config.learning_rate", SftConfig { learning_rate: 2e-2, ..config() }, &ours);
    check("config.optimizer", SftConfig { optimizer: Optimizer::AdamW8bit, ..config() }, &ours);
    check("config.group_by_length", SftConfig { group_by_length: true, ..config() }, &ours);
    check("config.seed", SftConfig { seed: 1, ..config() }, &ours);
    check("config.max_grad_norm", SftConfig { max_grad_norm: None, ..config() }, &ours);
    check("config.schedule", SftConfig { schedule: Schedule::Linear, ..config() }, &ours);
    let mut other = ours.clone();
    other.swap(0, 1);
    check("samples.sha256", config(), &other);
    check("samples.count", config(), &ours[..9]);

    let check = |field: &str, model: Llama| {
        check_refused(field, &folder, model, &llama(), config(), &ours);
    };
    let q = "parameters.model.layers.0.mlp.down_proj.adapter.a";
    check(q, adapted(&dropout().with_rank(2)));
    check(q, adapted(&dropout().with_target_modules(["q_proj"].into())));
    check("parameters.model.layers.0.mlp.down_proj.adapter.magnitude", {
        adapted(&dropout().with_use_dora(true))
    });

    let other = LlamaConfig { rope_theta: 500.0, ..llama() };
    check_refused("model.rope_theta", &folder, model(), &other, config(), &ours);
}

#[test]
fn another_base_is_noticed_by_its_loss() {
    let _turn = turn();
    let samples = samples(10);
    let folder = folder_with(&[3], &samples);
    let check = |model: Llama| {
        check_refused("loss of sample 0", &folder, model, &llama(), config(), &samples);
    };
    let other = llama().init(8, &Device::flex().autodiff());
    check(other.with_adapters(&dropout(), 3).unwrap());
}

#[test]
fn adapters_of_another_scale_or_dropout_are_refused_even_where_the_loss_is_the_same() {
    let _turn = turn();
    let samples = samples(10);
    for step in [0, 1] {
        let folder = folder_with(&[step], &samples);
        let check = |field: &str, model: Llama| {
            let field = format!("projections.model.layers.0.mlp.down_proj.{field}");
            check_refused(&field, &folder, model, &llama(), config(), &samples);
        };
        check("dropout", adapted(&dropout().with_dropout(0.2)));
        check("scale", adapted(&dropout().with_alpha(8.5)));
        check("scale", adapted(&dropout().with_use_rslora(true)));
        check("base", base().quantized().unwrap().with_adapters(&dropout(), 3).unwrap());
        assert!(resume(&folder, &samples).is_ok());
    }
}

#[test]
fn what_changes_no_parameter_may_change() {
    let _turn = turn();
    let samples = samples(10);
    let folder = folder_with(&[3], &samples);
    let config = SftConfig { checkpoints_kept: 5, ..config() };
    // Nor does it matter what the fresh adapters were.
    let model = base().with_adapters(&dropout(), 99).unwrap();
    let resumed = Trainer::resume(model, &llama(), config, &samples, folder.path()).unwrap();
    let expected = finish(resume(&folder, &samples).unwrap());
    assert_eq!(finish(resumed), expected);
}

#[test]
fn an_earlier_format_is_refused_and_not_taken_for_damage() {
    let _turn = turn();
    let samples = samples(10);
    let folder = folder_with(&[1, 2], &samples);
    edit(folder.path().join("checkpoint-2/state.json"), |bytes| {
        let text = String::from_utf8(std::mem::take(bytes)).unwrap();
        assert!(text.contains("\"version\": 4,"));
        // It had no checksum of its own.
        let (text, _) = text.rsplit_once(",\n").unwrap();
        *bytes = (text.replace("\"version\": 4,", "\"version\": 3,") + "\n}\n").into_bytes();
    });
    let text = resume(&folder, &samples).unwrap_err().to_string();
    let path = folder.path().join("checkpoint-2");
    let expected = format!("checkpoint `{}`: expected format version 4, found 3", path.display());
    assert_eq!(text, expected);
}

#[test]
fn a_checkpoint_that_was_about_to_be_replaced_is_found_and_brought_back() {
    let _turn = turn();
    let samples = samples(10);
    let folder = folder_with(&[2], &samples);
    let [path, old] =
        ["checkpoint-2", "checkpoint-2.replaced"].map(|name| folder.path().join(name));
    // Killed between the two names.
    fs::rename(&path, &old).unwrap();
    assert_eq!(newest_checkpoint(folder.path()).unwrap(), Some(old.clone()));
    let mut trainer = resume(&folder, &samples).unwrap();
    assert_eq!(trainer.steps(), 2);
    take(&mut trainer, 1);
    trainer.save(folder.path()).unwrap();
    assert_eq!(names(&folder), ["checkpoint-2", "checkpoint-3"]);

    // Killed when the new one was there, be it whole or not.
    let copy = |from: &Path, to: &Path| {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    for torn in [false, true] {
        copy(&path, &old);
        if torn {
            edit(path.join("parameters.safetensors"), |bytes| bytes.truncate(9));
        }
        let trainer = resume(&folder, &samples).unwrap();
        trainer.save(folder.path()).unwrap();
        assert_eq!(names(&folder), ["checkpoint-2", "checkpoint-3"]);
        fs::remove_dir_all(folder.path().join("checkpoint-3")).unwrap();
        assert_eq!(newest_checkpoint(folder.path()).unwrap(), Some(path.clone()), "{torn}");
        assert_eq!(resume(&folder, &samples).unwrap().steps(), 2);
        trainer.save(folder.path()).unwrap();
    }
}

/// A folder of a run that is evaluated and saved after each step, with an easy sample after the second and a hard one
/// after the others; and the easy sample.
fn with_best_second(samples: &[Sample]) -> (TempDir, Vec<(u64, f64)>, Vec<Sample>) {
    let loss = |sample: &Sample| {
        let loss = evaluate_loss(&adapted(&dropout()), &llama(), std::slice::from_ref(sample), 1);
        loss.unwrap()
    };
    let mut by_loss = samples.to_vec();
    by_loss.sort_by(|left, right| loss(left).total_cmp(&loss(right)));
    let [easy, hard] = [by_loss[..1].to_vec(), by_loss[by_loss.len() - 1..].to_vec()];
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(adapted(&dropout()), &llama(), config(), samples).unwrap();
    for step in 1..=6 {
        take(&mut trainer, 1);
        trainer.evaluate(if step == 2 { &easy } else { &hard }, 4).unwrap();
        trainer.save(folder.path()).unwrap();
    }
    let evaluations = trainer.evaluations().to_vec();
    (folder, evaluations, easy)
}

#[test]
fn the_best_by_evaluation_stays_beside_the_newest() {
    let _turn = turn();
    let samples = samples(10);
    let (folder, evaluations, easy) = with_best_second(&samples);
    assert_eq!(names(&folder), ["checkpoint-2", "checkpoint-5", "checkpoint-6"]);
    let best = folder.path().join("checkpoint-2");
    assert_eq!(best_checkpoint(folder.path()).unwrap(), Some(best.clone()));

    // Its model is the one that was evaluated then, and a resumed run still knows all losses.
    let resume = || resume(&folder, &samples).unwrap();
    assert_eq!(resume().evaluations(), evaluations);
    let model = resume().into_best_model(folder.path()).unwrap();
    let loss = evaluate_loss(&model, &llama(), &easy, 4).unwrap();
    assert_eq!(loss as f32, evaluations[1].1 as f32);

    // Torn, it is passed over for the best of the others.
    edit(best.join("parameters.safetensors"), |bytes| bytes.truncate(bytes.len() / 2));
    let next = if evaluations[4].1 <= evaluations[5].1 { "checkpoint-5" } else { "checkpoint-6" };
    assert_eq!(best_checkpoint(folder.path()).unwrap(), Some(folder.path().join(next)));
    assert!(resume().into_best_model(folder.path()).is_ok());
}

#[test]
fn without_an_evaluation_no_checkpoint_is_the_best() {
    let _turn = turn();
    let samples = samples(10);
    let folder = folder_with(&[1, 2], &samples);
    assert_eq!(best_checkpoint(folder.path()).unwrap(), None);
    assert_eq!(best_checkpoint(folder.path().join("absent")).unwrap(), None);
    let resumed = resume(&folder, &samples).unwrap();
    let found = resumed.into_best_model(folder.path());
    assert!(matches!(found, Err(Error::NoCheckpoint { .. })), "{found:?}");
}
