//! Questions made as the seed project made its own.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use rand::{RngExt, seq::SliceRandom};

use crate::{
    Catalogue, Error, IngestOptions, Part, Product, Purchase, Question, Resources, Result,
    TextCleaning,
    clean::keep_words_of_letters,
    ingest::ingest_into,
    publish::{TABLES, go_on},
    seeded::seeded_rng,
    table::Table,
};

/// Purchases that a question shows.
const HISTORY: usize = 4;

/// Candidates that are not the answer.
const DISTRACTORS: usize = 3;

/// Makes questions by the seed project's protocol, as its published code has it
/// (<https://github.com/HEMANGANI/LLM-Recommendation-Systems>), from review and metadata files.
///
/// Verified reviews are taken in the order of the file, whatever their time (but see
/// [`Resources`](crate::Resources) for files with tens of millions of lines). A user's first four stand for
/// the history and the fifth for the answer; the three distractors come from all metadata rows alike, but
/// for the user's own. Titles of history and answer keep their words of ASCII letters alone, those of
/// distractors stay as they are. (The project kept, of those words, the ones in NLTK's list of English
/// words, which is not part of this crate: by this rule about a tenth of its cleaned titles come out letter
/// for letter.)
///
/// Exact copies of lines are left out, and users who have nearly all there is. Every question counts as a
/// test question.
///
/// # Errors
/// If a file cannot be used, or no user has five verified reviews of titled items and has fewer than three
/// items to miss; [`Error::Interrupted`] soon after `stop` turns true.
pub fn seed_protocol(
    reviews: &[PathBuf],
    meta: &[PathBuf],
    seed: u64,
    resources: &Resources,
    stop: &AtomicBool,
) -> Result<Vec<Question>> {
    let stage = tempfile::tempdir()
        .map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let options =
        IngestOptions { summary: false, cleaning: TextCleaning::None, ..IngestOptions::default() };
    let ingested = ingest_into(reviews, meta, stage.path(), &options, resources, stop)?;
    let [reviews, items] = TABLES.map(|file| stage.path().join(file));
    let catalogue = Catalogue::read(&items)?;
    let without_title = items_without_title(&items)?;

    let mut order: Vec<String> = Vec::new();
    let mut bought: HashMap<String, Vec<u32>> = HashMap::new();
    let (mut unverified, mut unknown, mut untitled) = (0, 0, 0);
    let mut unknown_item = None;
    Table::open(&reviews)?.for_each(|batch| {
        go_on(stop)?;
        let users = batch.column("user", "text")?.texts()?;
        let names = batch.column("item", "text")?.texts()?;
        let verified = batch.column("verified", "truth values")?.optional_booleans()?;
        let rows = users.iter().flatten().zip(names.iter().flatten()).zip(&verified);
        for ((user, name), verified) in rows {
            if verified == Some(false) {
                unverified += 1;
                continue;
            }
            let Some(item) = catalogue.position(name) else {
                if without_title.contains(name) {
                    untitled += 1;
                } else {
                    unknown += 1;
                    unknown_item.get_or_insert_with(|| name.to_owned());
                }
                continue;
            };
            match bought.get_mut(user) {
                Some(items) => items.push(item),
                None => {
                    order.push(user.to_owned());
                    bought.insert(user.to_owned(), vec![item]);
                }
            }
        }
        Ok(())
    })?;
    let users: Vec<(&String, &Vec<u32>)> = order
        .iter()
        .map(|user| (user, &bought[user]))
        .filter(|(_, items)| items.len() > HISTORY)
        .filter(|(_, items)| {
            let own: HashSet<&u32> = items.iter().collect();
            catalogue.len() >= own.len() + DISTRACTORS
        })
        .collect();
    if users.is_empty() {
        if order.is_empty()
            && untitled == 0
            && let Some(item) = unknown_item
        {
            let titled = catalogue.products().map(|product| &product.item);
            let described = titled.chain(&without_title).min().cloned().unwrap_or_default();
            return Err(Error::UnknownItems { unknown, item, described });
        }
        return Err(Error::TooFewUsers {
            needed: HISTORY + 1,
            users: order.len() as u64,
            purchases: bought.values().map(|items| items.len() as u64).sum(),
            reviews: ingested.reviews.rows,
            unverified,
            unknown,
            untitled,
            longest: bought.values().map(Vec::len).max().unwrap_or_default(),
            advice: "files with more reviews of each user, or metadata with more titles".into(),
        });
    }
    Ok(users.into_iter().map(|(user, items)| question(user, items, &catalogue, seed)).collect())
}

/// Items that a row of the table describes without a title.
fn items_without_title(items: &Path) -> Result<HashSet<String>> {
    let mut found = HashSet::new();
    Table::open(items)?.for_each(|batch| {
        let names = batch.column("item", "text")?.texts()?;
        let titles = batch.column("title", "text")?.optional_texts()?;
        let untitled = names.iter().flatten().zip(&titles).filter(|(_, title)| title.is_none());
        found.extend(untitled.map(|(name, _)| name.to_owned()));
        Ok(())
    })?;
    Ok(found)
}

fn question(user: &str, items: &[u32], catalogue: &Catalogue, seed: u64) -> Question {
    let cleaned = |item: u32| {
        let product = catalogue.product(item);
        Product { title: keep_words_of_letters(&product.title), ..product.clone() }
    };
    let mut rng = seeded_rng(seed, &["seed protocol", user]);
    let target = items[HISTORY];
    let mut offered: HashSet<u32> = items.iter().copied().collect();
    let mut candidates = vec![cleaned(target)];
    while candidates.len() <= DISTRACTORS {
        let item = rng.random_range(0..catalogue.len() as u32);
        if offered.insert(item) {
            candidates.push(catalogue.product(item).clone());
        }
    }
    candidates.shuffle(&mut rng);
    let id = &catalogue.product(target).item;
    let answer = candidates.iter().position(|product| product.item == *id).unwrap_or_default();
    let history = items[..HISTORY].iter().map(|item| Purchase {
        product: cleaned(*item),
        time: None,
        rating: None,
    });
    Question {
        id: format!("seed:{user}"),
        user: user.into(),
        part: Part::Test,
        time: None,
        history: history.collect(),
        candidates,
        answer,
        excluded: Vec::new(),
    }
}
