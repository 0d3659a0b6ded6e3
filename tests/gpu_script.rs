//! `benches/gpu.sh`, as far as it goes without a GPU: its syntax, its help, what it would run and what it refuses; and
//! with stand-ins for cargo, Python and the driver, through to the table.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Notes what it was called with, writes the row of a bench, and ends as it is told.
const CARGO: &str = r#"
printf '%s\n' "GPU=${NEXTCART_GPU-} PYTHON=${NEXTCART_PYTHON-} $PWD: $*" >>"$STAND_IN_LOG"
[ "$1" = bench ] || exit "${STAND_IN_TEST:-0}"
while [ "$1" != --table ]; do shift; done
echo "| a row of $(basename "$2") |" >"$2"
exit "${STAND_IN_BENCH:-0}"
"#;

/// Makes an environment of itself, in which pip and PEFT end as they are told.
const PYTHON: &str = r#"
case "$1 $2" in
    '-m venv') mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/pyvenv.cfg" ;;
    '-m pip') exit "${STAND_IN_PIP:-0}" ;;
    '-c '*) touch "$3" ;;
    *) [ -f "$1" ] && exit "${STAND_IN_PEFT:-0}" ;;
esac
"#;

/// Complains, where it is told to, as the driver's own does: on the standard output.
const NVIDIA_SMI: &str = r#"
[ -n "${STAND_IN_DRIVER:-}" ] || { echo 'NVIDIA H200, 143771 MiB, 580.65.06' && exit; }
echo 'NVIDIA-SMI has failed'
exit "$STAND_IN_DRIVER"
"#;

struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn script(arguments: &[&str]) -> Run {
    run(Command::new("bash").args(arguments).current_dir(top()))
}

fn gpu(arguments: &[&str]) -> Run {
    script(&[&["benches/gpu.sh"], arguments].concat())
}

/// A machine on which all that the script calls is a stand-in.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (name, lines) in [("cargo", CARGO), ("python3", PYTHON), ("nvidia-smi", NVIDIA_SMI)] {
            // Not written here: a program that a process still holds open for writing, be it one that another test just
            // started, does not start.
            let write = r#"printf '#!/usr/bin/env bash\n%s' "$2" >"$1" && chmod +x "$1""#;
            let mut bash = Command::new("bash");
            bash.args(["-c", write, "bash"]).arg(machine.path(name)).arg(lines);
            assert!(bash.status().unwrap().success(), "{name}");
        }
        let headers = machine.toolkit().join("include");
        std::fs::create_dir_all(&headers).unwrap();
        std::fs::write(headers.join("cuda_runtime.h"), "").unwrap();
        machine
    }

    /// Where CUDA's headers lie.
    fn toolkit(&self) -> PathBuf {
        self.path("cuda")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where the table goes.
    fn out(&self) -> PathBuf {
        self.path("a folder")
    }

    /// bash on this machine.
    fn bash(&self, variables: &[(&str, &str)]) -> Command {
        let others = std::env::var_os("PATH").unwrap();
        let folders = [self.0.path().to_owned()].into_iter().chain(std::env::split_paths(&others));
        let mut bash = Command::new("bash");
        bash.current_dir(top()).env("PATH", std::env::join_paths(folders).unwrap());
        bash.env_remove("NEXTCART_GPU").env_remove("NEXTCART_PYTHON");
        bash.env("CUDA_PATH", self.toolkit());
        bash.env("STAND_IN_LOG", self.path("log")).envs(variables.iter().copied());
        bash
    }

    /// The script with its two default runs.
    fn gpu(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
        let mut bash = self.bash(variables);
        run(bash.arg("benches/gpu.sh").arg("--out").arg(self.out()).args(arguments))
    }

    /// The calls of cargo; none if there were none.
    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The table is that of the two runs, with these lines before theirs.
    #[track_caller]
    fn check_table(&self, gpu: &str, outcome: &str) {
        let table = std::fs::read_to_string(self.out().join("table.md")).unwrap();
        let rows = "\n| a row of tinyllama_qlora.md |\n\n| a row of mistral_qlora.md |\n";
        assert_eq!(table, format!("{gpu}\n\n{outcome}\n{rows}"));
    }
}

const H200: &str = "NVIDIA H200, 143771 MiB, 580.65.06";

