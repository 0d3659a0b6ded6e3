//! What a run of fine-tuning learns, is evaluated on and is asked, as its configuration says.

use anyhow::{Context, Result};
use nextcart_data::{Contexts, Dataset, Part, Question};
use nextcart_eval::{Assessment, TemplateModel, evaluate_each, spread};
use nextcart_models::{Llama, LlamaConfig};
use nextcart_prompt::Template;
use nextcart_text::{Sample, SampleBuilder};
use nextcart_train::{DataConfig, Run};

/// Samples of a run, and the questions that its model is asked at every evaluation.
pub struct RunSamples<'a> {
    /// To train on.
    pub training: Vec<Sample>,
    /// To evaluate.
    pub held_out: Vec<Sample>,
    builder: SampleBuilder<'a>,
    contexts: Contexts,
    history: Option<usize>,
    /// Questions that a report asks.
    reported: usize,
    asked: Vec<Question>,
    /// Of the questions, those to train on and those held out; none where a question makes several samples.
    ids: Option<[Vec<String>; 2]>,
}

impl<'a> RunSamples<'a> {
    /// Of prepared questions: all of the training part, and as many of the validation part as are held out.
    ///
    /// # Errors
    /// If one cannot be made into samples, or what the template tells beside them cannot be read.
    pub fn new(
        mut questions: Vec<Question>,
        data: &DataConfig,
        template: &Template,
        builder: &SampleBuilder<'a>,
    ) -> Result<Self> {
        // What training knows beside the questions, as far as the template tells it; of the test's for the report.
        let is_told = |field: &str| template.mentions(field);
        let contexts = Contexts::wanted(&data.folder, &questions, is_told)?;
        questions.retain(|question| question.part != Part::Test);
        questions.iter_mut().for_each(|question| question.keep_latest(data.history));
        let (train, mut other): (Vec<_>, Vec<_>) =
            questions.into_iter().partition(|question| question.part == Part::Train);
        other.truncate(data.held_out);
        let samples = |questions: &[Question]| builder.samples(&contexts.of_all(questions));
        let (training, held_out) = (samples(&train)?, samples(&other)?);
        // Most templates make one sample of a question.
        let one_each = (training.len(), held_out.len()) == (train.len(), other.len());
        let ids = |of: &[Question]| of.iter().map(|question| question.id.clone()).collect();
        let ids = one_each.then(|| [ids(&train), ids(&other)]);
        other.truncate(data.asked);
        let builder = builder.clone();
        let history = data.history;
        let (asked, reported) = (other, 0);
        Ok(Self { training, held_out, builder, contexts, history, reported, asked, ids })
    }

    /// The same for a run that ends with a report, which asks so many test questions.
    ///
    /// # Errors
    /// As there, and if one of these cannot be asked, with its history or without: else that would be known after training.
    pub fn for_report(
        shop: &Dataset,
        data: &DataConfig,
        template: &Template,
        builder: &SampleBuilder<'a>,
        questions: usize,
    ) -> Result<Self> {
        let samples = Self::new(shop.questions.clone(), data, template, builder)?;
        for question in spread(&shop.part(Part::Test, data.history), questions) {
            for question in [question.with_latest(Some(0)), question] {
                let built = builder.decisions(&samples.contexts.of(&question));
                let asked = || format!("`data.template`, as the report asks `{}`", question.id);
                built.with_context(asked)?;
            }
        }
        Ok(Self { reported: questions, ..samples })
    }

    /// Those to train on, and those that are held out.
    pub fn lists(&self) -> (&[Sample], &[Sample]) {
        (&self.training, &self.held_out)
    }

    /// The run with the ids of the questions behind its samples, whose model is asked some of those held out.
    pub fn watched<'r>(&'r self, mut run: Run<'r>, llama: &'r LlamaConfig) -> Run<'r> {
        if let Some([training, held_out]) = self.ids.clone() {
            run = run.with_sample_ids(training, held_out);
        }
        if self.asked.is_empty() {
            return run;
        }
        run.with_questions(move |model, accuracy| {
            let predictor = TemplateModel::new("fine_tuned", model, llama, self.builder.clone());
            let mut predictor = predictor.with_contexts(&self.contexts);
            evaluate_each(&mut predictor, &self.asked, |prediction| accuracy.add(prediction.hit))?;
            Ok(())
        })
    }

    /// The finished model beside all that gives its score a meaning, asked test questions of the data that these are of.
    pub fn assessment<'r>(
        &'r self,
        model: &'r Llama,
        config: &'r LlamaConfig,
        data: &'r Dataset,
    ) -> Assessment<'r> {
        let (builder, contexts) = (self.builder.clone(), Some(&self.contexts));
        let questions = self.reported;
        Assessment { model, config, builder, contexts, data, purchases: self.history, questions }
    }
}
