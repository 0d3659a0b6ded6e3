//! What differs between two records.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A field of a run's record that has another value than when the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its dotted name, such as `machine.threads`.
    pub field: String,
    /// Its value when the run began, in JSON.
    pub before: String,
    /// Its value now, in JSON.
    pub now: String,
}

/// The fields that differ between two objects, each by its name, in their order.
pub(crate) fn differences(now: &Value, before: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    collect(&mut found, String::new(), now, before);
    found
}

fn collect(found: &mut Vec<Difference>, field: String, now: &Value, before: &Value) {
    match (now, before) {
        (Value::Object(new), Value::Object(old)) => {
            let names: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
            for name in names {
                let dot = if field.is_empty() { "" } else { "." };
                // Null where it is absent.
                let (now, before) = (&now[name.as_str()], &before[name.as_str()]);
                collect(found, format!("{field}{dot}{name}"), now, before);
            }
        }
        _ if now != before => {
            let (before, now) = (before.to_string(), now.to_string());
            found.push(Difference { field, before, now });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_that_differs_is_named_with_both_values() {
        let before = json!({ "a": 1, "b": { "c": [1, 2], "d": null }, "e": { "f": "x" } });
        let now = json!({ "a": 1, "b": { "c": [1], "d": null, "g": 2 }, "e": null });
        let found: Vec<[String; 3]> = differences(&now, &before)
            .into_iter()
            .map(|Difference { field, before, now }| [field, before, now])
            .collect();
        let expected =
            [["b.c", "[1,2]", "[1]"], ["b.g", "null", "2"], ["e", "{\"f\":\"x\"}", "null"]];
        assert_eq!(found, expected);
        assert!(differences(&now, &now).is_empty());
    }
}
