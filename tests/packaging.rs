//! What a registry and its users are told of the libraries, and what would be sent there.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cargo::{command, libraries, manifest, output, root};

/// Of <https://crates.io/category_slugs>, those in use here.
const CATEGORIES: [&str; 5] =
    ["mathematics", "parser-implementations", "science", "template-engine", "text-processing"];

/// What may lie in a package beside the files of the folders `src`, `tests` and `templates`.
const FILES: [&str; 6] =
    [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig", "LICENSE", "README.md"];

#[test]
fn every_library_says_what_it_is() {
    for folder in libraries() {
        let manifest = manifest(&folder);
        let package = manifest["package"].as_table().unwrap();
        let name = package["name"].as_str().unwrap();
        assert_eq!(Some(name), folder.file_name().unwrap().to_str());
        let description = package["description"].as_str().unwrap();
        assert!(description.ends_with('.') && description.len() < 200, "{name}: {description}");
        for field in ["version", "edition", "rust-version", "license", "repository"] {
            assert_eq!(package[field]["workspace"].as_bool(), Some(true), "{name}: {field}");
        }
        let words = |field: &str| -> Vec<String> {
            let words = package[field].as_array().unwrap().iter();
            words.map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let keywords = words("keywords");
        assert!((1..=5).contains(&keywords.len()), "{name}: {keywords:?}");
        assert!(keywords.iter().all(|word| word.len() <= 20), "{name}: {keywords:?}");
        let categories = words("categories");
        assert!(!categories.is_empty(), "{name}");
        assert!(categories.iter().all(|word| CATEGORIES.contains(&word.as_str())), "{name}");
        let readme = folder.join(package["readme"].as_str().unwrap());
        let readme = std::fs::read_to_string(readme).unwrap();
        assert!(readme.starts_with(&format!("# {name}\n\n")), "{name}");
    }
}

#[test]
fn a_package_holds_sources_and_its_licence_and_nothing_else() {
    let licence = std::fs::read(root().join("LICENSE")).unwrap();
    for folder in libraries() {
        // Only listed: to build what would be sent, the libraries that it depends on would have to be published.
        let listed =
            output(command(&folder).args(["package", "--list", "--allow-dirty", "--offline"]));
        let files: Vec<&str> = listed.lines().collect();
        for needed in ["Cargo.toml", "LICENSE", "README.md", "src/lib.rs"] {
            assert!(files.contains(&needed), "{}: {needed} is missing", folder.display());
        }
        let own = std::fs::read(folder.join("LICENSE")).unwrap();
        assert!(own == licence, "{}: not the workspace's LICENSE", folder.display());
        for file in files {
            let source = ["src/", "tests/", "templates/"].iter().any(|part| file.starts_with(part));
            assert!(source || FILES.contains(&file), "{}: {file}", folder.display());
            if file.starts_with("tests/") && file.ends_with(".rs") {
                let test = std::fs::read_to_string(folder.join(file)).unwrap();
                assert!(!test.contains("join(\"../"), "{}: {file} leaves it", folder.display());
            }
        }
    }
}

/// Dependencies that name no licence but hold its text, and which one that is.
const BY_FILE: [(&str, &str); 1] = [("cfg_block", "Apache-2.0")];

/// Whether an SPDX expression, or the older form with a slash, allows a licence of the list.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    // In the licences of our dependencies AND binds parts in brackets or stands alone.
    let all = expression.split(" AND ").map(|part| part.trim_matches(['(', ')', ' ']));
    let any =
        |part: &str| part.replace('/', " OR ").split(" OR ").any(|it| allowed.contains(it.trim()));
    all.into_iter().all(any)
}

#[test]
fn every_dependency_has_a_licence_of_the_list() {
    let deny: toml::Table =
        std::fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap();
    let allowed = deny["licenses"]["allow"].as_array().unwrap().iter();
    let allowed: BTreeSet<&str> = allowed.map(|licence| licence.as_str().unwrap()).collect();
    let version = output(std::process::Command::new("rustc").arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--format-version", "1", "--offline", "--filter-platform", host];
    let metadata: Value = serde_json::from_str(&output(command(&root()).args(arguments))).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 300, "{}", packages.len());
    let licence = |package: &Value| {
        let by_file = BY_FILE.iter().find(|(name, _)| package["name"] == *name);
        let named = package["license"].as_str().map(str::to_owned);
        named.or_else(|| by_file.map(|(_, licence)| (*licence).to_owned())).unwrap_or_default()
    };
    let unknown: Vec<String> = packages
        .iter()
        .filter(|package| !is_allowed(&licence(package), &allowed))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn licences_are_read() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0", "Unicode-3.0"]);
    for yes in [
        "MIT",
        "MIT OR Apache-2.0",
        "GPL-3.0 OR MIT",
        "GPL-2.0/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
    ] {
        assert!(is_allowed(yes, &allowed), "{yes}");
    }
    for no in ["GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR GPL-3.0) AND MIT", ""] {
        assert!(!is_allowed(no, &allowed), "{no}");
    }
}

#[test]
fn every_example_has_a_row() {
    let folder = root().join("examples");
    let table = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs")
            || path.join("main.rs").is_file()
        {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(table.contains(&format!("\n| `{name}` | ")), "{name} has no row");
            let command = format!("--example {name}");
            assert!(table.contains(&command), "{name} has no command");
        }
    }
}
