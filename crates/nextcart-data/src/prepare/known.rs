//! What training knows: items and their popularity.

use std::{collections::HashMap, path::Path};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use datafusion::{
    functions_aggregate::expr_fn::count,
    logical_expr::JoinType,
    prelude::{DataFrame, col, lit},
};
use futures::TryStreamExt;

use super::{HISTORIES, histories::Stages, until::until};
use crate::{
    Catalogue, Distractors, HistoryTally, Result, SplitTally,
    candidates::Neighbours,
    plan::{self, PairKind},
    publish::TABLES,
};

/// Purchases between two items that count as bought together, for item-kNN.
const CO_PURCHASE_WINDOW: usize = 20;

/// Items of the histories and statistics of their training part.
pub(super) struct Known {
    /// Items that a user with a history has.
    pub(super) catalogue: Catalogue,
    /// Training purchases of each item.
    pub(super) popularity: HashMap<u32, u32>,
    /// Purchases by part.
    pub(super) split: SplitTally,
    /// What users bought together in training, where distractors need it.
    pub(super) neighbours: Option<Neighbours>,
}

impl Known {
    pub(super) async fn read(stages: &Stages<'_>, tally: &HistoryTally) -> Result<Self> {
        let histories = plan::read_table(stages.context, &stages.folder.join(HISTORIES)).await?;
        let catalogue = catalogue(stages, tally.interactions).await?;
        let training = histories.clone().filter(col("part").eq(lit("train")))?;
        let mut known = Self {
            popularity: HashMap::new(),
            split: SplitTally::default(),
            neighbours: None,
            catalogue,
        };
        let counted = |by: &str, rows: DataFrame| -> Result<DataFrame> {
            Ok(rows.aggregate(vec![col(by)], vec![count(lit(1_i64)).alias("rows")])?)
        };
        let split = &mut known.split;
        for_each(stages, counted("part", histories)?, |batch| {
            for (part, rows) in names(batch, 0).iter().zip(counts(batch, 1)) {
                match part {
                    Some("train") => split.train += rows,
                    Some("validation") => split.validation += rows,
                    _ => split.test += rows,
                }
            }
        })
        .await?;
        let (catalogue, popularity) = (&known.catalogue, &mut known.popularity);
        for_each(stages, counted("item", training)?, |batch| {
            for (item, rows) in names(batch, 0).iter().zip(counts(batch, 1)) {
                if let Some(position) = item.and_then(|item| catalogue.position(item)) {
                    popularity.insert(position, u32::try_from(rows).unwrap_or(u32::MAX));
                }
            }
        })
        .await?;
        if stages.options.distractors == Distractors::Retrieved {
            known.neighbours = Some(neighbours(stages, &known).await?);
        }
        Ok(known)
    }
}

/// The items that stand in histories or that their users have otherwise, in the order of their ids.
async fn catalogue(stages: &Stages<'_>, purchases: u64) -> Result<Catalogue> {
    // There are no more items than purchases, and hardly more than a tenth as many.
    let context = stages.context_for(purchases / 10);
    let histories = plan::read_table(&context, &stages.folder.join(HISTORIES)).await?;
    let owned = plan::read_table(&context, &stages.owned()).await?;
    let items = histories.select_columns(&["item"])?.union(owned.select_columns(&["item"])?)?;
    let items = items.distinct()?.select(vec![col("item").alias("held")])?;
    let rows = plan::read_table(&context, &stages.folder.join(TABLES[1])).await?;
    let rows = rows
        .select_columns(&["item", "title", "brand", "category", "price"])?
        .filter(col("title").is_not_null())?;
    let rows = items
        .join(rows, JoinType::RightSemi, &["held"], &["item"], None)?
        .sort(vec![col("item").sort(true, true)])?;
    let mut catalogue = Catalogue::default();
    let mut outcome = Ok(());
    for_each(stages, rows, |batch| {
        if outcome.is_ok() {
            outcome = catalogue.push_rows(Path::new(TABLES[1]), batch);
        }
    })
    .await?;
    outcome.map(|()| catalogue)
}

async fn neighbours(stages: &Stages<'_>, known: &Known) -> Result<Neighbours> {
    let context = plan::with_sorted_joins(stages.context);
    let histories = plan::read_table(&context, &stages.folder.join(HISTORIES)).await?;
    let training = histories.filter(col("part").eq(lit("train")))?;
    let pairs = plan::pairs(training, PairKind::CoPurchase, CO_PURCHASE_WINDOW)?;
    let catalogue = &known.catalogue;
    let mut neighbours = Neighbours::new(catalogue.len());
    for_each(stages, pairs, |batch| {
        let (items, others) = (names(batch, 0), names(batch, 1));
        for ((item, other), users) in items.iter().zip(&others).zip(counts(batch, 2)) {
            let position = |item: Option<&str>| item.and_then(|item| catalogue.position(item));
            if let (Some(item), Some(other)) = (position(item), position(other)) {
                neighbours.push(item, other, users, &known.popularity);
            }
        }
    })
    .await?;
    neighbours.sort();
    Ok(neighbours)
}

/// Runs a plan and hands on its batches.
async fn for_each(
    stages: &Stages<'_>,
    rows: DataFrame,
    mut take: impl FnMut(&RecordBatch),
) -> Result<()> {
    let mut batches = until(stages.stop, rows.execute_stream()).await?;
    while let Some(batch) = until(stages.stop, batches.try_next()).await? {
        take(&batch);
    }
    Ok(())
}

/// A plan's column of text.
pub(super) fn names(batch: &RecordBatch, column: usize) -> arrow::array::StringArray {
    let names = cast(batch.column(column), &DataType::Utf8).expect("a plan's names are text");
    names.as_string::<i32>().clone()
}

fn counts(batch: &RecordBatch, column: usize) -> Vec<u64> {
    let counts = batch.column(column).as_primitive::<Int64Type>();
    counts.iter().map(|count| count.unwrap_or_default() as u64).collect()
}
