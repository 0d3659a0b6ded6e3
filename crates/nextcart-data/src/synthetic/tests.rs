//! The distributions that a corpus is drawn from, and what is drawn.

use std::collections::HashSet;

use super::{process::Basket, *};
use crate::{Error, seeded::seeded_rng};

fn corpus() -> Corpus {
    Corpus::generate(&SyntheticConfig { users: 1500, ..SyntheticConfig::tiny() }).unwrap()
}

fn all(corpus: &Corpus) -> Vec<u32> {
    (0..corpus.items.len() as u32).collect()
}

fn category(corpus: &Corpus, item: u32) -> usize {
    corpus.items[item as usize].category
}

#[track_caller]
fn check_sum(values: impl Iterator<Item = f64>) {
    let sum: f64 = values.sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum} is not 1");
}

#[test]
fn each_taste_is_a_distribution_with_its_favourites() {
    let corpus = corpus();
    let config = corpus.config();
    for taste in 0..config.tastes {
        let p = |item: &u32| corpus.model.probability(taste, *item, &[]);
        check_sum(all(&corpus).iter().map(p));
        let mut shares = vec![0.0; config.categories];
        all(&corpus).iter().for_each(|item| shares[category(&corpus, *item)] += p(item));
        shares.sort_by(|a, b| b.total_cmp(a));
        let favourites: f64 = shares[..config.favourite_categories].iter().sum();
        assert!((favourites - config.focus).abs() < 1e-9, "{shares:?}");
    }
}

#[test]
fn popularity_within_a_category_follows_zipf() {
    let corpus = corpus();
    let z = corpus.config().zipf_exponent;
    for a in all(&corpus) {
        for b in all(&corpus) {
            let (x, y) = (&corpus.items[a as usize], &corpus.items[b as usize]);
            if x.category == y.category && x.brand == y.brand {
                let p = |item| corpus.model.probability(0, item, &[]);
                let expected = ((x.rank + 1) as f64 / (y.rank + 1) as f64).powf(-z);
                assert!((p(a) / p(b) - expected).abs() < 1e-9 * expected);
            }
        }
    }
}

#[test]
fn complements_are_of_the_next_category_and_of_the_own_brand_first() {
    let corpus = corpus();
    let mut next: HashMap<usize, usize> = HashMap::new();
    for (item, complements) in all(&corpus).into_iter().zip(&corpus.model.complements) {
        assert_eq!(complements.len(), corpus.config().complements_per_item);
        let own = category(&corpus, item);
        for other in complements {
            let following = category(&corpus, *other);
            assert_ne!(following, own);
            assert_eq!(*next.entry(own).or_insert(following), following);
        }
        let same_brand =
            |other: u32| corpus.items[other as usize].brand == corpus.items[item as usize].brand;
        let left_out = all(&corpus).into_iter().any(|other| {
            category(&corpus, other) == next[&own]
                && same_brand(other)
                && !complements.contains(&other)
        });
        assert!(!left_out || complements.iter().all(|other| same_brand(*other)), "{complements:?}");
    }
    let categories: HashSet<usize> = next.values().copied().collect();
    assert_eq!(categories.len(), corpus.config().categories, "a ring reaches all");
}

#[test]
fn purchases_and_pairs_are_distributions_over_what_is_not_owned() {
    let corpus = corpus();
    let (previous, owned) = ([3, 8], [3, 8, 20, 41]);
    let free: Vec<u32> = all(&corpus).into_iter().filter(|item| !owned.contains(item)).collect();
    for taste in 0..corpus.model.tastes() {
        check_sum(free.iter().map(|i| corpus.model.purchase(taste, *i, &previous, &owned)));
        let pairs = free.iter().flat_map(|a| free.iter().filter(move |b| a < *b).map(|b| [*a, *b]));
        check_sum(pairs.map(|pair| corpus.model.pair(taste, pair, &previous, &owned)));
    }
}

