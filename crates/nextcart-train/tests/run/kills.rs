//! A process that is killed again and again ends as one that is left alone.
//!
//! Each process is this binary, with a variable that names the run's folder. When it is killed is drawn from a
//! generator with a seed; where that finds it depends on the machine.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::Duration;

use nextcart_models::save_adapter;
use nextcart_train::{
    Ending, Error, Observer, Run, SftConfig, StepMetrics, Trainer, newest_checkpoint,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use crate::common::{adapted, llama};
use crate::{config, lora, samples, turn, watch};

const VARIABLE: &str = "NEXTCART_TEST_RUN";
const STEPS: u64 = 60;
const KILLS: usize = 12;
const SEED: u64 = 3407;

/// Set for a process that saves one step again and again.
const SAVING: &str = "NEXTCART_TEST_SAVING";

/// Leaves time between steps to be killed in.
struct Pause;

impl Observer for Pause {
    fn step(&mut self, _metrics: &StepMetrics) {
        sleep(Duration::from_millis(3));
    }
}

#[test]
fn child() {
    let Ok(folder) = std::env::var(VARIABLE) else { return };
    let (samples, held_out) = samples();
    let mut run = Run::open(&folder, adapted(&lora()), &llama(), config(STEPS), &samples)
        .unwrap()
        .with_watch(watch())
        .with_held_out(&held_out)
        .with_observer(Pause);
    assert_eq!(run.train(&AtomicBool::new(false)).unwrap(), Ending::Finished);
    save_adapter(Path::new(&folder).join("adapter"), &run.into_model(), &lora(), "base").unwrap();
}

/// Saves the first step until it is killed, with no other checkpoint beside it.
#[test]
fn saving_child() {
    let Ok(folder) = std::env::var(SAVING) else { return };
    let (samples, _) = samples();
    let config = SftConfig { checkpoints_kept: 1, ..config(STEPS) };
    let mut trainer = Trainer::new(adapted(&lora()), &llama(), config, &samples).unwrap();
    trainer.step().unwrap();
    loop {
        trainer.save(&folder).unwrap();
    }
}

fn start(folder: &Path) -> Child {
    process("kills::child", VARIABLE, folder)
}

fn process(test: &str, variable: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(variable, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lines of the log without what a clock or the system says, as bytes.
fn metrics(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let bare = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let fields = value.as_object_mut().unwrap();
        for field in
            ["time", "seconds", "tokens_per_second", "examples_per_second", "peak_bytes", "mfu"]
        {
            fields.remove(field);
        }
        value.to_string()
    };
    text.lines().map(bare).collect()
}

/// Every file that has to be the same to the byte.
fn bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let last = format!("checkpoint-{STEPS}");
    let files = [
        "adapter/adapter_model.safetensors".to_owned(),
        "adapter/adapter_config.json".to_owned(),
        "loss.svg".to_owned(),
        format!("{last}/parameters.safetensors"),
        format!("{last}/optimizer.safetensors"),
        format!("{last}/state.json"),
    ];
    files.map(|file| (file.clone(), fs::read(folder.join(file)).unwrap())).into()
}

/// A number below a bound.
fn draw(random: &mut impl Rng, bound: u64) -> u64 {
    random.next_u64() % bound
}

#[test]
fn a_run_killed_twelve_times_ends_with_the_same_bytes() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    assert!(start(&whole).wait().unwrap().success());
    let expected = metrics(&whole);
    assert_eq!(expected.len() as u64, STEPS + STEPS / 5);

    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut stops = Vec::new();
    let lines = || fs::read_to_string(killed.join("metrics.jsonl")).unwrap_or_default();
    while stops.len() < KILLS {
        let mut process = start(&killed);
        if draw(&mut random, 4) == 0 {
            // At any time, be it before the first step.
            sleep(Duration::from_millis(draw(&mut random, 300)));
        } else {
            // After some lines more, and then somewhere within a step, an evaluation or a save.
            let wanted = lines().lines().count() + 1 + draw(&mut random, 4) as usize;
            while lines().lines().count() < wanted && process.try_wait().unwrap().is_none() {
                sleep(Duration::from_micros(500));
            }
            sleep(Duration::from_micros(draw(&mut random, 9000)));
        }
        process.kill().unwrap(); // SIGKILL
        let ended = process.wait().unwrap().success();
        assert!(!ended, "it ended before it was killed {KILLS} times: {stops:?}");
        stops.push(lines().lines().count());
    }
    let mut moments = stops.clone();
    moments.dedup();
    assert!(moments.len() >= KILLS / 2, "different moments: {stops:?}");

    assert!(start(&killed).wait().unwrap().success());
    assert_eq!(metrics(&killed), expected, "killed after {stops:?} lines");
    for ((name, found), (_, expected)) in bytes(&killed).into_iter().zip(bytes(&whole)) {
        assert!(found == expected, "{name}, killed after {stops:?} lines");
    }
    println!("killed after {stops:?} lines of {}", expected.len());
}

#[test]
fn a_process_has_its_folder_alone_and_leaves_no_lock_when_it_is_killed() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (samples, _) = samples();
    let mut process = start(folder);
    while !folder.join("metrics.jsonl").exists() {
        assert!(process.try_wait().unwrap().is_none(), "it ended by itself");
        sleep(Duration::from_millis(1));
    }
    let open =
        || Run::open(folder, adapted(&lora()), &llama(), config(STEPS), &samples).map(|_| ());
    let error = open().unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    process.kill().unwrap(); // SIGKILL
    assert!(!process.wait().unwrap().success());
    open().unwrap();
}

#[test]
fn a_process_killed_while_it_saves_a_step_again_leaves_a_whole_checkpoint() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut found = Vec::new();
    for kill in 0..KILLS {
        let mut process = process("kills::saving_child", SAVING, folder.path());
        // From the second process on there is one from the start.
        while !matches!(newest_checkpoint(folder.path()), Ok(Some(_))) {
            assert!(process.try_wait().unwrap().is_none(), "it ended by itself");
            sleep(Duration::from_millis(1));
        }
        let start = if kill == 0 { 0 } else { 150 };
        sleep(Duration::from_micros(1000 * start + draw(&mut random, 60_000)));
        process.kill().unwrap(); // SIGKILL
        assert!(!process.wait().unwrap().success());
        let path = newest_checkpoint(folder.path()).unwrap().expect("a whole checkpoint");
        found.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    println!("found {found:?}");
    let (samples, _) = samples();
    let config = SftConfig { checkpoints_kept: 1, ..config(STEPS) };
    let model = adapted(&lora());
    let resumed = Trainer::resume(model, &llama(), config, &samples, folder.path()).unwrap();
    assert_eq!(resumed.steps(), 1);
}
