//! What the runs of a configuration have in common: whether one may begin, what it will need, and what came of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::Device;
use indicatif::ProgressBar;
use nextcart_adapters::ADAPTER_WEIGHTS;
use nextcart_eval::{Assessment, Error, Evaluation, Report, ScoreTable};
use nextcart_train::{DeviceFacts, Planner, RunConfig};
use sha2::{Digest, Sha256};

use crate::{in_order, next, say, word, wrapped};

/// What a prepared folder has.
const MANIFEST: &str = "manifest.json";

/// An error for a run that would write over what was found of another, or has nothing to go on from.
///
/// # Errors
/// Then.
pub fn check_run(found: Option<&Path>, output: &Path, plan: bool, resume: bool) -> Result<()> {
    match found {
        Some(found) => ensure!(
            plan || resume,
            "`{}` already exists: add --resume to continue, or set another `output`",
            found.display()
        ),
        None => ensure!(
            !resume,
            "nothing to resume: no checkpoint in `{}`; leave --resume out",
            output.display()
        ),
    }
    Ok(())
}

/// An error where there is neither a prepared folder nor files to prepare into it, and for files that are not there,
/// before a model is looked for.
///
/// # Errors
/// Then.
pub fn check_data(reviews: &[PathBuf], meta: &[PathBuf], folder: &Path) -> Result<()> {
    ensure!(
        !reviews.is_empty() || folder.join(MANIFEST).is_file(),
        "`{}` holds no prepared data: --reviews and --meta name files to prepare into it; for a folder that `prepare` \
         wrote elsewhere, set `folder` below `[data]`",
        folder.display()
    );
    check_files(reviews.iter().chain(meta))
}

/// An error for a file or folder that is not there.
///
/// # Errors
/// Then.
pub fn check_files<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
    for path in paths {
        path.metadata().with_context(|| format!("cannot read `{}`", path.display()))?;
    }
    Ok(())
}

/// Whether a plan is all that was asked for, which it says then: by `--plan`, with a number for so many GB at most. Folders
/// beside the run's checkpoints count with the bytes that they will hold.
///
/// # Errors
/// If the run would not fit into memory, and the error says what would; if it would not fit on the disk.
pub fn planned(
    planner: &Planner,
    (output, beside): (&Path, &[(PathBuf, u64)]),
    device: &Device,
    plan: Option<f64>,
) -> Result<bool> {
    let most = (plan.unwrap_or(f64::INFINITY) * 1e9) as u64;
    let facts = DeviceFacts::measure_for(planner, device).within(most);
    if plan.is_some() {
        say!("{}", planner.estimate(&facts))?;
    }
    planner.plan_in(output, &facts)?;
    planner.check_disk(output, beside)?;
    Ok(plan.is_some())
}

/// Asks the finished model, whose adapter has been saved, and what is set beside it, writes the report, and says what came
/// of the run, where it lies and what to do with it. Answers are kept by the adapter, the prompts and the data.
///
/// # Errors
/// Those of [`Assessment::write`], at Ctrl-C, and if the adapter or the data's manifest cannot be read.
pub fn report(all: &Assessment<'_>, config: &RunConfig, report: Report<'_>) -> Result<()> {
    let (out, data) = (config.output.as_path(), &config.data);
    let asked = (&data.template, &data.wrapper, data.history, data.max_tokens);
    let adapter = sha256(&out.join("adapter").join(ADAPTER_WEIGHTS))?;
    let identity = format!("{adapter} {asked:?} {}", sha256(&data.folder.join(MANIFEST))?);
    let bar = ProgressBar::new_spinner();
    let tell = |name: &str, n, of| bar.set_message(format!("{name}: {n} of {of} questions"));
    let assessed = in_order(|stop| all.write(out, &identity, report, stop, tell));
    let assessed = assessed.map_err(|error| match error {
        Error::Interrupted => anyhow!("{error}; --resume goes on"),
        error => error.into(),
    })?;
    bar.finish_and_clear();
    let scores: Vec<_> = assessed.evaluations.iter().map(Evaluation::score).collect();
    say!("{}\n\n{}\n", ScoreTable::new(&scores), wrapped(assessed.audit.explain()))?;
    say!("adapter: {}", out.join("adapter").display())?;
    say!("merged model: {}", out.join("merged").display())?;
    say!("report: {}", assessed.files.html.display())?;
    next(format_args!("recommend -- --run {}", word(out)))
}

/// The hash of a file, in hexadecimal digits.
fn sha256(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
