//! Days as dates.

/// Year, month and day of the month of a day since the Unix epoch. After Howard Hinnant, *chrono-compatible
/// low-level date algorithms* (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
pub(crate) fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468; // from 1 March of the year 0
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // from March
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + 400 * era + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        for (day, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (17_699, (2018, 6, 17)),
        ] {
            assert_eq!(civil(day), date, "{day}");
        }
    }
}
