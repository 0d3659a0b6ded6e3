//! The two files that grow with a run.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::events::{self, EVENTS};
use super::metrics::Metric;
use crate::checkpoint::replace;
use crate::error::{Error, Result, io};

/// An object a line.
pub(super) const METRICS: &str = "metrics.jsonl";

/// `metrics.jsonl` and, made of it, TensorBoard's events.
#[derive(Debug)]
pub(super) struct Log {
    metrics: (PathBuf, File),
    events: (PathBuf, File),
}

impl Log {
    /// Keeps what was noted up to a step, and drops what is behind it, a torn line too; of evaluations, those that the
    /// run knows of.
    pub(super) fn open(folder: &Path, steps: u64, evaluations: &[(u64, f64)]) -> Result<Self> {
        let path = folder.join(METRICS);
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io(&path)(error)),
        };
        let mut lines = String::new();
        let mut kept = events::version();
        for line in text.lines() {
            let Ok(metric) = serde_json::from_str::<Metric>(line) else { continue };
            let is_known = match &metric {
                Metric::Step(metrics) => metrics.step <= steps,
                // A checkpoint is from before the evaluation of its step until that is done.
                Metric::Evaluation(metrics) => {
                    evaluations.iter().any(|(at, _)| *at == metrics.step)
                }
            };
            if is_known {
                lines.push_str(line);
                lines.push('\n');
                kept.extend(events::of(&metric));
            }
        }
        Ok(Self {
            metrics: begin(path, lines.as_bytes())?,
            events: begin(folder.join(EVENTS), &kept)?,
        })
    }

    /// Adds a line and its event, each at once, so that a killed process leaves whole ones.
    pub(super) fn add(&mut self, metric: &Metric) -> Result<()> {
        let (path, file) = &mut self.metrics;
        let json = |source| Error::Json { path: path.clone(), source };
        let line = serde_json::to_string(metric).map_err(json)? + "\n";
        file.write_all(line.as_bytes()).map_err(io(&*path))?;
        let (path, file) = &mut self.events;
        file.write_all(&events::of(metric)).map_err(io(&*path))
    }

    /// Waits until all lines are on the disk.
    pub(super) fn sync(&self) -> Result<()> {
        let (path, file) = &self.metrics;
        file.sync_data().map_err(io(path))
    }
}

/// A file of this content, open for more.
fn begin(path: PathBuf, content: &[u8]) -> Result<(PathBuf, File)> {
    replace(&path, content)?;
    let file = OpenOptions::new().append(true).open(&path).map_err(io(&path))?;
    Ok((path, file))
}

#[cfg(test)]
impl Log {
    /// One to which nothing can be added.
    pub(super) fn read_only(folder: &Path) -> Self {
        let file = |name: &str| {
            let path = folder.join(name);
            fs::write(&path, "").expect("a folder to write to");
            (path.clone(), File::open(path).expect("the file is there"))
        };
        Self { metrics: file(METRICS), events: file(EVENTS) }
    }
}
