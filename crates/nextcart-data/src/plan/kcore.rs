//! The k-core of training purchases.

use std::path::Path;

use datafusion::{
    functions_aggregate::expr_fn::count,
    logical_expr::JoinType,
    prelude::{DataFrame, SessionContext, col, lit},
};

use super::{bound, store};
use crate::Result;

/// Users and items of a k-core.
#[derive(Debug, Clone)]
pub struct Core {
    /// `user`: those with at least k core items.
    pub users: DataFrame,
    /// `item`: those bought by at least k core users.
    pub items: DataFrame,
    /// Pairs of a core user and a core item that the user bought.
    pub purchases: u64,
    /// Rounds until nothing changed any more.
    pub rounds: usize,
}

/// The largest set of users and items in which every user has `k` different items and every item `k` buyers,
/// from a table with `user` and `item`, by dropping those that have fewer until none is left.
///
/// What remains after each round is written to `scratch`.
///
/// # Errors
/// If a plan fails or `scratch` cannot be written.
pub async fn core(
    context: &SessionContext,
    purchases: DataFrame,
    k: usize,
    scratch: &Path,
) -> Result<Core> {
    // Several purchases of one item by one user are those of one buyer.
    let mut rest = purchases.select_columns(&["user", "item"])?.distinct()?;
    let mut before = None;
    for round in 0.. {
        let stored = store(context, rest, &scratch.join(format!("core-{round}"))).await?;
        let purchases = stored.clone().count().await? as u64;
        if before == Some(purchases) || purchases == 0 {
            let users = stored.clone().select_columns(&["user"])?.distinct()?;
            let items = stored.select_columns(&["item"])?.distinct()?;
            return Ok(Core { users, items, purchases, rounds: round });
        }
        before = Some(purchases);
        rest = with_at_least(stored, "user", k)?;
        rest = with_at_least(rest, "item", k)?;
    }
    unreachable!("every round but the last drops a purchase")
}

/// The rows whose value in `column` stands in at least `k` rows.
fn with_at_least(rows: DataFrame, column: &str, k: usize) -> Result<DataFrame> {
    let enough = rows
        .clone()
        .aggregate(vec![col(column)], vec![count(lit(1_i64)).alias("rows")])?
        .filter(col("rows").gt_eq(lit(bound("k_core", k)?)))?
        .select(vec![col(column).alias("kept")])?;
    Ok(enough.join(rows, JoinType::RightSemi, &["kept"], &[column], None)?)
}
