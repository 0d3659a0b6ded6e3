//! The loop of a run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tracing::warn;

use super::log::Log;
use super::metrics::{EvaluationMetrics, Metric, now};
use super::planning::Watched;
use super::{Accuracy, Ending, Run, non_finite, patience};
use crate::checkpoint::newest_checkpoint;
use crate::error::{Error, Result};
use crate::trainer::AFTER_THE_STEP;

impl Run<'_> {
    pub(super) fn steps(
        &mut self,
        log: &mut Log,
        watched: &mut Watched,
        stop: &AtomicBool,
    ) -> Result<Ending> {
        let per_epoch = self.trainer.steps_per_epoch();
        // The one that a process failed or died in.
        if self.is_evaluation_due() {
            self.evaluate(log)?;
        }
        loop {
            let steps_left = self.trainer.steps() < self.trainer.total_steps();
            if steps_left && patience::is_over(self.trainer.evaluations(), &self.watch) {
                return Ok(Ending::Early);
            }
            let step = self.trainer.step();
            let Some(report) = self.noted(log, step)? else { return Ok(Ending::Finished) };
            let metrics = watched.step(&report);
            log.add(&Metric::Step(metrics))?;
            for observer in &mut self.observers {
                observer.step(&metrics);
            }
            let (step, total) = (report.step, report.total_steps);
            let due = self.is_evaluation_due();
            let interrupted = stop.load(Ordering::Relaxed);
            // Before an evaluation, which may fail or take more memory than there is.
            if due || interrupted || self.watch.save.is_due(step, total, per_epoch) {
                self.save(log)?;
            }
            if due {
                self.evaluate(log)?;
            }
            let interrupted = interrupted || (due && stop.load(Ordering::Relaxed));
            if interrupted && step < total {
                return Ok(Ending::Interrupted);
            }
        }
    }

    /// Whether the step that was taken last calls for an evaluation that was not made.
    fn is_evaluation_due(&self) -> bool {
        let trainer = &self.trainer;
        let (step, total) = (trainer.steps(), trainer.total_steps());
        !self.held_out.is_empty()
            && step > 0
            && self.watch.evaluate.is_due(step, total, trainer.steps_per_epoch())
            && trainer.evaluations().iter().all(|(seen, _)| *seen != step)
    }

    fn save(&self, log: &Log) -> Result<PathBuf> {
        // The log first: a checkpoint must not know of more than it does.
        log.sync()?;
        self.noted(log, self.trainer.save(&self.folder))
    }

    /// Evaluates the model, and notes what came of it in the log and in the checkpoint of the step.
    fn evaluate(&mut self, log: &mut Log) -> Result<()> {
        let started = Instant::now();
        let (step, epoch) = (self.trainer.steps(), self.trainer.epochs());
        let loss = self.trainer.loss_of(self.held_out, self.watch.evaluation_batch);
        let loss = self.noted(log, loss)?;
        let mut accuracy = Accuracy::default();
        if let Some(ask) = &mut self.questions {
            let asked = ask(&self.trainer.model(), &mut accuracy);
            let failed = |source| Error::Questions { step, checkpoint: None, source };
            self.noted(log, asked.map_err(failed))?;
        }
        let metrics = EvaluationMetrics {
            step,
            epoch,
            loss,
            accuracy: accuracy.share(),
            questions: accuracy.questions(),
            seconds: started.elapsed().as_secs_f64(),
            time: now(),
        };
        // The log first: what it could not take is made again by another call.
        log.add(&Metric::Evaluation(metrics))?;
        self.trainer.note_evaluation(loss);
        for observer in &mut self.observers {
            observer.evaluation(&metrics);
        }
        log.sync()?;
        self.noted(log, self.trainer.save_evaluations(&self.folder))?;
        self.draw()
    }

    /// Of an error that training cannot go on after: lists the samples behind it, and says where the last good state is.
    fn noted<T>(&self, log: &Log, result: Result<T>) -> Result<T> {
        let mut error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let kept = match &mut error {
            Error::NonFinite { quantity, checkpoint, .. } => {
                let is_good = *quantity != AFTER_THE_STEP;
                Some((is_good, checkpoint))
            }
            Error::NonFiniteEvaluation { checkpoint, .. } | Error::Questions { checkpoint, .. } => {
                Some((true, checkpoint))
            }
            _ => None,
        };
        if let Some((is_good, checkpoint)) = kept {
            *checkpoint = self.last_good(log, is_good);
        }
        let listed = non_finite::list(&error, self.trainer.steps(), &self.ids, &self.folder);
        if let Err(reason) = listed {
            let reason = &reason as &dyn std::error::Error;
            warn!(reason, "the samples behind the error could not be listed");
        }
        Err(error)
    }

    /// The checkpoint of the last good state: of the present one if it is good and can be written, or the newest.
    fn last_good(&self, log: &Log, is_good: bool) -> Option<PathBuf> {
        let newest = newest_checkpoint(&self.folder).ok().flatten();
        let name = format!("checkpoint-{}", self.trainer.steps());
        let is_there = newest.as_ref().is_some_and(|path| path.ends_with(&name));
        if !is_good || is_there || self.trainer.steps() == 0 {
            return newest;
        }
        let saved = log.sync().and_then(|()| self.trainer.save(&self.folder));
        saved.ok().or(newest)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use nextcart_models::LlamaConfig;
    use nextcart_text::Sample;

    use super::*;
    use crate::config::SftConfig;

    #[test]
    fn an_evaluation_that_the_log_could_not_take_is_not_made_yet() {
        let llama = LlamaConfig { layers: 1, ..LlamaConfig::tiny(16) };
        let model = llama.init(1, &Device::flex().autodiff()).trainable();
        let samples = [Sample::text(&[1, 2, 3]).unwrap()];
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::open(folder.path(), model, &llama, SftConfig::default(), &samples)
            .unwrap()
            .with_held_out(&samples);
        let found = run.evaluate(&mut Log::read_only(folder.path()));
        assert!(matches!(found, Err(Error::Io { .. })), "{found:?}");
        assert!(run.trainer.evaluations().is_empty());
        run.evaluate(&mut Log::open(folder.path(), 0, &[]).unwrap()).unwrap();
        assert_eq!(run.trainer.evaluations().len(), 1);
    }
}
