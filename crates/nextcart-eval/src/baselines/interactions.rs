//! Training histories with items as numbers.

use std::collections::HashMap;
use std::sync::Arc;

use nextcart_data::{Dataset, Question};

/// Item ids with their numbers: the place of each in the sorted list of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemIndex {
    ids: Vec<String>,
    positions: HashMap<String, u32>,
}

impl ItemIndex {
    /// Numbers ids; one that comes several times counts once.
    ///
    /// # Panics
    /// With more than 4 billion items.
    pub fn new(ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut ids: Vec<String> = ids.into_iter().map(Into::into).collect();
        ids.sort_unstable();
        ids.dedup();
        let number = |place| u32::try_from(place).expect("fewer than 4 billion items");
        let positions = ids.iter().enumerate().map(|(place, id)| (id.clone(), number(place)));
        Self { positions: positions.collect(), ids }
    }

    /// All ids, by their numbers.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Number of an item, `None` for one that is not known.
    #[must_use]
    pub fn position(&self, item: &str) -> Option<u32> {
        self.positions.get(item).copied()
    }

    /// Numbers of the known items of a question's history, oldest first.
    pub(super) fn history(&self, question: &Question) -> Vec<u32> {
        let items = question.history.iter().map(|purchase| purchase.product.item.as_str());
        items.filter_map(|item| self.position(item)).collect()
    }

    /// The same, each once and by number, so that sums have one order on every run.
    pub(super) fn bought(&self, question: &Question) -> Vec<u32> {
        let mut bought = self.history(question);
        bought.sort_unstable();
        bought.dedup();
        bought
    }
}

/// Training histories as lists of numbers, 4 bytes a purchase.
#[derive(Debug, Clone)]
pub struct Interactions {
    items: Arc<ItemIndex>,
    starts: Vec<usize>,
    purchases: Vec<u32>,
}

impl Interactions {
    /// The training part of a prepared folder.
    #[must_use]
    pub fn of(data: &Dataset) -> Self {
        Self::new(data.histories.iter().map(|history| &history.items))
    }

    /// Numbers the items of histories, each oldest first.
    ///
    /// ```
    /// use nextcart_eval::Interactions;
    ///
    /// let training = Interactions::new([vec!["tea", "honey"], vec!["milk"]]);
    /// assert_eq!(training.items().ids(), ["honey", "milk", "tea"]);
    /// assert_eq!(training.histories().collect::<Vec<_>>(), [&[2, 0][..], &[1]]);
    /// ```
    pub fn new<S: AsRef<str>>(histories: impl IntoIterator<Item = impl AsRef<[S]>>) -> Self {
        let mut seen: HashMap<String, u32> = HashMap::new();
        let (mut starts, mut purchases) = (vec![0], Vec::new());
        for history in histories {
            for item in history.as_ref() {
                let next = u32::try_from(seen.len()).expect("fewer than 4 billion items");
                let item = item.as_ref();
                let number = seen.get(item).copied().unwrap_or(next);
                if number == next {
                    seen.insert(item.to_owned(), next);
                }
                purchases.push(number);
            }
            starts.push(purchases.len());
        }
        let items = ItemIndex::new(seen.keys().cloned());
        let mut sorted = vec![0; seen.len()];
        for (id, number) in seen {
            sorted[number as usize] = items.positions[&id];
        }
        purchases.iter_mut().for_each(|number| *number = sorted[*number as usize]);
        Self { items: Arc::new(items), starts, purchases }
    }

    /// The items that were bought.
    #[must_use]
    pub fn items(&self) -> &Arc<ItemIndex> {
        &self.items
    }

    /// Histories in their order, each oldest first.
    pub fn histories(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.starts.windows(2).map(|ends| &self.purchases[ends[0]..ends[1]])
    }

    /// Purchases of each item.
    pub(super) fn counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.items.len()];
        self.purchases.iter().for_each(|item| counts[*item as usize] += 1);
        counts
    }

    /// The same histories without their order: each item once, by number.
    pub(super) fn sets(&self) -> Rows {
        let mut rows = Rows::default();
        let mut set = Vec::new();
        for history in self.histories() {
            set.clear();
            set.extend_from_slice(history);
            set.sort_unstable();
            set.dedup();
            rows.push(&set);
        }
        rows
    }
}

/// Lists of numbers behind one another.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    starts: Vec<usize>,
    values: Vec<u32>,
}

impl Default for Rows {
    fn default() -> Self {
        Self { starts: vec![0], values: Vec::new() }
    }
}

impl Rows {
    pub(super) fn push(&mut self, row: &[u32]) {
        self.values.extend_from_slice(row);
        self.starts.push(self.values.len());
    }

    pub(super) fn row(&self, row: u32) -> &[u32] {
        let row = row as usize;
        &self.values[self.starts[row]..self.starts[row + 1]]
    }

    /// For each of so many values the rows that hold it, rising.
    pub(super) fn transposed(&self, count: usize) -> Self {
        let mut starts = vec![0; count + 1];
        self.values.iter().for_each(|value| starts[*value as usize + 1] += 1);
        (0..count).for_each(|value| starts[value + 1] += starts[value]);
        let (mut next, mut values) = (starts.clone(), vec![0; self.values.len()]);
        for (number, ends) in (0..).zip(self.starts.windows(2)) {
            for value in &self.values[ends[0]..ends[1]] {
                let place = &mut next[*value as usize];
                values[*place] = number;
                *place += 1;
            }
        }
        Self { starts, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_depend_on_the_order_of_histories() {
        let first = Interactions::new([vec!["c", "a"], vec!["b"]]);
        let second = Interactions::new([vec!["b"], vec!["c", "a"]]);
        assert_eq!(first.items(), second.items());
        assert_eq!(first.histories().next(), second.histories().nth(1));
        assert_eq!(first.items().position("d"), None);
    }

    #[test]
    fn rows_are_turned_into_columns() {
        let training = Interactions::new([vec!["a", "b", "a"], vec!["c", "a"], vec![]]);
        let buyers = training.sets().transposed(3);
        let rows: Vec<&[u32]> = (0..3).map(|item| buyers.row(item)).collect();
        assert_eq!(rows, [&[0, 1][..], &[0], &[1]]);
        assert_eq!(training.counts(), [3, 1, 1]);
    }
}
