//! An evaluation that can be interrupted.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nextcart_data::Question;
use serde::{Deserialize, Serialize};

use crate::Predictor;
use crate::error::{Error, Result};
use crate::evaluation::{Evaluation, Prediction, ask};
use crate::fnv::hash;
use crate::report::{Staged, encode, read_predictions};

/// What the folder is of.
const RUN: &str = "evaluation.json";
/// All predictions, once they are complete.
const WHOLE: &str = "predictions.parquet";
/// The beginning of the names of files with some of the predictions.
const PART: &str = "part-";

/// Answers after which a part is written, or sooner where they are slow.
const PART_QUESTIONS: usize = 256;
const PART_SECONDS: Duration = Duration::from_secs(20);

/// How far an evaluation has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// All questions are answered.
    Done(Evaluation),
    /// It was broken off; the folder holds the answers so far.
    Interrupted {
        /// Questions answered, the first ones.
        answered: usize,
        /// Questions in all.
        of: usize,
    },
}

/// Asks a predictor all questions, keeps the answers in a folder, and goes on with those that the folder holds
/// already.
///
/// `identity` says what decides the answers beside the questions, such as the checkpoint, the adapter and the
/// template: answers of another identity, predictor or set of questions are refused, not mixed. `each` is
/// called after every new answer and may break off; whatever is answered is written then, and at the latest
/// every 256 answers or 20 seconds, so that little is lost even to a power cut.
///
/// The folder holds `evaluation.json`, `part-N.parquet` from question `N` on, and in the end
/// `predictions.parquet` in their place, as [`read_predictions`] reads it. Each file appears whole or not at all.
///
/// # Errors
/// As [`evaluate`](crate::evaluate); if the folder is of another evaluation ([`Error::OtherEvaluation`]), or a
/// file cannot be read or written. What was answered before a predictor failed is kept.
pub fn evaluate_in(
    folder: impl AsRef<Path>,
    identity: &str,
    predictor: &mut (impl Predictor + ?Sized),
    questions: &[Question],
    mut each: impl FnMut(&Prediction) -> ControlFlow<()>,
) -> Result<Progress> {
    if questions.is_empty() {
        return Err(Error::NoQuestions { purpose: "score" });
    }
    let mut kept = Kept::open(folder.as_ref(), identity, predictor.name(), questions)?;
    tracing::info!(answered = kept.predictions.len(), of = questions.len(), "evaluating");
    while kept.predictions.len() < questions.len() {
        let question = &questions[kept.predictions.len()];
        let prediction = match ask(predictor, question) {
            Ok(prediction) => prediction,
            Err(error) => {
                kept.write_part()?;
                return Err(error);
            }
        };
        let goes_on = each(&prediction);
        kept.predictions.push(prediction);
        if kept.is_due() {
            kept.write_part()?;
        }
        if goes_on.is_break() && kept.predictions.len() < questions.len() {
            kept.write_part()?;
            let answered = kept.predictions.len();
            return Ok(Progress::Interrupted { answered, of: questions.len() });
        }
    }
    kept.finish().map(Progress::Done)
}

