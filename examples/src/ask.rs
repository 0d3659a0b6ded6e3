//! What is asked: questions that leave a choice, of a model that is there, until Ctrl-C.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nextcart_data::Question;
use nextcart_eval::{Error, Evaluation};
use nextcart_models::{Checkpoint, HubModel};
use nextcart_prompt::Template;

use crate::{at_once, fetching};

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

/// The checkpoint of `--model`: a folder, or an id on the hub. Ctrl-C ends a download at once: the next one goes on.
///
/// # Errors
/// If it is neither, or cannot be read.
pub fn checkpoint(folder_or_id: &str) -> Result<Checkpoint> {
    let find = || match HubModel::named(folder_or_id) {
        Some(model) => Checkpoint::open(at_once(|| model.with_progress(fetching()).fetch())?),
        None => Checkpoint::open(folder_or_id),
    };
    let found = find();
    if Path::new(folder_or_id).exists() {
        return Ok(found?); // a damaged checkpoint says itself what is wrong
    }
    found.context("--model: expected the folder of a checkpoint, or an id `owner/name` on the hub")
}

/// The answers to questions that [`STOP`](crate::STOP) may have ended.
///
/// # Errors
/// That of the evaluation.
pub fn answered(asked: Result<Evaluation, Error>) -> Result<Evaluation> {
    asked.map_err(|error| match error {
        Error::Interrupted => anyhow!("{error}; the same command goes on"),
        error => error.into(),
    })
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

/// A p-value as reports have it: `p = 0.0123`, or `p < 0.0001`.
pub fn p_value(p: f64) -> String {
    if p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}

/// A whole number of at least so much, for the command line.
///
/// # Errors
/// If the text is none.
pub fn at_least<const LEAST: usize>(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number >= LEAST);
    number.ok_or_else(|| format!("expected a whole number of at least {LEAST}"))
}
