//! What holds of every metric: bounds, no dependence on order, and ties.

use nextcart_metrics::{
    Average, Binning, Rank, Sensitivity, SplitMix64, TieRule, answer_shares, bootstrap_clustered,
    brier, detectable_difference, detectable_paired_difference, expected_calibration_error,
    hit_rate_at_k, holm, mcnemar_exact, mean_auc, mean_ndcg_at_k, mean_reciprocal_rank,
    negative_log_likelihood, precision_recall_f1, roc_auc, wilson,
};
use proptest::collection::vec;
use proptest::prelude::*;

const RULES: [TieRule; 4] =
    [TieRule::Pessimistic, TieRule::ByIndex, TieRule::Expected, TieRule::Optimistic];

/// Few levels, so that there are ties.
fn level() -> impl Strategy<Value = f64> {
    (0_u8..6).prop_map(|level| f64::from(level) / 5.0)
}

fn shuffled<T: Clone>(values: &[T], seed: u64) -> Vec<T> {
    let (mut values, mut random) = (values.to_vec(), SplitMix64::new(seed));
    for last in (1..values.len()).rev() {
        values.swap(last, random.below(last + 1));
    }
    values
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-9,
        _ => a == b,
    }
}

proptest! {
    #[test]
    fn auc_is_bounded_ordered_by_its_tie_rules_and_does_not_see_the_order(
        pairs in vec((level(), any::<bool>()), 0..40), seed in any::<u64>(),
    ) {
        let auc = |pairs: &[(f64, bool)], ties| {
            let (scores, relevant): (Vec<f64>, Vec<bool>) = pairs.iter().copied().unzip();
            roc_auc(&scores, &relevant, ties).unwrap()
        };
        let found = RULES.map(|ties| auc(&pairs, ties));
        let Some(expected) = found[2] else { return Ok(()) };
        for value in found.into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&value));
            prop_assert!(found[0].unwrap() <= value && value <= found[3].unwrap());
        }
        // The expectation over all orders is the middle of the best and the worst.
        prop_assert!(close(Some(expected), Some((found[0].unwrap() + found[3].unwrap()) / 2.0)));
        let mixed = shuffled(&pairs, seed);
        for ties in [TieRule::Pessimistic, TieRule::Expected, TieRule::Optimistic] {
            prop_assert!(close(auc(&mixed, ties), auc(&pairs, ties)));
        }
        // A rising function of the scores changes nothing, and one minus the relevance turns it over.
        let stretched: Vec<(f64, bool)> = pairs.iter().map(|(s, r)| (s.exp() * 3.0, *r)).collect();
        prop_assert!(close(auc(&stretched, TieRule::Expected), Some(expected)));
        let turned: Vec<(f64, bool)> = pairs.iter().map(|(s, r)| (*s, !r)).collect();
        prop_assert!(close(auc(&turned, TieRule::Expected), Some(1.0 - expected)));
    }

    #[test]
    fn ranks_are_bounded_and_ordered_by_their_tie_rules(
        scores in vec(level(), 1..12), target in any::<prop::sample::Index>(), k in 1_usize..12,
    ) {
        let target = target.index(scores.len());
        let rank = Rank::of(&scores, target).unwrap();
        type Metric<'a> = &'a dyn Fn(TieRule) -> f64;
        let auc = |ties| rank.auc(ties).unwrap_or(0.5);
        let metrics: [Metric<'_>; 4] = [
            &|ties| rank.hit_at(k, ties),
            &|ties| rank.reciprocal(ties),
            &|ties| rank.ndcg_at(k, ties),
            &auc,
        ];
        for metric in metrics {
            let [worst, by_index, expected, best] = RULES.map(metric);
            for value in [worst, by_index, expected, best] {
                prop_assert!((0.0..=1.0).contains(&value));
                prop_assert!(worst <= value + 1e-12 && value <= best + 1e-12);
            }
        }
        // The area of one query is that of the whole with one relevant item.
        let relevant: Vec<bool> = (0..scores.len()).map(|i| i == target).collect();
        for ties in RULES {
            prop_assert!(close(rank.auc(ties), roc_auc(&scores, &relevant, ties).unwrap()));
        }
        // Equal scores give chance, whatever they are.
        let flat = Rank::of(&vec![scores[0]; scores.len()], target).unwrap();
        let chance = k.min(scores.len()) as f64 / scores.len() as f64;
        prop_assert!((flat.hit_at(k, TieRule::Expected) - chance).abs() < 1e-9);
    }

    #[test]
    fn means_over_queries_do_not_see_their_order(
        queries in vec((vec(level(), 4), 0_usize..4), 1..20), seed in any::<u64>(),
    ) {
        let ranks: Vec<Rank> =
            queries.iter().map(|(scores, target)| Rank::of(scores, *target).unwrap()).collect();
        let mixed = shuffled(&ranks, seed);
        for ties in RULES {
            prop_assert!(close(hit_rate_at_k(&ranks, 2, ties), hit_rate_at_k(&mixed, 2, ties)));
            prop_assert!(close(mean_ndcg_at_k(&ranks, 3, ties), mean_ndcg_at_k(&mixed, 3, ties)));
            let mrr = mean_reciprocal_rank(&ranks, ties);
            prop_assert!(close(mrr, mean_reciprocal_rank(&mixed, ties)));
            prop_assert!(close(mean_auc(&ranks, ties), mean_auc(&mixed, ties)));
        }
    }

    #[test]
    fn right_and_wrong_are_bounded_and_do_not_see_the_order(
        pairs in vec((0_u8..4, prop::option::of(0_u8..4)), 1..40), seed in any::<u64>(),
    ) {
        let (truth, answers): (Vec<u8>, Vec<Option<u8>>) = pairs.iter().copied().unzip();
        let shares = answer_shares(&truth, &answers).unwrap().unwrap();
        prop_assert!(0.0 <= shares.accuracy && shares.accuracy <= shares.valid);
        prop_assert!(shares.valid <= 1.0);
        prop_assert!(shares.accuracy_of_valid.is_none_or(|a| shares.accuracy <= a && a <= 1.0));
        let (mixed_truth, mixed): (Vec<u8>, Vec<Option<u8>>) =
            shuffled(&pairs, seed).into_iter().unzip();
        let other = answer_shares(&mixed_truth, &mixed).unwrap().unwrap();
        prop_assert!((shares.accuracy - other.accuracy).abs() < 1e-12);

        let truth: Vec<Option<u8>> = truth.into_iter().map(Some).collect();
        let mixed_truth: Vec<Option<u8>> = mixed_truth.into_iter().map(Some).collect();
        for average in [Average::Micro, Average::Macro, Average::Weighted] {
            let figures = precision_recall_f1(&truth, &answers, average).unwrap().unwrap();
            let again = precision_recall_f1(&mixed_truth, &mixed, average).unwrap().unwrap();
            for (a, b) in [
                (figures.precision, again.precision),
                (figures.recall, again.recall),
                (figures.f1, again.f1),
            ] {
                prop_assert!((0.0..=1.0 + 1e-12).contains(&a) && (a - b).abs() < 1e-9);
            }
            if average == Average::Weighted {
                prop_assert!((figures.recall - shares.accuracy).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn calibration_is_bounded_and_knows_no_order(
        pairs in vec((0.0..=1.0_f64, any::<bool>()), 1..60), bins in 1_usize..20, seed in any::<u64>(),
    ) {
        let (again, same): (Vec<f64>, Vec<bool>) = shuffled(&pairs, seed).into_iter().unzip();
        let (p, ok): (Vec<f64>, Vec<bool>) = pairs.into_iter().unzip();
        let ece = |p: &[f64], ok: &[bool], binning| {
            expected_calibration_error(p, ok, bins, binning).unwrap().unwrap()
        };
        for binning in [Binning::EqualWidth, Binning::EqualMass] {
            prop_assert!((0.0..=1.0 + 1e-12).contains(&ece(&p, &ok, binning)));
        }
        // Of equal probabilities, bins of equal mass take those that come first.
        let wide = Binning::EqualWidth;
        prop_assert!((ece(&p, &ok, wide) - ece(&again, &same, wide)).abs() < 1e-9);
        let found = brier(&p, &ok).unwrap();
        prop_assert!(found.is_some_and(|score| (0.0..=1.0).contains(&score)));
        prop_assert!(close(found, brier(&again, &same).unwrap()));
        let clip = 1e-6;
        let nll = negative_log_likelihood(&p, &ok, clip).unwrap();
        prop_assert!(nll.is_some_and(|nats| (0.0..=-clip.ln() + 1e-9).contains(&nats)));
        prop_assert!(close(nll, negative_log_likelihood(&again, &same, clip).unwrap()));
    }

    #[test]
    fn intervals_hold_what_they_are_of(
        values in vec((level(), 0_u8..6), 1..40), confidence in 0.5..0.999_f64, seed in any::<u64>(),
    ) {
        let (values, clusters): (Vec<f64>, Vec<u8>) = values.into_iter().unzip();
        let hits: f64 = values.iter().sum();
        let mean = hits / values.len() as f64;
        let found = wilson(hits, values.len(), confidence).unwrap().unwrap();
        prop_assert!(0.0 <= found.low && found.low <= mean + 1e-12);
        prop_assert!(mean <= found.high + 1e-12 && found.high <= 1.0);
        let found = bootstrap_clustered(&values, &clusters, 50, confidence, seed).unwrap().unwrap();
        prop_assert!((found.mean - mean).abs() < 1e-12);
        prop_assert!(0.0 <= found.interval.low && found.interval.low <= found.interval.high);
        prop_assert!(found.interval.high <= 1.0 + 1e-12);
    }

    #[test]
    fn holm_lies_between_no_correction_and_bonferroni(p in vec(0.0..=1.0_f64, 0..12), seed in any::<u64>()) {
        let adjusted = holm(&p).unwrap();
        for (found, p) in adjusted.iter().zip(&p) {
            prop_assert!(*p <= *found && *found <= 1.0);
        }
        // The smallest bears the whole of Bonferroni's correction, and the order of all is kept.
        let least = p.iter().copied().fold(f64::INFINITY, f64::min);
        if !p.is_empty() {
            let found = adjusted.iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert!((found - (least * p.len() as f64).min(1.0)).abs() < 1e-12);
        }
        let mut mixed = holm(&shuffled(&p, seed)).unwrap();
        let mut sorted = adjusted;
        mixed.sort_by(f64::total_cmp);
        sorted.sort_by(f64::total_cmp);
        prop_assert_eq!(mixed, sorted);
    }

    #[test]
    fn mcnemar_is_symmetric_and_bounded(pairs in vec((any::<bool>(), any::<bool>()), 0..60)) {
        let (first, second): (Vec<bool>, Vec<bool>) = pairs.into_iter().unzip();
        let (there, back) =
            (mcnemar_exact(&first, &second).unwrap(), mcnemar_exact(&second, &first).unwrap());
        prop_assert!(0.0 < there.p && there.p <= 1.0);
        prop_assert_eq!(there.p, back.p);
        prop_assert_eq!(there.first_only, back.second_only);
    }

    #[test]
    fn more_questions_show_smaller_differences(
        n in 50_usize..5000, share in 0.05..0.9_f64, disagreement in 0.05..1.0_f64,
    ) {
        let asked = Sensitivity::default();
        let unpaired = |n| detectable_difference(n, share, asked).unwrap();
        let paired = |n| detectable_paired_difference(n, disagreement, asked).unwrap();
        for (few, many) in [(unpaired(n), unpaired(4 * n)), (paired(n), paired(4 * n))] {
            if let Some(few) = few {
                let many = many.expect("more questions show what fewer do");
                prop_assert!(0.0 < many && many < few && few <= 1.0);
            }
        }
    }
}
