//! The libraries as another project uses them: the snippet of every README, and what it says to depend on, as a package
//! outside this workspace that is built and run.
//!
//! The packages share this workspace's lock file and profiles, and a further one has all of its dependencies: so cargo
//! takes what it has compiled for the tests, and only our own libraries are compiled again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use toml::{Table, Value};

use crate::cargo::{command, libraries, manifest, output, root};
use crate::fences::blocks;

/// Where a README says that this repository lies.
const NEIGHBOUR: &str = "../nextcart";

/// A folder with packages beside each other.
struct Outside {
    folder: tempfile::TempDir,
    members: Vec<String>,
}

impl Outside {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), members: Vec::new() }
    }

    /// A package of a README: what it depends on, and its snippet as the program.
    fn add(&mut self, name: &str, readme: &Path) {
        let page = fs::read_to_string(readme).unwrap();
        let blocks = blocks(&page);
        let only = |language: &str| {
            let mut found = blocks.iter().filter(|block| block.language == language);
            let block = found.next().unwrap_or_else(|| panic!("{}: {language}", readme.display()));
            assert!(found.next().is_none(), "{}: a second `{language}`", readme.display());
            block.text.as_str()
        };
        let dependencies = only("toml").replace(NEIGHBOUR, root().to_str().unwrap());
        self.write(name, "main.rs", only("rust"), &dependencies);
    }

    fn write(&mut self, name: &str, file: &str, source: &str, dependencies: &str) {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("src").join(file), source).unwrap();
        let package = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n\n{dependencies}");
        fs::write(folder.join("Cargo.toml"), package).unwrap();
        self.members.push(name.to_owned());
    }

    /// Builds all packages, with what this workspace has compiled already, and returns the folder of their programs.
    fn build(&self) -> PathBuf {
        let mut workspace = Table::new();
        let members = self.members.iter().map(|name| Value::from(name.as_str())).collect();
        workspace.insert("members".into(), Value::Array(members));
        workspace.insert("resolver".into(), "3".into());
        let mut root_manifest = Table::new();
        root_manifest.insert("workspace".into(), workspace.into());
        root_manifest.insert("profile".into(), profiles());
        fs::write(self.folder.path().join("Cargo.toml"), root_manifest.to_string()).unwrap();
        fs::copy(root().join("Cargo.lock"), self.folder.path().join("Cargo.lock")).unwrap();

        let this = std::env::current_exe().unwrap();
        let programs = this.parent().and_then(Path::parent).unwrap();
        let mut build = command(self.folder.path());
        build.args(["build", "--workspace", "--offline", "--quiet"]).env("CARGO_INCREMENTAL", "0");
        if programs.ends_with("release") {
            build.arg("--release");
        }
        output(build.env("CARGO_TARGET_DIR", programs.parent().unwrap()));
        programs.to_owned()
    }
}

/// The profiles of this workspace. Our libraries are dependencies like any other there, and are built fast, since
/// they have little to do.
fn profiles() -> Value {
    let mut profiles = manifest(&root())["profile"].clone();
    let packages = profiles["dev"]["package"].as_table_mut().unwrap();
    let fast: Table = "opt-level = 0\ndebug = false".parse().unwrap();
    for library in libraries() {
        let name = library.file_name().unwrap().to_str().unwrap();
        packages.insert(name.to_owned(), fast.clone().into());
    }
    profiles
}

/// All that the members of this workspace depend on, with the features that they ask for: what decides with which
/// features cargo compiles a dependency.
fn all_dependencies() -> String {
    let mut dependencies = asked_for(&["dependencies", "dev-dependencies"]);
    // The backend that is the leaves' default.
    for (name, dependency) in &mut dependencies {
        let library = root().join("crates").join(name);
        let has_backends = library.is_dir()
            && manifest(&library).get("features").is_some_and(|it| it.get("cpu").is_some());
        let backend = if name == "burn" { Some("flex") } else { has_backends.then_some("cpu") };
        let features = dependency.get_mut("features").unwrap().as_array_mut().unwrap();
        features.extend(backend.map(Value::from));
    }
    let mut manifest = Table::new();
    manifest.insert("dependencies".into(), dependencies.into());
    manifest.insert("build-dependencies".into(), asked_for(&["build-dependencies"]).into());
    manifest.to_string()
}

/// What the members ask for in these tables of their manifests, but for what is optional.
fn asked_for(tables: &[&str]) -> Table {
    let root_manifest = manifest(&root());
    let versions = root_manifest["workspace"]["dependencies"].as_table().unwrap();
    let mut found = Table::new();
    let leaves = ["examples", "benches", "tests"].map(|name| root().join(name));
    for folder in libraries().into_iter().chain(leaves) {
        let manifest = manifest(&folder);
        let asked = tables.iter().filter_map(|name| manifest.get(*name)?.as_table()).flatten();
        for (name, asked) in asked {
            if asked.get("optional").is_some() || asked.get("workspace").is_none() {
                continue;
            }
            let known = found.entry(name).or_insert_with(|| known(&versions[name]));
            let features = known.get_mut("features").unwrap().as_array_mut().unwrap();
            features.extend(
                asked.get("features").and_then(Value::as_array).into_iter().flatten().cloned(),
            );
        }
    }
    found
}

/// A dependency as the workspace knows it, by a path that is good anywhere, with a list for more features.
fn known(version: &Value) -> Value {
    let mut known = match version {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    if let Some(Value::String(path)) = known.get_mut("path") {
        *path = root().join(&*path).to_str().unwrap().to_owned();
    }
    known.entry("features").or_insert_with(|| Value::Array(Vec::new()));
    known.into()
}

#[test]
fn every_snippet_runs_in_a_project_of_its_own() {
    let started = Instant::now();
    let mut outside = Outside::new();
    for library in libraries() {
        let name = library.file_name().unwrap().to_str().unwrap();
        outside.add(&name.replace("nextcart", "uses"), &library.join("README.md"));
    }
    outside.add("uses-nextcart", &root().join("README.md"));
    outside.write("like-this-workspace", "lib.rs", "", &all_dependencies());
    let programs = outside.build();
    println!("built in {:.0} s", started.elapsed().as_secs_f64());

    let files = Corpus::generate(&SyntheticConfig::tiny()).unwrap().write(outside.folder.path());
    let files = files.unwrap();
    for name in outside.members.iter().filter(|name| name.starts_with("uses-")) {
        let mut program = Command::new(programs.join(name));
        program.current_dir(outside.folder.path());
        if name == "uses-nextcart" {
            program.args([&files.reviews, &files.meta]);
        }
        println!("{name}:\n{}", output(&mut program));
    }
}

#[test]
fn metrics_need_nothing_else() {
    // Alone, with the features that it asks for itself and no others.
    let mut outside = Outside::new();
    outside.add("metrics-alone", &root().join("crates/nextcart-metrics/README.md"));
    let program = outside.build().join("metrics-alone");
    assert!(
        output(&mut Command::new(program)).contains("95 % interval 59."),
        "the snippet's output"
    );
}
