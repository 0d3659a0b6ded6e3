//! Numbers of options in plans.

use crate::{Error, Result};

/// The value of the option `name` as plans compare it, in 64 bits of which one is the sign.
pub(crate) fn bound(name: &'static str, value: usize) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::Option {
        name,
        expected: format!("at most {}", i64::MAX),
        found: value.to_string(),
    })
}
