//! Says whether questions give their answers away to whoever never looks at the customer's history.
//!
//! Run: `cargo run --release --example audit -- data`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use nextcart_data::{Part, Prepared, Question, read_any_questions};
use nextcart_eval::{
    Audit, AuditOptions, Findings, PurchaseSource, ScoreTable, Verdict, audit_with,
};
use nextcart_examples::{check_choice, end_of_output, example, print, question_file, wrapped};

/// Says whether questions give their answers away.
///
/// Answers the questions in 30 ways that never look at the customer's history: by the length of the
/// titles, their digits, punctuation and capitals, by how much they are like those of the other options, by the
/// place among the options, by how many customers bought an option, and by a classifier trained on the options of
/// other customers. What any of them gets above chance, a model can get without knowing the customer.
///
/// The verdict is `leaks` where one is surely above chance, and by more than 3 points; `clean` where all are
/// surely within 3 points of it; and `inconclusive` where the questions are too few to tell. Below it stands
/// what else is odd: options with the answer's title, answers that the history holds, test questions that
/// training holds.
#[derive(Parser)]
#[command(name = "audit", version)]
#[command(after_help = example("audit -- data"))]
struct Arguments {
    /// A folder that `prepare` wrote, questions as nextcart writes them, or the seed project's
    /// `final_dataset.parquet`.
    questions: PathBuf,
    /// Prepared folder whose training histories say how often items were bought. A folder of questions is its own; of
    /// a file, the training part says so if this is left out, or the other customers if it has none.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folds of customers: each is answered by what was learnt from the others.
    #[arg(long, default_value_t = AuditOptions::default().folds)]
    folds: usize,
    /// Seed of the folds and the classifier.
    #[arg(long, default_value_t = AuditOptions::default().seed)]
    seed: u64,
    /// Print the finding as JSON and nothing else.
    #[arg(long)]
    json: bool,
    /// Verdicts that end the program with status 1, for scripts; what was found is printed all the same.
    #[arg(long, value_enum, value_name = "VERDICT")]
    fail_on: Option<FailOn>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FailOn {
    /// `leaks` alone.
    Leaks,
    /// `leaks` and `inconclusive`: all but `clean`.
    Inconclusive,
}

fn main() -> ExitCode {
    end_of_output(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let given = &arguments.questions;
    let path = question_file(given);
    let questions = read_any_questions(&path)?;
    check_choice(&questions, given)?;
    let own = given.join("manifest.json").is_file().then_some(given);
    let data = arguments.data.as_ref().or(own);
    let histories = data.map(|folder| Prepared::open(folder)?.histories()).transpose()?;
    let (folds, seed) = (arguments.folds, arguments.seed);
    let options = AuditOptions { histories: histories.as_deref(), folds, seed };
    let found = audit_with(&questions, &options)
        .with_context(|| format!("cannot audit `{}`", path.display()))?;
    match arguments.json {
        true => print(serde_json::to_string_pretty(&found)? + "\n")?,
        false => print(report(&found, &questions)?)?,
    }
    let fails = match arguments.fail_on {
        None => false,
        Some(FailOn::Leaks) => found.verdict == Verdict::Leaks,
        Some(FailOn::Inconclusive) => found.verdict != Verdict::Clean,
    };
    ensure!(!fails, "the verdict is `{}`, which --fail-on takes for a failure", found.verdict);
    Ok(())
}

/// All that was found, the verdict last.
fn report(found: &Audit, questions: &[Question]) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "{}\n", ScoreTable::new(&found.scores()))?;
    let part = |part| questions.iter().filter(|question| question.part == part).count();
    writeln!(
        out,
        "questions: {} ({} train, {} validation, {} test)",
        found.n,
        part(Part::Train),
        part(Part::Validation),
        part(Part::Test)
    )?;
    writeln!(out, "purchases: {}", source(found.purchases))?;
    write!(out, "{}", table(&found.findings))?;
    writeln!(out, "verdict: {}\n\n{}", found.verdict, wrapped(found.explain()))?;
    Ok(out)
}

fn source(purchases: PurchaseSource) -> &'static str {
    match purchases {
        PurchaseSource::Histories => "counted in the training histories",
        PurchaseSource::TrainingQuestions => "counted in the questions of the training part",
        PurchaseSource::OtherCustomers => "counted in the questions of other customers",
        PurchaseSource::Nothing => "not counted: all questions are of the training part",
    }
}

/// A line a finding.
fn table(findings: &Findings) -> String {
    let total: usize = findings.places.iter().sum();
    let places = findings.places.iter().map(|&n| format!("{:.1} %", percent(n, total)));
    let mut lines = format!("answers by place: {}\n", places.collect::<Vec<_>>().join(", "));
    for (what, count) in [
        ("options with the answer's title", findings.title_collisions),
        ("answers in the history", findings.answer_in_history),
        ("other options in the history", findings.other_in_history),
        ("held-out questions seen in training", findings.seen_questions),
        ("held-out purchases seen in training", findings.seen_purchases),
        ("questions that equal an earlier one", findings.duplicates),
    ] {
        let share = match count.of {
            0 => "no training part".to_owned(),
            of => format!("{} of {of} ({:.1} %)", count.count, percent(count.count, of)),
        };
        lines += &format!("{what}: {share}\n");
    }
    lines
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
