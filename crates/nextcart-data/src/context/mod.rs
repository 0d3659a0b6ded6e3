//! What a prompt may tell beside a question: relations in numbers and lists, ready to be put into words.
//!
//! Nothing here knows more than the customer's history and the training part of other customers: the
//! relations leave out the asker's own purchases, and snippets are of the reviews of purchases that the
//! history shows. The other customers' purchases may be later than the question's time, unless the split is
//! one in time and the question is of its validation or test part. What the crawl lists is undated and may
//! hold the very purchase that is asked for; it is left out unless asked for.

mod paths;
mod profile;
mod reviews;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use serde::Serialize;

use crate::{
    History, Part, Prepared, Product, Purchase, Question, Related, RelationOptions, Relations,
    Resources, Result, publish::TABLES, table::Table,
};
pub use paths::RelationPath;
pub use profile::Profile;
use reviews::Reviews;

/// What contexts hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextOptions {
    /// Latest purchases whose relations are listed (default 3).
    pub recent: usize,
    /// Titles in each list of related items (default 3).
    pub listed: usize,
    /// Titles that similar users bought (default 5).
    pub similar: usize,
    /// Second-order paths from the history to an option (default 2).
    pub paths: usize,
    /// Characters of a review snippet; `None` reads no reviews (default).
    pub review: Option<usize>,
    /// Descriptions of the purchases, which must have been kept (default false).
    pub descriptions: bool,
    /// Which relations are counted.
    pub relations: RelationOptions,
}

impl Default for ContextOptions {
    fn default() -> Self {
        Self {
            recent: 3,
            listed: 3,
            similar: 5,
            paths: 2,
            review: None,
            descriptions: false,
            relations: RelationOptions::default(),
        }
    }
}

impl ContextOptions {
    /// The defaults, with the start of reviews and with descriptions where these [fields](QuestionContext::TOLD) are wanted.
    #[must_use]
    pub fn wanted(is_wanted: impl Fn(&str) -> bool) -> Self {
        Self {
            review: is_wanted("review").then_some(REVIEW),
            descriptions: is_wanted("description"),
            ..Self::default()
        }
    }

    /// The defaults, with the start of reviews and with descriptions where a folder's preparation kept them.
    #[must_use]
    pub fn kept_by(prepared: &Prepared) -> Self {
        Self {
            review: reviews::are_kept(&prepared.folder.join(TABLES[0])).then_some(REVIEW),
            descriptions: prepared.manifest.options.ingest.description,
            ..Self::default()
        }
    }
}

/// Characters of a review snippet, where nothing else is said.
const REVIEW: usize = 120;

/// Makes the contexts of questions.
#[derive(Debug, Default)]
pub struct Contexts {
    options: ContextOptions,
    relations: Relations,
    histories: HashMap<String, History>,
    reviews: Reviews,
    descriptions: HashMap<String, String>,
}

/// A question with what may be told beside it. It serialises as the question does, with more fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuestionContext<'a> {
    /// As in [`Question`].
    pub id: &'a str,
    /// As in [`Question`].
    pub user: &'a str,
    /// As in [`Question`].
    pub part: Part,
    /// As in [`Question`].
    pub time: Option<i64>,
    /// The purchases, oldest first.
    pub history: Vec<PurchaseContext<'a>>,
    /// As in [`Question`].
    pub candidates: &'a [Product],
    /// As in [`Question`].
    pub answer: usize,
    /// Titles of what users with similar training histories bought, best first.
    pub similar_users_bought: Vec<&'a str>,
    /// Ways from the latest purchases to an option over an item that goes with both, best first; none where
    /// the whole catalogue is asked about, since they would name the answer.
    pub paths: Vec<RelationPath<'a>>,
    /// Titles of the options, those most often bought together with the history first; none where the
    /// whole catalogue is asked about.
    pub retrieved: Vec<&'a str>,
    /// The customer in a few numbers.
    pub profile: Profile<'a>,
}

/// A purchase with what may be told beside it: titles of related items, best first, and empty for all but
/// the latest purchases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PurchaseContext<'a> {
    /// The purchase itself.
    #[serde(flatten)]
    pub purchase: &'a Purchase,
    /// The catalogue's description; empty where there is none or it was not asked for.
    pub description: &'a str,
    /// The start of the customer's review of it, if it was asked for and there is one.
    pub review: Option<&'a str>,
    /// What the same users bought in training.
    pub bought_together: Vec<&'a str>,
    /// What users bought next.
    pub bought_next: Vec<&'a str>,
    /// What the crawl lists as also viewed; empty unless the crawl was asked for.
    pub also_viewed: Vec<&'a str>,
    /// What is popular of the same brand.
    pub same_brand: Vec<&'a str>,
    /// What is popular in the same category.
    pub same_category: Vec<&'a str>,
}

impl QuestionContext<'_> {
    /// Names of what is told beside a question: fields of this and of [`PurchaseContext`] that the question itself lacks.
    pub const TOLD: [&'static str; 11] = [
        "bought_next",
        "bought_together",
        "also_viewed",
        "description",
        "paths",
        "profile",
        "retrieved",
        "review",
        "same_brand",
        "same_category",
        "similar_users_bought",
    ];
}

impl Contexts {
    /// Reads what a prepared folder knows, if any [field](QuestionContext::TOLD) of that is wanted. Else nothing is read,
    /// and no relation, description or review is told.
    ///
    /// # Errors
    /// As [`read`](Self::read): if descriptions or reviews are wanted and the folder kept none, too.
    pub fn wanted(
        folder: impl AsRef<Path>,
        questions: &[Question],
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        if !QuestionContext::TOLD.into_iter().any(&is_wanted) {
            return Ok(Self::default());
        }
        let options = ContextOptions::wanted(is_wanted);
        Self::read(&Prepared::open(folder)?, questions, &options, &Resources::default())
    }

