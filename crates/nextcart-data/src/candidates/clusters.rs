//! Items in clusters of near titles.

use std::sync::OnceLock;

use rand::{Rng, RngExt, seq::SliceRandom};

use super::{TextIndex, picker::Picker};
use crate::{
    Catalogue, PrepareOptions,
    seeded::{FastMap, seeded_rng},
};

/// Divisions into clusters, of which each question draws one: by a single one, an item would always have the same others
/// beside it.
const DIVISIONS: usize = 4;

/// The items seen in training, divided into clusters of near titles as large as a question.
#[derive(Debug)]
pub(super) struct Clusters {
    index: TextIndex,
    items: Vec<u32>,
    size: usize,
    seed: u64,
    /// Made when first asked for.
    divisions: Vec<OnceLock<Division>>,
}

/// Every item in one cluster.
#[derive(Debug, Default)]
struct Division {
    /// The first item of each is its anchor: the others were near to it.
    clusters: Vec<Vec<u32>>,
    cluster_of: FastMap<u32, usize>,
}

impl Clusters {
    pub(super) fn new(
        items: &[(u32, u32)],
        catalogue: &Catalogue,
        options: &PrepareOptions,
    ) -> Self {
        let items: Vec<u32> = items.iter().map(|(item, _)| *item).collect();
        let index = TextIndex::new(items.iter().copied(), catalogue);
        let PrepareOptions { candidates: size, seed, .. } = *options;
        let divisions = (0..DIVISIONS).map(|_| OnceLock::new()).collect();
        Self { index, items, size, seed, divisions }
    }

    /// Offers the others of the target's cluster, and then what else is near to its anchor: the same, whichever item of
    /// the cluster is the target. One that was not seen in training is its own anchor.
    pub(super) fn draw(
        &self,
        target: u32,
        catalogue: &Catalogue,
        picker: &mut Picker<'_>,
        rng: &mut impl Rng,
    ) {
        let number = rng.random_range(0..DIVISIONS);
        let division = self.divisions[number].get_or_init(|| self.divide(number, catalogue));
        let alone = [target];
        let cluster = match division.cluster_of.get(&target) {
            Some(place) => &division.clusters[*place][..],
            None => &alone,
        };
        let near = self.index.nearest(cluster[0], catalogue);
        cluster.iter().chain(near).for_each(|item| picker.offer(*item));
    }

    /// Anchors, one after another in random order, each with the nearest items that have no cluster yet.
    fn divide(&self, number: usize, catalogue: &Catalogue) -> Division {
        let mut anchors = self.items.clone();
        anchors.shuffle(&mut seeded_rng(self.seed, &["clusters", &number.to_string()]));
        let mut division = Division::default();
        for anchor in anchors {
            if division.cluster_of.contains_key(&anchor) {
                continue;
            }
            let near = self.index.nearest(anchor, catalogue).iter().copied();
            let free = near.filter(|item| !division.cluster_of.contains_key(item));
            let cluster: Vec<u32> = [anchor].into_iter().chain(free).take(self.size).collect();
            let place = division.clusters.len();
            division.cluster_of.extend(cluster.iter().map(|item| (*item, place)));
            division.clusters.push(cluster);
        }
        division
    }
}
