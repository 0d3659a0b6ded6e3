//! Questions cut by a property, each part with its score.

use std::collections::BTreeMap;

use serde::Serialize;

use super::features::Feature;
use crate::error::Result;
use crate::evaluation::Score;

/// Into how many parts numbers are cut at most.
const PARTS: usize = 5;

/// How many labels have a slice of their own at most; the others share one.
const LABELS: usize = 8;

/// The score on the questions that share a property.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slice {
    /// The values that the property has here, such as `3 to 5`.
    pub label: String,
    /// Number of questions.
    pub n: usize,
    /// Share of right answers, ties split.
    pub accuracy: f64,
    /// Lower bound of the 95 % Wilson interval.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// What the twin that cannot see the history scores on the same questions.
    pub blind: Option<f64>,
}

/// All slices by one property: every question is in exactly one of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slices {
    /// The property, such as `history length`.
    pub by: &'static str,
    /// What it says, in words.
    pub meaning: &'static str,
    /// The slices, in rising order of numbers; of labels, the most frequent first.
    pub slices: Vec<Slice>,
}

/// What a property is for each question.
pub(super) enum Values {
    /// Whole numbers.
    Counts(Vec<usize>),
    /// Numbers from 0 to 1.
    Shares(Vec<f64>),
    /// Names.
    Labels(Vec<String>),
}

impl Slices {
    /// Cuts questions; `hits` and `blind` are as long as the feature's values.
    pub(super) fn new(feature: Feature, hits: &[f64], blind: Option<&[f64]>) -> Result<Self> {
        let Feature { name: by, meaning, values } = feature;
        let parts = match values {
            Values::Counts(values) => {
                let values: Vec<f64> = values.iter().map(|&count| count as f64).collect();
                numbers(&values, |value| format!("{value:.0}"))
            }
            Values::Shares(values) => numbers(&values, |value| format!("{value:.2}")),
            Values::Labels(values) => labels(&values),
        };
        let slice = |(label, members): (String, Vec<usize>)| {
            let score = Score::of(&label, members.iter().map(|&index| hits[index]))?;
            let blind = blind.map(|blind| {
                members.iter().map(|&index| blind[index]).sum::<f64>() / members.len() as f64
            });
            let Score { name: label, accuracy, low, high, n } = score;
            Ok(Slice { label, n, accuracy, low, high, blind })
        };
        let slices = parts.into_iter().map(slice).collect::<Result<_>>()?;
        Ok(Self { by, meaning, slices })
    }
}

/// A name for each part and the questions in it.
type Parts = Vec<(String, Vec<usize>)>;

/// Parts of about equally many questions; equal values, to the shown digits, stay together.
fn numbers(values: &[f64], show: impl Fn(f64) -> String) -> Parts {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let groups: Vec<&[usize]> =
        order.chunk_by(|&a, &b| show(values[a]) == show(values[b])).collect();
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut left = values.len();
    let mut open = false;
    for group in groups {
        match parts.last_mut().filter(|_| open) {
            Some(part) => part.extend(group),
            None => parts.push(group.to_vec()),
        }
        let part = parts.last().map_or(0, Vec::len);
        // What is left, this part included, is shared by the parts that may still come.
        let share = left as f64 / (PARTS + 1 - parts.len()) as f64;
        open = (part as f64) < share;
        if !open {
            left -= part;
        }
    }
    let name = |part: &[usize]| {
        let (first, last) = (show(values[part[0]]), show(values[part[part.len() - 1]]));
        if first == last { first } else { format!("{first} to {last}") }
    };
    parts.into_iter().map(|part| (name(&part), part)).collect()
}

/// A part a label, the most frequent first; beyond [`LABELS`] they are put together.
fn labels(values: &[String]) -> Parts {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, label) in values.iter().enumerate() {
        members.entry(label).or_default().push(index);
    }
    let mut parts: Parts = members.into_iter().map(|(label, m)| (label.to_owned(), m)).collect();
    parts.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    if parts.len() > LABELS {
        let others = parts.split_off(LABELS - 1);
        let name = format!("{} others", others.len());
        parts.push((name, others.into_iter().flat_map(|(_, members)| members).collect()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: Values, expected: &[(&str, usize)]) {
        let n = match &values {
            Values::Counts(values) => values.len(),
            Values::Shares(values) => values.len(),
            Values::Labels(values) => values.len(),
        };
        let feature = Feature { name: "x", meaning: "", values };
        let found = Slices::new(feature, &vec![1.0; n], None).unwrap();
        let shape: Vec<_> = found.slices.iter().map(|s| (s.label.as_str(), s.n)).collect();
        assert_eq!(shape, expected);
    }

    #[test]
    fn numbers_are_cut_into_parts_of_about_one_size() {
        let expected = [
            ("0 to 19", 20),
            ("20 to 39", 20),
            ("40 to 59", 20),
            ("60 to 79", 20),
            ("80 to 99", 20),
        ];
        check(Values::Counts((0..100).collect()), &expected);
        check(Values::Counts(vec![3, 1, 2, 1]), &[("1", 2), ("2", 1), ("3", 1)]);
        check(Values::Shares(vec![0.251, 0.249, 0.9]), &[("0.25", 2), ("0.90", 1)]);
        check(Values::Counts(vec![]), &[]);
    }

    #[test]
    fn equal_numbers_stay_together_and_the_others_share_the_rest() {
        let mut values = vec![0; 90];
        values.extend(1..=10);
        let expected = [("0", 90), ("1 to 3", 3), ("4 to 6", 3), ("7 to 8", 2), ("9 to 10", 2)];
        check(Values::Counts(values), &expected);
    }

    #[test]
    fn rare_labels_share_a_slice() {
        let labels = |n: usize| (0..n).flat_map(|i| vec![format!("c{i:02}"); 20 - i]).collect();
        check(Values::Labels(labels(2)), &[("c00", 20), ("c01", 19)]);
        let expected =
            [("c00", 20), ("c01", 19), ("c02", 18), ("c03", 17), ("c04", 16), ("c05", 15)];
        let expected = [&expected[..], &[("c06", 14), ("3 others", 13 + 12 + 11)]].concat();
        check(Values::Labels(labels(10)), &expected);
    }

    #[test]
    fn a_slice_has_the_scores_of_its_own_questions() {
        let values = Values::Labels(["a", "b", "a", "a"].map(str::to_owned).to_vec());
        let feature = Feature { name: "x", meaning: "", values };
        let found =
            Slices::new(feature, &[1.0, 0.0, 0.5, 0.0], Some(&[0.0, 1.0, 0.75, 0.0])).unwrap();
        let [a, b] = &found.slices[..] else { panic!("{found:?}") };
        assert_eq!((a.n, a.accuracy, a.blind), (3, 0.5, Some(0.25)));
        assert_eq!((b.n, b.accuracy, b.blind), (1, 0.0, Some(1.0)));
        assert!(a.low < 0.5 && 0.5 < a.high);
    }
}
