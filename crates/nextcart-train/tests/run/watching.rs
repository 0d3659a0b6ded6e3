//! What a run writes and tells.

use std::cell::RefCell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use nextcart_models::{Llama, LlamaConfig, Precision};
use nextcart_text::Sample;
use nextcart_train::{
    Ending, Error, EvaluationMetrics, Every, Metric, ModelConfig, Observer, Run, RunConfig,
    RunRecord, SftConfig, StepMetrics, Trained, WatchConfig, read_metrics,
};
use serde_json::{Value, json};

use crate::common::{adapted, bits, llama, with_broken_token};
use crate::{config, lora, samples, turn, watch};

pub(super) fn go() -> AtomicBool {
    AtomicBool::new(false)
}

pub(super) fn open<'a>(folder: &Path, config: SftConfig, samples: &'a [Sample]) -> Run<'a> {
    Run::open(folder, adapted(&lora()), &llama(), config, samples).unwrap().with_watch(watch())
}

/// What an observer heard.
#[derive(Default)]
struct Heard(Rc<RefCell<Vec<String>>>);

impl Observer for Heard {
    fn started(&mut self, steps: u64, total_steps: u64) {
        self.0.borrow_mut().push(format!("{steps} of {total_steps}"));
    }

    fn step(&mut self, metrics: &StepMetrics) {
        self.0.borrow_mut().push(format!("step {}", metrics.step));
    }

    fn evaluation(&mut self, metrics: &EvaluationMetrics) {
        let accuracy = metrics.accuracy.map_or("none".to_owned(), |share| share.to_string());
        self.0.borrow_mut().push(format!("evaluation {} {accuracy}", metrics.step));
    }

    fn ended(&mut self, ending: Ending) {
        self.0.borrow_mut().push(format!("{ending:?}"));
    }
}

/// Interrupts after a step.
struct Stop<'a>(u64, &'a AtomicBool);

impl Observer for Stop<'_> {
    fn step(&mut self, metrics: &StepMetrics) {
        self.1.store(metrics.step >= self.0, Ordering::Relaxed);
    }
}

#[test]
fn an_interrupted_run_goes_on_and_its_files_hold_all_points() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("a run");
    let heard = Heard::default();
    let told = heard.0.clone();

    let stop = go();
    let mut run = open(&folder, config(7), &samples)
        .with_held_out(&held_out)
        .with_questions(|_, accuracy| {
            [1.0, 0.0, 0.5, 0.5].into_iter().for_each(|hit| accuracy.add(hit));
            Ok(())
        })
        .with_observer(heard)
        .with_observer(Stop(3, &stop));
    assert_eq!(run.train(&stop).unwrap(), Ending::Interrupted);
    drop(run);
    assert_eq!(*told.borrow(), ["0 of 7", "step 1", "step 2", "step 3", "Interrupted"]);

    // What a killed process may leave behind its checkpoint: a step, and half a line.
    let path = folder.join("metrics.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let last = text.lines().last().unwrap().replace("\"step\":3", "\"step\":4");
    fs::write(&path, format!("{text}{last}\n{}", &last[..40])).unwrap();

    told.borrow_mut().clear();
    let mut run = open(&folder, config(7), &samples)
        .with_held_out(&held_out)
        .with_observer(Heard(told.clone()));
    assert_eq!(run.train(&go()).unwrap(), Ending::Finished);
    let evaluated = ["step 4", "step 5", "evaluation 5 none", "step 6", "step 7"];
    let ends = ["evaluation 7 none", "Finished"];
    assert_eq!(*told.borrow(), [&["3 of 7"][..], &evaluated, &ends].concat());

    let metrics = read_metrics(&path).unwrap();
    let steps: Vec<u64> = metrics.iter().map(Metric::step).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 5, 6, 7, 7]);
    let Metric::Step(second) = metrics[1] else { panic!("a step") };
    assert_eq!((second.total_steps, second.examples), (7, 4));
    assert!((second.epoch - 0.8).abs() < 1e-12 && second.learning_rate > 0.0);
    assert!(second.gradient_norm > 0.0 && second.tokens > second.trained_tokens);
    assert!(second.tokens_per_second > second.examples_per_second);
    assert_eq!(second.peak_bytes.is_some(), cfg!(target_os = "linux"));
    let losses = metrics.iter().filter_map(|metric| match metric {
        Metric::Step(metrics) => Some((metrics.step, metrics.loss as f32)),
        _ => None,
    });
    let known = run.trainer().losses().iter().map(|&(step, loss)| (step, loss as f32));
    assert_eq!(losses.collect::<Vec<_>>(), known.collect::<Vec<_>>());

    // A record of the version, and one for each line: as many tags as there are scalars.
    let events = fs::read(folder.join("events.out.tfevents.nextcart")).unwrap();
    let count = |tag: &[u8]| events.windows(tag.len()).filter(|bytes| *bytes == tag).count();
    assert_eq!((count(b"brain.Event:2"), count(b"train/loss"), count(b"eval/loss")), (1, 7, 2));
    assert!(fs::read_to_string(folder.join("loss.svg")).unwrap().contains("held out"));
    assert!(!folder.join("non_finite.json").exists());
}

