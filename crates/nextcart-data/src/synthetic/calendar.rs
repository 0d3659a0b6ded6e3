//! Dates as Amazon writes them.

use crate::calendar::civil;

/// `06 17, 2018` for a day since the Unix epoch: the month with two digits, the day with as many as it
/// has.
pub(crate) fn review_time(day: i64) -> String {
    let (year, month, day_of_month) = civil(day);
    format!("{month:02} {day_of_month}, {year}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_dates_of_real_reviews() {
        for (seconds, date) in [
            (1_529_193_600, "06 17, 2018"),
            (1_078_531_200, "03 6, 2004"),
            (1_393_372_800, "02 26, 2014"),
            (1_456_704_000, "02 29, 2016"),
            (0, "01 1, 1970"),
        ] {
            assert_eq!(review_time(seconds / 86_400), date);
        }
    }
}
