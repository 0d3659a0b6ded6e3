//! The corpus as two gzipped files, with the noise of real ones.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use rand::{Rng, RngExt, seq::IndexedRandom};
use serde::Serialize;

use super::{
    Corpus, SECONDS_PER_DAY,
    calendar::review_time,
    catalogue::code,
    words::{BRANDS, CATEGORIES, ROOT},
};
use crate::{Error, Result, seeded::seeded_rng, table::atomically};

/// The files of a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusFiles {
    /// Reviews, `Synthetic_5.json.gz`.
    pub reviews: PathBuf,
    /// Metadata, `meta_Synthetic.json.gz`.
    pub meta: PathBuf,
}

/// A review line, its fields in Amazon's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReviewLine<'a> {
    overall: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    vote: Option<String>,
    verified: bool,
    review_time: String,
    #[serde(rename = "reviewerID")]
    reviewer_id: &'a str,
    asin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<BTreeMap<&'static str, &'static str>>,
    reviewer_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    review_text: Option<String>,
    summary: &'static str,
    unix_review_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Vec<String>>,
}

/// A metadata line, its fields in Amazon's order.
#[derive(Serialize)]
struct MetadataLine<'a> {
    category: Vec<String>,
    tech1: &'static str,
    description: Vec<String>,
    fit: &'static str,
    title: String,
    also_buy: Vec<&'a str>,
    image: Vec<String>,
    tech2: &'static str,
    brand: String,
    feature: Vec<String>,
    rank: serde_json::Value,
    also_view: Vec<&'a str>,
    details: BTreeMap<&'static str, String>,
    main_cat: &'static str,
    similar_item: &'static str,
    date: &'static str,
    price: String,
    asin: &'a str,
}

/// A review to be written: user, item, day and whether it was a purchase.
type Review = (u32, u32, i64, bool);

