//! Reviews to purchases, and these in their order.

use datafusion::{
    logical_expr::JoinType,
    prelude::{DataFrame, col, lit},
};

use super::{bound, classify::Reason, tie_order};
use crate::{PrepareOptions, Result};

/// Purchases as `user, item, time, position, rating, usable` of users with at least
/// [`PrepareOptions::min_interactions`] purchases, repeats included, in no order.
///
/// Rows that are not `usable` are reviews of known items that do not count as purchases: things that a user
/// may well have.
///
/// # Errors
/// If the plan is not possible on these columns.
pub fn purchases(
    classified: DataFrame,
    users: DataFrame,
    options: &PrepareOptions,
) -> Result<DataFrame> {
    let least = bound("min_interactions", options.min_interactions)?;
    let enough = users
        .filter(col("usable").gt_eq(lit(least)))?
        .select(vec![col("user").alias("kept_user")])?;
    let is_usable = col("reason").eq(Reason::None.number());
    let is_refused = col("reason")
        .eq(Reason::Unverified.number())
        .or(col("reason").eq(Reason::LowRating.number()));
    let rows = classified.filter(is_usable.clone().or(is_refused.and(col("known"))))?;
    let rows = enough.join(rows, JoinType::RightSemi, &["kept_user"], &["user"], None)?;
    Ok(rows.select(vec![
        col("user"),
        col("item"),
        col("time"),
        col("position"),
        col("rating"),
        is_usable.alias("usable"),
    ])?)
}

/// Purchases as `user, item, time, rating, usable`, each user's together and oldest first. Those at one time
/// stand in the order of [`tie_order`], those of a sequence in its own.
///
/// # Errors
/// If the plan is not possible on these columns.
pub fn in_order(purchases: DataFrame, seed: u64) -> Result<DataFrame> {
    let order = vec![
        col("user").sort(true, true),
        col("time").sort(true, true),
        col("position").sort(true, true),
        tie_order(seed, col("user"), col("item")).sort(true, true),
        // Two items of one hash, or two reviews of one item at one time.
        col("item").sort(true, true),
        col("rating").sort(true, true),
        col("usable").sort(true, true),
    ];
    let columns = ["user", "item", "time", "rating", "usable"];
    Ok(purchases.sort(order)?.select_columns(&columns)?)
}
