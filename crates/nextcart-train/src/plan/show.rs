//! A plan for people to read.

use std::fmt;

use super::Plan;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = &self.memory;
        let parts = [
            ("taken before", self.taken),
            ("runtime", memory.runtime),
            ("weights", memory.weights),
            ("adapters", memory.adapters),
            ("moments", memory.optimizer),
            ("gradients", memory.gradients),
            ("activations", memory.activations),
            ("blocks below", memory.below),
            ("on the way back", memory.backward),
            ("logits", memory.logits),
            ("an evaluation", memory.evaluation),
            ("a checkpoint", memory.saving),
            ("an update", memory.updating),
        ];
        writeln!(f, "{:<18}{:>9}", "memory at the peak", megabytes(self.bytes()))?;
        for (name, bytes) in parts.into_iter().filter(|(_, bytes)| *bytes > 0) {
            writeln!(f, "  {name:<16}{:>9}", megabytes(bytes))?;
        }
        match self.available {
            u64::MAX => writeln!(f, "{:<18}  unknown", "available")?,
            bytes => writeln!(f, "{:<18}{:>9}", "available", megabytes(bytes))?,
        }
        writeln!(
            f,
            "{:<18}{:>9.0} tokens, {:.0} of them trained",
            "a step", self.work.tokens, self.work.trained
        )?;
        let (step, steps) = (self.seconds_per_step, self.steps);
        writeln!(f, "  operations{:>15}", giga(self.flops_per_step))?;
        writeln!(f, "  the device does{:>10} a second in large products", giga(self.peak_flops))?;
        if let Some(flops) = self.step_flops {
            writeln!(f, "  and{:>22} a second in such steps", giga(flops))?;
        }
        let how = if self.step_flops.is_some() { "about" } else { "at least" };
        writeln!(f, "  {how:<8}{step:>15.2} s")?;
        let time = duration(step * steps as f64);
        write!(f, "{:<18}{steps:>9} steps, {how} {time}", "the run")?;
        // Older records do not tell.
        let disk = &self.disk;
        if disk.at_once > 0 {
            let [all, one, merged] = [disk.checkpoints(), disk.checkpoint, disk.merged];
            let [all, one, merged] = [all, one, merged].map(on_disk);
            write!(
                f,
                "\n{:<18}{all:>9} on disk at most, {} of {one}",
                "checkpoints", disk.at_once
            )?;
            write!(f, "\n{:<18}{merged:>9} on disk if it is written", "a merged model")?;
        }
        Ok(())
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// Checkpoints of adapters may be small.
fn on_disk(bytes: u64) -> String {
    match bytes {
        bytes if bytes < 10_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        bytes => megabytes(bytes),
    }
}

fn giga(operations: f64) -> String {
    format!("{:.1} G", operations / 1e9)
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
