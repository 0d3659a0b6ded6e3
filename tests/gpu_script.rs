//! `benches/gpu.sh`, as far as it goes without a GPU: its syntax, its help, what it would run and what it refuses.

use std::path::Path;
use std::process::Command;

struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn script(arguments: &[&str]) -> Run {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new("bash").args(arguments).current_dir(top).output().unwrap();
    Run {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn gpu(arguments: &[&str]) -> Run {
    script(&[&["benches/gpu.sh"], arguments].concat())
}

#[test]
fn its_syntax_is_right_and_its_help_names_every_option() {
    assert_eq!(script(&["-n", "benches/gpu.sh"]).status, Some(0));
    let help = gpu(&["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (Some(0), ""));
    let source =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/gpu.sh"));
    let options = ["--backend", "--runs", "--steps", "--tokens", "--batch", "--out", "--python"];
    for option in options.iter().chain(&["--no-peers", "--dry-run"]) {
        assert!(help.stdout.contains(option) && source.as_ref().unwrap().contains(option));
    }
}

#[test]
fn a_dry_run_prints_what_would_run_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("gpu");
    let out = out.to_str().unwrap();
    let dry = gpu(&["--dry-run", "--steps", "7", "--batch", "2", "--out", out]);
    assert_eq!((dry.status, dry.stderr.as_str()), (Some(0), ""), "{}", dry.stdout);
    assert!(dry.stdout.lines().all(|line| line.starts_with("+ ")), "{}", dry.stdout);
    let mut rest = dry.stdout.as_str();
    for part in [
        "cargo test --release -p nextcart-adapters -p nextcart-train --features nextcart-train/cuda --test gpu",
        "pip install --quiet --requirement benches/peers/requirements-models.txt",
        "--features cuda --bench rehearsal -- --runs tinyllama_qlora --steps 7",
        "--batch 2 --peer --table",
        "--features cuda --bench rehearsal -- --runs mistral_qlora --steps 7",
        "--batch 2 --peer --table",
        "table.md",
    ] {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("`{part}` in {}", dry.stdout)).1;
    }
    assert!(!Path::new(out).exists());

    let wgpu = gpu(&["--dry-run", "--backend", "wgpu", "--no-peers", "--out", out]).stdout;
    assert!(wgpu.contains("nextcart-train/wgpu") && !wgpu.contains("pip"), "{wgpu}");
    assert!(!wgpu.contains("--peer") && !wgpu.contains("cuda"), "{wgpu}");
}

#[test]
fn what_it_does_not_know_is_refused() {
    for (arguments, expected) in [
        (&["--steps", "0"][..], "--steps: expected a number from 1 on, found `0`"),
        (&["--backend", "tpu"], "--backend: expected cuda or wgpu, found `tpu`"),
        (&["--runs", "llama"], "--runs: expected names of --help, found `llama`"),
        (&["--out"], "--out: expected a value"),
        (&["--fast"], "expected an option of --help, found `--fast`"),
    ] {
        let run = gpu(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""));
        assert_eq!(run.stderr, format!("error: {expected}\n"));
    }
}

/// The files that it names are there, and the bench has the backends.
#[test]
fn what_it_runs_is_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in ["benches/peers/requirements-models.txt", "benches/peers/rehearsal_peft.py"] {
        assert!(top.join(file).is_file(), "{file}");
    }
    let benches = std::fs::read_to_string(top.join("benches/Cargo.toml")).unwrap();
    for part in ["\ncuda = [", "\nwgpu = [", "name = \"rehearsal\""] {
        assert!(benches.contains(part), "{part}");
    }
}