    /// Reads what a prepared folder knows that the questions may tell.
    ///
    /// # Errors
    /// If a table cannot be read, or lacks the texts that were asked for.
    pub fn read(
        prepared: &Prepared,
        questions: &[Question],
        options: &ContextOptions,
        resources: &Resources,
    ) -> Result<Self> {
        let relations = Relations::read(prepared, &options.relations, resources)?;
        let histories = prepared.histories()?.into_iter();
        let reviews = match options.review {
            Some(characters) => {
                Reviews::read(&prepared.folder.join(TABLES[0]), questions, characters)?
            }
            None => Reviews::default(),
        };
        let descriptions = match options.descriptions {
            true => descriptions(&prepared.folder.join(TABLES[1]), questions)?,
            false => HashMap::new(),
        };
        Ok(Self {
            options: options.clone(),
            relations,
            histories: histories.map(|history| (history.user.clone(), history)).collect(),
            reviews,
            descriptions,
        })
    }

    /// The contexts of some questions.
    #[must_use]
    pub fn of_all<'a>(&'a self, questions: &'a [Question]) -> Vec<QuestionContext<'a>> {
        questions.iter().map(|question| self.of(question)).collect()
    }

    /// The context of a question.
    #[must_use]
    pub fn of<'a>(&'a self, question: &'a Question) -> QuestionContext<'a> {
        let asker = self.histories.get(&question.user);
        let old = question.history.len().saturating_sub(self.options.recent);
        let purchases = question.history.iter().enumerate();
        let recent = &question.history[old..];
        let items = question.history.iter().map(|purchase| purchase.product.item.as_str());
        let similar = self.relations.of_similar_users(items, &question.user);
        // A lone candidate is the answer.
        let options = if question.candidates.len() > 1 { &*question.candidates } else { &[] };
        QuestionContext {
            id: &question.id,
            user: &question.user,
            part: question.part,
            time: question.time,
            history: purchases
                .map(|(place, purchase)| self.purchase(question, purchase, asker, place >= old))
                .collect(),
            candidates: &question.candidates,
            answer: question.answer,
            similar_users_bought: titles(similar, self.options.similar),
            paths: paths::between(
                &self.relations,
                &question.history,
                recent.len(),
                options,
                asker,
                self.options.paths,
            ),
            retrieved: self.retrieved(question, options, asker),
            profile: Profile::of(&question.history),
        }
    }

    fn purchase<'a>(
        &'a self,
        question: &Question,
        purchase: &'a Purchase,
        asker: Option<&History>,
        with_relations: bool,
    ) -> PurchaseContext<'a> {
        let (item, relations) = (purchase.product.item.as_str(), &self.relations);
        let listed = |related: Vec<Related<'a>>| titles(related, self.options.listed);
        let mut context = PurchaseContext {
            purchase,
            description: self.descriptions.get(item).map_or("", String::as_str),
            review: self.reviews.of(&question.user, item, purchase.time),
            bought_together: Vec::new(),
            bought_next: Vec::new(),
            also_viewed: Vec::new(),
            same_brand: Vec::new(),
            same_category: Vec::new(),
        };
        if with_relations {
            context.bought_together = listed(relations.co_purchased(item, asker));
            context.bought_next = listed(relations.bought_next(item, asker));
            context.also_viewed = listed(relations.also_viewed(item));
            context.same_brand = listed(relations.same_brand(item, asker));
            context.same_category = listed(relations.same_category(item, asker));
        }
        context
    }

    /// The options by how many users bought them with an item of the history; ties as they are shown.
    fn retrieved<'a>(
        &self,
        question: &Question,
        options: &'a [Product],
        asker: Option<&History>,
    ) -> Vec<&'a str> {
        let mut support: HashMap<&str, f64> = HashMap::new();
        for purchase in &question.history {
            for related in self.relations.co_purchased(&purchase.product.item, asker) {
                *support.entry(&related.product.item).or_default() += related.support;
            }
        }
        let of = |product: &Product| support.get(product.item.as_str()).copied().unwrap_or(0.0);
        let mut options: Vec<&Product> = options.iter().collect();
        options.sort_by(|a, b| of(b).total_cmp(&of(a)));
        options.into_iter().map(|product| product.title.as_str()).collect()
    }
}

fn titles(related: Vec<Related<'_>>, most: usize) -> Vec<&str> {
    related.into_iter().take(most).map(|related| related.product.title.as_str()).collect()
}

/// Descriptions of the items that the questions' histories hold.
fn descriptions(items: &Path, questions: &[Question]) -> Result<HashMap<String, String>> {
    let purchases = questions.iter().flat_map(|question| &question.history);
    let wanted: HashSet<&str> = purchases.map(|purchase| purchase.product.item.as_str()).collect();
    let mut found = HashMap::new();
    Table::open(items)?.for_each(|batch| {
        let names = batch.column("item", "text")?.texts()?;
        let texts =
            batch.column("description", "text, kept with `--descriptions`")?.optional_texts()?;
        for (name, text) in names.iter().flatten().zip(&texts) {
            if let (true, Some(text)) = (wanted.contains(name), text) {
                found.insert(name.to_owned(), text.to_owned());
            }
        }
        Ok(())
    })?;
    Ok(found)
}
