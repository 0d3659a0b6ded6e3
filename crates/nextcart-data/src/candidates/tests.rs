//! What is drawn, and in what proportions.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::{Catalogue, PrepareOptions, Product, seeded::seeded_rng};

/// Items with these titles, bought this often; what stands after `|` is a category path.
struct Shop {
    catalogue: Catalogue,
    counts: HashMap<u32, u32>,
}

impl Shop {
    fn new(items: &[(&str, u32)]) -> Self {
        let mut shop = Self { catalogue: Catalogue::default(), counts: HashMap::new() };
        for (position, (words, count)) in (0..).zip(items) {
            let mut words = words.split('|');
            shop.catalogue.push(Product {
                item: format!("i{position}"),
                title: words.next().unwrap().into(),
                brand: words.next().map(str::to_owned).filter(|brand| !brand.is_empty()),
                category: words.map(str::to_owned).collect(),
                price: None,
            });
            if *count > 0 {
                shop.counts.insert(position, *count);
            }
        }
        shop
    }

    fn draws(
        &self,
        options: &PrepareOptions,
        target: u32,
        owned: &[u32],
        count: usize,
        times: usize,
    ) -> Vec<Option<Vec<u32>>> {
        let pool = Pool::new(&self.counts, &self.catalogue, options, None);
        let owned = pool.owned(owned.iter().copied().chain([target]));
        let asked = Asked { target, history: &[], owned: &owned, count };
        (0..times)
            .map(|round| {
                let mut rng = seeded_rng(1, &[&round.to_string()]);
                pool.draw(&asked, &self.catalogue, &mut rng, &mut 0)
            })
            .collect()
    }
}

fn sorted(draw: Option<Vec<u32>>) -> Vec<u32> {
    let mut draw = draw.unwrap();
    draw.sort_unstable();
    draw
}

#[test]
fn never_offers_what_the_user_owns_or_a_title_twice() {
    let options = PrepareOptions { candidates: 3, ..PrepareOptions::default() };
    let items = [
        ("Tea", 9),
        ("TEA", 9),
        ("Oats", 5),
        ("oats", 5),
        ("Rice", 4),
        ("Never bought", 0),
        ("Mugs", 2),
    ];
    let shop = Shop::new(&items);
    for distractors in [
        Distractors::Popularity,
        Distractors::Uniform,
        Distractors::Category,
        Distractors::Brand,
        Distractors::Nearest,
    ] {
        let options = PrepareOptions { distractors, ..options.clone() };
        for draw in shop.draws(&options, 0, &[6], 2, 50) {
            let draw = sorted(draw);
            assert!(draw == [2, 4] || draw == [3, 4], "{distractors:?}: {draw:?}");
        }
        assert!(
            shop.draws(&options, 0, &[6], 3, 5).iter().all(Option::is_none),
            "only two titles are left"
        );
    }
}

#[test]
fn draws_in_proportion_to_popularity_within_the_bucket() {
    let options = PrepareOptions { bucket: 4, ..PrepareOptions::default() };
    let items = [
        ("A", 60),
        ("B", 30),
        ("C", 20),
        ("D", 10),
        ("E", 4),
        ("F", 3),
        ("G", 2),
        ("H", 1),
        ("I", 1),
    ];
    let shop = Shop::new(&items);
    let mut counts = [0_u32; 9];
    for draw in shop.draws(&options, 0, &[], 1, 6000) {
        counts[draw.unwrap()[0] as usize] += 1;
    }
    assert_eq!(counts[4..], [0; 5]);
    for (item, share) in [(1, 3000), (2, 2000), (3, 1000)] {
        assert!(counts[item].abs_diff(share) < 200, "{counts:?}");
    }
    // The ninth item is merged into the second bucket.
    let draws = shop.draws(&options, 8, &[], 1, 200);
    assert!(draws.iter().flatten().all(|draw| (4..8).contains(&draw[0])));
}

#[test]
fn falls_over_to_the_neighbouring_buckets() {
    let options = PrepareOptions { bucket: 2, ..PrepareOptions::default() };
    let shop = Shop::new(&[("A", 6), ("B", 5), ("C", 4), ("D", 3), ("E", 2), ("F", 1)]);
    for draw in shop.draws(&options, 0, &[], 3, 20) {
        assert_eq!(sorted(draw), [1, 2, 3]);
    }
}

/// How often each item is drawn as the one distractor.
fn shares(shop: &Shop, distractors: Distractors, target: u32, times: usize) -> Vec<f64> {
    let options = PrepareOptions { distractors, ..PrepareOptions::default() };
    let mut shares = vec![0.0; shop.catalogue.len()];
    for draw in shop.draws(&options, target, &[], 1, times) {
        shares[draw.unwrap()[0] as usize] += 1.0 / times as f64;
    }
    shares
}

#[test]
fn draws_from_the_narrowest_category_in_proportion_to_popularity() {
    let shop = Shop::new(&[
        ("A||Food|Tea", 5),
        ("B||Food|Tea", 30),
        ("C||Food|Tea", 10),
        ("D||Food|Oats", 50),
        ("E||Toys", 90),
    ]);
    let found = shares(&shop, Distractors::Category, 0, 4000);
    assert_eq!((found[0], found[3], found[4]), (0.0, 0.0, 0.0));
    assert!((found[1] - 0.75).abs() < 0.04, "{found:?}");
    // Beyond the leaf comes the level above, then the neighbours in popularity.
    let options =
        PrepareOptions { distractors: Distractors::Category, ..PrepareOptions::default() };
    for draw in shop.draws(&options, 0, &[], 3, 20) {
        assert_eq!(sorted(draw), [1, 2, 3]);
    }
    for draw in shop.draws(&options, 0, &[], 4, 20) {
        assert_eq!(sorted(draw), [1, 2, 3, 4]);
    }
}

