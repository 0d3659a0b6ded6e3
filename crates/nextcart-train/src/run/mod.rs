//! A run that watches itself.

mod accuracy;
mod cgroup;
mod chart;
mod crc32c;
mod events;
mod git;
mod lock;
mod log;
mod machine;
mod memory;
mod metrics;
mod non_finite;
mod observer;
mod patience;
mod planning;
#[cfg(feature = "progress")]
mod progress;
mod record;
mod steps;
mod trained;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use nextcart_models::{Llama, LlamaConfig};
use nextcart_text::Sample;
use serde::Serialize;

use crate::check::{HELD_OUT, check_list};
use crate::checkpoint::{newest_checkpoint, replace};
use crate::config::{SftConfig, wrong};
use crate::difference::{Difference, differences};
use crate::error::{Error, Result, io};
use crate::plan::Plan;
use crate::run_config::RunConfig;
use crate::trainer::Trainer;
use crate::watch::WatchConfig;
use lock::Lock;
use log::Log;
use non_finite::{NON_FINITE, SampleIds};
use planning::Watched;

pub use accuracy::Accuracy;
pub use machine::Machine;
pub use memory::peak_memory;
pub use metrics::{EvaluationMetrics, Metric, StepMetrics, read_metrics};
pub use observer::Observer;
#[cfg(feature = "progress")]
pub use progress::ProgressLine;
pub use record::{Resumed, RunRecord};
pub use trained::Trained;

pub(crate) use memory::{available_memory, device_memory, held_memory};
pub(crate) use record::CONFIG;

/// The loss curve.
const CHART: &str = "loss.svg";

/// What a caller asks a model, at every evaluation.
type Questions<'a> = Box<
    dyn FnMut(&Llama, &mut Accuracy) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + 'a,
>;

/// How a call of [`Run::train`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// After its last step.
    Finished,
    /// Evaluations did not improve for as long as [`WatchConfig::patience`] says, and steps were left.
    Early,
    /// On request, after a step whose checkpoint is written.
    Interrupted,
}

/// A [`Trainer`] with a folder that tells what it did.
///
/// The folder holds checkpoints, the newest and the best; `run.json` with all that the run depends on, and its
/// [`Plan`] beside what was seen; `run.toml` where a [`RunConfig`] was given; `metrics.jsonl`, an object for each step
/// and evaluation; the same for TensorBoard in `events.out.tfevents.nextcart`; `loss.svg`; and `non_finite.json` where
/// a loss or a gradient was not a finite number, with the samples behind it and all of its batch. A killed process leaves whole lines and checkpoints:
/// [`open`](Self::open) drops what was written after the newest checkpoint and goes on, to the same bytes but for
/// times and memory. A checkpoint is written before every evaluation, so that one that fails costs no training: the run
/// that goes on begins with it. One process at a time may have the folder: it holds a lock on the file `.lock` there,
/// which the system takes back from a process that ends in whatever way.
///
/// [`start`](Self::start) plans before it loads a model; a run that was opened with one plans before its first step.
/// What does not fit, in memory or on the disk, is refused either way.
///
/// ```
/// use std::sync::atomic::AtomicBool;
/// # use burn::tensor::Device;
/// # use nextcart_adapters::LoraConfig;
/// # use nextcart_models::LlamaConfig;
/// # use nextcart_text::Sample;
/// use nextcart_train::{Ending, Run, SftConfig, WatchConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let llama = LlamaConfig { layers: 1, ..LlamaConfig::tiny(32) };
/// # let model = llama.init(7, &Device::flex().autodiff()).with_adapters(&LoraConfig::new(), 1)?;
/// # let samples = [Sample::completion(&[1, 5, 9], &[7, 2])?, Sample::completion(&[1, 8], &[4, 2])?];
/// # let held_out = [Sample::completion(&[1, 5], &[7, 2])?];
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("run");
/// let config = SftConfig { epochs: 2, ..SftConfig::default() };
/// let watch = WatchConfig { patience: Some(3), ..WatchConfig::default() };
/// let mut run = Run::open(&folder, model, &llama, config, &samples)?
///     .with_watch(watch)
///     .with_held_out(&held_out);
/// assert_eq!(run.train(&AtomicBool::new(false))?, Ending::Finished);
/// assert_eq!(run.trainer().evaluations().len(), 2);
/// let model = run.into_best_model()?;
/// # Ok(())
/// # }
/// ```
pub struct Run<'a> {
    folder: PathBuf,
    /// None until there is a folder.
    lock: Option<Lock>,
    trainer: Trainer<'a>,
    llama: LlamaConfig,
    samples: &'a [Sample],
    held_out: &'a [Sample],
    ids: SampleIds,
    watch: WatchConfig,
    config: Option<RunConfig>,
    plan: Option<Plan>,
    questions: Option<Questions<'a>>,
    observers: Vec<Box<dyn Observer + 'a>>,
}

