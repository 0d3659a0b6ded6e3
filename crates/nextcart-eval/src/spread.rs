//! A part of something long, from all over it.

/// So many of all, or all, spread evenly over them.
///
/// They are exactly `most.min(all.len())`, in their order; every `k`-th one would be as few as half of that.
///
/// ```
/// use nextcart_eval::spread;
///
/// assert_eq!(spread(&[0, 1, 2, 3, 4, 5, 6], 3), [0, 2, 4]);
/// assert_eq!(spread(&["tea", "honey"], 3), ["tea", "honey"]);
/// ```
#[must_use]
pub fn spread<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    let count = most.min(all.len());
    (0..count).map(|place| all[place * all.len() / count].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_come_as_were_asked_for_and_gaps_differ_by_one_at_most() {
        for (len, most) in [(1_001, 1_000), (1_999, 1_000), (12, 12), (400, 300), (7, 9), (5, 0)] {
            let all: Vec<usize> = (0..len).collect();
            let some = spread(&all, most);
            assert_eq!(some.len(), most.min(len), "{most} of {len}");
            let even = len / some.len().max(1);
            let is_even = |pair: &[usize]| [even, even + 1].contains(&(pair[1] - pair[0]));
            assert!(some.windows(2).all(is_even), "{most} of {len}: {some:?}");
        }
        assert!(spread::<u8>(&[], 3).is_empty());
    }
}
