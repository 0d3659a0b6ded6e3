//! What distractors are drawn from.

use std::collections::HashMap;

use rand::Rng;

use super::{
    Distractors, Neighbours,
    clusters::Clusters,
    groups::{By, Groups},
    picker::{Picker, Weighted},
    popular::Ranking,
};
use crate::{Catalogue, PrepareOptions, seeded::FastSet, title_key};

/// Items seen in training, and what is known of them from training.
#[derive(Debug)]
pub(crate) struct Pool<'a> {
    ranking: Ranking,
    titles: Titles,
    method: Method<'a>,
}

#[derive(Debug)]
enum Method<'a> {
    Popularity,
    Uniform(Weighted),
    Groups(Vec<Groups>),
    Nearest(Clusters),
    Retrieved(&'a Neighbours),
    Catalogue,
}

/// One number for all titles of the same [key](title_key).
#[derive(Debug)]
pub(super) struct Titles {
    of: Vec<u32>,
}

/// What a user's questions must not offer.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(super) items: FastSet<u32>,
    pub(super) titles: FastSet<u32>,
}

/// What a question asks for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) target: u32,
    /// Shown purchases, oldest first.
    pub(crate) history: &'a [u32],
    pub(crate) owned: &'a Owned,
    /// Distractors.
    pub(crate) count: usize,
}

impl Titles {
    fn new(catalogue: &Catalogue) -> Self {
        let mut numbers = HashMap::new();
        let of = catalogue.products().map(|product| {
            let next = numbers.len() as u32;
            *numbers.entry(title_key(&product.title)).or_insert(next)
        });
        Self { of: of.collect() }
    }

    pub(super) fn of(&self, item: u32) -> u32 {
        self.of[item as usize]
    }
}

impl<'a> Pool<'a> {
    /// From the items' purchases in training, and for [`Distractors::Retrieved`] the pairs that users
    /// bought there.
    pub(crate) fn new(
        counts: &HashMap<u32, u32>,
        catalogue: &Catalogue,
        options: &PrepareOptions,
        neighbours: Option<&'a Neighbours>,
    ) -> Self {
        let ranking = Ranking::new(counts, catalogue, options.seed, options.bucket);
        let items = ranking.items();
        let groups = |by| Groups::new(items, catalogue, by);
        let method = match (options.distractors, neighbours) {
            (Distractors::Popularity, _) => Method::Popularity,
            (Distractors::Uniform, _) => {
                let mut alike = Weighted::default();
                items.iter().for_each(|(item, _)| alike.push(*item, 1));
                Method::Uniform(alike)
            }
            (Distractors::Category, _) => Method::Groups(vec![groups(By::Category)]),
            (Distractors::Brand, _) => {
                Method::Groups(vec![groups(By::Brand), groups(By::Category)])
            }
            (Distractors::Nearest, _) => Method::Nearest(Clusters::new(items, catalogue, options)),
            (Distractors::Retrieved, Some(neighbours)) => Method::Retrieved(neighbours),
            (Distractors::Retrieved, None) => {
                unreachable!("the caller gives the neighbours that this method needs")
            }
            (Distractors::Catalogue, _) => Method::Catalogue,
        };
        Self { ranking, titles: Titles::new(catalogue), method }
    }

    pub(crate) fn is_seen(&self, item: u32) -> bool {
        self.ranking.contains(item)
    }

    /// Whether questions hold no distractors, since all items stand against the target.
    pub(crate) fn is_whole_catalogue(&self) -> bool {
        matches!(self.method, Method::Catalogue)
    }

    pub(crate) fn title(&self, item: u32) -> u32 {
        self.titles.of(item)
    }

    pub(crate) fn owned(&self, items: impl Iterator<Item = u32>) -> Owned {
        let items: FastSet<u32> = items.collect();
        let titles = items.iter().map(|item| self.title(*item)).collect();
        Owned { items, titles }
    }

    /// Distractors, or `None` if there are not as many as asked. Where a method has too few, the rest is
    /// drawn by popularity, and `filled` counts that.
    pub(crate) fn draw(
        &self,
        asked: &Asked<'_>,
        catalogue: &Catalogue,
        rng: &mut impl Rng,
        filled: &mut u64,
    ) -> Option<Vec<u32>> {
        let target = asked.target;
        let mut picker = Picker::new(&self.titles, asked.owned, asked.count);
        match &self.method {
            Method::Catalogue => return Some(Vec::new()),
            Method::Popularity => {}
            Method::Uniform(alike) => picker.draw(alike, rng),
            Method::Groups(groups) => {
                groups.iter().for_each(|groups| groups.draw(target, catalogue, &mut picker, rng));
            }
            Method::Nearest(clusters) => clusters.draw(target, catalogue, &mut picker, rng),
            Method::Retrieved(neighbours) => {
                let retrieved = neighbours.retrieve(asked.history.iter().copied()).into_iter();
                let seen = retrieved.filter(|item| self.is_seen(*item));
                seen.for_each(|item| picker.offer(item));
            }
        }
        if !picker.is_full() {
            let before = picker.picked.len();
            self.ranking.draw(target, &mut picker, rng);
            if !matches!(self.method, Method::Popularity) && picker.is_full() {
                *filled += (picker.picked.len() - before) as u64;
            }
        }
        picker.is_full().then_some(picker.picked)
    }
}
