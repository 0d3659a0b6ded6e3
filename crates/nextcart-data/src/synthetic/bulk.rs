//! Millions of reviews in Amazon's format, to measure with.
//!
//! [`Corpus`](super::Corpus) knows the best answer to every question and keeps all purchases in memory for
//! it. Here nothing is known but the shape of the data: activity of users and popularity of items follow
//! power laws, and lines look like real ones. Memory does not grow with the number of reviews.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use rand::{Rng, RngExt};

use super::{
    CorpusFiles, SECONDS_PER_DAY,
    calendar::review_time,
    words::{BRANDS, CATEGORIES, ROOT},
    write::write_gzip,
};
use crate::{Error, Result, seeded::seeded_rng};

/// First day of the generated reviews, since the Unix epoch (1 January 2008), and their number.
const DAYS: std::ops::Range<i64> = 13_879..17_800;

/// Purchases of a user's baskets on one day, on average.
const BASKET: f64 = 2.0;

/// Different words of the texts: enough that gzip packs them about as well as real ones, to a third.
const WORDS: usize = 6000;

/// Syllables of the words.
const SYLLABLES: [&str; 24] = [
    "ba", "con", "de", "er", "fi", "gra", "ho", "in", "ju", "ka", "lo", "mer", "no", "o", "per",
    "qui", "ra", "sto", "ti", "u", "ver", "wa", "yel", "zen",
];

/// Size of a generated file pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Seed of everything.
    pub seed: u64,
    /// Review lines, without the copies and broken lines on top (about 1 in 500).
    pub reviews: u64,
    /// Items, each with a metadata row.
    pub items: u32,
    /// Users who may review; the last of them hardly do.
    pub users: u32,
}

impl Bulk {
    /// As many reviews to a user (3.3) and an item (50) as in the data of 2018, but at most 200,000 items.
    #[must_use]
    pub fn new(reviews: u64) -> Self {
        let items = (reviews / 50).clamp(100, 200_000) as u32;
        let users = (reviews * 3 / 10).clamp(50, u64::from(u32::MAX)) as u32;
        Self { seed: 0, reviews, items, users }
    }

