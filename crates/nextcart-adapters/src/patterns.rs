//! Values for some modules.

use std::fmt;
use std::marker::PhantomData;

use regex::Regex;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Values for the modules that match a pattern, as PEFT's `rank_pattern` and `alpha_pattern` give them.
///
/// A pattern is a regular expression for a whole path or its last segments; of several that match, the first one
/// counts, in the order of the file. (PEFT sorts its own files.)
#[derive(Clone)]
pub struct Patterns<T> {
    pairs: Vec<(String, T)>,
    regexes: Vec<Option<Regex>>, // of each pair, none where its pattern is no regular expression
}

impl<T> Patterns<T> {
    fn new(pairs: Vec<(String, T)>) -> Self {
        let regexes = pairs.iter().map(|(pattern, _)| trailing(pattern).ok()).collect();
        Self { pairs, regexes }
    }
}

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<T: fmt::Debug> fmt::Debug for Patterns<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Patterns").field(&self.pairs).finish()
    }
}

impl<T: PartialEq> PartialEq for Patterns<T> {
    fn eq(&self, other: &Self) -> bool {
        self.pairs == other.pairs
    }
}

impl<T: Copy> Patterns<T> {
    /// The value for the module at this dotted path.
    pub fn get(&self, path: &str) -> Option<T> {
        let matches =
            |regex: &Option<Regex>| regex.as_ref().is_some_and(|regex| regex.is_match(path));
        let place = self.regexes.iter().position(matches)?;
        Some(self.pairs[place].1)
    }

    /// Patterns and values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, T)> {
        self.pairs.iter().map(|(pattern, value)| (pattern.as_str(), *value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The first pattern that is no regular expression.
    pub(crate) fn fault(&self) -> Option<String> {
        let place = self.regexes.iter().position(Option::is_none)?;
        Some(format!("`{}`", self.pairs[place].0))
    }

    /// The patterns that match none of these dotted paths.
    pub(crate) fn unmatched<S: AsRef<str>>(&self, paths: &[S]) -> Vec<String> {
        let matches = |regex: &Regex| paths.iter().any(|path| regex.is_match(path.as_ref()));
        let pairs = self.pairs.iter().zip(&self.regexes);
        let unmatched =
            pairs.filter(|(_, regex)| regex.as_ref().is_none_or(|regex| !matches(regex)));
        unmatched.map(|((pattern, _), _)| pattern.clone()).collect()
    }
}

impl<S: Into<String>, T, const N: usize> From<[(S, T); N]> for Patterns<T> {
    fn from(pairs: [(S, T); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<S: Into<String>, T> FromIterator<(S, T)> for Patterns<T> {
    fn from_iter<I: IntoIterator<Item = (S, T)>>(pairs: I) -> Self {
        Self::new(pairs.into_iter().map(|(pattern, value)| (pattern.into(), value)).collect())
    }
}

impl<T: Serialize> Serialize for Patterns<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.pairs.iter().map(|(pattern, value)| (pattern, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patterns<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Patterns<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of patterns and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Patterns::new(pairs))
            }
        }

        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

/// A regular expression for a path or its last segments.
fn trailing(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_counts() {
        let ranks =
            Patterns::from([(r"layers\.1\.self_attn\.q_proj", 4), ("q_proj", 8), ("q_proj", 16)]);
        assert_eq!(ranks.get("model.layers.1.self_attn.q_proj"), Some(4));
        assert_eq!(ranks.get("model.layers.11.self_attn.q_proj"), Some(8));
        assert_eq!(ranks.get("model.layers.1.self_attn.xq_proj"), None);
        assert_eq!(ranks.get("q_proj"), Some(8));
    }

    #[test]
    fn what_matches_no_path_is_told() {
        let paths = ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj"];
        let ranks = Patterns::from([("q_proj", 4), ("query", 8), (r"layers\.1\..*", 2), ("(", 1)]);
        assert_eq!(ranks.unmatched(&paths), ["query", r"layers\.1\..*", "("]);
        assert_eq!(ranks.unmatched(&[""; 0]).len(), 4);
    }

    #[test]
    fn files_keep_the_order() {
        let text = r#"{"z":1,"a":2,"m":3}"#;
        let found: Patterns<u32> = serde_json::from_str(text).unwrap();
        assert_eq!(found, Patterns::from([("z", 1), ("a", 2), ("m", 3)]));
        assert_eq!(serde_json::to_string(&found).unwrap(), text);
        assert_eq!(Patterns::from([("a", 1), ("(", 2)]).fault().unwrap(), "`(`");
    }
}
