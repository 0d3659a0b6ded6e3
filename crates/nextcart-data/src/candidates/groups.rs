//! Items of one category or brand.

use std::collections::HashMap;

use rand::Rng;

use super::picker::{Picker, Weighted};
use crate::Catalogue;

/// Items by the name of a group, with their popularity.
#[derive(Debug)]
pub(super) struct Groups {
    groups: HashMap<String, Weighted>,
    by: By,
}

/// What groups items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Category,
    Brand,
}

impl Groups {
    /// Groups items, given with their weights.
    pub(super) fn new(items: &[(u32, u32)], catalogue: &Catalogue, by: By) -> Self {
        let mut groups: HashMap<String, Weighted> = HashMap::new();
        for (item, weight) in items {
            for name in by.names(catalogue, *item) {
                groups.entry(name).or_default().push(*item, *weight);
            }
        }
        Self { groups, by }
    }

    /// Draws from the target's groups, the narrowest first.
    pub(super) fn draw(
        &self,
        target: u32,
        catalogue: &Catalogue,
        picker: &mut Picker<'_>,
        rng: &mut impl Rng,
    ) {
        for name in self.by.names(catalogue, target) {
            if let Some(group) = self.groups.get(&name) {
                picker.draw(group, rng);
            }
            if picker.is_full() {
                return;
            }
        }
    }
}

impl By {
    /// Names of an item's groups, the narrowest first.
    fn names(self, catalogue: &Catalogue, item: u32) -> Vec<String> {
        let product = catalogue.product(item);
        match self {
            Self::Brand => product.brand.iter().map(|brand| brand.to_lowercase()).collect(),
            Self::Category => {
                let path = &product.category;
                // A separator that no name holds keeps `a/b` in one level from `a`, `b` in two.
                (1..=path.len()).rev().map(|depth| path[..depth].join("\u{1f}")).collect()
            }
        }
    }
}
