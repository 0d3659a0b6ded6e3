//! Figures as text, the same on every page.

/// A share as `43.2 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A difference of shares in points, with its sign: `+4.3`.
pub(crate) fn points(difference: f64) -> String {
    // What rounds to nothing has no sign.
    let points = (1000.0 * difference).round() / 10.0;
    if points == 0.0 { "0.0".to_owned() } else { format!("{points:+.1}") }
}

/// Bounds of a share as `41.0 to 45.4 %`.
pub(crate) fn interval(low: f64, high: f64) -> String {
    format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high)
}

/// A p-value as `p = 0.0123`, or `p < 0.0001`.
pub(crate) fn p_value(p: f64) -> String {
    if p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}

/// Seconds as `0.42 s`, `12.5 s`, `3.4 min` or `2.1 h`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.095 => format!("{:.1} ms", 1000.0 * s),
        s if s < 9.95 => format!("{s:.2} s"),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// A number of things as `960`, `12.3 k`, `135 M` or `1.10 B`, to three digits.
pub(crate) fn count(n: f64) -> String {
    scaled(n, &[(1e9, " B"), (1e6, " M"), (1e3, " k")])
}

/// Bytes as `1.21 GB`, in powers of ten.
pub(crate) fn bytes(n: f64) -> String {
    scaled(n, &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B")])
}

/// To three digits, in the first unit that is not too large.
fn scaled(n: f64, units: &[(f64, &str)]) -> String {
    let unit = units.iter().find(|(size, _)| n >= 0.9995 * size);
    let (size, name) = unit.copied().unwrap_or((1.0, ""));
    let scaled = n / size;
    match scaled {
        _ if size == 1.0 => format!("{n:.0}{name}"),
        s if s >= 99.95 => format!("{s:.0}{name}"),
        s if s >= 9.995 => format!("{s:.1}{name}"),
        s => format!("{s:.2}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_differences() {
        assert_eq!((percent(0.4321).as_str(), percent(1.0).as_str()), ("43.2 %", "100.0 %"));
        assert_eq!(interval(0.0, 0.5), "0.0 to 50.0 %");
        assert_eq!([0.043, -0.1, -0.0001].map(points), ["+4.3", "-10.0", "0.0"]);
        assert_eq!([0.5, 0.00004].map(p_value), ["p = 0.5000", "p < 0.0001"]);
    }

    #[test]
    fn sizes_have_three_digits_and_a_unit() {
        let counts = [0.0, 960.0, 999.6, 12_345.0, 134_515_008.0, 1.1e9, 99_960.0];
        assert_eq!(counts.map(count), ["0", "960", "1.00 k", "12.3 k", "135 M", "1.10 B", "100 k"]);
        assert_eq!([12.0, 1.21e9, 45e6].map(bytes), ["12 B", "1.21 GB", "45.0 MB"]);
        let times = [0.0042, 0.42, 12.5, 204.0, 7560.0];
        assert_eq!(times.map(duration), ["4.2 ms", "0.42 s", "12.5 s", "3.4 min", "2.1 h"]);
    }
}