#[test]
fn accuracy_comes_from_the_callers_questions_and_their_error_reaches_the_caller() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let ask = |path: &str, fail: bool| {
        let folder = folder.path().join(path);
        let mut run = open(&folder, config(3), &samples).with_held_out(&held_out).with_questions(
            move |model: &Llama, accuracy| {
                assert!(!model.projections().is_empty());
                [1.0, 0.0, 0.5, 0.5].into_iter().for_each(|hit| accuracy.add(hit));
                if fail { Err("no questions".into()) } else { Ok(()) }
            },
        );
        let ending = run.train(&go());
        (ending, read_metrics(folder.join("metrics.jsonl")).unwrap())
    };
    let (ending, metrics) = ask("asked", false);
    assert_eq!(ending.unwrap(), Ending::Finished);
    let Some(Metric::Evaluation(last)) = metrics.last() else { panic!("an evaluation") };
    assert_eq!((last.step, last.accuracy, last.questions), (3, Some(0.5), 4));
    let (ending, _) = ask("failed", true);
    assert!(matches!(ending, Err(Error::Questions { step: 3, .. })), "{ending:?}");
}

#[test]
fn a_run_without_improvement_stops_and_keeps_its_best_model() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let watch = WatchConfig {
        evaluate: Every::Steps(1),
        save: Every::End,
        patience: Some(2),
        min_delta: 10.0,
        ..WatchConfig::default()
    };
    let open = || open(folder.path(), config(30), &samples).with_watch(watch.clone());
    let mut run = open().with_held_out(&held_out);
    // The first is the best whatever comes, as nothing falls by 10 nats.
    assert_eq!(run.train(&go()).unwrap(), Ending::Early);
    assert_eq!(run.trainer().steps(), 3);
    let evaluations = run.trainer().evaluations().to_vec();
    let best = evaluations.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
    // Resumed, it stays stopped.
    drop(run);
    let mut run = open().with_held_out(&held_out);
    assert_eq!(run.train(&go()).unwrap(), Ending::Early);
    assert_eq!(run.trainer().steps(), 3);
    let model = run.into_best_model().unwrap();
    let loss = nextcart_train::evaluate_loss(&model, &llama(), &held_out, 16).unwrap();
    assert_eq!(loss as f32, best as f32);
}

#[test]
fn patience_that_runs_out_at_the_last_step_ends_no_run_early() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let watch = WatchConfig {
        evaluate: Every::Steps(1),
        patience: Some(2),
        min_delta: 10.0,
        ..WatchConfig::default()
    };
    let open = || open(folder.path(), config(3), &samples).with_watch(watch.clone());
    assert_eq!(open().with_held_out(&held_out).train(&go()).unwrap(), Ending::Finished);
    // Nor when it is resumed.
    let mut run = open().with_held_out(&held_out);
    assert_eq!((run.trainer().steps(), run.trainer().evaluations().len()), (3, 3));
    assert_eq!(run.train(&go()).unwrap(), Ending::Finished);
}