/// [`evaluate_in`] until a flag is set, as by Ctrl-C; `each` is called after every new answer.
///
/// # Errors
/// [`Error::Interrupted`] after the answer at which `stop` is seen to be true, unless it was the last; those of
/// [`evaluate_in`].
pub fn evaluate_until(
    folder: impl AsRef<Path>,
    identity: &str,
    predictor: &mut (impl Predictor + ?Sized),
    questions: &[Question],
    stop: &AtomicBool,
    mut each: impl FnMut(),
) -> Result<Evaluation> {
    let progress = evaluate_in(folder, identity, predictor, questions, |_| {
        each();
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    match progress {
        Progress::Done(evaluation) => Ok(evaluation),
        Progress::Interrupted { .. } => Err(Error::Interrupted),
    }
}

/// What a folder is of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    predictor: String,
    identity: String,
    questions: usize,
    /// Of all that the questions hold.
    digest: String,
}

impl Identity {
    /// What of this is otherwise in the other, in words.
    fn beside(&self, other: &Self) -> String {
        let mut told = Vec::new();
        if self.predictor != other.predictor {
            told.push(format!("predictor `{}`", self.predictor));
        }
        if self.questions != other.questions {
            told.push(format!("{} questions", self.questions));
        } else if self.digest != other.digest {
            told.push(format!("questions with the digest {}", self.digest));
        }
        if self.identity != other.identity {
            told.push(format!("model or settings `{}`", self.identity));
        }
        told.join(", ")
    }
}

struct Kept {
    folder: PathBuf,
    predictor: String,
    predictions: Vec<Prediction>,
    /// How many of them are in files.
    written: usize,
    last: Instant,
}

impl Kept {
    fn open(
        folder: &Path,
        identity: &str,
        predictor: &str,
        questions: &[Question],
    ) -> Result<Self> {
        let (folder, predictor) = (folder.to_owned(), predictor.to_owned());
        let own = Identity {
            predictor: predictor.clone(),
            identity: identity.to_owned(),
            questions: questions.len(),
            digest: digest(questions)?,
        };
        let path = folder.join(RUN);
        if path.exists() {
            let text = fs::read(&path).map_err(|source| read_error(&path, source))?;
            let found: Identity = serde_json::from_slice(&text)
                .map_err(|source| Error::ReadJson { path: path.clone(), source })?;
            if found != own {
                let (expected, found) = (own.beside(&found), found.beside(&own));
                return Err(Error::OtherEvaluation { path, expected, found });
            }
        } else {
            let json = serde_json::to_vec_pretty(&own)
                .map_err(|source| Error::Json { file: RUN, source })?;
            let mut staged = Staged::new(&folder)?;
            staged.add(RUN, &json)?;
            staged.commit()?;
        }
        let mut kept =
            Self { folder, predictor, predictions: Vec::new(), written: 0, last: Instant::now() };
        let whole = kept.folder.join(WHOLE);
        let files = if whole.exists() { vec![whole] } else { kept.parts()? };
        for path in files {
            kept.read(&path, questions)?;
        }
        kept.written = kept.predictions.len();
        Ok(kept)
    }

    /// The parts in their order.
    fn parts(&self) -> Result<Vec<PathBuf>> {
        let failed = |source| read_error(&self.folder, source);
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            if name.is_some_and(|name| name.starts_with(PART) && name.ends_with(".parquet")) {
                parts.push(path);
            }
        }
        parts.sort(); // numbers of equal width
        Ok(parts)
    }

    fn read(&mut self, path: &Path, questions: &[Question]) -> Result<()> {
        for evaluation in read_predictions(path)? {
            for prediction in evaluation.predictions {
                let expected = questions.get(self.predictions.len()).map(|q| q.id.as_str());
                if expected != Some(prediction.question.as_str()) {
                    return Err(Error::OtherEvaluation {
                        path: path.to_owned(),
                        expected: format!("question `{}`", expected.unwrap_or("none")),
                        found: format!("question `{}`", prediction.question),
                    });
                }
                self.predictions.push(prediction);
            }
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.predictions.len() - self.written >= PART_QUESTIONS
            || self.last.elapsed() >= PART_SECONDS
    }

    fn write_part(&mut self) -> Result<()> {
        if self.written < self.predictions.len() {
            let new = self.predictions[self.written..].to_vec();
            let part = Evaluation::of(&self.predictor, new)?;
            self.write(&format!("{PART}{:010}.parquet", self.written), &part)?;
            self.written = self.predictions.len();
        }
        self.last = Instant::now();
        Ok(())
    }

    fn write(&self, name: &str, evaluation: &Evaluation) -> Result<()> {
        let mut staged = Staged::new(&self.folder)?;
        staged.add(name, &encode(std::slice::from_ref(evaluation))?)?;
        staged.commit()
    }

    fn finish(self) -> Result<Evaluation> {
        let parts = self.parts()?;
        let evaluation = Evaluation::of(&self.predictor, self.predictions.clone())?;
        if !self.folder.join(WHOLE).exists() {
            self.write(WHOLE, &evaluation)?;
        }
        // Some may be left of a run that was killed between the two.
        for part in parts {
            fs::remove_file(&part).map_err(|source| Error::Write { path: part, source })?;
        }
        Ok(evaluation)
    }
}

fn read_error(path: &Path, source: std::io::Error) -> Error {
    Error::Read { path: path.to_owned(), source }
}

/// Of all that the questions hold, in their order.
fn digest(questions: &[Question]) -> Result<String> {
    let mut digest = 0;
    for question in questions {
        let json =
            serde_json::to_vec(question).map_err(|source| Error::Json { file: RUN, source })?;
        digest = hash(&[&hash(&json).to_le_bytes()[..], &u64::to_le_bytes(digest)].concat());
    }
    Ok(format!("{digest:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;
    use crate::{FnPredictor, evaluate};

    fn questions(n: usize) -> Vec<Question> {
        (0..n).map(|i| question(&format!("q{i}"), &["x"], &["a", "b", "c"], i % 3)).collect()
    }

    /// Scores that depend on the question, and how many were asked for.
    fn predictor(asked: &mut usize) -> impl Predictor {
        FnPredictor::new("mine", |q| {
            *asked += 1;
            (0..3).map(|place| f64::from((hash(q.id.as_bytes()) >> place) as u8)).collect()
        })
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The same but for the time that it took.
    #[track_caller]
    fn check_same(found: Evaluation, expected: Evaluation) {
        let timeless = |mut evaluation: Evaluation| {
            evaluation.predictions.iter_mut().for_each(|prediction| prediction.seconds = 0.0);
            evaluation
        };
        assert_eq!(timeless(found), timeless(expected));
    }

    #[test]
    fn an_interrupted_evaluation_goes_on_where_it_stopped() {
        let (questions, folder) = (questions(700), tempfile::tempdir().unwrap());
        let out = folder.path().join("new/out");
        let (mut asked, mut total) = (0, 0);
        for (stop, expected) in [(Some(3), 3), (Some(600), 603)] {
            let mut left = stop.unwrap();
            let progress = evaluate_in(&out, "v1", &mut predictor(&mut asked), &questions, |_| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let interrupted = Progress::Interrupted { answered: expected, of: 700 };
            assert_eq!(progress.unwrap(), interrupted);
            total = asked;
        }
        assert_eq!(total, 603);
        let parts = ["part-0000000000", "part-0000000003", "part-0000000259", "part-0000000515"];
        let mut expected: Vec<String> =
            parts.iter().map(|name| format!("{name}.parquet")).collect();
        expected.insert(0, RUN.into());
        assert_eq!(names(&out), expected);

        let go_on = |_: &Prediction| ControlFlow::Continue(());
        let done = evaluate_in(&out, "v1", &mut predictor(&mut asked), &questions, go_on).unwrap();
        let Progress::Done(found) = done else { panic!("{done:?}") };
        check_same(found, evaluate(&mut predictor(&mut 0), &questions).unwrap());
        assert_eq!((asked, names(&out)), (700, vec![RUN.to_owned(), WHOLE.to_owned()]));

        // Nothing is asked again, and what was answered is found; a part that a kill left behind goes.
        fs::copy(out.join(WHOLE), out.join("part-0000000515.parquet")).unwrap();
        let done = evaluate_in(&out, "v1", &mut predictor(&mut asked), &questions, go_on).unwrap();
        let Progress::Done(found) = done else { panic!("{done:?}") };
        check_same(found, evaluate(&mut predictor(&mut 0), &questions).unwrap());
        assert_eq!((asked, names(&out)), (700, vec![RUN.to_owned(), WHOLE.to_owned()]));
    }

    #[test]
    fn answers_of_another_evaluation_are_refused() {
        let (questions, folder) = (questions(9), tempfile::tempdir().unwrap());
        let go_on = |_: &Prediction| ControlFlow::Continue(());
        let run = |identity: &str, questions: &[Question]| {
            evaluate_in(folder.path(), identity, &mut predictor(&mut 0), questions, go_on)
        };
        run("v1", &questions).unwrap();
        let mut other = questions.clone();
        other[8].candidates.swap(0, 1);
        for (result, told) in [
            (
                run("v2", &questions),
                "expected model or settings `v2`, found model or settings `v1`",
            ),
            (run("v1", &other), "expected questions with the digest "),
            (run("v1", &questions[1..]), "expected 8 questions, found 9 questions;"),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::OtherEvaluation { .. }), "{error}");
            assert!(error.to_string().contains(told), "{error}");
        }
        assert!(matches!(run("v1", &[]), Err(Error::NoQuestions { .. })));
    }

    #[test]
    fn what_was_answered_before_a_failure_is_kept() {
        let (questions, folder) = (questions(5), tempfile::tempdir().unwrap());
        let go_on = |_: &Prediction| ControlFlow::Continue(());
        let mut failing =
            FnPredictor::new(
                "mine",
                |q| {
                    if q.id == "q3" { vec![f64::NAN; 3] } else { vec![0.0; 3] }
                },
            );
        let error = evaluate_in(folder.path(), "", &mut failing, &questions, go_on).unwrap_err();
        assert!(matches!(error, Error::ScoreNan { .. }), "{error}");
        let mut asked = 0;
        evaluate_in(folder.path(), "", &mut predictor(&mut asked), &questions, go_on).unwrap();
        assert_eq!(asked, 2);
    }
}
