//! What is worth its cost.

/// Which points no other one beats: none costs as little or less and is as good or better, and differs.
pub(super) fn front(points: &[(f64, f64)]) -> Vec<bool> {
    let beaten = |(cost, gain): (f64, f64)| {
        points.iter().any(|&(c, g)| c <= cost && g >= gain && (c, g) != (cost, gain))
    };
    points.iter().map(|&point| !beaten(point)).collect()
}

#[cfg(test)]
mod tests {
    use super::front;

    #[test]
    fn only_points_that_nothing_beats_are_on_the_front() {
        let points = [(1.0, 0.3), (2.0, 0.5), (3.0, 0.4), (4.0, 0.6), (2.0, 0.2)];
        assert_eq!(front(&points), [true, true, false, true, false]);
        assert_eq!(front(&[(1.0, 0.5), (1.0, 0.5)]), [true, true]);
        assert_eq!(front(&[(1.0, 0.5), (2.0, 0.5), (1.0, 0.4)]), [true, false, false]);
        assert!(front(&[]).is_empty());
    }
}