#[test]
fn draws_follow_the_stated_probabilities() {
    let corpus = corpus();
    let (previous, owned) = ([3, 8], [3, 8, 20, 41]);
    let mut rng = seeded_rng(1, &["draws"]);
    const DRAWS: usize = 40_000;
    let mut counts = vec![0.0; corpus.items.len()];
    for _ in 0..DRAWS {
        counts[corpus.model.draw(1, &previous, &owned, &mut rng) as usize] += 1.0;
    }
    for item in all(&corpus) {
        let p = if owned.contains(&item) {
            0.0
        } else {
            corpus.model.purchase(1, item, &previous, &owned)
        };
        let (expected, count) = (p * DRAWS as f64, counts[item as usize]);
        let allowed = 4.5 * expected.sqrt() + if p > 0.0 { 2.0 } else { 0.0 };
        assert!((count - expected).abs() <= allowed, "{item}: {count} for {expected}");
    }
}

#[test]
fn users_buy_each_item_once_and_complements_often() {
    let corpus = corpus();
    let config = corpus.config();
    let (mut after, mut follows, mut pairs, mut baskets) = (0_u32, 0_u32, 0_u32, 0_u32);
    for user in &corpus.users {
        let items: Vec<u32> = user.baskets.iter().flat_map(|basket| basket.items.clone()).collect();
        assert!((config.min_purchases..=config.max_purchases).contains(&items.len()));
        assert_eq!(items.iter().collect::<HashSet<_>>().len(), items.len());
        assert!(user.baskets.is_sorted_by(|a, b| a.day < b.day));
        for pair in user.baskets.windows(2) {
            let (before, basket): (&Basket, &Basket) = (&pair[0], &pair[1]);
            for item in &basket.items {
                after += 1;
                let complements = |bought: &u32| &corpus.model.complements[*bought as usize];
                follows +=
                    u32::from(before.items.iter().any(|bought| complements(bought).contains(item)));
            }
        }
        baskets += user.baskets.len() as u32;
        pairs += user.baskets.iter().filter(|basket| basket.items.len() == 2).count() as u32;
    }
    // Half of the draws, less those of what is owned already, plus those by taste that happen to fit.
    let share = f64::from(follows) / f64::from(after);
    assert!((0.4..0.65).contains(&share), "{share}");
    let share = f64::from(pairs) / f64::from(baskets);
    assert!((share - config.pair_probability).abs() < 0.05, "{share}");
}

#[test]
fn titles_and_ids_are_distinct() {
    let corpus = Corpus::generate(&SyntheticConfig::default()).unwrap();
    let titles: HashSet<String> =
        corpus.items.iter().map(|item| item.title.to_lowercase()).collect();
    assert_eq!(titles.len(), corpus.config().items);
    assert_eq!(corpus.item_index.len(), corpus.config().items);
    assert_eq!(corpus.user_index.len(), corpus.config().users);
}

#[track_caller]
fn check_refused(name: &str, config: SyntheticConfig) {
    match Corpus::generate(&config) {
        Err(Error::Option { name: found, .. }) => assert_eq!(found, name),
        other => panic!("{name}: {:?}", other.map(|corpus| corpus.purchases())),
    }
}

#[test]
fn a_parameter_outside_its_range_is_named() {
    let tiny = SyntheticConfig::tiny;
    check_refused("categories", SyntheticConfig { categories: 17, ..tiny() });
    check_refused("items", SyntheticConfig { items: 59, ..tiny() });
    check_refused("users", SyntheticConfig { users: 0, ..tiny() });
    check_refused("max_purchases", SyntheticConfig { max_purchases: 16, ..tiny() });
    check_refused("min_purchases", SyntheticConfig { min_purchases: 11, ..tiny() });
    check_refused("tastes", SyntheticConfig { tastes: 0, ..tiny() });
    check_refused("complements_per_item", SyntheticConfig { complements_per_item: 11, ..tiny() });
    check_refused("focus", SyntheticConfig { focus: 1.0, ..tiny() });
    check_refused("duplicates", SyntheticConfig { duplicates: f64::NAN, ..tiny() });
    check_refused("brand_affinity", SyntheticConfig { brand_affinity: 0.5, ..tiny() });
}
