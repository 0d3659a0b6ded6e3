//! A fine-tuned model's report, with all that gives its score a meaning.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nextcart_data::{Contexts, Dataset, Part, Question};
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::SampleBuilder;

use crate::audit::{AuditOptions, FullAudit, ModelAuditOptions, audit_model, audit_with};
use crate::baselines::{Chance, PunctuationRule, baselines};
use crate::edited::Edited;
use crate::error::{Error, Result};
use crate::errors::TrainingFacts;
use crate::evaluation::{Evaluation, evaluate_each};
use crate::predictor::{Answer, Predictor};
use crate::report::{BLIND, Report, ReportFiles, ScoreTable, TUNED};
use crate::resume::{Progress, evaluate_in};
use crate::spread::spread;
use crate::template_model::TemplateModel;

/// Where the answers are kept, in the folder of the report.
const ANSWERS: &str = "answers";

/// Questions that a model is asked in all orders of their options.
const ORDERED: usize = 100;

/// A fine-tuned model, to be set beside its base, its twin that cannot see the history and predictors without a
/// language model, on the test questions of a prepared folder.
///
/// [`write`](Self::write) keeps every answer of the model, its base and that twin as it comes, so that an assessment that
/// is stopped goes on where it was. The audit's twins are asked anew, and so are the predictors without a language model,
/// which are fitted on the data every time.
#[derive(Clone)]
pub struct Assessment<'a> {
    /// The model with its adapters.
    pub model: &'a Llama,
    /// Its shape.
    pub config: &'a LlamaConfig,
    /// Asks as training did.
    pub builder: SampleBuilder<'a>,
    /// What training knows beside each question, for templates that tell it, such as `item_relations`.
    pub contexts: Option<&'a Contexts>,
    /// Questions, training histories and catalogue.
    pub data: &'a Dataset,
    /// Latest purchases that the model is shown, as in training; the other predictors are shown all of them.
    pub purchases: Option<usize>,
    /// Test questions at most, evenly spaced.
    pub questions: usize,
}

/// What came of an [`Assessment`]. It prints as the table of scores and the audit in words.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Assessed {
    /// One a predictor: `fine_tuned`, `base`, `history_blind`, and those without a language model.
    pub evaluations: Vec<Evaluation>,
    /// What rules on the options alone score, and the model with something of the history taken from it.
    pub audit: FullAudit,
    /// The report.
    pub files: ReportFiles,
}

impl fmt::Display for Assessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scores: Vec<_> = self.evaluations.iter().map(Evaluation::score).collect();
        write!(f, "{}\n\n{}", ScoreTable::new(&scores), self.audit.explain())
    }
}

impl Assessment<'_> {
    /// Asks every predictor and writes the report into a folder. Title, notes and losses are those of `report`, after
    /// notes on the data.
    ///
    /// `identity` says what decides the model's answers beside the questions, as in [`evaluate_in`]; what
    /// [`contexts`](Self::contexts) are read from is of that. `each` is told of every new answer: the predictor's name, its
    /// answers so far, and all that it is to give.
    ///
    /// # Errors
    /// [`Error::Interrupted`] soon after `stop` is true; those of [`evaluate_in`], [`audit_with`], [`audit_model`] and
    /// [`Report::write`].
    pub fn write(
        &self,
        folder: impl AsRef<Path>,
        identity: &str,
        report: Report<'_>,
        stop: &AtomicBool,
        each: impl FnMut(&str, usize, usize),
    ) -> Result<Assessed> {
        let folder = folder.as_ref();
        let (whole, shown) = self.asked();
        let base = self.base()?;
        let tuned = || self.predictor(TUNED, self.model);
        let blind = Edited::without_history(self.predictor(BLIND, self.model)).named(BLIND);
        let histories = || self.data.histories.iter().map(|history| &history.items);
        let titles = || self.data.catalogue.products().map(|product| &product.title);
        let models: Vec<Box<dyn Predictor + '_>> =
            vec![Box::new(tuned()), Box::new(self.predictor("base", &base)), Box::new(blind)];
        let mut others = baselines(self.data)?;
        others.push(Box::new(PunctuationRule));
        others.push(Box::new(Chance));
        let asked: [Asked<'_>; 2] = [(models, &shown[..]), (others, &whole[..])];
        let evaluations = ask_all(&folder.join(ANSWERS), identity, asked, stop, each)?;

        // The rules look at all questions: the test's alone would be too few to tell.
        let known = AuditOptions { histories: Some(&self.data.histories), ..Default::default() };
        let questions = audit_with(&self.data.questions, &known)?;
        let mut audited = Stoppable { inner: tuned(), stop };
        let options = ModelAuditOptions { ordered: ORDERED, ..ModelAuditOptions::default() };
        let model = audit_model(&mut audited, &evaluations[0], &shown, &options)?;
        let audit = FullAudit { questions, models: vec![model] };
        let training = TrainingFacts::fit(histories(), titles());
        let (prompt, notes) = (self.prompt(shown.first())?, self.notes(whole.len(), report.notes));
        let report = Report {
            notes: &notes,
            questions: &whole,
            evaluations: &evaluations,
            audit: Some(&audit),
            training: Some(&training),
            prompt: prompt.as_deref(),
            ..report
        };
        let files = report.write(folder)?;
        Ok(Assessed { evaluations, audit, files })
    }

    /// The test questions that are asked, and the same as the model is shown them.
    fn asked(&self) -> (Vec<Question>, Vec<Question>) {
        let whole = spread(&self.data.part(Part::Test, None), self.questions);
        let shown = whole.iter().map(|question| question.with_latest(self.purchases)).collect();
        (whole, shown)
    }

    /// The model without its adapters; it shares the tensors.
    fn base(&self) -> Result<Llama> {
        let base =
            self.model.clone().map_projections(|_, projection| Ok(projection.without_adapter()));
        base.map_err(|source| Error::predictor("base", "any", source))
    }

    fn predictor<'b>(&'b self, name: &str, model: &'b Llama) -> TemplateModel<'b> {
        TemplateModel::new(name, model, self.config, self.builder.clone())
            .with_contexts(self.contexts)
    }

    /// What the data are, and the caller's notes.
    fn notes(&self, asked: usize, others: &[String]) -> Vec<String> {
        let (histories, of) = (&self.data.manifest.histories, &self.data.manifest.questions);
        let mut notes = vec![
            format!("data: {} users, {} purchases", histories.users, histories.interactions),
            format!("asked: {asked} of {} test questions, evenly spaced", of.test),
        ];
        if let Some(purchases) = self.purchases {
            notes.push(format!("shown to the model: the latest {purchases} purchases"));
        }
        notes.extend_from_slice(others);
        notes
    }

    /// A prompt as the model sees it.
    fn prompt(&self, question: Option<&Question>) -> Result<Option<String>> {
        let Some(question) = question else { return Ok(None) };
        let failed = |source| Error::predictor(TUNED, &question.id, source);
        let decisions = self.predictor(TUNED, self.model).decisions(question)?;
        let text = |tokens: &[u32]| self.builder.tokenizer().decode(tokens).map_err(failed);
        decisions.first().map(|decision| text(&decision.prompt)).transpose()
    }
}

