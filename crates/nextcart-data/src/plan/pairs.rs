//! Items that the same users bought.

use datafusion::{
    functions_aggregate::expr_fn::count_distinct,
    functions_window::expr_fn::lead,
    logical_expr::{ExprFunctionExt, JoinType},
    prelude::{DataFrame, col, lit},
};
use serde::{Deserialize, Serialize};

use super::bound;
use crate::Result;

/// How two items of a user's training purchases belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PairKind {
    /// The same user bought both, at any time.
    CoPurchase,
    /// The user bought the second as the next after the first, at a later time.
    NextPurchase,
}

/// Pairs as `item, other, users`: how many users have it, from a table with `user, position, item, time`.
///
/// Both directions of a co-purchase stand in the table. `window` bounds how many purchases may lie
/// between two co-purchased items, so that a user with a thousand of them does not give a million pairs.
///
/// Co-purchases join the table with itself: read it on a context [`with_sorted_joins`](super::with_sorted_joins),
/// so that memory does not grow with it.
///
/// # Errors
/// If the plan is not possible on these columns.
pub fn pairs(purchases: DataFrame, kind: PairKind, window: usize) -> Result<DataFrame> {
    let pairs = match kind {
        PairKind::CoPurchase => {
            let left = purchases.clone().select_columns(&["user", "position", "item"])?;
            let right = purchases.select(vec![
                col("user").alias("other_user"),
                col("position").alias("other_position"),
                col("item").alias("other"),
            ])?;
            let window = lit(bound("window", window)?);
            let distance = || {
                let place = |name| {
                    datafusion::logical_expr::cast(col(name), arrow::datatypes::DataType::Int64)
                };
                place("other_position") - place("position")
            };
            left.join(right, JoinType::Inner, &["user"], &["other_user"], None)?.filter(
                distance().between(-window.clone(), window).and(col("item").not_eq(col("other"))),
            )?
        }
        PairKind::NextPurchase => {
            let next = |column: &str, name: &str| {
                lead(col(column), Some(1), None)
                    .partition_by(vec![col("user")])
                    .order_by(vec![col("position").sort(true, true)])
                    .build()
                    .map(|next| next.alias(name))
            };
            // In a sequence without times every next purchase is later.
            let is_later = || {
                let without = col("time").is_null().and(col("other").is_not_null());
                col("later").gt(col("time")).or(without)
            };
            purchases
                .window(vec![next("item", "other")?, next("time", "later")?])?
                .filter(is_later().and(col("item").not_eq(col("other"))))?
        }
    };
    Ok(pairs.aggregate(
        vec![col("item"), col("other")],
        vec![count_distinct(col("user")).alias("users")],
    )?)
}
