//! A question's fields, as templates see them.

use minijinja::Value;
use minijinja::value::{Serde, ValueKind};
use serde::Serialize;

/// A question, read once, for as many renderings as one likes.
///
/// The fields that matter here are `history` and `candidates`, lists, and `answer`, an index of the
/// candidates; templates use whatever else there is by name, but for `excluded`, which holds purchases
/// of any time.
#[derive(Debug, Clone)]
pub struct Fields {
    /// All fields but `answer` and `excluded`.
    blind: Value,
    /// `answer`, or undefined.
    answer: Value,
}

impl Fields {
    /// Reads the fields of anything that serialises as a map.
    #[must_use]
    pub fn new(question: &impl Serialize) -> Self {
        let question = Value::from(Serde(question));
        let answer = question.get_attr("answer").unwrap_or_default();
        Self { blind: without(&question, &["answer", "excluded"]), answer }
    }

    /// The question's `id` as messages show it.
    #[must_use]
    pub fn id(&self) -> String {
        match self.blind.get_attr("id") {
            Ok(id) if !id.is_undefined() => format!("`{id}`"),
            _ => "without an `id`".to_owned(),
        }
    }

    /// Number of purchases in the history.
    #[must_use]
    pub fn purchases(&self) -> usize {
        self.list("history").map_or(0, |history| history.len())
    }

    /// The same question with the latest `purchases` of its history.
    #[must_use]
    pub fn recent(&self, purchases: usize) -> Self {
        let Some(mut history) = self.list("history") else { return self.clone() };
        history.drain(..history.len().saturating_sub(purchases));
        let history = Value::from(history);
        let blind = minijinja::context! { history => history, ..self.blind.clone() };
        Self { blind, answer: self.answer.clone() }
    }

    /// What instruction and input see.
    pub(crate) fn blind(&self) -> &Value {
        &self.blind
    }

    /// What the output sees.
    pub(crate) fn seeing(&self) -> Value {
        if self.answer.is_undefined() {
            return self.blind.clone();
        }
        minijinja::context! { answer => self.answer.clone(), ..self.blind.clone() }
    }

    /// What the output sees if this candidate is the answer.
    pub(crate) fn answered_by(&self, candidate: usize) -> Value {
        minijinja::context! { answer => candidate, ..self.blind.clone() }
    }

    /// The candidates; `None` if there are none.
    pub(crate) fn candidates(&self) -> Option<Vec<Value>> {
        self.list("candidates").filter(|candidates| !candidates.is_empty())
    }

    /// Index of the candidate that was bought, or what stands in its place.
    pub(crate) fn answer(&self) -> Result<usize, String> {
        let found = || match self.answer.is_undefined() {
            true => "none".to_owned(),
            false => format!("`{}`", self.answer),
        };
        self.answer.as_usize().ok_or_else(found)
    }

    fn list(&self, name: &str) -> Option<Vec<Value>> {
        let list = self.blind.get_attr(name).ok()?;
        matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable)
            .then(|| list.try_iter().ok().map(Iterator::collect))
            .flatten()
    }
}

/// A map without some of its fields. What is left is shared, not copied.
fn without(question: &Value, hidden: &[&str]) -> Value {
    let Ok(keys) = question.try_iter() else { return question.clone() };
    if question.kind() != ValueKind::Map {
        return question.clone();
    }
    let kept = keys.filter(|key| !key.as_str().is_some_and(|key| hidden.contains(&key)));
    let fields = kept.filter_map(|key| question.get_item(&key).ok().map(|value| (key, value)));
    Value::from_pairs(fields)
}
