//! Reviews, generated unless there are real ones, and the questions made of them.

use anyhow::Result;
use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{Dataset, PrepareOptions, Resources, prepare_until};
use nextcart_examples::{go_on, in_order, lines, say};

use crate::Arguments;

/// Generates a corpus unless there are real files, and prepares the questions.
pub(crate) fn reviews_to_questions(arguments: &Arguments) -> Result<(Option<Corpus>, Dataset)> {
    let out = &arguments.out;
    let (corpus, reviews, meta) = if arguments.reviews.is_empty() {
        // A small shop, so that a small model can learn it in minutes.
        let corpus = Corpus::generate(&SyntheticConfig {
            items: 120,
            categories: 8,
            complements_per_item: 2,
            complement_probability: 0.6,
            ..SyntheticConfig::default()
        })?;
        let files = corpus.write(out.join("corpus"))?;
        (Some(corpus), vec![files.reviews], vec![files.meta])
    } else {
        (None, arguments.reviews.clone(), arguments.meta.clone())
    };
    let options = PrepareOptions::default();
    let (data, limits) = (out.join("data"), Resources::default());
    let prepared =
        in_order(|stop| prepare_until(&reviews, &meta, data, &options, &limits, stop))?.load()?;
    go_on("the same command prepares again")?;
    let manifest = &prepared.manifest;
    for (what, tally) in [("reviews", &manifest.reviews), ("items", &manifest.items.lines)] {
        say!("{what}: {}", lines(tally))?;
    }
    let (histories, questions) = (&manifest.histories, &manifest.questions);
    say!("histories: {} users, {} purchases", histories.users, histories.interactions)?;
    say!(
        "questions: {} to train, {} to validate, {} to test",
        questions.train,
        questions.validation,
        questions.test
    )?;
    Ok((corpus, prepared))
}
