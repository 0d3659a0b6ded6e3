//! A process that is killed again and again ends as one that is left alone.
//!
//! Each process is this binary, with a variable that names the run's folder.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::Duration;

use nextcart_models::save_adapter;
use nextcart_train::{Ending, Observer, Run, StepMetrics};
use serde_json::Value;

use crate::common::{adapted, llama};
use crate::{config, lora, samples, turn, watch};

const VARIABLE: &str = "NEXTCART_TEST_RUN";
const STEPS: u64 = 40;

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

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child"])
        .env(VARIABLE, folder)
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
        for field in ["time", "seconds", "tokens_per_second", "examples_per_second", "peak_bytes"] {
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

#[test]
fn a_run_killed_twelve_times_ends_with_the_same_bytes() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    assert!(start(&whole).wait().unwrap().success());
    let expected = metrics(&whole);
    assert_eq!(expected.len() as u64, STEPS + STEPS / 5);

    let mut stops = Vec::new();
    let mut kills: u64 = 0;
    let lines = || fs::read_to_string(killed.join("metrics.jsonl")).unwrap_or_default();
    while kills < 12 {
        // Some steps further than the last time, and then somewhere within a step or a save.
        let wanted = 3 * kills as usize + 1 + (kills % 3) as usize;
        let mut process = start(&killed);
        let ended = loop {
            if process.try_wait().unwrap().is_some() {
                break true;
            }
            if lines().lines().count() > wanted {
                break false;
            }
            sleep(Duration::from_micros(500));
        };
        assert!(!ended, "it ended before it was killed {kills} times");
        sleep(Duration::from_micros(1700 * kills % 9000));
        process.kill().unwrap(); // SIGKILL
        assert!(!process.wait().unwrap().success());
        stops.push(lines().lines().count());
        kills += 1;
    }
    stops.dedup();
    assert!(stops.len() >= 8, "different moments: {stops:?}");

    assert!(start(&killed).wait().unwrap().success());
    assert_eq!(metrics(&killed), expected, "killed after {stops:?} lines");
    for ((name, found), (_, expected)) in bytes(&killed).into_iter().zip(bytes(&whole)) {
        assert!(found == expected, "{name}, killed after {stops:?} lines");
    }
    println!("killed after {stops:?} lines of {}", expected.len());
}
