//! Reviews to purchase histories: filters, the first of each item, a stable order.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{
    Catalogue, Dropped, HistoryTally, PrepareOptions, amazon::Review, seeded::seeded_hash,
};

/// A user's purchases, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The user.
    pub user: String,
    /// What was bought; items of the same time stand in an order that says nothing.
    pub items: Vec<String>,
    /// When, in seconds since the Unix epoch; as long as `items`.
    pub times: Vec<i64>,
}

/// A purchase, with the item as its position in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Event {
    pub(crate) item: u32,
    pub(crate) time: i64,
    pub(crate) rating: f32,
}

/// All purchases of a user with a history, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct UserHistory {
    pub(crate) user: String,
    pub(crate) events: Vec<Event>,
    /// Items of the user's reviews that are not verified: no purchases that we know of, but things that
    /// the user may well have.
    pub(crate) unverified: Vec<u32>,
}

/// Collects usable purchases from reviews as they stream by.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    users: HashMap<String, u32>,
    purchases: Vec<(u32, Event)>,
    unverified: HashMap<String, Vec<u32>>,
    dropped: Dropped,
}

/// Histories and how they came about.
#[derive(Debug)]
pub(crate) struct Histories {
    pub(crate) users: Vec<UserHistory>,
    pub(crate) tally: HistoryTally,
    /// Users with any usable purchase, and the most distinct items that one of them has.
    pub(crate) seen_users: u64,
    pub(crate) seen_purchases: u64,
    pub(crate) longest: usize,
}

impl Ledger {
    pub(crate) fn push(
        &mut self,
        review: &Review,
        catalogue: &Catalogue,
        options: &PrepareOptions,
    ) {
        let item = catalogue.position(&review.item);
        if options.verified_only && !review.verified {
            self.dropped.unverified += 1;
            if let Some(item) = item {
                self.unverified.entry(review.user.clone()).or_default().push(item);
            }
            return;
        }
        let Some(item) = item else {
            self.dropped.unknown_item += 1;
            return;
        };
        if catalogue.product(item).title.is_empty() {
            self.dropped.untitled_item += 1;
            return;
        }
        let next = u32::try_from(self.users.len()).expect("a file has below 2^32 users");
        let user = match self.users.get(&review.user) {
            Some(user) => *user,
            None => *self.users.entry(review.user.clone()).or_insert(next),
        };
        self.purchases.push((user, Event { item, time: review.time, rating: review.rating }));
    }

    /// Orders each user's purchases by time, ties by a seeded hash of user and item, keeps the first of
    /// each item and the users who have enough. Users come in the order of their ids.
    ///
    /// Most users review several purchases on one day, and the files list these by item. Any order that
    /// can be read off the item would let a model predict the "next" of a tie; the hash cannot be.
    pub(crate) fn build(self, catalogue: &Catalogue, options: &PrepareOptions) -> Histories {
        let mut histories = Histories {
            users: Vec::new(),
            seen_users: self.users.len() as u64,
            seen_purchases: self.purchases.len() as u64,
            longest: 0,
            tally: HistoryTally { dropped: self.dropped, ..HistoryTally::default() },
        };
        let mut names = vec![String::new(); self.users.len()];
        for (name, user) in self.users {
            names[user as usize] = name;
        }
        let mut unverified = self.unverified;
        let mut purchases = self.purchases;
        // Stable, so that the file decides between two reviews of one item at one time.
        purchases.sort_by_key(|(user, event)| (*user, event.time));
        for group in purchases.chunk_by(|a, b| a.0 == b.0) {
            let name = &names[group[0].0 as usize];
            let events = first_of_each(group, |item| {
                seeded_hash(options.seed, &[name, &catalogue.product(item).item])
            });
            histories.longest = histories.longest.max(events.len());
            let tally = &mut histories.tally;
            tally.users_with_repeats += u64::from(group.len() >= options.min_interactions);
            tally.dropped.repeat += (group.len() - events.len()) as u64;
            if events.len() < options.min_interactions {
                tally.dropped.short_history += events.len() as u64;
                continue;
            }
            let unverified = unverified.remove(name).unwrap_or_default();
            histories.users.push(UserHistory { user: name.clone(), events, unverified });
        }
        histories.users.sort_by(|a, b| a.user.cmp(&b.user));
        histories.count();
        histories
    }
}

