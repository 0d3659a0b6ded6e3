//! How much the title of an option is like those of the others.

use std::collections::HashMap;

use nextcart_data::Product;

use crate::tfidf::{TfIdf, Weights};

/// Rules on it: what the scores are multiplied with comes last.
pub(super) const RULES: [(&str, &str, f64); 2] = [
    ("most_like_others", "the title most like those of the other options", 1.0),
    ("least_like_others", "the title least like those of the other options", -1.0),
];

/// One score an option: the cosines between its title and each of the others, summed, with words weighted by how few of
/// these titles hold them. Where options were chosen for their likeness to the answer, that is the centre of them.
///
/// The cost grows with the words, not with the pairs of titles: a sum of products with each is one product with their sum.
pub(super) fn scores(options: &[Product]) -> Vec<f64> {
    let fitted = TfIdf::fit(options.iter().map(|option| &option.title));
    let titles: Vec<Weights> = options.iter().map(|option| fitted.weights(&option.title)).collect();
    let mut sums: HashMap<&str, f64> = HashMap::new();
    for (word, weight) in titles.iter().flatten() {
        *sums.entry(word).or_default() += weight;
    }
    let likeness = |title: &Weights| -> f64 {
        title.iter().map(|(word, weight)| weight * (sums[word.as_str()] - weight)).sum()
    };
    // Rounded, so that a difference of sums does not tell apart what is equal.
    titles.iter().map(|title| (likeness(title) * 1e9).round() / 1e9).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::product;
    use crate::tfidf::cosine;

    fn of(titles: &[&str]) -> Vec<f64> {
        scores(&titles.iter().map(|title| product(title)).collect::<Vec<_>>())
    }

    #[test]
    fn a_score_is_the_sum_of_the_cosines_with_the_others() {
        let titles =
            ["Green Tea, 20 Bags", "green tea", "Black Tea Bags", "Dog Leash", "Tea tea", ""];
        let fitted = TfIdf::fit(titles);
        for (place, score) in of(&titles).into_iter().enumerate() {
            let others = titles.iter().enumerate().filter(|(other, _)| *other != place);
            let cosines = others
                .map(|(_, other)| cosine(&fitted.weights(titles[place]), &fitted.weights(other)));
            assert!((score - cosines.sum::<f64>()).abs() < 1e-8, "{}: {score}", titles[place]);
        }
    }

    #[test]
    fn equal_titles_and_two_of_any_are_equally_alike() {
        let found = of(&["Rice", "Green Tea", "green TEA!", "Tea Cup", "green, tea"]);
        assert!(found[1] == found[2] && found[1] == found[4] && found[1] > found[3], "{found:?}");
        assert_eq!(found[0], 0.0);
        let found = of(&["Green Tea, 20 Bags", "Organic Tea Bags of Green Leaves"]);
        assert!(found[0] == found[1] && found[0] > 0.0, "{found:?}");
    }
}