#[test]
fn without_a_whole_checkpoint_that_was_evaluated_there_is_no_best_model() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let watch = WatchConfig { evaluate: Every::Steps(2), save: Every::Steps(3), ..watch() };
    let open = || {
        let run = open(folder.path(), config(9), &samples);
        run.with_watch(watch.clone()).with_held_out(&held_out)
    };
    let stop = go();
    assert_eq!(open().with_observer(Stop(3, &stop)).train(&stop).unwrap(), Ending::Interrupted);
    let run = open();
    assert_eq!((run.trainer().steps(), run.trainer().evaluations().len()), (3, 1));
    assert!(run.into_best_model().is_ok());
    let path = folder.path().join("checkpoint-2/parameters.safetensors");
    fs::write(&path, "torn").unwrap();
    let error = open().into_best_model().unwrap_err();
    assert!(matches!(&error, Error::Damaged { path: named, .. } if *named == path), "{error}");

    // A run that was never evaluated ends with its model as it stands.
    let other = tempfile::tempdir().unwrap();
    let mut run = Run::open(other.path(), adapted(&lora()), &llama(), config(3), &samples).unwrap();
    run.train(&go()).unwrap();
    assert!(run.into_best_model().is_ok());
}

#[test]
fn a_loss_that_is_not_finite_after_the_last_step_is_listed_in_place_of_a_checkpoint() {
    let _turn = turn();
    let (samples, _) = samples();
    let folder = tempfile::tempdir().unwrap();
    let training = SftConfig { learning_rate: 1e38, warmup_steps: 0, ..config(1) };
    let error = open(folder.path(), training, &samples).train(&go()).unwrap_err();
    let shortest = (0..samples.len()).min_by_key(|&index| samples[index].len()).unwrap();
    assert!(
        matches!(&error, Error::NonFinite { samples, .. } if *samples == [shortest]),
        "{error}"
    );
    let list = fs::read(folder.path().join("non_finite.json")).unwrap();
    let mut list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["batch"].take().as_array().unwrap().len(), 4);
    let expected = json!({
        "quantity": "loss after the step", "step": 1, "of": "training", "samples": [shortest],
        "batch": null,
    });
    assert_eq!(list, expected);
    assert!(!folder.path().join("checkpoint-1").exists());
}

#[test]
fn what_does_not_go_together_is_refused_before_a_file_is_written() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("run");
    let check = |mut run: Run, expected: &str| {
        let error = run.train(&go()).unwrap_err();
        assert!(matches!(&error, Error::Config { field, .. } if *field == expected), "{error}");
        assert!(!folder.exists());
    };
    let whole = RunConfig { training: config(4), ..RunConfig::tiny_cpu() };
    check(open(&folder, config(3), &samples).with_config(whole), "training");
    let whole = RunConfig { training: config(3), ..RunConfig::tiny_cpu() };
    check(open(&folder, config(3), &samples).with_config(whole).with_watch(watch()), "watch");
    check(open(&folder, config(3), &samples).with_questions(|_, _| Ok(())), "held_out");
    let patient = WatchConfig { patience: Some(2), ..watch() };
    check(open(&folder, config(3), &samples).with_watch(patient), "patience");
    let ids = |count: usize| vec!["an id".to_owned(); count];
    let run = open(&folder, config(3), &samples).with_held_out(&held_out);
    check(run.with_sample_ids(ids(samples.len() - 1), Vec::new()), "sample_ids");
    let run = open(&folder, config(3), &samples).with_held_out(&held_out);
    check(run.with_sample_ids(ids(samples.len()), ids(1)), "sample_ids");
    let run = open(&folder, config(3), &samples).with_held_out(&held_out);
    assert!(run.with_questions(|_, _| Ok(())).train(&go()).is_ok());
}

#[test]
fn a_configuration_of_another_run_is_told_by_its_first_field() {
    let _turn = turn();
    let (samples, _) = samples();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("run");
    let text = |mut run: Run| run.train(&go()).unwrap_err().to_string();
    let run = || open(&folder, config(3), &samples);
    let training = SftConfig { checkpoints_kept: 7, ..config(4) };
    let whole = RunConfig { training, ..RunConfig::tiny_cpu() };
    let expected = "config, field `training`: expected `training.checkpoints_kept` as the run has it, 2, found 7";
    assert_eq!(text(run().with_config(whole.clone())), expected);
    let whole = RunConfig { training: config(3), ..whole };
    let later = WatchConfig { patience: Some(2), ..whole.watch.clone() };
    let expected =
        "config, field `watch`: expected `watch.patience` as the run has it, 2, found null";
    assert_eq!(text(run().with_config(whole).with_watch(later)), expected);
}