#[test]
fn draws_from_the_brand_and_then_from_the_category() {
    let shop = Shop::new(&[
        ("A|Acme|Tea", 5),
        ("B|ACME|Toys", 1),
        ("C|Other|Tea", 50),
        ("D|Other|Oats", 50),
    ]);
    assert!(shares(&shop, Distractors::Brand, 0, 50)[1] > 0.999);
    let options = PrepareOptions { distractors: Distractors::Brand, ..PrepareOptions::default() };
    for draw in shop.draws(&options, 0, &[], 2, 20) {
        assert_eq!(sorted(draw), [1, 2]);
    }
}

#[test]
fn draws_uniformly_whatever_the_popularity() {
    let shop = Shop::new(&[("A", 5), ("B", 1000), ("C", 10), ("D", 1), ("E", 0)]);
    let found = shares(&shop, Distractors::Uniform, 0, 6000);
    assert_eq!((found[0], found[4]), (0.0, 0.0));
    found[1..4].iter().for_each(|share| assert!((share - 1.0 / 3.0).abs() < 0.04, "{found:?}"));
}

#[test]
fn takes_the_nearest_titles_first() {
    let shop = Shop::new(&[
        ("Green Tea Bags Organic", 1),
        ("Rolled Oats", 90),
        ("Organic Green Tea Leaves", 1),
        ("Black Tea Bags", 1),
        ("green TEA, bags: organic!", 1),
        ("Green Tea Never Bought", 0),
    ]);
    let draws = |count: usize| {
        let options = PrepareOptions {
            distractors: Distractors::Nearest,
            candidates: count + 1,
            ..PrepareOptions::default()
        };
        shop.draws(&options, 0, &[], count, 20).into_iter()
    };
    draws(3).for_each(|draw| assert_eq!(sorted(draw), [2, 3, 4]));
    // The one that shares no word comes by popularity.
    draws(4).for_each(|draw| assert_eq!(draw.unwrap().last(), Some(&1)));
}

#[test]
fn all_options_of_near_titles_are_asked_for_with_the_same_others() {
    // Two families of eight, each a ring in which neighbours share a word, so that any item is the centre of its nearest.
    let title = |item: usize| {
        let (family, place) = (item / 8, item % 8);
        format!("f{family} w{family}x{place} w{family}x{}", (place + 1) % 8)
    };
    let titles: Vec<String> = (0..16).map(title).collect();
    let items: Vec<(&str, u32)> = titles.iter().map(|title| (title.as_str(), 5)).collect();
    let shop = Shop::new(&items);
    let options = PrepareOptions { distractors: Distractors::Nearest, ..PrepareOptions::default() };
    let asked: Vec<Vec<Vec<u32>>> = (0..16)
        .map(|target| {
            let draws = shop.draws(&options, target, &[], 3, 40).into_iter();
            let with_target = |draw: Option<Vec<u32>>| {
                sorted(draw.map(|others| [&others[..], &[target]].concat()))
            };
            draws.map(with_target).collect()
        })
        .collect();
    for (target, questions) in asked.iter().enumerate() {
        for (round, question) in questions.iter().enumerate() {
            for item in question {
                assert_eq!(asked[*item as usize][round], *question, "{target} in round {round}");
                assert_eq!(*item as usize / 8, target / 8);
            }
        }
        let different: HashSet<&Vec<u32>> = questions.iter().collect();
        assert!(different.len() > 1, "{target} has the same options in all questions");
    }
}

#[test]
fn takes_what_users_bought_with_the_history_first() {
    let shop = Shop::new(&[("A", 4), ("B", 4), ("C", 4), ("D", 16), ("E", 4)]);
    let mut neighbours = Neighbours::new(shop.catalogue.len());
    for (item, other, users) in [(0, 2, 2), (0, 3, 3), (1, 2, 1), (1, 4, 1)] {
        neighbours.push(item, other, users, &shop.counts);
        neighbours.push(other, item, users, &shop.counts);
    }
    neighbours.sort();
    // Of C: 2/14 + 1/14; of D: 3/18; of E: 1/14.
    assert_eq!(neighbours.retrieve([0, 1].into_iter()), [2, 3, 4]);
    let options =
        PrepareOptions { distractors: Distractors::Retrieved, ..PrepareOptions::default() };
    let pool = Pool::new(&shop.counts, &shop.catalogue, &options, Some(&neighbours));
    let owned = pool.owned([0, 1, 3].into_iter());
    let asked = Asked { target: 3, history: &[0, 1], owned: &owned, count: 2 };
    let drawn = pool.draw(&asked, &shop.catalogue, &mut seeded_rng(0, &[]), &mut 0);
    assert_eq!(drawn.as_deref(), Some(&[2, 4][..]), "the target is left out");
}

#[test]
fn leaves_the_whole_catalogue_to_the_reader() {
    let shop = Shop::new(&[("A", 4), ("B", 4)]);
    let options =
        PrepareOptions { distractors: Distractors::Catalogue, ..PrepareOptions::default() };
    assert_eq!(shop.draws(&options, 0, &[], 3, 1)[0].as_deref(), Some(&[][..]));
}
