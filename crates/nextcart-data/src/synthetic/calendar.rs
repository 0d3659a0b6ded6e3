//! Dates as Amazon writes them.

/// `06 17, 2018` for a day since the Unix epoch: the month with two digits, the day with as many as it
/// has. After Howard Hinnant, *chrono-compatible low-level date algorithms*
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
pub(crate) fn review_time(day: i64) -> String {
    let shifted = day + 719_468; // from 1 March of the year 0
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // from March
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + 400 * era + i64::from(month <= 2);
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
