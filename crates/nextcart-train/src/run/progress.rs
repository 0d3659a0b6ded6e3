//! A run as a line on the terminal.

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};

use super::metrics::{EvaluationMetrics, StepMetrics};
use super::{Ending, Observer};

/// A line on the terminal, as wide as that is: steps and the time that is left; below it loss, tokens and samples a
/// second, MFU and memory.
///
/// Memory is the most of the host so far, and that of a device with its own. Speeds are means since this call of
/// [`Run::train`](crate::Run::train) began. It goes to standard error, and nowhere if that is no terminal.
#[derive(Debug)]
pub struct ProgressLine {
    bar: ProgressBar,
    tokens: usize,
    examples: usize,
    held_out: Option<f64>,
}

impl ProgressLine {
    /// A line under a name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        // As wide as the terminal; what is said of it has a line of its own.
        let style = "{prefix:>13} [{wide_bar}] {pos}/{len} {eta} left\n  {msg}";
        let style = ProgressStyle::with_template(style).expect("a valid template");
        let bar = ProgressBar::new(0).with_style(style.progress_chars("=> "));
        Self { bar: bar.with_prefix(name.into()), tokens: 0, examples: 0, held_out: None }
    }

    fn message(&self, metrics: &StepMetrics, seconds: f64) -> String {
        let tokens = self.tokens as f64 / seconds;
        let mut parts = vec![format!("loss {:.3}", metrics.loss)];
        parts.extend(self.held_out.map(|loss| format!("held out {loss:.3}")));
        parts.push(format!("{tokens:.0} tokens/s"));
        parts.push(format!("{:.1} examples/s", self.examples as f64 / seconds));
        parts.extend(metrics.mfu.map(|share| format!("MFU {:.0} %", 100.0 * share)));
        parts.extend(metrics.peak_bytes.map(|bytes| DecimalBytes(bytes).to_string()));
        parts.extend(metrics.device_bytes.map(|bytes| format!("{} there", DecimalBytes(bytes))));
        parts.join(", ")
    }
}

impl Observer for ProgressLine {
    fn started(&mut self, steps: u64, total_steps: u64) {
        // An earlier call may have ended it.
        (self.tokens, self.examples) = (0, 0);
        self.bar.reset();
        self.bar.set_length(total_steps);
        self.bar.set_position(steps);
        self.bar.reset_eta();
    }

    fn step(&mut self, metrics: &StepMetrics) {
        self.tokens += metrics.tokens;
        self.examples += metrics.examples;
        self.bar.set_message(self.message(metrics, self.bar.elapsed().as_secs_f64()));
        self.bar.set_position(metrics.step);
    }

    fn evaluation(&mut self, metrics: &EvaluationMetrics) {
        self.held_out = Some(metrics.loss);
    }

    fn ended(&mut self, ending: Ending) {
        match ending {
            Ending::Finished => self.bar.finish(),
            Ending::Early | Ending::Interrupted => self.bar.abandon(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StepWork;
    use crate::trainer::StepReport;

    #[test]
    fn the_line_tells_loss_speed_and_share_of_the_peak() {
        let report = StepReport {
            step: 1,
            total_steps: 2,
            epoch: 0.5,
            loss: 1.25,
            learning_rate: 0.1,
            gradient_norm: 1.0,
            samples: 4,
            trained_tokens: 10,
            tokens: 100,
            work: StepWork::default(),
            seconds: 1.0,
        };
        let metrics = StepMetrics {
            peak_bytes: Some(3_000_000_000),
            device_bytes: Some(1_000_000_000),
            mfu: Some(0.25),
            ..StepMetrics::new(&report)
        };
        let mut line = ProgressLine::new("run");
        line.started(0, 2);
        line.step(&metrics);
        line.evaluation(&EvaluationMetrics {
            step: 1,
            epoch: 0.5,
            loss: 1.5,
            accuracy: None,
            questions: 0,
            seconds: 1.0,
            time: 0.0,
        });
        let expected = "loss 1.250, held out 1.500, 50 tokens/s, 2.0 examples/s, MFU 25 %, 3.00 GB, \
             1.00 GB there";
        assert_eq!(line.message(&metrics, 2.0), expected);
        assert_eq!(line.bar.position(), 1);

        // Another call of `train` has speeds and a time of its own.
        line.ended(Ending::Interrupted);
        line.started(1, 2);
        assert_eq!((line.bar.position(), line.bar.is_finished()), (1, false));
        line.step(&metrics);
        assert_eq!(line.message(&metrics, 2.0), expected);
    }
}
