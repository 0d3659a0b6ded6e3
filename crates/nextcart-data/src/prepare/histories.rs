//! Tables to histories: the relational stages.

use std::{
    fs,
    path::Path,
    sync::{atomic::AtomicBool, mpsc::Receiver},
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
};
use datafusion::{
    functions_aggregate::expr_fn::min,
    logical_expr::JoinType,
    prelude::{DataFrame, SessionContext, col, lit},
};
use futures::TryStreamExt;
use tracing::debug;

use super::{HISTORIES, known::names, until::until};
use crate::{
    Dropped, Error, HistoryTally, Ingested, PrepareOptions, Repeats, Result, Split, SplitMethod,
    background::Background,
    histories::{CoreWriter, Staged, Staging, assign_parts},
    plan,
    publish::TABLES,
    split::Assigner,
};

/// Memory that a join takes for each row of the side that it holds: keys, their hashes and places.
const BYTES_PER_JOINED_ROW: usize = 64;

/// Where the stages work.
pub(super) struct Stages<'a> {
    pub(super) context: &'a SessionContext,
    pub(super) folder: &'a Path,
    pub(super) scratch: &'a Path,
    pub(super) options: &'a PrepareOptions,
    /// Memory of the plans.
    pub(super) memory_bytes: usize,
    pub(super) stop: &'a AtomicBool,
}

/// Sums over users.
struct Totals {
    dropped: Dropped,
    usable: u64,
    seen_users: u64,
    /// Users with enough purchases if repeats count, and their purchases.
    users: u64,
    purchases: u64,
    /// Purchases of the user who has most.
    longest: u64,
}

