//! Pairs of items that users bought in training.

use std::collections::HashSet;

use arrow::{
    array::AsArray,
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use datafusion::prelude::{col, lit};
use futures::TryStreamExt;

use super::RelationOptions;
use crate::{
    Catalogue, Error, History, PairKind, Prepared, Resources, Result, plan,
    prepare::{HISTORIES, on_runtime},
};

/// Related items of each item with the number of users, most first.
#[derive(Debug)]
pub(super) struct Pairs {
    kind: PairKind,
    window: usize,
    pairs: Vec<Vec<(u32, u32)>>,
}

impl Default for Pairs {
    /// No pairs of no items.
    fn default() -> Self {
        Self { kind: PairKind::CoPurchase, window: 0, pairs: Vec::new() }
    }
}

impl Pairs {
    /// Counts the pairs of a prepared folder's training purchases.
    pub(super) fn count(
        prepared: &Prepared,
        catalogue: &Catalogue,
        kind: PairKind,
        options: &RelationOptions,
        resources: &Resources,
    ) -> Result<Self> {
        let scratch = tempfile::tempdir_in(&prepared.folder)
            .map_err(|source| Error::Write { path: prepared.folder.clone(), source })?;
        let work = async {
            let context = plan::with_sorted_joins(&plan::session(resources, scratch.path())?);
            let histories = plan::read_table(&context, &prepared.folder.join(HISTORIES)).await?;
            let training = histories.filter(col("part").eq(lit("train")))?;
            let mut batches = plan::pairs(training, kind, options.window)?.execute_stream().await?;
            // More than are shown stay, for so many may be the asker's own and go.
            let kept = options.top.saturating_add(options.window.saturating_mul(2));
            let mut pairs =
                Self { kind, window: options.window, pairs: vec![Vec::new(); catalogue.len()] };
            while let Some(batch) = batches.try_next().await? {
                let names = |place: usize| cast(batch.column(place), &DataType::Utf8);
                let (items, others) = (names(0), names(1));
                let (items, others) = (
                    items.expect("a plan's names are text"),
                    others.expect("a plan's names are text"),
                );
                let (items, others) = (items.as_string::<i32>(), others.as_string::<i32>());
                let users = batch.column(2).as_primitive::<Int64Type>();
                for row in 0..batch.num_rows() {
                    let position = |name: &str| catalogue.position(name);
                    if let (Some(item), Some(other)) =
                        (position(items.value(row)), position(others.value(row)))
                    {
                        let list = &mut pairs.pairs[item as usize];
                        list.push((other, u32::try_from(users.value(row)).unwrap_or(u32::MAX)));
                        if list.len() >= kept.saturating_mul(4) {
                            keep_best(list, kept);
                        }
                    }
                }
            }
            pairs.pairs.iter_mut().for_each(|list| keep_best(list, kept));
            Ok(pairs)
        };
        on_runtime(resources.threads(), work)
    }

    pub(super) fn of(&self, item: u32) -> &[(u32, u32)] {
        &self.pairs[item as usize]
    }

    /// The items with which a user makes a pair of `item`.
    pub(super) fn own(&self, item: &str, user: &History, catalogue: &Catalogue) -> HashSet<u32> {
        let (items, times) = (&user.items, &user.times);
        let places = (0..items.len()).filter(|place| items[*place] == item);
        let others = places.flat_map(|place| match self.kind {
            PairKind::CoPurchase => {
                let until = (place + 1).saturating_add(self.window).min(items.len());
                place.saturating_sub(self.window)..until
            }
            PairKind::NextPurchase => {
                let next = place + 1;
                // As in the plan: what was bought at the same time has no order.
                let counts =
                    next < items.len() && (times[place].is_none() || times[next] > times[place]);
                next..next + usize::from(counts)
            }
        });
        others.filter_map(|place| catalogue.position(&items[place])).collect()
    }
}

fn keep_best(list: &mut Vec<(u32, u32)>, count: usize) {
    list.sort_unstable_by_key(|(other, users)| (std::cmp::Reverse(*users), *other));
    list.truncate(count);
}
