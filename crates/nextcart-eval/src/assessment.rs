//! A fine-tuned model's report, with all that gives its score a meaning.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nextcart_data::{Dataset, Part, Question};
use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::SampleBuilder;

use crate::audit::{AuditOptions, FullAudit, ModelAuditOptions, audit_model, audit_with};
use crate::baselines::{Chance, PunctuationRule, baselines};
use crate::edited::Edited;
use crate::error::{Error, Result};
use crate::errors::TrainingFacts;
use crate::evaluation::Evaluation;
use crate::predictor::{Answer, Predictor};
use crate::report::{BLIND, Report, ReportFiles, ScoreTable, TUNED};
use crate::resume::{Progress, evaluate_in};
use crate::template_model::TemplateModel;

/// Where the answers are kept, in the folder of the report.
const ANSWERS: &str = "answers";

/// Questions that a model is asked in all orders of their options.
const ORDERED: usize = 100;

/// A fine-tuned model, to be set beside its base, its twin that cannot see the history and predictors without a
/// language model, on the test questions of a prepared folder.
///
/// [`write`](Self::write) keeps every answer as it comes, so that an assessment that is stopped goes on where it was;
/// only the audit's twins are asked anew.
#[derive(Clone)]
pub struct Assessment<'a> {
    /// The model with its adapters.
    pub model: &'a Llama,
    /// Its shape.
    pub config: &'a LlamaConfig,
    /// Asks as training did.
    pub builder: SampleBuilder<'a>,
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
    /// `identity` says what decides the model's answers beside the questions, as in [`evaluate_in`]. `each` is told of
    /// every new answer: the predictor's name, its answers so far, and all that it is to give.
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
        mut each: impl FnMut(&str, usize, usize),
    ) -> Result<Assessed> {
        let folder = folder.as_ref();
        let (whole, shown) = self.asked();
        let base = self.base()?;
        let tuned = || self.predictor(TUNED, self.model);
        let blind = Edited::without_history(self.predictor(BLIND, self.model)).named(BLIND);
        let histories = || self.data.histories.iter().map(|history| &history.items);
        let titles = || self.data.catalogue.products().map(|product| &product.title);
        let models: [Box<dyn Predictor + '_>; 3] =
            [Box::new(tuned()), Box::new(self.predictor("base", &base)), Box::new(blind)];
        let mut others = baselines(self.data)?;
        others.push(Box::new(PunctuationRule));
        others.push(Box::new(Chance));
        let models = models.into_iter().map(|model| (&shown[..], model));
        let predictors = models.chain(others.into_iter().map(|other| (&whole[..], other)));
        let mut evaluations = Vec::new();
        for (questions, predictor) in predictors {
            let mut predictor = Stoppable { inner: predictor, stop };
            let name = predictor.name().to_owned();
            let answers = folder.join(ANSWERS).join(&name);
            let mut answered = 0;
            let progress = evaluate_in(answers, identity, &mut predictor, questions, |_| {
                answered += 1;
                each(&name, answered, questions.len());
                ControlFlow::Continue(())
            })?;
            match progress {
                Progress::Done(evaluation) => evaluations.push(evaluation),
                Progress::Interrupted { .. } => return Err(Error::Interrupted),
            }
        }

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
        let mut whole = self.data.part(Part::Test, None);
        let step = whole.len().div_ceil(self.questions.max(1)).max(1);
        whole = whole.into_iter().step_by(step).collect();
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
        let decisions = self.builder.decisions(question).map_err(failed)?;
        let text = |tokens: &[u32]| self.builder.tokenizer().decode(tokens).map_err(failed);
        decisions.first().map(|decision| text(&decision.prompt)).transpose()
    }
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
