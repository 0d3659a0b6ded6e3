//! What transformers' chat templates expect of the engine beyond Jinja: Python's ways.

use std::error::Error as _;
use std::fmt;
use std::io;

use chrono::format::StrftimeItems;
use chrono::{DateTime, Local};
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize;
use serde_json::ser::Formatter;

/// Adds functions, filters and methods.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_function("raise_exception", |reason: String| -> Result<Value, Error> {
        let error = Error::new(ErrorKind::InvalidOperation, reason.clone());
        Err(error.with_source(Raised(reason)))
    });
    environment.add_filter("tojson", to_json);
    set_now(environment, None);
}

/// What `strftime_now` tells: this time, in seconds since 1970 in UTC, or what the clock here says.
pub(super) fn set_now(environment: &mut Environment<'static>, now: Option<i64>) {
    environment.add_function("strftime_now", move |format: String| {
        let Ok(items) = StrftimeItems::new(&format).parse() else {
            let detail = format!("`{format}` is no format of a time");
            return Err(Error::new(ErrorKind::InvalidOperation, detail));
        };
        let told = match now.and_then(|now| DateTime::from_timestamp(now, 0)) {
            Some(now) => now.format_with_items(items.into_iter()).to_string(),
            None => Local::now().format_with_items(items.into_iter()).to_string(),
        };
        Ok(told)
    });
}

/// What a template says by `raise_exception`.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

/// The reason, if the template itself raised the error.
pub(super) fn raised(error: &Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(Raised(reason)) = error.downcast_ref() {
            return Some(reason.clone());
        }
        cause = error.source();
    }
    None
}

/// The source with the blocks that mark what the assistant says made to mark nothing.
pub(super) fn without_generation(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        text.push_str(before);
        let Some(end) = tag[2..].find("%}").map(|inside| 2 + inside) else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end + 2);
        let name = tag[2..end].trim_matches(['-', '+']).trim();
        match name {
            "generation" => text.push_str(&tag.replace(name, "if true")),
            "endgeneration" => text.push_str(&tag.replace(name, "endif")),
            _ => text.push_str(tag),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// `json.dumps` with `ensure_ascii=False`, and with `indent` over several lines.
fn to_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // What transformers' own filter takes; these two say what is done anyway.
    let _: Option<bool> = options.get("ensure_ascii")?;
    let _: Option<bool> = options.get("sort_keys")?;
    options.assert_all_used()?;
    let mut json = Vec::new();
    let written = match indent {
        Some(indent) => {
            let indent = " ".repeat(indent);
            let pretty = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut json, pretty))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut json, OneLine)),
    };
    let written = written.map_err(|error| error.to_string());
    let text = written.and_then(|()| String::from_utf8(json).map_err(|error| error.to_string()));
    text.map_err(|detail| Error::new(ErrorKind::BadSerialization, detail))
}

/// JSON on one line with a space after commas and colons.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }
}