#[test]
fn its_syntax_is_right_and_its_help_names_the_options_that_it_takes() {
    assert_eq!(script(&["-n", "benches/gpu.sh"]).status, Some(0));
    let help = gpu(&["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (Some(0), ""));
    let named = help.stdout.lines().filter_map(|line| line.split_whitespace().next());
    let named: Vec<&str> = named.filter(|word| word.starts_with("--")).collect();

    let with_values = [
        ("--backend", "wgpu", "--features nextcart-train/wgpu "),
        ("--runs", "tinyllama_lora", "--runs tinyllama_lora "),
        ("--steps", "7", "--steps 7 "),
        ("--tokens", "64", "--tokens 64 "),
        ("--batch", "2", "--batch 2 "),
        ("--out", "/a folder", r"--table /a\ folder/tinyllama_qlora.md"),
        ("--python", "bash", "/bash benches/peers/rehearsal_peft.py check cuda"),
    ];
    let taken = with_values.iter().map(|(option, ..)| *option);
    let taken: Vec<&str> = taken.chain(["--no-peers", "--dry-run", "--help"]).collect();
    assert_eq!(named, taken);
    for (option, value, expected) in with_values {
        let dry = gpu(&["--dry-run", option, value]);
        assert_eq!((dry.status, dry.stderr.as_str()), (Some(0), ""), "{option}");
        assert!(dry.stdout.contains(expected), "`{expected}` in {}", dry.stdout);
    }
}

#[test]
fn a_dry_run_prints_what_would_run_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("gpu");
    let out = out.to_str().unwrap();
    let dry = gpu(&["--dry-run", "--steps", "7", "--batch", "2", "--out", out]);
    assert_eq!((dry.status, dry.stderr.as_str()), (Some(0), ""), "{}", dry.stdout);
    let mut rest = dry.stdout.as_str();
    for part in [
        "env NEXTCART_GPU=1 cargo test --release -p nextcart-adapters -p nextcart-train --features nextcart-train/cuda \
         --test gpu",
        "pip install --quiet --requirement benches/peers/requirements-models.txt",
        "rehearsal_peft.py check cuda",
        "env NEXTCART_PYTHON=",
        "--features cuda --bench rehearsal -- --runs tinyllama_qlora --steps 7",
        "--batch 2 --peer --table",
        "env NEXTCART_PYTHON=",
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
fn everything_runs_through_to_the_table() {
    let machine = Machine::new();
    let found = machine.gpu(&[], &["--python", "python3", "--steps", "7"]);
    assert_eq!((found.status, found.stderr.as_str()), (Some(0), ""), "{}", found.stdout);
    let passed = "Tests against the CPU: passed. Full-size runs: passed. PEFT: beside them.";
    machine.check_table(H200, passed);
    assert!(found.stdout.ends_with("| a row of mistral_qlora.md |\n"), "{}", found.stdout);

    let (top, python, out) = (top(), machine.path("python3"), machine.out());
    let bench = |name: &str| {
        format!(
            "GPU= PYTHON={} {}: bench -p nextcart-benches --features cuda --bench rehearsal -- --runs {name} --steps 7 \
             --tokens 384 --batch 8 --peer --table {}/{name}.md\n",
            python.display(),
            top.display(),
            out.display()
        )
    };
    let test = format!(
        "GPU=1 PYTHON= {}: test --release -p nextcart-adapters -p nextcart-train --features nextcart-train/cuda \
         --test gpu --no-fail-fast\n",
        top.display()
    );
    assert_eq!(machine.log(), test + &bench("tinyllama_qlora") + &bench("mistral_qlora"));
}

#[test]
fn what_a_dry_run_prints_can_be_pasted() {
    let (typed, pasted) = (Machine::new(), Machine::new());
    let log = |machine: &Machine| {
        let folder = machine.0.path().to_str().unwrap();
        machine.log().replace(folder, "HERE")
    };
    let run_once = typed.gpu(&[], &[]);
    assert_eq!(run_once.status, Some(0), "{}{}", run_once.stdout, run_once.stderr);
    let dry = pasted.gpu(&[], &["--dry-run"]);
    assert_eq!(pasted.log(), "");
    // In another folder, as it may be.
    let mut bash = pasted.bash(&[]);
    let found = run(bash.args(["-e", "-c", &dry.stdout]).current_dir(pasted.0.path()));
    assert_eq!((found.status, found.stderr.as_str()), (Some(0), ""), "{}", dry.stdout);
    assert!(log(&typed).contains("PYTHON=HERE/a folder/peers/bin/python"), "{}", typed.log());
    assert_eq!(log(&pasted), log(&typed));
}

#[test]
fn what_fails_takes_nothing_from_the_rest_and_is_told() {
    for (variable, outcome) in [
        (
            ("STAND_IN_TEST", "101"),
            "Tests against the CPU: FAILED. Full-size runs: passed. PEFT: beside them.",
        ),
        (
            ("STAND_IN_BENCH", "101"),
            "Tests against the CPU: passed. Full-size runs: FAILED. PEFT: beside them.",
        ),
        (
            ("STAND_IN_PIP", "1"),
            "Tests against the CPU: passed. Full-size runs: passed. PEFT: FAILED (its packages cannot be installed).",
        ),
        (
            ("STAND_IN_PEFT", "1"),
            "Tests against the CPU: passed. Full-size runs: passed. PEFT: FAILED (its Python cannot do its part).",
        ),
    ] {
        let machine = Machine::new();
        let found = machine.gpu(&[variable], &[]);
        assert_eq!(found.status, Some(1), "{variable:?}: {}", found.stdout);
        machine.check_table(H200, outcome);
        assert_eq!(machine.log().lines().count(), 3, "{}", machine.log());
        let has_peer = outcome.ends_with("beside them.");
        assert_eq!(machine.log().matches("--peer").count(), 2 * usize::from(has_peer));
        // Half an environment is not taken for a whole one.
        assert_eq!(machine.out().join("peers/whole").exists(), variable.0 != "STAND_IN_PIP");
        if variable.0 == "STAND_IN_PIP" {
            let again = machine.gpu(&[], &[]);
            assert_eq!(again.status, Some(0), "{}", again.stdout);
            assert!(again.stdout.contains("+ python3 -m venv "), "{}", again.stdout);
        }
    }
}

#[test]
fn what_is_missing_is_told_before_anything_runs() {
    let machine = Machine::new();
    let headers = machine.toolkit().join("include");
    std::fs::remove_dir_all(&headers).unwrap();
    let found = machine.gpu(&[], &[]);
    let expected = format!(
        "error: no CUDA toolkit: expected `include/cuda_runtime.h` in `{}`: install CUDA 13, or set CUDA_PATH\n",
        machine.toolkit().display()
    );
    assert_eq!((found.status, found.stderr.as_str()), (Some(2), expected.as_str()));
    std::fs::create_dir_all(&headers).unwrap();
    std::fs::write(headers.join("cuda_runtime.h"), "").unwrap();

    // A folder that is somebody else's is not emptied.
    std::fs::create_dir_all(machine.out().join("peers")).unwrap();
    let found = machine.gpu(&[], &[]);
    assert_eq!(found.status, Some(2));
    assert!(found.stderr.starts_with("error: --out: `"), "{}", found.stderr);
    std::fs::remove_dir_all(machine.out()).unwrap();

    // With nothing but the stand-ins and what the script itself calls.
    let tools = machine.path("tools");
    std::fs::create_dir(&tools).unwrap();
    for tool in ["bash", "dirname", "nvidia-smi", "python3"] {
        let which = run(machine.bash(&[]).args(["-c", "type -P \"$0\"", tool]));
        std::os::unix::fs::symlink(which.stdout.trim(), tools.join(tool)).unwrap();
    }
    let paths = [("PATH", tools.to_str().unwrap())];
    let found = machine.gpu(&paths, &[]);
    assert_eq!((found.status, found.stderr.as_str()), (Some(2), "error: no `cargo` on PATH\n"));
    std::os::unix::fs::symlink(machine.path("cargo"), tools.join("cargo")).unwrap();
    std::fs::remove_file(tools.join("python3")).unwrap();
    let found = machine.gpu(&paths, &[]);
    assert_eq!((found.status, found.stderr.as_str()), (Some(2), "error: no `python3` on PATH\n"));
    assert!(machine.log().is_empty() && !machine.out().exists());
}

#[test]
fn a_driver_that_fails_is_told_before_anything_runs() {
    let machine = Machine::new();
    let found = machine.gpu(&[("STAND_IN_DRIVER", "9")], &[]);
    assert_eq!((found.status, found.stdout.as_str()), (Some(2), ""));
    let expected = "error: nvidia-smi fails (NVIDIA-SMI has failed): try --backend wgpu, or --dry-run to see what \
                    would run\n";
    assert_eq!(found.stderr, expected);
    assert!(!machine.out().exists() && machine.log().is_empty());

    // Another way to the GPU needs no such driver; PEFT does.
    let found = machine.gpu(&[("STAND_IN_DRIVER", "9")], &["--backend", "wgpu"]);
    assert_eq!(found.status, Some(0), "{}", found.stdout);
    let outcome = "Tests against the CPU: passed. Full-size runs: passed. PEFT: left out, so that nothing was \
                   compared with it.";
    machine.check_table("a GPU through wgpu", outcome);
    assert!(!machine.log().contains("--peer"), "{}", machine.log());
}

#[test]
fn what_it_does_not_know_is_refused() {
    for (arguments, expected) in [
        (&["--steps", "0"][..], "--steps: expected a number from 1 on, found `0`"),
        (&["--backend", "tpu"], "--backend: expected cuda or wgpu, found `tpu`"),
        (&["--runs", "llama"], "--runs: expected names of --help, found `llama`"),
        (&["--out"], "--out: expected a value"),
        (&["--fast"], "expected an option of --help, found `--fast`"),
        (&["--python", "no-such-python"], "--python: no `no-such-python` on PATH"),
        (&["--python", "no/python"], "--python: expected a program, found `no/python`"),
        (&["--python", "README.md/.."], "--python: expected a program, found `README.md/..`"),
    ] {
        let run = gpu(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""));
        assert_eq!(run.stderr, format!("error: {expected}\n"));
    }
}

/// The files that it names are there, and the bench has the backends.
#[test]
fn what_it_runs_is_there() {
    let top = top();
    for file in ["benches/peers/requirements-models.txt", "benches/peers/rehearsal_peft.py"] {
        assert!(top.join(file).is_file(), "{file}");
    }
    let benches = std::fs::read_to_string(top.join("benches/Cargo.toml")).unwrap();
    for part in ["\ncuda = [", "\nwgpu = [", "name = \"rehearsal\""] {
        assert!(benches.contains(part), "{part}");
    }
}
