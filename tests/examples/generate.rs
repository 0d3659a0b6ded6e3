//! Text from a checkpoint: greedy and drawn, with an adapter, to a stop, and what is refused.

use std::fs;

use burn::tensor::Device;
use nextcart_models::{Architecture, Checkpoint, GenerateOptions, generate_text};

use super::finetune_models::{FILES, RUN, folder};
use super::{check_fails, check_succeeds};

const PROMPT: [&str; 6] =
    ["--model", "./base", "--prompt", "Reviewer has bought", "--max-new-tokens", "24"];

#[test]
fn text_is_that_of_the_library_and_of_the_seed() {
    let folder = folder(Architecture::Mistral);
    let here = folder.path();
    let greedy = check_succeeds("generate", here, &PROMPT);
    let checkpoint = Checkpoint::open(here.join("base")).unwrap();
    let model = checkpoint.load(&Device::flex()).unwrap();
    let options = GenerateOptions::new(24, checkpoint.config());
    let tokenizer = checkpoint.tokenizer().unwrap();
    let whole =
        generate_text(&model, checkpoint.config(), &tokenizer, PROMPT[3], &options, &[], |_| ());
    let whole = whole.unwrap();
    assert_eq!(greedy, format!("{whole}\n"));

    // It ends before a text that it would have written, however its tokens fall.
    let middle: String = whole.chars().skip(whole.chars().count() / 2).take(3).collect();
    let stopped = check_succeeds("generate", here, &[&PROMPT[..], &["--stop", &middle]].concat());
    assert_eq!(stopped, format!("{}\n", &whole[..whole.find(&middle).unwrap()]));
    let never = check_succeeds("generate", here, &[&PROMPT[..], &["--stop", "nowhere"]].concat());
    assert_eq!(never, greedy);

    let drawn = |seed: &str| {
        let sampling = ["--temperature", "1.5", "--top-k", "50", "--top-p", "0.9", "--seed", seed];
        check_succeeds("generate", here, &[&PROMPT[..], &sampling].concat())
    };
    assert_eq!(drawn("1"), drawn("1"));
    assert!(drawn("1") != greedy && drawn("1") != drawn("2"));
}

#[test]
fn an_adapter_and_a_chat_change_the_text() {
    let folder = folder(Architecture::Llama);
    let here = folder.path();
    let config = fs::read_to_string(here.join("run.toml")).unwrap();
    let config = config.replace("learning_rate = 1e-3", "learning_rate = 0.1");
    fs::write(here.join("run.toml"), config).unwrap();
    check_succeeds("finetune_tinyllama", here, &[&RUN[..], &FILES].concat());
    let base = check_succeeds("generate", here, &PROMPT);
    let adapter = ["--adapter", "out/adapter"];
    assert_ne!(check_succeeds("generate", here, &[&PROMPT[..], &adapter].concat()), base);
    let template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>";
    fs::write(here.join("base/chat_template.jinja"), template).unwrap();
    assert_ne!(check_succeeds("generate", here, &[&PROMPT[..], &["--chat"]].concat()), base);
}

#[test]
fn what_is_out_of_range_or_not_there_is_named() {
    let folder = folder(Architecture::Llama);
    let fails = |arguments: &[&str], expected: &[&str]| {
        check_fails("generate", folder.path(), &[&PROMPT[..], arguments].concat(), expected);
    };
    fails(&["--temperature", "0"], &["--temperature", "above 0", "found 0"]);
    fails(&["--temperature", "nan"], &["--temperature", "NaN"]);
    fails(&["--temperature", "1", "--top-p", "1.5"], &["--top-p", "1.5"]);
    fails(&["--temperature", "1", "--top-k", "0"], &["--top-k", "at least 1"]);
    fails(&["--stop", ""], &["--stop: expected a text"]);
    fails(&["--adapter", "data"], &["data/adapter_config.json"]);
    fails(&["--chat"], &["chat_template"]);
    let nowhere = ["--model", "./nowhere", "--prompt", "Tea"];
    let expected = ["--model: expected the folder of a checkpoint, or an id", "./nowhere"];
    check_fails("generate", folder.path(), &nowhere, &expected);
}