impl Corpus {
    /// Writes the corpus into a folder, which is made if need be; the same corpus gives the same bytes.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<CorpusFiles> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder)
            .map_err(|source| Error::Write { path: folder.into(), source })?;
        let files = CorpusFiles {
            reviews: folder.join("Synthetic_5.json.gz"),
            meta: folder.join("meta_Synthetic.json.gz"),
        };
        write_gzip(&files.reviews, |out| self.write_reviews(out))?;
        write_gzip(&files.meta, |out| self.write_metadata(out))?;
        Ok(files)
    }

    fn write_reviews(&self, out: &mut impl Write) -> io::Result<()> {
        let mut rng = seeded_rng(self.config.seed, &["reviews"]);
        let mut reviews = self.reviews(&mut rng);
        // As the real files: by item, the latest first.
        reviews.sort_by(|a, b| {
            let asin = |review: &Review| &self.items[review.1 as usize].asin;
            asin(a).cmp(asin(b)).then(b.2.cmp(&a.2)).then(a.0.cmp(&b.0)).then(b.3.cmp(&a.3))
        });
        let mut noise = Noise::new(self.config.broken_lines, reviews.len());
        let mut copies: Vec<String> = Vec::new();
        for review in &reviews {
            let line = to_json(&self.review_line(review, &mut rng))?;
            noise.line(out, &line, &mut rng)?;
            if rng.random_bool(self.config.duplicates) {
                copies.push(line);
            }
            // Copies follow some lines later, as where two crawls were joined.
            if copies.len() > 3 {
                writeln!(out, "{}", copies.remove(0))?;
            }
        }
        copies.iter().try_for_each(|line| writeln!(out, "{line}"))
    }

    /// All purchases, and reviews that are none.
    fn reviews(&self, rng: &mut impl Rng) -> Vec<Review> {
        let mut reviews = Vec::new();
        for (number, user) in self.users.iter().enumerate() {
            let number = number as u32;
            for basket in &user.baskets {
                for item in &basket.items {
                    reviews.push((number, *item, basket.day, true));
                    if rng.random_bool(self.config.repeats) {
                        reviews.push((
                            number,
                            *item,
                            basket.day + rng.random_range(1..=200_i64),
                            true,
                        ));
                    }
                    if rng.random_bool(self.config.unverified) {
                        let other = rng.random_range(0..self.items.len() as u32);
                        reviews.push((number, other, basket.day, false));
                    }
                }
            }
        }
        reviews
    }

    fn review_line(&self, review: &Review, rng: &mut impl Rng) -> ReviewLine<'_> {
        const SUMMARIES: [&str; 6] =
            ["Five Stars", "Good value", "As described", "Will buy again", "Okay", "Not for me"];
        const TEXTS: [&str; 5] = [
            "Arrived on time and well packed.",
            "The whole family likes it. We go through one a month.",
            "Tastes the way I remember it, and the price is fair.",
            "It does what it should.",
            "Not sure that I'd order this again, but it was worth a try!",
        ];
        let (user, item, day, verified) = *review;
        let rating = [5.0, 5.0, 5.0, 4.0, 4.0, 3.0, 2.0, 1.0][rng.random_range(0..8_usize)];
        let votes = rng.random_range(2..3000_u32);
        let votes = if votes < 1000 {
            votes.to_string()
        } else {
            format!("{},{:03}", votes / 1000, votes % 1000)
        };
        ReviewLine {
            overall: rating,
            vote: rng.random_bool(0.07).then_some(votes),
            verified,
            review_time: review_time(day),
            reviewer_id: &self.users[user as usize].id,
            asin: &self.items[item as usize].asin,
            style: rng.random_bool(0.3).then(|| BTreeMap::from([("Size:", " Regular")])),
            reviewer_name: "reader",
            // Some real lines have none.
            review_text: rng.random_bool(0.998).then(|| {
                TEXTS.choose(rng).expect("there are texts").repeat(rng.random_range(1..=2))
            }),
            summary: SUMMARIES.choose(rng).expect("there are summaries"),
            unix_review_time: day * SECONDS_PER_DAY,
            image: rng
                .random_bool(0.02)
                .then(|| vec![format!("https://images.example.com/{}._SY88.jpg", code(rng, 9))]),
        }
    }

    fn write_metadata(&self, out: &mut impl Write) -> io::Result<()> {
        let mut rng = seeded_rng(self.config.seed, &["metadata"]);
        let mut noise = Noise::new(self.config.broken_lines, self.items.len());
        for item in 0..self.items.len() {
            let line = to_json(&self.metadata_line(item, &mut rng))?;
            noise.line(out, &line, &mut rng)?;
            if rng.random_bool(0.03) {
                writeln!(out, "{line}")?;
            }
        }
        const JUNK: [&str; 3] = [
            "<span class=\"a-size-medium a-color-secondary\"",
            "var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();",
            "",
        ];
        for row in 0..self.config.junk_rows {
            let asin = format!("BT{}", code(&mut rng, 8));
            let mut line = self.metadata_line(row % self.items.len(), &mut rng);
            line.title = JUNK[row % JUNK.len()].into();
            line.price = ".a-box-inner{background-color:#fff}#alohaBuyBoxWidget .selected{}".into();
            line.asin = &asin;
            writeln!(out, "{}", to_json(&line)?)?;
        }
        Ok(())
    }

    fn metadata_line(&self, item: usize, rng: &mut impl Rng) -> MetadataLine<'_> {
        let asin_of = |item: &u32| self.items[*item as usize].asin.as_str();
        let known = &self.items[item];
        let words = &CATEGORIES[known.category];
        let title = match rng.random_range(0..30) {
            0 => {
                let title = encode(&known.title);
                format!("<span id=\"productTitle\" class=\"a-size-large\">\n    {title}\n</span>")
            }
            1 => encode(&encode(&known.title)).into_owned(),
            _ => encode(&known.title).into_owned(),
        };
        // The crawl's relations: the complements, and some of the same category.
        let also_buy = self.model.complements[item].iter().map(asin_of).collect();
        let like = self
            .items
            .iter()
            .filter(|other| other.category == known.category && other.asin != known.asin);
        let also_view = like.take(5).map(|other| other.asin.as_str()).collect();
        let place = format!(
            "{},{:03} in {} (",
            rng.random_range(1..90),
            rng.random_range(0..1000),
            encode(words.name)
        );
        let cents = (known.price * 100.0).round() as u64;
        MetadataLine {
            category: [ROOT, words.department, words.name]
                .map(|name| encode(name).into_owned())
                .into(),
            tech1: "",
            description: vec![format!("{} from {}.", words.name, BRANDS[known.brand])],
            fit: "",
            title,
            also_buy,
            image: vec![format!("https://images.example.com/{}._SS40_.jpg", known.asin)],
            tech2: "",
            brand: match rng.random_range(0..20) {
                0 => format!("by\n    \n    {}", encode(BRANDS[known.brand])),
                _ => encode(BRANDS[known.brand]).into_owned(),
            },
            feature: vec![format!("Made for who likes {}", words.name.to_lowercase())],
            rank: if rng.random_bool(0.5) {
                place.into()
            } else {
                vec![format!(">#{place}See Top 100)")].into()
            },
            also_view,
            details: BTreeMap::from([
                ("ASIN: ", known.asin.clone()),
                ("Shipping Weight:", "8 ounces".into()),
            ]),
            main_cat: "Grocery",
            similar_item: "",
            date: "",
            price: match rng.random_range(0..10) {
                0 => String::new(),
                1 => "\n\n\n<script".into(),
                _ => format!("${}.{:02}", cents / 100, cents % 100),
            },
            asin: &known.asin,
        }
    }
}

/// Lines cut off, spread over a file.
struct Noise {
    left: usize,
    every: usize,
    lines: usize,
}

impl Noise {
    fn new(broken: usize, lines: usize) -> Self {
        Self { left: broken, every: (lines / (broken + 1)).max(1), lines: 0 }
    }

    /// Writes a line, and at times the first half of it once more.
    fn line(&mut self, out: &mut impl Write, line: &str, rng: &mut impl Rng) -> io::Result<()> {
        writeln!(out, "{line}")?;
        self.lines += 1;
        if self.left > 0 && self.lines.is_multiple_of(self.every) {
            self.left -= 1;
            let half: String = line.chars().take(rng.random_range(1..line.len() / 2)).collect();
            writeln!(out, "{half}")?;
        }
        Ok(())
    }
}

/// The entities that the real files are full of.
fn encode(text: &str) -> Cow<'_, str> {
    if text.contains(['&', '\'']) {
        Cow::Owned(text.replace('&', "&amp;").replace('\'', "&#39;"))
    } else {
        Cow::Borrowed(text)
    }
}

fn to_json(line: &impl Serialize) -> io::Result<String> {
    serde_json::to_string(line).map_err(io::Error::from)
}

pub(super) fn write_gzip(
    path: &Path,
    write: impl FnOnce(&mut GzEncoder<BufWriter<File>>) -> io::Result<()>,
) -> Result<()> {
    atomically(path, |file| {
        // No name and no time in the header: the same lines give the same bytes.
        let mut encoder =
            GzBuilder::new().mtime(0).write(BufWriter::new(file), Compression::default());
        let outcome =
            write(&mut encoder).and_then(|()| encoder.finish()).and_then(|mut out| out.flush());
        outcome.map_err(|source| Error::Write { path: path.into(), source })
    })
}
