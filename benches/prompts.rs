//! Questions to token ids with loss masks: beside f-strings with Hugging Face tokenizers, and beside TRL.
//!
//! Run: `cargo bench --bench prompts -- [--questions 100000] [--titles 8000] [--peers fstrings,trl] [--repeat 3]`
//!
//! The tokenizer is `tinyllama/tokenizer.json` in the folder that `NEXTCART_TOKENIZERS` names. Questions have
//! two to ten purchases and four options, drawn from a generated catalogue, or from real titles if
//! `NEXTCART_DATA` names a folder with them. Reading questions and tokenizer is not timed; rendering,
//! tokenising and masks are, with two threads. The digest covers all ids and numbers of trained tokens: all
//! tools must agree on it. The tools take turns, so that a busy moment hits all of them.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::read::GzDecoder;
use nextcart_data::{Part, Product, Purchase, Question};
use nextcart_prompt::{Template, Wrapper};
use nextcart_text::{Built, Lengths, SampleBuilder, Tokenizer};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use sha2::{Digest, Sha256};

use common::{Arguments, data_folder};

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().expect("two threads");
    let arguments = Arguments::read();
    let Some(tokenizers) = std::env::var_os("NEXTCART_TOKENIZERS").map(PathBuf::from) else {
        println!("skipped: NEXTCART_TOKENIZERS is not set");
        return;
    };
    let tokenizer = tokenizers.join("tinyllama/tokenizer.json");
    let questions = questions(
        &titles(arguments.number("--titles").unwrap_or(8000)),
        arguments.number("--questions").unwrap_or(100_000),
    );
    let file = write(&questions);
    let peers = arguments.value("--peers").unwrap_or_default();
    let tools = ["nextcart"].into_iter().chain(peers.split(',').filter(|peer| !peer.is_empty()));
    let tools: Vec<&str> = tools.collect();
    let mut seconds: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut digests: BTreeMap<&str, String> = BTreeMap::new();
    for _ in 0..arguments.number("--repeat").unwrap_or(3) {
        for tool in &tools {
            let (time, digest) = match *tool {
                "nextcart" => own(&tokenizer, &questions),
                peer => run_peer(peer, &file, &tokenizer),
            };
            seconds.entry(tool).or_default().push(time);
            digests.insert(tool, digest);
        }
    }
    let same = digests.values().all(|digest| *digest == digests["nextcart"]);
    assert!(same, "the tools do not agree: {digests:?}");
    let least = |tool: &str| seconds[tool].iter().copied().fold(f64::INFINITY, f64::min);
    println!("{:<10} {:>9} {:>7} {:>12}  digest", "tool", "seconds", "ratio", "questions/s");
    for tool in &tools {
        let (time, digest) = (least(tool), &digests[tool]);
        let (ratio, speed) = (time / least("nextcart"), questions.len() as f64 / time);
        println!(
            "{tool:<10} {time:>9.2} {ratio:>7.2} {speed:>12.0}  {}",
            &digest[..digest.len().min(16)]
        );
    }
}

/// Renders and tokenises all questions: the seconds, and the digest.
fn own(tokenizer: &Path, questions: &[Question]) -> (f64, String) {
    let tokenizer = Tokenizer::from_file(tokenizer, Some(2)).expect("a tokenizer");
    let template = Template::builtin("next_purchase").expect("a template");
    let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
    let start = Instant::now();
    let built = builder.build_all(questions).expect("samples");
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{}", Lengths::of(&built));
    (seconds, digest(&built))
}

fn digest(built: &[Built]) -> String {
    let mut hash = Sha256::new();
    for Built { sample, .. } in built {
        let trained = sample.trained_tokens() as u32;
        let words = sample.ids().iter().copied().chain([trained]);
        hash.update(words.flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn run_peer(peer: &str, questions: &Path, tokenizer: &Path) -> (f64, String) {
    let mut command = common::peer(&format!("prompts_{peer}.py"));
    let output = command.arg(questions).arg(tokenizer).output();
    let output = output.expect("the command runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let line: Value = serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{peer}: {}", String::from_utf8_lossy(&output.stderr)));
    let digest = line["digest"].as_str().unwrap_or("none").to_owned();
    (line["seconds"].as_f64().expect("seconds"), digest)
}

/// Real titles, as many as there are, or generated ones.
fn titles(wanted: usize) -> Vec<String> {
    let real = std::env::var_os("NEXTCART_DATA").map(PathBuf::from);
    let real = real.map(|folder| folder.join("prime_pantry/items.jsonl.gz"));
    let Some(file) = real.and_then(|path| File::open(path).ok()) else {
        return (0..wanted).map(generated).collect();
    };
    let mut titles: Vec<String> = BufReader::new(GzDecoder::new(file))
        .lines()
        .map(|line| {
            let item: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
            let title = item["title"].as_str().expect("a title");
            title.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .filter(|title| !title.is_empty() && !title.ends_with(':'))
        .collect();
    // More than there are: the same ones, numbered.
    for number in titles.len()..wanted.max(titles.len()) {
        titles.push(format!("{} No. {number}", titles[number % 8000]));
    }
    titles.truncate(wanted);
    titles
}

/// A title like those of a pantry.
fn generated(number: usize) -> String {
    const BRANDS: [&str; 7] = ["Lipton", "Quaker", "Barilla", "Dole", "Tide", "Nestle", "Kind"];
    const KINDS: [&str; 5] = ["Green Tea", "Oatmeal", "Spaghetti", "Fruit Cups", "Granola Bars"];
    let (brand, kind) = (BRANDS[number % 7], KINDS[number % 5]);
    format!("{brand} Organic {kind} No. {number}, {} Ounce (Pack of {})", number % 64, number % 12)
}

fn questions(titles: &[String], wanted: usize) -> Vec<Question> {
    let mut random = SmallRng::seed_from_u64(7);
    let mut product = || {
        let title = titles[random.random_range(0..titles.len())].clone();
        Product { item: title.clone(), title, brand: None, category: Vec::new(), price: None }
    };
    let mut lengths = SmallRng::seed_from_u64(8);
    (0..wanted)
        .map(|number| Question {
            id: format!("q{number}"),
            user: format!("u{number}"),
            part: Part::Train,
            time: None,
            history: (0..lengths.random_range(2..=10))
                .map(|_| Purchase { product: product(), time: None, rating: None })
                .collect(),
            candidates: (0..4).map(|_| product()).collect(),
            answer: lengths.random_range(0..4),
            excluded: Vec::new(),
        })
        .collect()
}

/// The questions as the peers read them.
fn write(questions: &[Question]) -> PathBuf {
    let path = data_folder().join("prompts.jsonl");
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    for question in questions {
        serde_json::to_writer(&mut file, question).expect("written");
        file.write_all(b"\n").expect("written");
    }
    file.flush().expect("written");
    path
}
