//! Scores as the tables of programs show them, never without their intervals.

use nextcart_eval::RankingScore;

/// An interval of shares in percent, with so many digits behind the point: `20.4 to 32.5 %`.
pub fn percent_interval([low, high]: [f64; 2], digits: usize) -> String {
    format!("{:.digits$} to {:.digits$} %", 100.0 * low, 100.0 * high)
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