impl Stages<'_> {
    /// Writes `histories.parquet`; gives its tally and the cuts in time, if there are any.
    pub(super) async fn histories(
        &self,
        ingested: &Ingested,
    ) -> Result<(HistoryTally, Option<Split>)> {
        let (totals, staged) = self.stage(ingested.items.lines.rows).await?;
        if staged.tally.users == 0 {
            return Err(self.too_few_users(ingested, &totals).await?);
        }
        let assigner = Assigner::new(self.options, &staged.days).ok_or(Error::NoTimes {
            unknown: staged.days.unknown,
            purchases: staged.tally.interactions,
        })?;
        let path = self.folder.join(HISTORIES);
        debug!("ordered purchases");
        assign_parts(&self.staged(), &path, &self.owned(), &assigner, self.stop)?;

        let mut tally = staged.tally;
        let short = tally.dropped.short_history + totals.usable - totals.purchases;
        tally.users_with_repeats = totals.users;
        tally.dropped = Dropped {
            repeat: totals.purchases - staged.purchases,
            short_history: short,
            ..totals.dropped
        };
        if let Some(k) = self.options.k_core {
            tally = self.keep_core(k, tally).await?;
        }
        Ok((tally, assigner.cuts()))
    }

    /// What the users have that is no purchase.
    pub(super) fn owned(&self) -> std::path::PathBuf {
        self.scratch.join("owned.parquet")
    }

    fn staged(&self) -> std::path::PathBuf {
        self.scratch.join("staged.parquet")
    }

    /// The context for a join that would hold so many rows in memory: where these are too many, joins sort
    /// both sides instead.
    pub(super) fn context_for(&self, rows: u64) -> SessionContext {
        let bytes =
            usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_JOINED_ROW);
        if bytes > self.memory_bytes / 4 {
            plan::with_sorted_joins(self.context)
        } else {
            self.context.clone()
        }
    }

    /// Users with enough purchases, not yet assigned to parts.
    async fn stage(&self, items_described: u64) -> Result<(Totals, Staged)> {
        let [reviews, items] = TABLES.map(|file| self.folder.join(file));
        let context = self.context_for(items_described);
        let classified = plan::classify(&context, &reviews, &items, self.options).await?;
        let users = plan::users(classified)?;
        let folder = self.scratch.join("users");
        let users = until(self.stop, plan::store(self.context, users, &folder)).await?;
        let totals = self.totals(users.clone()).await?;
        debug!("counted users");
        let context = self.context_for(items_described.max(totals.users));
        let classified = plan::classify(&context, &reviews, &items, self.options).await?;
        // A join runs on the context of its left side.
        let users = DataFrame::new(context.state(), users.into_unoptimized_plan());
        let purchases = plan::purchases(classified, users, self.options)?;
        let purchases = plan::in_order(purchases, self.options.seed)?;
        let mut staging = Staging::create(&self.staged(), self.options)?;
        // This thread merges what the plan sorted, which is work enough for it.
        let mut grouping = Background::start(move |batches: Receiver<RecordBatch>| {
            batches.into_iter().try_for_each(|batch| staging.push(batch))?;
            staging.finish()
        })?;
        let mut batches = until(self.stop, purchases.execute_stream()).await?;
        while let Some(batch) = until(self.stop, batches.try_next()).await? {
            grouping.send(batch)?;
        }
        Ok((totals, grouping.finish()?))
    }

    async fn totals(&self, users: DataFrame) -> Result<Totals> {
        let sums = plan::totals(users, self.options.min_interactions)?;
        let batches = until(self.stop, sums.collect()).await?;
        let sum = |name: &str| {
            let batch = batches.iter().find(|batch| batch.num_rows() > 0);
            let column = batch.and_then(|batch| batch.column_by_name(name));
            let values = column.and_then(|column| column.as_primitive_opt::<Int64Type>());
            // Sums over no rows are null.
            values.map_or(0, |values| values.iter().flatten().sum::<i64>() as u64)
        };
        let dropped = Dropped {
            unverified: sum("unverified"),
            low_rating: sum("low_rating"),
            unknown_item: sum("unknown_item"),
            untitled_item: sum("untitled_item"),
            ..Dropped::default()
        };
        Ok(Totals {
            dropped,
            usable: sum("usable"),
            seen_users: sum("seen_users"),
            users: sum("users"),
            purchases: sum("purchases"),
            longest: sum("longest"),
        })
    }

    /// Why nobody has enough purchases.
    async fn too_few_users(&self, ingested: &Ingested, totals: &Totals) -> Result<Error> {
        let Dropped { unverified, unknown_item, untitled_item, .. } = totals.dropped;
        if totals.usable == 0 && untitled_item == 0 && unknown_item > 0 {
            let (item, described) = self.items_that_differ(ingested).await?;
            return Ok(Error::UnknownItems { unknown: unknown_item, item, described });
        }
        Ok(Error::TooFewUsers {
            needed: self.options.min_interactions,
            users: totals.seen_users,
            purchases: totals.usable,
            reviews: ingested.reviews.rows,
            unverified,
            unknown: unknown_item,
            untitled: untitled_item,
            longest: totals.longest as usize,
            advice: advice(self.options, totals),
        })
    }

    /// An item of the reviews that the metadata do not describe, and one that they do: the first by their ids.
    async fn items_that_differ(&self, ingested: &Ingested) -> Result<(String, String)> {
        let [reviews, items] = TABLES.map(|file| self.folder.join(file));
        let context = self.context_for(ingested.items.lines.rows);
        let classified = plan::classify(&context, &reviews, &items, self.options).await?;
        let unknown = col("reason").eq(lit(plan::Reason::UnknownItem as u8));
        let unknown = self.first_item(classified.filter(unknown)?).await?;
        let described = plan::read_table(&context, &items).await?;
        Ok((unknown, self.first_item(described).await?))
    }

    async fn first_item(&self, rows: DataFrame) -> Result<String> {
        let first = rows.aggregate(Vec::new(), vec![min(col("item"))])?;
        let batches = until(self.stop, first.collect()).await?;
        let batch = batches.iter().find(|batch| batch.num_rows() > 0);
        Ok(batch.map(|batch| names(batch, 0).value(0).to_owned()).unwrap_or_default())
    }

    /// Writes the histories anew without users and items outside the k-core of training.
    async fn keep_core(&self, k: usize, mut tally: HistoryTally) -> Result<HistoryTally> {
        let path = self.folder.join(HISTORIES);
        let context = self.context_for(tally.users);
        let all = plan::read_table(&context, &path).await?;
        let training = all.clone().filter(col("part").eq(lit("train")))?;
        let core = plan::core(&context, training, k, self.scratch);
        let core = until(self.stop, core).await?;
        let mut users = core.users.select(vec![col("user").alias("core_user")])?;
        if self.options.split == SplitMethod::UserDisjoint {
            // Users of the other parts have no purchase in training.
            let others = all.clone().filter(col("part").not_eq(lit("train")))?;
            let others = others.select(vec![col("user").alias("core_user")])?.distinct()?;
            users = users.union(others)?;
        }
        let items = core.items.select(vec![col("item").alias("core_item")])?;
        let all = users.join(all, JoinType::RightSemi, &["core_user"], &["user"], None)?;
        let join = |kind| items.clone().join(all.clone(), kind, &["core_item"], &["item"], None);
        let by_user = || vec![col("user").sort(true, true), col("position").sort(true, true)];
        let kept = join(JoinType::RightSemi)?.sort(by_user())?;
        // What goes was bought all the same, and is no distractor.
        let owned = plan::read_table(&context, &self.owned()).await?;
        let owned = owned.union(join(JoinType::RightAnti)?)?.sort(by_user())?;
        let owned_path = self.scratch.join("owned-outside-core.parquet");
        self.write_purchases(owned, &owned_path).await?;
        replace(&owned_path, &self.owned())?;
        let copy = self.scratch.join(HISTORIES);
        let counted = self.write_purchases(kept, &copy).await?;
        if counted.users == 0 {
            return Err(Error::EmptyCore { k, users: tally.users, purchases: tally.interactions });
        }
        replace(&copy, &path)?;
        tally.dropped.outside_core = tally.interactions - counted.interactions;
        Ok(HistoryTally {
            dropped: tally.dropped,
            users_with_repeats: tally.users_with_repeats,
            ..counted
        })
    }

    /// Writes purchases, which are ordered by user, in the form of `histories.parquet`.
    async fn write_purchases(&self, rows: DataFrame, path: &Path) -> Result<HistoryTally> {
        let mut writer = CoreWriter::create(path)?;
        let mut batches = until(self.stop, rows.execute_stream()).await?;
        while let Some(batch) = until(self.stop, batches.try_next()).await? {
            writer.push(batch)?;
        }
        writer.finish()
    }
}

/// What may leave users where nobody has enough purchases, by what was counted.
fn advice(options: &PrepareOptions, totals: &Totals) -> String {
    let Totals { dropped, longest, .. } = totals;
    let undescribed = dropped.unknown_item + dropped.untitled_item;
    let is_enough = *longest >= options.min_interactions as u64;
    let ways = [
        (*longest > 0 && !is_enough).then(|| format!("`min_interactions` of at most {longest}")),
        // With repeats there would be enough.
        (is_enough && options.repeats == Repeats::First).then(|| "`repeats` = keep".to_owned()),
        (dropped.unverified > 0)
            .then(|| format!("`verified_only` = false ({} more reviews)", dropped.unverified)),
        (dropped.low_rating > 0)
            .then(|| format!("a lower `min_rating` ({} more reviews)", dropped.low_rating)),
        (undescribed > 0)
            .then(|| format!("metadata with more titles ({undescribed} more reviews)")),
    ];
    let ways: Vec<String> = ways.into_iter().flatten().collect();
    match ways.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "reviews of more purchases".to_owned(),
    }
}

fn replace(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|source| Error::Write { path: to.into(), source })
}
