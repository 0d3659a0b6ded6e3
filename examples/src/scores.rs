//! Scores as the tables of programs show them, never without their intervals.

use anyhow::Result;
use nextcart_eval::{RankingScore, Score, ScoreTable};

use crate::{columns, say, wrapped};

/// An interval of shares in percent, with so many digits behind the point: `20.4 to 32.5 %`.
pub fn percent_interval([low, high]: [f64; 2], digits: usize) -> String {
    format!("{:.digits$} to {:.digits$} %", 100.0 * low, 100.0 * high)
}

/// Whether lines fit on the terminal; anywhere else they do.
pub fn fits<'a>(lines: impl IntoIterator<Item = &'a str>) -> bool {
    let longest = lines.into_iter().map(|line| line.chars().count()).max().unwrap_or(0);
    columns().is_none_or(|columns| longest <= columns)
}

/// A score in words, for terminals that are narrower than its table.
pub fn in_words(Score { name, accuracy, low, high, n }: &Score) -> String {
    let accuracy = 100.0 * accuracy;
    format!("{name}: {accuracy:.1} % ({}), n {n}", percent_interval([*low, *high], 1))
}

/// Scores as a table; on a terminal that is narrower, as a sentence each.
///
/// # Errors
/// If it cannot be written.
pub fn say_scores(scores: &[Score]) -> Result<()> {
    let table = ScoreTable::new(scores).to_string();
    match fits(table.lines()) {
        true => say!("{table}"),
        false => scores.iter().try_for_each(|score| say!("{}", wrapped(in_words(score)))),
    }
}

/// Rankings among all items as a table; on a terminal that is narrower, as a sentence each.
///
/// # Errors
/// If it cannot be written.
pub fn say_rankings(k: usize, scores: &[&RankingScore]) -> Result<()> {
    let heading = format!("{:<18} {} {:>6}", "all items", ranking_heading(k), "n");
    let is_narrow = !fits([heading.as_str()]);
    if !is_narrow {
        say!("{heading}")?;
    }
    for score in scores {
        match is_narrow {
            true => say!("{}", wrapped(ranking_sentence(score)))?,
            false => say!("{:<18} {} {:>6}", score.name, ranking_columns(score), score.n)?,
        }
    }
    Ok(())
}

fn ranking_sentence(score: &RankingScore) -> String {
    let RankingScore { name, k, hit_rate, hit_rate_interval, ndcg, ndcg_interval, n, .. } = score;
    let (hits, [low, high]) = (percent_interval(*hit_rate_interval, 2), ndcg_interval);
    let hit_rate = 100.0 * hit_rate;
    format!(
        "all items, {name}: HR@{k} {hit_rate:.2} % ({hits}), NDCG@{k} {ndcg:.4} ({low:.4} to {high:.4}), n {n}"
    )
}

/// What stands above the columns of a ranking among all items.
pub fn ranking_heading(k: usize) -> String {
    let (hr, ndcg) = (format!("HR@{k}"), format!("NDCG@{k}"));
    format!("{hr:>8}  {:<18} {ndcg:>8}  {:<16}", "95 % interval", "95 % interval")
}

/// Hit rate and NDCG, each beside its interval.
pub fn ranking_columns(score: &RankingScore) -> String {
    let [low, high] = score.ndcg_interval;
    format!(
        "{:>6.2} %  {:<18} {:>8.4}  {:<16}",
        100.0 * score.hit_rate,
        percent_interval(score.hit_rate_interval, 2),
        score.ndcg,
        format!("{low:.4} to {high:.4}")
    )
}
