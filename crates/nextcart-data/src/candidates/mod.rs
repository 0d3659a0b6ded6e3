//! Distractors: what a question offers beside the target.

mod clusters;
mod groups;
mod nearest;
mod picker;
mod pool;
mod popular;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use nearest::{Neighbours, TextIndex, best};
pub(crate) use pool::{Asked, Owned, Pool};

/// How distractors are drawn. All of them were bought in training, and none is an item of the user's, unless the answer
/// is one that was bought before ([`Repeats::Keep`](crate::Repeats::Keep)).
///
/// # By popularity
/// The items are ranked by their purchases in training (ties by a seeded hash) and the ranking is cut
/// into buckets of [`PrepareOptions::bucket`](crate::PrepareOptions::bucket). Distractors come from the
/// target's bucket, one after another, each with a probability proportional to its purchases.
///
/// Why proportional: somebody who knows nothing but popularity expects the target to be item `i` with
/// probability `p_i`. If the distractors are drawn with the same `p` from the same bucket, the set of
/// candidates is equally likely whichever of them is the target, and popularity says nothing. (Draws
/// without replacement leave a rest: for two candidates `a` and `b` the odds are `(1 - p_b) : (1 - p_a)`
/// within the bucket, near 1 unless one item dominates it.) A uniform draw from the bucket would favour
/// the more popular candidate, and one from the whole catalogue far more so.
///
/// It follows that a reader of the questions who knows the probability `P(i | history)` of every item
/// should weigh the candidates by `P(i | history) / p_i`.
///
/// # The others
/// Popularity tells something there. On Prime Pantry, left one out, *take the most popular of the four* is right
/// for 25 % of the questions drawn by popularity, for 51 % of the uniform ones, for 43 % of those with near
/// titles, and for 19 % of the retrieved ones, where the least popular is thus a good guess. Items of a category
/// or brand are drawn as often as they are bought, which leaves little. Read every score beside that of rules
/// which never look at the history.
///
/// # The nearest
/// A target whose nearest neighbours stand against it is the centre of its options, and that shows without the history: on
/// Prime Pantry, the title most like the other options' would be the answer to 45 % of the questions with four options and
/// to 34 % of those with ten. So the items are divided into clusters of near titles, each an anchor that the seed draws
/// with the nearest that no earlier one has, and the target's cluster is what a question offers: all items of a full
/// cluster are asked for with the same options, but for what the customer has already. Of Prime Pantry's items, 3 % with
/// four options and 9 % with ten are in clusters that late anchors could not fill, which others near to the anchor do.
/// That rule is then right for 25 % and 10 % of all questions, as chance is, and so is its opposite.
/// The price is that options are less alike: the mean cosine of two is 0.45 and 0.30 in place of 0.57 and 0.41. Popularity
/// still tells much: the most popular of four is right for 43 %, that of ten for 25 %. A target that training never saw
/// ([`keep_cold_targets`](crate::PrepareOptions::keep_cold_targets)) is in no cluster and stays the centre.
///
/// # Too few
/// Where a kind has too few items for a question, such as the brand of an item without one, the rest is drawn by
/// popularity; the manifest counts that, and [`Manifest::drawn_otherwise`](crate::Manifest::drawn_otherwise) says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Distractors {
    /// From the target's bucket of similar popularity, in proportion to popularity.
    #[default]
    Popularity,
    /// From all items seen in training alike. Popularity alone then tells much of the answer.
    Uniform,
    /// From the target's category in proportion to popularity: all of the narrowest before the next wider.
    Category,
    /// From the target's brand, in proportion to popularity; where it has too few, from its category.
    Brand,
    /// Those that are near to each other and to the target by their titles (cosine of TF-IDF over words).
    Nearest,
    /// What item-kNN would retrieve for the history (cosine of co-purchases in training, shrunk), best first.
    Retrieved,
    /// None in the file: the whole catalogue stands as candidates. A question then holds the target alone,
    /// and in `excluded` the user's other items; [`FullCatalogue`](crate::FullCatalogue) lists the rest.
    Catalogue,
}
