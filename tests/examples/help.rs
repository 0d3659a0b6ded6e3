//! `--help` ends with an example command, the one at the top of the source.

use std::fs;
use std::path::Path;

use super::{EXAMPLES, check_succeeds};

#[test]
fn help_ends_with_the_command_of_the_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    // However it is broken into lines.
    let words =
        |text: &str| text.replace('\\', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    for name in EXAMPLES {
        let file = if name == "quickstart" { "quickstart/main" } else { name };
        let source = fs::read_to_string(folder.join(format!("{file}.rs"))).unwrap();
        let (_, command) = source.split_once("\n//! Run: `").unwrap();
        let (command, _) = command.split_once('`').unwrap();
        // Built for a GPU, the command has its feature.
        let help = check_succeeds(name, folder, &["--help"]);
        let help = help.replace(" --features cuda", "").replace(" --features wgpu", "");
        let end = format!(" Example: {}", words(command));
        assert!(words(&help).ends_with(&end), "{name}: expected `{end}` at the end of {help}");
        assert!(command.starts_with(&format!("cargo run --release --example {name}")), "{command}");
    }
}

#[test]
fn a_recipe_tells_how_many_questions_its_report_asks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (recipe, questions) in [("finetune_tinyllama", 600), ("finetune_mistral", 300)] {
        let source = fs::read_to_string(folder.join(format!("{recipe}.rs"))).unwrap();
        assert!(source.contains(&format!("&builder, {questions})?;")), "{recipe}");
        let help = check_succeeds(recipe, folder, &["--help"]);
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(&format!("asks {questions} test questions")), "{help}");
    }
}
