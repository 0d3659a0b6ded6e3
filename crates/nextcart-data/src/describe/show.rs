//! A description as a table for people.

use std::fmt;

use super::{Description, Distribution};
use crate::{HistoryTally, QuestionTally, SplitTally, Tally};

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = &self.manifest;
        let mut row = |name: &str, text: String| writeln!(f, "{name:<18} {text}");
        let lines = |Tally { read, kept, rejected, .. }: &Tally| {
            format!("{read} lines read, {kept} kept, {rejected} rejected")
        };
        row("reviews", lines(&manifest.reviews))?;
        let titled = manifest.items.titled;
        row("items", format!("{}, {titled} with a title", lines(&manifest.items.lines)))?;
        let HistoryTally { users, interactions, dropped, .. } = &manifest.histories;
        row("users", users.to_string())?;
        row("purchases", format!("{interactions}, {} of the rows dropped", dropped.total()))?;
        let purchases = dropped.repeat + dropped.outside_core + interactions;
        row("repeat purchases", share(self.repeats, purchases))?;
        row("history length", spread(&self.history_lengths))?;
        row("item popularity", spread(&self.popularity))?;
        let neighbours = self.neighbours;
        row("ties", share(neighbours.tied, neighbours.pairs))?;
        row("users with ties", share(manifest.histories.users_with_ties, *users))?;
        row("users of one time", share(manifest.histories.users_with_one_time, *users))?;
        row("ascending by item", share(neighbours.ascending, neighbours.pairs))?;
        let titles = self.titles;
        let sharing = share(titles.items_sharing, titles.items);
        row("shared titles", format!("{} titles, items: {sharing}", titles.shared))?;
        let SplitTally { train, validation, test, .. } = &manifest.split;
        row("split", format!("{train} train, {validation} validation, {test} test"))?;
        let cold = self.cold;
        row("cold items", share(cold.items, cold.items + cold.known_items))?;
        row("cold purchases", share(cold.purchases, validation + test))?;
        let QuestionTally { train, validation, test, .. } = &manifest.questions;
        row("questions", format!("{train} train, {validation} validation, {test} test"))?;
        match manifest.drawn_otherwise() {
            Some(said) => row("distractors", said),
            None => Ok(()),
        }
    }
}

fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "none".into(),
        _ => format!("{part} of {whole} ({:.1} %)", 100.0 * part as f64 / whole as f64),
    }
}

fn spread(distribution: &Distribution) -> String {
    let Some(mean) = distribution.mean() else { return "none".into() };
    let quantile = |q| distribution.quantile(q).unwrap_or_default();
    format!(
        "mean {mean:.1}, median {}, 90 % {}, 99 % {}, largest {}",
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        quantile(1.0)
    )
}
