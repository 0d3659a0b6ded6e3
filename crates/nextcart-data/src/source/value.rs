//! JSON values of uncertain type: the same field is a number here, text there, a list elsewhere.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use serde_json::value::RawValue;

use super::{
    Fault, Reason,
    scan::{Fields, scan},
};

/// A value of any type, with the content of scalars alone.
#[derive(Debug, Default)]
pub(crate) enum Value<'a> {
    #[default]
    Absent,
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// The texts in a list, or where lists stand in it and no text, those of the first that has any; other elements are
    /// passed over.
    List(Vec<String>),
    Object,
}

impl<'a> Value<'a> {
    pub(crate) fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// A name that must be there.
    pub(crate) fn into_id(self, field: &str) -> Result<Cow<'a, str>, Fault> {
        match self {
            Self::Text(text) if text.trim().is_empty() => Err(Fault::new(
                Reason::MissingField,
                format!("`{field}`: expected text, found blank text"),
            )),
            Self::Text(Cow::Borrowed(text)) => Ok(Cow::Borrowed(text.trim())),
            Self::Text(text) => Ok(Cow::Owned(text.trim().to_owned())),
            other => Err(other.unexpected(field, "text")),
        }
    }

    /// A number, perhaps written as text.
    pub(crate) fn into_number(self, field: &str) -> Result<f64, Fault> {
        let number = match &self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Text(text) => text.trim().parse().ok().filter(|value: &f64| value.is_finite()),
            _ => None,
        };
        number.ok_or_else(|| self.unexpected(field, "a number"))
    }

    /// A whole number, perhaps written as text or with a zero fraction.
    pub(crate) fn into_integer(self, field: &str) -> Result<i64, Fault> {
        let integer = match &self {
            Self::Integer(value) => Some(*value),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
            Self::Text(text) => text.trim().parse().ok().or_else(|| {
                let number: f64 = text.trim().parse().ok()?;
                (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
            }),
            _ => None,
        };
        integer.ok_or_else(|| self.unexpected(field, "a whole number"))
    }

    /// A truth value, perhaps written as text; `None` where it is absent or null.
    pub(crate) fn into_optional_bool(self, field: &str) -> Result<Option<bool>, Fault> {
        match &self {
            Self::Absent | Self::Null => Ok(None),
            Self::Bool(value) => Ok(Some(*value)),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            _ => Err(self.unexpected(field, "true or false")),
        }
    }

    /// Text if there is any: that of a scalar, or the first of a list.
    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(texts) => texts.into_iter().next().map(Cow::Owned),
            _ => None,
        }
    }

    /// The texts of a list, or the one text as a list.
    pub(crate) fn into_texts(self) -> Vec<String> {
        match self {
            Self::Text(text) if !text.trim().is_empty() => vec![text.into_owned()],
            Self::List(texts) => texts,
            _ => Vec::new(),
        }
    }

    pub(crate) fn unexpected(&self, field: &str, expected: &str) -> Fault {
        let (reason, found) = match self {
            Self::Absent => (Reason::MissingField, "no such field"),
            Self::Null => (Reason::MissingField, "null"),
            Self::Bool(_) => (Reason::WrongType, "true or false"),
            Self::Integer(_) | Self::Float(_) => (Reason::WrongType, "a number"),
            Self::Text(text) if text.trim().is_empty() => (Reason::MissingField, "blank text"),
            Self::Text(_) => (Reason::WrongType, "text"),
            Self::List(_) => (Reason::WrongType, "a list"),
            Self::Object => (Reason::WrongType, "an object"),
        };
        Fault::new(reason, format!("`{field}`: expected {expected}, found {found}"))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut texts, mut inner) = (Vec::new(), Vec::new());
        while let Some(value) = list.next_element::<Value<'de>>()? {
            match value {
                Value::Text(text) => texts.push(text.into_owned()),
                Value::List(texts) if inner.is_empty() => inner = texts,
                _ => {}
            }
        }
        Ok(Value::List(if texts.is_empty() { inner } else { texts }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object)
    }
}

/// A value that is read on request alone, as it stands in the line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unread<'a>(pub(super) &'a str);

impl<'a> Unread<'a> {
    /// The value.
    pub(crate) fn read(self) -> Option<Value<'a>> {
        serde_json::from_str(self.0).ok()
    }

    /// The elements of a list, whatever they are; `None` if it is none.
    pub(crate) fn read_list(self) -> Option<Vec<Value<'a>>> {
        serde_json::from_str(self.0).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Unread<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(raw.get()))
    }
}

/// Parses a line as an object with the fields of `T`.
pub(crate) fn parse_object<'a, T: Deserialize<'a> + Fields<'a>>(line: &'a str) -> Result<T, Fault> {
    let mut fields = T::default();
    match scan(line, &mut fields) {
        Some(()) => Ok(fields),
        None => parse_any_object(line),
    }
}

/// As [`parse_object`], for every line.
pub(super) fn parse_any_object<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Fault> {
    // Serde would take an array for a struct; a line that is no object is no row.
    if !line.trim_start().starts_with('{') {
        return match serde_json::from_str::<IgnoredAny>(line) {
            Ok(_) => {
                Err(Fault::new(Reason::WrongType, "expected an object, found another JSON value"))
            }
            Err(error) => Err(broken(&error)),
        };
    }
    serde_json::from_str(line).map_err(|error| broken(&error))
}

fn broken(error: &serde_json::Error) -> Fault {
    // The parser sees one line at a time; its "line 1" would contradict the number beside it.
    Fault::new(Reason::BrokenJson, error.to_string().replace(" at line 1 column ", " at column "))
}
