//! The same options in other orders: models prefer a place.

/// The `n` cyclic orders of `n` options; in each, every place holds the index of the option shown there.
///
/// Every option stands in every place once, so that averaging over them takes out what a model prefers
/// for its place alone.
///
/// ```
/// use nextcart_models::{average_over_orders, cyclic_orders};
///
/// let orders = cyclic_orders(3);
/// assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
/// // A model that only ever likes the first place likes no option more than another.
/// let first = [vec![1.0, 0.0, 0.0], vec![1.0, 0.0, 0.0], vec![1.0, 0.0, 0.0]];
/// let scores = average_over_orders(&orders, &first);
/// assert!(scores.iter().all(|score| (score - 1.0 / 3.0).abs() < 1e-12));
/// ```
#[must_use]
pub fn cyclic_orders(n: usize) -> Vec<Vec<usize>> {
    (0..n).map(|shift| (0..n).map(|place| (place + shift) % n).collect()).collect()
}

/// The mean score of each option over some orders, from the scores of the places in each.
///
/// # Panics
/// If there is not a score for each place of each order.
#[must_use]
pub fn average_over_orders(orders: &[Vec<usize>], scores: &[Vec<f64>]) -> Vec<f64> {
    assert_eq!(orders.len(), scores.len(), "scores for each order");
    let mut sums = vec![0.0; orders.first().map_or(0, Vec::len)];
    for (order, scores) in orders.iter().zip(scores) {
        assert_eq!(order.len(), scores.len(), "a score for each place");
        for (&option, score) in order.iter().zip(scores) {
            sums[option] += score / orders.len() as f64;
        }
    }
    sums
}
