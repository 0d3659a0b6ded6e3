//! What is asked: questions that leave a choice, of a model that is there, until Ctrl-C.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use nextcart_data::{Dataset, PrepareOptions, Question};
use nextcart_eval::{Error, Evaluation, Predictor, evaluate_until};
use nextcart_models::{Checkpoint, HubModel};
use nextcart_prompt::Template;

use crate::{SAME_COMMAND, fetching, go_on, in_order};

/// The questions of a folder that `prepare` wrote; what is no such folder is a file of them.
pub fn question_file(path: &Path) -> PathBuf {
    let inside = path.join("questions.parquet");
    if inside.is_file() { inside } else { path.to_owned() }
}

/// An error for a file where a folder is wanted.
///
/// # Errors
/// Then.
pub fn check_folder(path: &Path) -> Result<()> {
    if path.is_file() {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        bail!(
            "`{}`: expected a folder, found a file: name the folder, `{}`",
            path.display(),
            folder.display()
        );
    }
    Ok(())
}

/// An error unless all questions leave a choice.
///
/// # Errors
/// If one holds its target alone; the error names where the questions come from.
pub fn check_choice<'a>(
    questions: impl IntoIterator<Item = &'a Question>,
    from: &Path,
) -> Result<()> {
    let alone = questions.into_iter().any(|question| question.candidates.len() < 2);
    ensure!(
        !alone,
        "`{}` was prepared with --distractors catalogue, where questions hold the target alone: prepare again with \
         another",
        from.display()
    );
    Ok(())
}

/// What a folder holds that `prepare` wrote, or what comes of the files in it, prepared below `out`: each customer's last
/// purchase is the test. All questions leave a choice.
///
/// # Errors
/// If it is neither, one leaves none, or at Ctrl-C.
pub fn dataset(folder: &Path, out: &Path) -> Result<Dataset> {
    check_folder(folder)?;
    let options = PrepareOptions::leave_one_out();
    let data = in_order(|stop| Dataset::of_folder(folder, out, &options, stop))?;
    go_on(SAME_COMMAND)?;
    check_choice(&data.questions, folder)?;
    Ok(data)
}

/// The checkpoint of `--model`: a folder, or an id on the hub.
///
/// # Errors
/// If it is neither, or cannot be read.
pub fn checkpoint(folder_or_id: &str) -> Result<Checkpoint> {
    let find = || match HubModel::named(folder_or_id) {
        Some(model) => Checkpoint::open(model.with_progress(fetching()).fetch()?),
        None => Checkpoint::open(folder_or_id),
    };
    let found = find();
    if Path::new(folder_or_id).exists() {
        return Ok(found?); // a damaged checkpoint says itself what is wrong
    }
    found.context("--model: expected the folder of a checkpoint, or an id `owner/name` on the hub")
}

/// The template of `--template`: a file of one, or the name of one that is built in.
///
/// # Errors
/// If it is neither.
pub fn template(name_or_file: &str) -> Result<Template> {
    match Path::new(name_or_file).is_file() {
        true => Ok(Template::from_file(name_or_file)?),
        false => Ok(Template::builtin(name_or_file)?),
    }
}

/// Asks all questions, or goes on with those that an interrupted run left in its folder below `out`.
///
/// # Errors
/// Those of [`evaluate_until`], and at Ctrl-C.
pub fn ask(
    predictor: &mut dyn Predictor,
    questions: &[Question],
    identity: &str,
    out: &Path,
) -> Result<Evaluation> {
    let name = predictor.name().to_owned();
    let folder = out.join(name.replace(", ", "-").replace(' ', "_"));
    let style = ProgressStyle::with_template("{msg:27} {wide_bar} {pos}/{len}")?;
    let bar = ProgressBar::new(questions.len() as u64).with_style(style).with_message(name);
    let each = || bar.inc(1);
    let asked = in_order(|stop| evaluate_until(folder, identity, predictor, questions, stop, each));
    let answers = asked.map_err(|error| match error {
        Error::Interrupted => anyhow!("{error}; {SAME_COMMAND}"),
        error => error.into(),
    })?;
    go_on(SAME_COMMAND)?;
    Ok(answers)
}

/// Asks of a whole catalogue: tells what was bought, and nothing of what may be answered.
///
/// # Errors
/// None, as long as its text is a template.
pub fn purchases_template() -> Result<Template> {
    let instruction = "Which product does the customer buy next?";
    let input = "Bought, oldest first:
{% for item in history %}
{{ item.title | line }}
{% endfor %}
";
    let output = "{{ candidates | chosen(answer) }}";
    Ok(Template::new("purchases", instruction, input, output)?)
}

/// A whole number of at least so much, for the command line.
///
/// # Errors
/// If the text is none.
pub fn at_least<const LEAST: usize>(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number >= LEAST);
    number.ok_or_else(|| format!("expected a whole number of at least {LEAST}"))
}
