//! What templates can do beyond the language.

use minijinja::value::StringInput;
use minijinja::{Environment, Error, ErrorKind, State, Value};

use crate::style::Style;

/// Adds the filters; those that depend on the style replace the ones that were there.
pub(crate) fn add(environment: &mut Environment<'static>, style: Style) {
    environment.add_filter("line", |state: &State, text: &Value| -> Result<String, Error> {
        Ok(line(text_of(state, text)?))
    });
    environment.add_filter("dollars", |state: &State, price: &Value| -> Result<String, Error> {
        defined(state, price)?;
        Ok(dollars(f64::try_from(price.clone())?))
    });
    environment.add_filter("label", move |index: usize| {
        style.label(index).ok_or_else(|| beyond_the_alphabet(index))
    });
    environment.add_filter(
        "chosen",
        move |state: &State, candidates: Vec<Value>, index: &Value| {
            chosen(state, style, &candidates, place(state, index)?)
        },
    );
    environment.add_filter(
        "ranking",
        move |state: &State, candidates: Vec<Value>, first: &Value| {
            let first = place(state, first)?;
            let rest = (0..candidates.len()).filter(|index| *index != first);
            let ranking = std::iter::once(first).chain(rest);
            ranking
                .map(|index| chosen(state, style, &candidates, index))
                .collect::<Result<Vec<_>, _>>()
        },
    );
}

/// The engine's own error for what is undefined, which names the variable.
fn defined(state: &State, value: &Value) -> Result<(), Error> {
    StringInput::new(state, value).map(|_| ())
}

fn text_of<'a>(state: &State, value: &'a Value) -> Result<&'a str, Error> {
    defined(state, value)?;
    value.as_str().ok_or_else(|| {
        let detail = format!("expected text, found {}", value.kind());
        Error::new(ErrorKind::InvalidOperation, detail)
    })
}

fn place(state: &State, index: &Value) -> Result<usize, Error> {
    defined(state, index)?;
    usize::try_from(index.clone())
}

/// A text on one line, as the filter `line` of templates shows titles: its words with a space between them, without a
/// colon at the end, for headings end in one.
///
/// ```
/// assert_eq!(nextcart_prompt::line(" Green\n Tea: "), "Green Tea");
/// ```
#[must_use]
pub fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line.truncate(line.trim_end_matches([':', ' ']).len());
    line
}

fn dollars(price: f64) -> String {
    format!("${price:.2}")
}

fn chosen(
    state: &State,
    style: Style,
    candidates: &[Value],
    index: usize,
) -> Result<String, Error> {
    let Some(candidate) = candidates.get(index) else {
        let detail = format!("expected the index of one of {} candidates", candidates.len());
        return Err(Error::new(ErrorKind::InvalidOperation, format!("{detail}, found {index}")));
    };
    if let Some(mark) = style.mark(index) {
        return Ok(mark);
    }
    if style.answer != crate::AnswerForm::Title {
        return Err(beyond_the_alphabet(index));
    }
    let title = candidate.get_attr("title")?;
    if title.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "`title` is undefined"));
    }
    Ok(line(text_of(state, &title)?))
}

fn beyond_the_alphabet(index: usize) -> Error {
    let detail =
        format!("expected at most 26 options to mark with letters, found option {}", index + 1);
    Error::new(ErrorKind::InvalidOperation, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_breaks_and_is_no_heading() {
        for (text, expected) in [
            ("  Green\r\n\tTea ", "Green Tea"),
            ("Options:", "Options"),
            ("Answer: :", "Answer"),
            ("Ratio 3:1", "Ratio 3:1"),
            (":", ""),
            ("", ""),
        ] {
            assert_eq!(line(text), expected);
        }
    }
}