#[test]
fn an_error_is_told_where_the_samples_behind_it_cannot_be_listed() {
    let _turn = turn();
    let (samples, _) = samples();
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("non_finite.json");
    struct Blocks<'a>(&'a Path);
    impl Observer for Blocks<'_> {
        fn started(&mut self, _steps: u64, _total_steps: u64) {
            fs::create_dir(self.0).unwrap();
        }
    }
    let training = SftConfig { learning_rate: 1e38, warmup_steps: 0, ..config(1) };
    let mut run = open(folder.path(), training, &samples).with_observer(Blocks(&list));
    let error = run.train(&go()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    assert!(list.is_dir());
}

#[test]
fn samples_behind_a_loss_that_is_not_finite_are_listed() {
    let _turn = turn();
    // An untied head, so that a broken embedding breaks the samples that read it and no others.
    let llama = LlamaConfig { tie_word_embeddings: false, ..llama() };
    let of = |ids: &[[u32; 3]]| -> Vec<Sample> {
        ids.iter().map(|ids| Sample::text(ids).unwrap()).collect()
    };
    let ids = |list: &str, samples: &[Sample]| -> Vec<String> {
        (0..samples.len()).map(|place| format!("{list} {place}")).collect()
    };
    let check = |samples: &[Sample], held_out: &[Sample]| -> (Error, Value) {
        let folder = tempfile::tempdir().unwrap();
        let model = llama.init(1, &Device::flex().autodiff()).with_adapters(&lora(), 1).unwrap();
        let model = with_broken_token(model, 5);
        let mut run = Run::open(folder.path(), model, &llama, config(5), samples)
            .unwrap()
            .with_watch(watch())
            .with_held_out(held_out)
            .with_sample_ids(ids("train", samples), ids("other", held_out));
        let error = run.train(&go()).unwrap_err();
        let text = fs::read(folder.path().join("non_finite.json")).unwrap();
        let mut list: Value = serde_json::from_slice(&text).unwrap();
        for name in ["batch", "batch_ids"] {
            list[name].as_array_mut().unwrap().sort_by_key(Value::to_string);
        }
        (error, list)
    };
    let good = of(&[[1, 6, 7], [1, 8, 9], [4, 6, 9]]);
    let bad = of(&[[1, 6, 7], [1, 5, 7], [1, 8, 9]]);
    let (error, list) = check(&bad, &[]);
    assert!(matches!(error, Error::NonFinite { step: 1, .. }), "{error}");
    let expected = json!({
        "quantity": "loss", "step": 1, "of": "training", "samples": [1], "sample_ids": ["train 1"],
        "batch": [0, 1, 2], "batch_ids": ["train 0", "train 1", "train 2"],
    });
    assert_eq!(list, expected);
    let (error, list) = check(&good, &bad[1..2]);
    assert!(matches!(error, Error::NonFiniteEvaluation { .. }), "{error}");
    assert!(error.to_string().contains("; the last good state is in `"), "{error}");
    assert!(error.to_string().ends_with("checkpoint-5`"), "{error}");
    let expected = json!({
        "quantity": "loss", "step": 5, "of": "held_out", "samples": [0], "sample_ids": ["other 0"],
        "batch": [0], "batch_ids": ["other 0"],
    });
    assert_eq!(list, expected);
}

/// Checkpoints in a run's folder.
fn checkpoints(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("checkpoint-")).collect();
    names.sort_unstable();
    names
}

/// Steps of the lines of a log, those of evaluations below 0.
fn lines(folder: &Path) -> Vec<i64> {
    let metrics = read_metrics(folder.join("metrics.jsonl")).unwrap();
    let step = |metric: &Metric| match metric {
        Metric::Evaluation(metrics) => -(metrics.step as i64),
        other => other.step() as i64,
    };
    metrics.iter().map(step).collect()
}