impl<'a> Run<'a> {
    /// Goes on from the newest whole checkpoint in `folder`, or starts anew where there is none.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has the folder; those of [`Trainer::new`] and [`Trainer::resume`].
    pub fn open(
        folder: impl AsRef<Path>,
        model: Llama,
        llama: &LlamaConfig,
        config: SftConfig,
        samples: &'a [Sample],
    ) -> Result<Self> {
        let lock = Lock::if_there(folder.as_ref())?;
        Self::open_locked((folder.as_ref(), lock), model, llama, config, samples)
    }

    fn open_locked(
        (folder, lock): (&Path, Option<Lock>),
        model: Llama,
        llama: &LlamaConfig,
        config: SftConfig,
        samples: &'a [Sample],
    ) -> Result<Self> {
        let trainer = match newest_checkpoint(folder)? {
            Some(_) => Trainer::resume(model, llama, config, samples, folder)?,
            None => Trainer::new(model, llama, config, samples)?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            lock,
            trainer,
            llama: llama.clone(),
            samples,
            held_out: &[],
            ids: SampleIds::default(),
            watch: WatchConfig::default(),
            config: None,
            plan: None,
            questions: None,
            observers: Vec::new(),
        })
    }

    /// When it is evaluated and saved, and when it stops early (default [`WatchConfig::default`]). If that is not the
    /// `watch` of a [configuration](Self::with_config), [`train`](Self::train) refuses.
    #[must_use]
    pub fn with_watch(mut self, watch: WatchConfig) -> Self {
        self.watch = watch;
        self
    }

    /// Samples to evaluate, which the run does not train on (default none, that is no evaluation).
    #[must_use]
    pub fn with_held_out(mut self, samples: &'a [Sample]) -> Self {
        self.held_out = samples;
        self
    }

    /// What the caller calls its samples, such as the ids of the questions that they were made of: one for each training
    /// and each held-out sample, or none (default none). `non_finite.json` lists them beside the samples' positions.
    #[must_use]
    pub fn with_sample_ids(mut self, training: Vec<String>, held_out: Vec<String>) -> Self {
        self.ids = SampleIds { training, held_out };
        self
    }

    /// Questions to ask the model at every evaluation (default none). The closure adds answers one by one, so that
    /// nothing needs to be kept of them; it must not train the model. Without held-out samples there is no evaluation
    /// to ask them at, and [`train`](Self::train) refuses.
    #[must_use]
    pub fn with_questions(
        mut self,
        ask: impl FnMut(&Llama, &mut Accuracy) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
        + 'a,
    ) -> Self {
        self.questions = Some(Box::new(ask));
        self
    }

    /// Someone who is told of every step and evaluation (default nobody).
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer + 'a) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// The configuration that the run was made of, for its folder; its `watch` is used (default none). If its
    /// `training` is not what the run was opened with, or another [watch](Self::with_watch) is given afterwards,
    /// [`train`](Self::train) refuses.
    #[must_use]
    pub fn with_config(mut self, config: RunConfig) -> Self {
        self.watch = config.watch.clone();
        self.config = Some(config);
        self
    }

    /// What the run was planned to need (default: it is planned before the first step, for the model in hand).
    #[must_use]
    pub fn with_plan(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Takes all steps that are left, or stops after one once `stop` is true. Until the run has
    /// [ended](Ending), another call goes on. Afterwards, `run.json` sets the plan beside what was seen. Where a file
    /// could not be written, the folder may lack a step of this run, or a checkpoint: it is to be opened again, which goes
    /// on from what is there.
    ///
    /// # Errors
    /// Where no plan was given, [`Error::DoesNotFit`] if the run needs more memory than there is and [`Error::NoRoom`] if
    /// it needs more of the disk; [`Error::Questions`], which names the checkpoint to go on from; [`Error::NonFinite`] and
    /// [`Error::NonFiniteEvaluation`], which name that of the last good state after the samples are listed in
    /// `non_finite.json`: another call comes to the same number; [`Error::Config`] for a watch that does not validate, a
    /// configuration of another training or watch, questions or a patience without held-out samples, and ids that are not as
    /// many as the samples; [`Error::Token`] for a held-out sample; [`Error::OtherRun`] if the folder's `run.json` is of
    /// another run; [`Error::Locked`]; [`Error::Io`] and others if a file cannot be read or written.
    pub fn train(&mut self, stop: &AtomicBool) -> Result<Ending> {
        self.watch.validate()?;
        self.check()?;
        let device = self.trainer.model().device();
        let mut watched = Watched::new(self.planned()?, device);
        let mut log = self.begin()?;
        let ending = self.steps(&mut log, &mut watched, stop)?;
        self.draw()?;
        if let Some(outcome) = watched.outcome() {
            RunRecord::conclude(&self.folder, outcome)?;
        }
        for observer in &mut self.observers {
            observer.ended(ending);
        }
        Ok(ending)
    }

    /// What was given must go together.
    fn check(&self) -> Result<()> {
        if let Some(RunConfig { training, watch, .. }) = &self.config {
            check_same("training", training, self.trainer.config())?;
            check_same("watch", watch, &self.watch)?;
        }
        if self.questions.is_some() && self.held_out.is_empty() {
            let expected = "samples to evaluate when the questions are asked";
            return Err(wrong("data", "held_out", expected, "none"));
        }
        self.watch.check_patience(self.held_out)?;
        self.ids.check(self.samples.len(), self.held_out.len())?;
        check_list(self.held_out, &self.llama, HELD_OUT)
    }

    fn begin(&mut self) -> Result<Log> {
        let Self { folder, lock, trainer, samples, held_out, .. } = self;
        fs::create_dir_all(&*folder).map_err(io(&*folder))?;
        if lock.is_none() {
            let new = Lock::of(folder)?;
            // There was no folder when the run was opened.
            if newest_checkpoint(&*folder)?.is_some() {
                return Err(Error::Locked { folder: folder.clone() });
            }
            *lock = Some(new);
        }
        let model = trainer.model_ref();
        let record = RunRecord::new(
            folder,
            (trainer.config(), &self.watch, self.config.as_ref()),
            (&self.llama, Trained::of(model)),
            (samples, held_out),
            &model.device(),
        )?;
        record.keep(folder, trainer.steps())?;
        if trainer.steps() == 0 {
            remove(&folder.join(NON_FINITE))?;
        }
        let log = Log::open(folder, trainer.steps(), trainer.evaluations())?;
        for observer in &mut self.observers {
            observer.started(trainer.steps(), trainer.total_steps());
        }
        Ok(log)
    }

    fn draw(&self) -> Result<()> {
        match chart::draw(self.trainer.losses(), self.trainer.evaluations())? {
            Some(svg) => replace(&self.folder.join(CHART), svg.as_bytes()),
            None => Ok(()),
        }
    }

    /// The run within.
    #[must_use]
    pub fn trainer(&self) -> &Trainer<'a> {
        &self.trainer
    }

    /// Ends the run with its model as it stands.
    #[must_use]
    pub fn into_model(self) -> Llama {
        self.trainer.into_model()
    }

    /// Ends the run with the model of the lowest held-out loss, or as it stands if none was evaluated.
    ///
    /// # Errors
    /// If it was evaluated, but no checkpoint that an evaluation saw can be read.
    pub fn into_best_model(self) -> Result<Llama> {
        if self.trainer.evaluations().is_empty() {
            return Ok(self.trainer.into_model());
        }
        self.trainer.into_best_model(&self.folder)
    }
}

/// A section of a configuration must say what the run does.
fn check_same<T: Serialize>(section: &'static str, written: &T, run: &T) -> Result<()> {
    let value = |of: &T| serde_json::to_value(of).expect("numbers, words and tables");
    match differences(&value(run), &value(written)).into_iter().next() {
        Some(Difference { field, before, now }) => {
            let expected = format!("`{section}.{field}` as the run has it, {now}");
            Err(wrong("", section, &expected, before))
        }
        None => Ok(()),
    }
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
}
