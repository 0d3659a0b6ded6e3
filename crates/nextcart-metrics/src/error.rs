//! What input a metric refuses.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Input for which a metric has no meaning at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two slices that belong together differ in length.
    #[error("`{left}` has {left_len} values but `{right}` has {right_len}")]
    Length {
        /// Name of the first slice.
        left: &'static str,
        /// Length of the first slice.
        left_len: usize,
        /// Name of the second slice.
        right: &'static str,
        /// Length of the second slice.
        right_len: usize,
    },
    /// A value lies outside the range in which the metric is defined, or is not a number.
    #[error("`{name}`[{index}]: expected {expected}, found {found}")]
    Value {
        /// Name of the slice.
        name: &'static str,
        /// Place of the value in the slice.
        index: usize,
        /// What the metric accepts.
        expected: &'static str,
        /// What it got.
        found: f64,
    },
    /// A parameter lies outside the range in which the metric is defined.
    #[error("parameter `{name}`: expected {expected}, found {found}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// What the metric accepts.
        expected: &'static str,
        /// What it got.
        found: f64,
    },
    /// The target is no index of the scores.
    #[error("target {target} is no index of {len} scores")]
    Target {
        /// The index given.
        target: usize,
        /// Number of scores.
        len: usize,
    },
}

/// Both slices must have one length; the names go into the error.
pub(crate) fn same_length<A, B>(
    (left, a): (&'static str, &[A]),
    (right, b): (&'static str, &[B]),
) -> Result<()> {
    if a.len() == b.len() {
        return Ok(());
    }
    Err(Error::Length { left, left_len: a.len(), right, right_len: b.len() })
}

/// Every value must satisfy `accepts`, which is false for NaN in all uses of this crate.
pub(crate) fn all_values(
    name: &'static str,
    values: &[f64],
    expected: &'static str,
    accepts: impl Fn(f64) -> bool,
) -> Result<()> {
    match values.iter().position(|&value| !accepts(value)) {
        None => Ok(()),
        Some(index) => Err(Error::Value { name, index, expected, found: values[index] }),
    }
}

/// A confidence level must lie strictly between 0 and 1.
pub(crate) fn confidence_level(confidence: f64) -> Result<()> {
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(Error::Parameter {
        name: "confidence",
        expected: "a level between 0 and 1",
        found: confidence,
    })
}

/// Mean of the values, `None` for none.
pub(crate) fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n = values.len();
    (n > 0).then(|| values.sum::<f64>() / n as f64)
}
