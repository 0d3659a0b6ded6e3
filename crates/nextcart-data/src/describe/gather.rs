//! One pass over the files.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::Array;

use super::{Cold, Description, Distribution, Neighbours, Titles};
use crate::{
    Part, Prepared, Result,
    calendar::civil,
    histories::{Purchased, read_users},
    prepare::HISTORIES,
    publish::TABLES,
    table::Table,
    title_key,
};

pub(super) fn gather(prepared: &Prepared) -> Result<Description> {
    let mut history_lengths = Distribution::default();
    let mut neighbours = Neighbours::default();
    let mut repeats = 0;
    let mut months: BTreeMap<i64, [u64; 3]> = BTreeMap::new();
    // Purchases of each item in training, and in validation and test.
    let mut bought: HashMap<String, [u64; 2]> = HashMap::new();
    read_users(&prepared.folder.join(HISTORIES), |purchases: Vec<Purchased>| {
        history_lengths.push(purchases.len() as u64);
        let items: HashSet<&str> = purchases.iter().map(|bought| bought.item.as_str()).collect();
        repeats += (purchases.len() - items.len()) as u64;
        for pair in purchases.windows(2) {
            neighbours.pairs += 1;
            neighbours.tied += u64::from(pair[0].time.is_some() && pair[0].time == pair[1].time);
            neighbours.ascending += u64::from(pair[0].item < pair[1].item);
        }
        for Purchased { item, time, part } in purchases {
            if let Some(time) = time {
                months.entry(month(time)).or_default()[part as usize] += 1;
            }
            bought.entry(item).or_default()[usize::from(part != Part::Train)] += 1;
        }
        Ok(())
    })?;
    let mut cold = Cold::default();
    let mut ranking = Vec::new();
    for [train, later] in bought.into_values() {
        if train > 0 {
            cold.known_items += 1;
            ranking.push(train);
        } else {
            cold.items += 1;
            cold.purchases += later;
        }
    }
    ranking.sort_unstable_by(|a, b| b.cmp(a));
    let mut popularity = Distribution::default();
    ranking.iter().for_each(|purchases| popularity.push(*purchases));
    Ok(Description {
        manifest: prepared.manifest.clone(),
        history_lengths,
        popularity,
        ranking,
        months,
        neighbours,
        repeats: repeats + prepared.manifest.histories.dropped.repeat,
        titles: titles(prepared)?,
        cold,
    })
}

fn titles(prepared: &Prepared) -> Result<Titles> {
    let mut holders: HashMap<String, u64> = HashMap::new();
    Table::open(&prepared.folder.join(TABLES[1]))?.for_each(|batch| {
        let titles = batch.column("title", "text")?.optional_texts()?;
        for row in (0..titles.len()).filter(|row| titles.is_valid(*row)) {
            *holders.entry(title_key(titles.value(row))).or_default() += 1;
        }
        Ok(())
    })?;
    let shared = holders.values().filter(|items| **items > 1);
    Ok(Titles {
        items: holders.values().sum(),
        shared: shared.clone().count() as u64,
        items_sharing: shared.sum(),
    })
}

/// Months since January 1970 of a time in seconds.
fn month(time: i64) -> i64 {
    let (year, month, _) = civil(time.div_euclid(86_400));
    (year - 1970) * 12 + month - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_count_from_january_1970() {
        let cases =
            [(0, 0), (31 * 86_400 - 1, 0), (31 * 86_400, 1), (-1, -1), (1_529_193_600, 581)];
        for (time, expected) in cases {
            assert_eq!(month(time), expected, "{time}");
        }
    }
}