/// Predictors, and the questions that each of them is asked.
type Asked<'a> = (Vec<Box<dyn Predictor + 'a>>, &'a [Question]);

/// Asks models, whose answers are kept in `folder`, and then others. Those are quick, and answers that they once gave may
/// have been of other histories, which no identity tells.
fn ask_all(
    folder: &Path,
    identity: &str,
    [(models, shown), (others, whole)]: [Asked<'_>; 2],
    stop: &AtomicBool,
    mut each: impl FnMut(&str, usize, usize),
) -> Result<Vec<Evaluation>> {
    let mut evaluations = Vec::with_capacity(models.len() + others.len());
    for inner in models {
        let name = inner.name().to_owned();
        let (mut model, mut answered) = (Stoppable { inner, stop }, 0);
        let progress = evaluate_in(folder.join(&name), identity, &mut model, shown, |_| {
            answered += 1;
            each(&name, answered, shown.len());
            ControlFlow::Continue(())
        })?;
        match progress {
            Progress::Done(evaluation) => evaluations.push(evaluation),
            Progress::Interrupted { .. } => return Err(Error::Interrupted),
        }
    }
    for inner in others {
        let name = inner.name().to_owned();
        let (mut other, mut answered) = (Stoppable { inner, stop }, 0);
        evaluations.push(evaluate_each(&mut other, whole, |_| {
            answered += 1;
            each(&name, answered, whole.len());
        })?);
    }
    Ok(evaluations)
}

/// A predictor that fails once it is to stop: whoever asks it keeps the answers so far.
struct Stoppable<'a, P> {
    inner: P,
    stop: &'a AtomicBool,
}

impl<P: Predictor> Predictor for Stoppable<'_, P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn score(&mut self, question: &Question) -> Result<Vec<f64>> {
        Ok(self.answer(question)?.scores)
    }

    fn answer(&mut self, question: &Question) -> Result<Answer> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        self.inner.answer(question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FnPredictor;
    use crate::fixtures::question;

    #[test]
    fn answers_of_models_are_kept_and_those_of_others_given_anew() {
        let folder = tempfile::tempdir().unwrap();
        let questions: Vec<Question> =
            (0..6).map(|id| question(&id.to_string(), &[], &["a", "b"], 0)).collect();
        let mut told = Vec::new();
        let mut ask = |place: usize, stop: bool| {
            // What is fitted on other data under the same name.
            let chooses = |name: &str| -> Vec<Box<dyn Predictor>> {
                let scores = [0, 1].map(|option| f64::from(u8::from(option == place)));
                vec![Box::new(FnPredictor::new(name, move |_| scores.to_vec()))]
            };
            let asked = ["model", "baseline"].map(|name| (chooses(name), &questions[..]));
            let stop = AtomicBool::new(stop);
            let found = ask_all(folder.path(), "same", asked, &stop, |name, answered, of| {
                told.push((name.to_owned(), answered, of));
            });
            found.map(|found| found.iter().map(|it| it.accuracy).collect::<Vec<f64>>())
        };
        assert_eq!(ask(0, false).unwrap(), [1.0, 1.0]);
        assert_eq!(ask(1, false).unwrap(), [1.0, 0.0]);
        assert!(matches!(ask(1, true), Err(Error::Interrupted)));
        let of = |name: &str| -> Vec<(String, usize, usize)> {
            (1..=6).map(|n| (name.to_owned(), n, 6)).collect()
        };
        assert_eq!(told, [of("model"), of("baseline"), of("baseline")].concat());
    }
}