    /// Writes reviews and metadata into a folder, which is made if need be.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<CorpusFiles> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder)
            .map_err(|source| Error::Write { path: folder.into(), source })?;
        let files = CorpusFiles {
            reviews: folder.join("Bulk.json.gz"),
            meta: folder.join("meta_Bulk.json.gz"),
        };
        let words = words();
        write_gzip(&files.meta, |out| self.write_metadata(&words, out))?;
        write_gzip(&files.reviews, |out| self.write_reviews(&words, out))?;
        Ok(files)
    }

    fn write_reviews(&self, words: &[String], out: &mut impl Write) -> io::Result<()> {
        let mut rng = seeded_rng(self.seed, &["bulk reviews"]);
        let mut line = Vec::with_capacity(2048);
        let mut written = 0;
        for item in 0..self.items {
            // By item, as the real files.
            let until = (self.reviews as f64 * self.share_of_items_to(item + 1)).round() as u64;
            while written < until {
                written += 1;
                line.clear();
                self.review(item, words, &mut line, &mut rng)?;
                out.write_all(&line)?;
                match rng.random_range(0..10_000_u32) {
                    0..20 => out.write_all(&line)?,
                    20 => writeln!(out, "{}", String::from_utf8_lossy(&line[..line.len() / 2]))?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Share of the reviews of items up to this one: item `i` has a share proportional to `(i + 1)^-0.5`.
    fn share_of_items_to(&self, item: u32) -> f64 {
        (f64::from(item) / f64::from(self.items)).sqrt()
    }

    fn review(
        &self,
        item: u32,
        words: &[String],
        line: &mut Vec<u8>,
        rng: &mut impl Rng,
    ) -> io::Result<()> {
        // The density of user `j` is proportional to `j^-0.5`.
        let place = rng.random::<f64>().powi(2);
        let user = ((place * f64::from(self.users)) as u32).min(self.users - 1);
        let activity = self.reviews as f64 / (2.0 * f64::from(self.users) * place.sqrt().max(1e-3));
        let basket = rng.random_range(0..=(activity / BASKET) as u64);
        let mut days = seeded_rng(self.seed ^ basket, &[&format!("day {user}")]);
        let day = days.random_range(DAYS);
        let rating = [5, 5, 5, 5, 4, 4, 3, 2, 1][rng.random_range(0..9_usize)];
        write!(line, "{{\"overall\": {rating}.0, ")?;
        if rng.random_bool(0.1) {
            write!(line, "\"vote\": \"{}\", ", rng.random_range(2..90_u32))?;
        }
        let verified = rng.random_bool(0.9);
        write!(
            line,
            "\"verified\": {verified}, \"reviewTime\": \"{}\", \"reviewerID\": \"A{}\", \"asin\": \"{}\", ",
            review_time(day),
            code(u64::from(user), 13),
            asin(item)
        )?;
        if rng.random_bool(0.4) {
            write!(line, "\"style\": {{\"Size:\": \" Regular\", \"Flavor:\": \" Plain\"}}, ")?;
        }
        write!(line, "\"reviewerName\": \"reader {}\", \"reviewText\": \"", user % 977)?;
        // Half of the reviews are a line, some are essays.
        let length = (8.0 * (2.2 * rng.random::<f64>().powi(2)).exp()) as usize * 2;
        words_into(line, words, length, rng)?;
        write!(line, "\", \"summary\": \"")?;
        words_into(line, words, rng.random_range(1..6), rng)?;
        writeln!(line, "\", \"unixReviewTime\": {}}}", day * SECONDS_PER_DAY)
    }

    fn write_metadata(&self, words: &[String], out: &mut impl Write) -> io::Result<()> {
        let mut rng = seeded_rng(self.seed, &["bulk metadata"]);
        for item in 0..self.items {
            let category = &CATEGORIES[item as usize % CATEGORIES.len()];
            let brand = BRANDS[rng.random_range(0..BRANDS.len())].replace('&', "&amp;");
            let noun = category.nouns[rng.random_range(0..category.nouns.len())];
            let flavour = category.flavours[rng.random_range(0..category.flavours.len())];
            let others: Vec<String> = (0..rng.random_range(0..40_u32))
                .map(|_| format!("\"{}\"", asin(rng.random_range(0..self.items))))
                .collect();
            let also_buy = others.join(", ");
            let half = others[..others.len() / 2].join(", ");
            let (name, department) =
                (category.name.replace('&', "&amp;"), category.department.replace('&', "&amp;"));
            let mut description = Vec::new();
            words_into(&mut description, words, rng.random_range(10..120), &mut rng)?;
            let description = String::from_utf8_lossy(&description);
            writeln!(
                out,
                "{{\"category\": [\"{ROOT}\", \"{department}\", \"{name}\"], \"tech1\": \"\", \
                 \"description\": [\"{description}\"], \"fit\": \"\", \"title\": \"{brand} {flavour} \
                 {noun} No. {item}, {} Ounce\", \"also_buy\": [{also_buy}], \"image\": [], \"brand\": \
                 \"{brand}\", \"feature\": [\"{noun}\"], \"rank\": \"{item} in {name} (\", \"also_view\": \
                 [{half}], \"main_cat\": \"Grocery\", \"price\": \"${}.{:02}\", \"asin\": \"{}\"}}",
                rng.random_range(1..40_u32),
                rng.random_range(1..60_u32),
                rng.random_range(0..100_u32),
                asin(item),
            )?;
        }
        Ok(())
    }
}

/// Different words, the first of them the shortest.
fn words() -> Vec<String> {
    let of_syllables = |mut number: usize| {
        let mut word = String::new();
        loop {
            word.push_str(SYLLABLES[number % SYLLABLES.len()]);
            number /= SYLLABLES.len();
            if number == 0 {
                return word;
            }
            number -= 1;
        }
    };
    (0..WORDS).map(of_syllables).collect()
}

/// Appends words, the first ones of the list most often.
fn words_into(
    line: &mut Vec<u8>,
    words: &[String],
    count: usize,
    rng: &mut impl Rng,
) -> io::Result<()> {
    for place in 0..count {
        let gap = if place == 0 { "" } else { " " };
        let end = if place % 9 == 8 { "." } else { "" };
        let word = &words[(rng.random::<f64>().powi(3) * words.len() as f64) as usize];
        write!(line, "{gap}{word}{end}")?;
    }
    Ok(())
}

fn asin(item: u32) -> String {
    format!("B0{}", code(u64::from(item), 8))
}

/// A number below 2^32 as letters and digits, neighbours far apart; different numbers give different codes.
fn code(number: u64, length: usize) -> String {
    const SIGNS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    // An odd factor is invertible modulo 2^32.
    let mut rest = number.wrapping_mul(2_654_435_761) % (1 << 32) + (number % 36) * (1 << 32);
    let signs = (0..length).map(|_| {
        let sign = SIGNS[(rest % 36) as usize];
        rest /= 36;
        char::from(sign)
    });
    signs.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{PrepareOptions, prepare, source::Reason};

    #[test]
    fn codes_differ() {
        let codes: HashSet<String> = (0..50_000).map(|number| code(number, 8)).collect();
        assert_eq!(codes.len(), 50_000);
    }

    #[test]
    fn lines_become_questions() {
        let folder = tempfile::tempdir().unwrap();
        let files = Bulk::new(20_000).write(folder.path()).unwrap();
        let out = folder.path().join("out");
        let prepared =
            prepare(&[files.reviews], &[files.meta], &out, &PrepareOptions::default()).unwrap();
        let manifest = prepared.manifest;
        assert_eq!(manifest.reviews.kept, 20_000);
        let reasons: Vec<&Reason> = manifest.reviews.reasons.keys().collect();
        assert!(
            reasons.iter().all(|reason| [Reason::BrokenJson, Reason::Duplicate].contains(reason))
        );
        assert_eq!(manifest.items.lines.kept, 400);
        assert!(manifest.questions.test > 100, "{:?}", manifest.questions);
        let tied = manifest.histories.ties as f64 / manifest.histories.interactions as f64;
        assert!((0.1..0.7).contains(&tied), "{tied}");
    }
}