/// The first purchase of each item, by time, then by hash.
fn first_of_each(sorted: &[(u32, Event)], hash: impl Fn(u32) -> u64) -> Vec<Event> {
    let mut seen = HashSet::with_capacity(sorted.len());
    let mut events: Vec<Event> =
        sorted.iter().map(|(_, event)| *event).filter(|event| seen.insert(event.item)).collect();
    events.sort_by_cached_key(|event| (event.time, hash(event.item), event.item));
    events
}

impl Histories {
    fn count(&mut self) {
        for history in &self.users {
            let events = &history.events;
            let tied = events.windows(2).filter(|pair| pair[0].time == pair[1].time).count();
            self.tally.ties += tied as u64;
            self.tally.interactions += events.len() as u64;
            self.tally.users_with_ties += u64::from(tied > 0);
            self.tally.users_with_one_time += u64::from(tied > 0 && tied + 1 == events.len());
        }
        self.tally.users = self.users.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amazon::Metadata;

    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        for item in ["a", "b", "c", "d", "e", "f", "untitled"] {
            let title = if item == "untitled" { String::new() } else { format!("Item {item}") };
            let line = format!("{{\"asin\": \"{item}\", \"title\": \"{title}\"}}");
            catalogue.push(Metadata::parse(&line).unwrap());
        }
        catalogue
    }

    /// Purchases as `user item time`, `!` marking the unverified.
    fn build(purchases: &[&str], options: &PrepareOptions) -> Histories {
        let (catalogue, mut ledger) = (catalogue(), Ledger::default());
        for purchase in purchases {
            let mut words = purchase.trim_end_matches('!').split(' ');
            let review = Review {
                user: words.next().unwrap().into(),
                item: words.next().unwrap().into(),
                time: words.next().unwrap().parse().unwrap(),
                rating: 5.0,
                verified: !purchase.ends_with('!'),
                summary: None,
            };
            ledger.push(&review, &catalogue, options);
        }
        ledger.build(&catalogue, options)
    }

    fn items(history: &UserHistory) -> String {
        let catalogue = catalogue();
        history.events.iter().map(|event| catalogue.product(event.item).item.as_str()).collect()
    }

    #[test]
    fn keeps_the_first_of_each_item_in_the_order_of_time() {
        let options = PrepareOptions { min_interactions: 3, ..PrepareOptions::default() };
        let reviews = ["u b 9", "u c 3", "u a 5", "u b 1", "u c 4", "v a 1", "v b 2"];
        let histories = build(&reviews, &options);
        assert_eq!(histories.users.len(), 1);
        assert_eq!(items(&histories.users[0]), "bca");
        assert_eq!(
            histories.tally.dropped,
            Dropped { repeat: 2, short_history: 2, ..Dropped::default() }
        );
    }

    #[test]
    fn counts_every_dropped_review_once() {
        let options = PrepareOptions { min_interactions: 1, ..PrepareOptions::default() };
        let reviews = ["u a 1", "u untitled 2", "u nowhere 3", "u b 4!", "u nowhere 5!", "u a 6"];
        let tally = build(&reviews, &options).tally;
        let dropped = Dropped {
            unverified: 2,
            unknown_item: 1,
            untitled_item: 1,
            repeat: 1,
            short_history: 0,
        };
        assert_eq!((tally.interactions, tally.dropped), (1, dropped));
        assert_eq!(tally.interactions + tally.dropped.total(), reviews.len() as u64);
    }

    #[test]
    fn orders_ties_by_the_seed_and_not_by_the_file() {
        let reviews = ["u a 1", "u b 1", "u c 1", "u d 1", "u e 1", "u f 1"];
        let mut reversed = reviews;
        reversed.reverse();
        let orders: HashSet<String> = (0..20)
            .map(|seed| {
                let options = PrepareOptions { seed, ..PrepareOptions::default() };
                let order = items(&build(&reviews, &options).users[0]);
                assert_eq!(order, items(&build(&reversed, &options).users[0]));
                order
            })
            .collect();
        assert!(orders.len() > 10, "{orders:?}");
        let tally = build(&reviews, &PrepareOptions::default()).tally;
        assert_eq!((tally.users_with_ties, tally.users_with_one_time, tally.ties), (1, 1, 5));
    }
}