#[test]
fn a_failed_evaluation_costs_no_training_and_is_made_up_for() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let watch = WatchConfig { save: Every::End, ..watch() };
    let open = |name: &str| {
        let run = open(&folder.path().join(name), config(7), &samples).with_watch(watch.clone());
        run.with_held_out(&held_out)
    };
    let mut whole = open("whole").with_questions(|_, accuracy| {
        accuracy.add(1.0);
        Ok(())
    });
    assert_eq!(whole.train(&go()).unwrap(), Ending::Finished);
    let path = folder.path().join("failed");
    let error = open("failed").with_questions(|_, _| Err("gone".into())).train(&go()).unwrap_err();
    let expected = path.join("checkpoint-5");
    let goes_on = format!("; a resume goes on from `{}`", expected.display());
    assert!(error.to_string().ends_with(&goes_on), "{error}");
    assert!(
        matches!(error, Error::Questions { step: 5, checkpoint: Some(it), .. } if it == expected)
    );
    assert_eq!(lines(&path), [1, 2, 3, 4, 5]);

    // One that dies when the evaluation is in the log and not yet in the checkpoint.
    struct Dies;
    impl Observer for Dies {
        fn evaluation(&mut self, _metrics: &EvaluationMetrics) {
            panic!("killed");
        }
    }
    let mut dying = open("failed").with_observer(Dies);
    assert_eq!(dying.trainer().steps(), 5);
    catch_unwind(AssertUnwindSafe(|| dying.train(&go()))).unwrap_err();
    drop(dying);
    assert_eq!(lines(&path), [1, 2, 3, 4, 5, -5]);

    let heard = Heard::default();
    let told = heard.0.clone();
    let mut run = open("failed").with_observer(heard).with_questions(|_, accuracy| {
        accuracy.add(1.0);
        Ok(())
    });
    assert!(run.trainer().evaluations().is_empty());
    assert_eq!(run.train(&go()).unwrap(), Ending::Finished);
    assert_eq!(told.borrow()[..3], ["5 of 7", "evaluation 5 1", "step 6"]);
    assert_eq!(lines(&path), lines(&folder.path().join("whole")));
    assert_eq!(run.trainer().evaluations(), whole.trainer().evaluations());
    assert_eq!(bits(&run.into_model()), bits(&whole.into_model()));
    let file =
        |name: &str| fs::read(folder.path().join(name).join("checkpoint-7/state.json")).unwrap();
    assert_eq!(file("failed"), file("whole"));
}

#[test]
fn another_call_asks_the_questions_that_failed_again() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let mut calls = 0;
    let mut run = open(folder.path(), config(5), &samples).with_held_out(&held_out).with_questions(
        |_, accuracy| {
            calls += 1;
            accuracy.add(1.0);
            if calls == 1 { Err("gone".into()) } else { Ok(()) }
        },
    );
    assert!(run.train(&go()).is_err());
    assert_eq!(run.train(&go()).unwrap(), Ending::Finished);
    drop(run);
    assert_eq!(calls, 2);
    assert_eq!(lines(folder.path()), [1, 2, 3, 4, 5, -5]);
}

#[test]
fn before_a_loss_that_is_not_finite_the_last_good_state_is_kept() {
    let _turn = turn();
    let llama = LlamaConfig { tie_word_embeddings: false, ..llama() };
    let samples: Vec<Sample> =
        (0..12).map(|n| Sample::text(&[1, if n == 4 { 5 } else { 6 + n }, 7]).unwrap()).collect();
    let model = || {
        let model = llama.init(1, &Device::flex().autodiff()).with_adapters(&lora(), 1).unwrap();
        with_broken_token(model, 5)
    };
    // The first order in which the broken sample comes late enough.
    let mut seeds = (0..).map(|seed| {
        let folder = tempfile::tempdir().unwrap();
        let training = SftConfig { seed, ..config(9) };
        let mut run = Run::open(folder.path(), model(), &llama, training, &samples)
            .unwrap()
            .with_watch(WatchConfig { save: Every::End, ..watch() });
        (run.train(&go()).unwrap_err(), run.trainer().steps(), folder)
    });
    let (error, steps, folder) = seeds.find(|(_, steps, _)| *steps > 0).unwrap();
    let path = folder.path().join(format!("checkpoint-{steps}"));
    let kept = format!("; the last good state is in `{}`", path.display());
    assert!(error.to_string().ends_with(&kept), "{error}");
    match error {
        Error::NonFinite { step, samples, checkpoint, .. } => {
            assert_eq!((step, samples, checkpoint), (steps + 1, vec![4], Some(path)));
        }
        other => panic!("{other}"),
    }
    assert_eq!(checkpoints(folder.path()), [format!("checkpoint-{steps}")]);
}

