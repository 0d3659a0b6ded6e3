//! A number or the word `none`: TOML has no null, and a field left out means its default.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

const NONE: &str = "none";

pub(crate) fn serialize<S: Serializer>(limit: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match limit {
        Some(limit) => to.serialize_f64(*limit),
        None => to.serialize_str(NONE),
    }
}

/// Takes JSON's `null` as well.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    struct Limit;

    impl Visitor<'_> for Limit {
        type Value = Option<f64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number or \"none\"")
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
            Ok(Some(number))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number as f64))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number as f64))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
            match word {
                NONE => Ok(None),
                _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
            }
        }
    }

    from.deserialize_any(Limit)
}
