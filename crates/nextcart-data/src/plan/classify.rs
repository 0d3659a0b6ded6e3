//! Which reviews are purchases of known items, and why the others are not.

use std::path::Path;

use datafusion::{
    functions_aggregate::expr_fn::{count, max, sum},
    logical_expr::{Expr, JoinType, when},
    prelude::{DataFrame, SessionContext, col, lit},
};

use super::{bound, read_table};
use crate::{PrepareOptions, Result};

/// Why a review is no purchase, by the first reason that applies; the numbers stand in the column `reason`
/// of [`classify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// It is one.
    None = 0,
    /// Not verified, where only verified ones count.
    Unverified = 1,
    /// Rated below the least rating that counts.
    LowRating = 2,
    /// No catalogue row describes the item.
    UnknownItem = 3,
    /// The item has no title.
    UntitledItem = 4,
}

impl Reason {
    /// All of them, with the column of [`users`] that counts each.
    pub const COLUMNS: [(Self, &'static str); 5] = [
        (Self::None, "usable"),
        (Self::Unverified, "unverified"),
        (Self::LowRating, "low_rating"),
        (Self::UnknownItem, "unknown_item"),
        (Self::UntitledItem, "untitled_item"),
    ];

    pub(super) fn number(self) -> Expr {
        lit(self as u8)
    }
}

/// Reviews as `user, item, time, position, rating, reason, known` (whether the catalogue has the item), from
/// the tables that [`ingest`](crate::ingest) writes.
///
/// A review whose verified flag is unknown counts as verified, one without a rating as good enough.
///
/// # Errors
/// If a table cannot be read or planned.
pub async fn classify(
    context: &SessionContext,
    reviews: &Path,
    items: &Path,
    options: &PrepareOptions,
) -> Result<DataFrame> {
    let reviews = read_table(context, reviews).await?;
    let reviews =
        reviews.select_columns(&["user", "item", "time", "position", "rating", "verified"])?;
    let items = read_table(context, items)
        .await?
        .select(vec![col("item").alias("described"), col("title").is_not_null().alias("titled")])?;
    // The left side of a join is the one that is held in memory.
    let joined = items.join(reviews, JoinType::Right, &["described"], &["item"], None)?;
    let mut reason = when(col("described").is_null(), Reason::UnknownItem.number())
        .when(col("titled").is_false(), Reason::UntitledItem.number())
        .otherwise(Reason::None.number())?;
    if let Some(least) = options.min_rating {
        reason =
            when(col("rating").lt(lit(least)), Reason::LowRating.number()).otherwise(reason)?;
    }
    if options.verified_only {
        reason = when(col("verified").is_false(), Reason::Unverified.number()).otherwise(reason)?;
    }
    Ok(joined.select(vec![
        col("user"),
        col("item"),
        col("time"),
        col("position"),
        col("rating"),
        reason.alias("reason"),
        col("described").is_not_null().alias("known"),
    ])?)
}

/// One row a user: `user` and the number of reviews by reason, in the columns of [`Reason::COLUMNS`].
///
/// # Errors
/// If the plan is not possible on these columns.
pub fn users(classified: DataFrame) -> Result<DataFrame> {
    let counts = Reason::COLUMNS.map(|(reason, name)| {
        let is = when(col("reason").eq(reason.number()), lit(1_i64)).end();
        is.map(|is| count(is).alias(name))
    });
    let counts = counts.into_iter().collect::<datafusion::common::Result<Vec<_>>>()?;
    Ok(classified.aggregate(vec![col("user")], counts)?)
}

/// Totals over the rows of [`users`]: the sums of its counts, the number of users with a purchase
/// (`seen_users`), of those with at least `least` of them (`users`) and these users' purchases
/// (`purchases`), and the most that a user has (`longest`).
pub(crate) fn totals(users: DataFrame, least: usize) -> Result<DataFrame> {
    let enough = col("usable").gt_eq(lit(bound("min_interactions", least)?));
    let mut sums: Vec<Expr> =
        Reason::COLUMNS.iter().map(|(_, name)| sum(col(*name)).alias(*name)).collect();
    let counted = |condition: Expr, value: Expr| when(condition, value).end();
    sums.push(count(counted(col("usable").gt(lit(0_i64)), lit(1_i64))?).alias("seen_users"));
    sums.push(count(counted(enough.clone(), lit(1_i64))?).alias("users"));
    sums.push(sum(counted(enough, col("usable"))?).alias("purchases"));
    sums.push(max(col("usable")).alias("longest"));
    Ok(users.aggregate(Vec::new(), sums)?)
}