#[test]
fn a_held_out_sample_that_the_model_does_not_know_is_refused_before_a_step() {
    let _turn = turn();
    let (samples, mut held_out) = samples();
    held_out.push(Sample::text(&[1, 99]).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("run");
    let run = open(&folder, config(3), &samples);
    let error = run.with_held_out(&held_out).train(&go()).unwrap_err();
    assert!(
        matches!(error, Error::Token { list: "held-out", sample: 4, position: 1, .. }),
        "{error}"
    );
    assert!(!folder.exists());
}

#[test]
fn a_folder_is_of_one_run_at_a_time() {
    let _turn = turn();
    let (samples, _) = samples();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut run = open(&path, config(3), &samples);
    let mut late = open(&path, config(3), &samples); // there is no folder yet
    run.train(&go()).unwrap();
    let again = || Run::open(&path, adapted(&lora()), &llama(), config(3), &samples).map(|_| ());
    for refused in [again().unwrap_err(), late.train(&go()).unwrap_err()] {
        assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
        assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    }
    drop(run);
    again().unwrap();
    // What it would write is of the start of the run.
    assert!(matches!(late.train(&go()), Err(Error::Locked { .. })));
}

#[test]
fn the_folder_tells_what_the_run_depends_on() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("manifest.json"), "abc").unwrap();
    let model = ModelConfig {
        name: "a/model".to_owned(),
        revision: None,
        weights: Precision::F32,
        activations: Precision::F32,
        quantized: false,
    };
    let whole = RunConfig {
        lora: lora(),
        training: config(3),
        watch: WatchConfig { evaluate: Every::End, ..watch() },
        ..RunConfig::new(model)
    };
    let whole = RunConfig {
        data: nextcart_train::DataConfig { folder: data, ..whole.data.clone() },
        ..whole
    };
    let path = folder.path().join("run");
    let mut run =
        open(&path, config(3), &samples).with_held_out(&held_out).with_config(whole.clone());
    run.train(&go()).unwrap();
    let record = RunRecord::read(&path).unwrap();
    assert_eq!(record.config.as_ref(), Some(&whole));
    assert_eq!((record.training, record.model), (config(3), llama()));
    assert_eq!(record.trained, Some(Trained::Adapters));
    // SHA-256 of "abc", as FIPS 180 has it.
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(record.data_manifest.unwrap(), sha256);
    assert_eq!(record.crates["nextcart"], env!("CARGO_PKG_VERSION"));
    assert_eq!(record.samples, nextcart_text::digest(&samples));
    assert_ne!(record.samples, record.held_out);
    assert_eq!(RunConfig::read(path.join("run.toml")).unwrap(), whole);
    assert_eq!(run.trainer().evaluations().len(), 1);
}

#[test]
fn a_run_that_starts_anew_in_a_folder_leaves_no_record_of_the_one_before() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let whole = RunConfig { training: config(5), ..RunConfig::tiny_cpu() };
    struct Dies;
    impl Observer for Dies {
        fn step(&mut self, _metrics: &StepMetrics) {
            panic!("killed before the first checkpoint");
        }
    }
    let mut run = open(path, config(5), &samples).with_held_out(&held_out).with_config(whole);
    run = run.with_observer(Dies);
    catch_unwind(AssertUnwindSafe(|| run.train(&go()))).unwrap_err();
    drop(run);
    assert_eq!(RunRecord::read(path).unwrap().training, config(5));
    assert!(path.join("run.toml").exists());
    let list = path.join("non_finite.json");
    fs::write(&list, "{}").unwrap();

    let others = &samples[..8];
    let mut run = open(path, config(3), others);
    run.train(&go()).unwrap();
    let record = RunRecord::read(path).unwrap();
    assert_eq!((record.training, record.samples), (config(3), nextcart_text::digest(others)));
    assert!(record.config.is_none() && !path.join("run.toml").exists() && !list.exists());
}
