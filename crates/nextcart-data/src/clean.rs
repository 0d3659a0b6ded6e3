//! The one cleaning function for text that a prompt may show.
//!
//! A title reaches a question as part of a history, as the answer or as a distractor. If one of these
//! were cleaned differently from the others, the form of the text would give the answer away; so there
//! is one function, applied once, when the catalogue is read.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::source::recover_title;

/// Rounds of decoding: enough for `&amp;amp;amp;`, and a bound on hostile input.
const MAX_ROUNDS: usize = 4;

/// HTML elements that are stripped. A closed list, so that `5 <b 6` or `I <3 tea` survive.
const TAGS: [&str; 37] = [
    "a", "b", "br", "center", "dd", "div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "img", "input", "li", "link", "meta", "ol", "p", "script", "small", "span",
    "strong", "style", "sub", "sup", "table", "td", "tr", "u", "ul",
];

/// What is done to every title, wherever it is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TextCleaning {
    /// Titles stay as the file has them, page code included.
    None,
    /// Entities and tags go, whitespace is collapsed, titles are recovered from page code.
    #[default]
    Entities,
    /// After that, only words of ASCII letters alone stay: `Tea Bags, 20 Count` becomes `Tea Count`.
    ///
    /// So the seed project cleaned histories and answers, as far as its rows show: most titles lose words,
    /// and several items come to share one title.
    Letters,
}

impl TextCleaning {
    /// The cleaned title, or `None` where nothing is left.
    #[must_use]
    pub fn title(self, raw: &str) -> Option<String> {
        match self {
            Self::None => (!raw.trim().is_empty()).then(|| raw.to_owned()),
            Self::Entities => recover_title(raw),
            Self::Letters => recover_title(raw)
                .map(|title| keep_words_of_letters(&title))
                .filter(|title| !title.is_empty()),
        }
    }
}

/// The words that are made of ASCII letters alone, with single spaces between them.
pub(crate) fn keep_words_of_letters(title: &str) -> String {
    let is_plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphabetic());
    title.split_whitespace().filter(is_plain).collect::<Vec<_>>().join(" ")
}

/// Decodes HTML entities, strips tags and collapses whitespace.
///
/// Entities are decoded until the text is stable, at most four times, since some rows are encoded
/// twice. Control characters count as whitespace, invisible ones are dropped.
///
/// ```
/// use nextcart_data::clean_text;
///
/// assert_eq!(clean_text("  Mac &amp;amp; Cheese,\n 7.25&nbsp;oz "), "Mac & Cheese, 7.25 oz");
/// assert_eq!(clean_text("<b>Bold</b> Coffee"), "Bold Coffee");
/// ```
#[must_use]
pub fn clean_text(raw: &str) -> String {
    collapse(&strip_tags(&decode_entities(raw)))
}

/// Decodes HTML entities until the text is stable, at most [`MAX_ROUNDS`] times.
pub(crate) fn decode_entities(raw: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(raw);
    for _ in 0..MAX_ROUNDS {
        if !text.contains('&') {
            break;
        }
        let decoded = htmlize::unescape(text.as_ref()).into_owned();
        if decoded == text {
            break;
        }
        text = Cow::Owned(decoded);
    }
    text
}

fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = !out.is_empty();
        } else if !is_invisible(c) {
            if gap {
                out.push(' ');
                gap = false;
            }
            out.push(c);
        }
    }
    out
}

/// Zero-width characters, the soft hyphen, direction marks and the byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}')
}

fn strip_tags(text: &str) -> Cow<'_, str> {
    if !text.contains('<') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, tail) = rest.split_at(start);
        out.push_str(before);
        let Some(name) = tag_name(tail) else {
            out.push('<');
            rest = &tail[1..];
            continue;
        };
        out.push(' ');
        // A tag that never closes runs to the end, as in the titles that are half a `<span …`.
        let after = tail.find('>').map_or("", |end| &tail[end + 1..]);
        rest = match name {
            "script" | "style" => end_of_element(after, name),
            _ => after,
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Name of the element whose opening or closing tag `text` starts with.
fn tag_name(text: &str) -> Option<&'static str> {
    let inner = text.strip_prefix('<')?;
    let inner = inner.strip_prefix('/').unwrap_or(inner);
    let length = inner.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let name = &inner[..length];
    if !matches!(inner[length..].chars().next(), None | Some('>' | '/')) {
        // `<b 6`: an attribute or the end of the tag must follow the space.
        let attributes = inner[length..].trim_start();
        let is_attribute =
            attributes.starts_with('>') || attributes.starts_with('/') || attributes.contains('=');
        if attributes.len() == inner[length..].len() || !(is_attribute || attributes.is_empty()) {
            return None;
        }
    }
    TAGS.into_iter().find(|tag| tag.eq_ignore_ascii_case(name))
}

/// What follows the closing tag of a script or style element; nothing if it never closes.
fn end_of_element<'a>(text: &'a str, name: &str) -> &'a str {
    let closing = text
        .match_indices("</")
        .find(|(at, _)| tag_name(&text[*at..]).is_some_and(|found| found == name));
    closing.map_or("", |(at, _)| text[at..].split_once('>').map_or("", |(_, after)| after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: &str) {
        assert_eq!(clean_text(raw), expected);
    }

    #[test]
    fn decodes_entities_until_stable() {
        check("Texas Land &amp; Cattle Gift Card", "Texas Land & Cattle Gift Card");
        check("Carter&amp;#39;s", "Carter's");
        check("B&rsquo;gosh", "B’gosh");
        check("THT &gt;&gt;&gt; Trading", "THT >>> Trading");
        check("Q&A", "Q&A");
    }

    #[test]
    fn gives_up_on_entities_nested_too_deep() {
        check("&amp;amp;amp;amp;amp;", "&amp;");
    }

    #[test]
    fn collapses_whitespace_and_drops_invisible_characters() {
        check(" \t Amazon\u{a0}eGift\r\n  Card\u{200b} ", "Amazon eGift Card");
        check("\u{feff}Tea\u{0}Bags", "Tea Bags");
        check(" \n ", "");
    }

    #[test]
    fn strips_tags_but_not_comparisons() {
        check("A <br/>B<p class=\"x\">C</p>", "A B C");
        check("&lt;b&gt;Bold&lt;/b&gt; Tea", "Bold Tea");
        check("I <3 tea, 5 < 6 <b 7", "I <3 tea, 5 < 6 <b 7");
        check("<span class=\"a-size-medium a-color-secondary\"", "");
        check("Tea<script>if (a<b) {}</script> Pot", "Tea Pot");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn never_leaves_loose_whitespace(raw in "[ -~<>&;\u{a0}\n\t]{0,60}|\\PC{0,40}") {
            let clean = clean_text(&raw);
            prop_assert_eq!(clean.trim(), clean.as_str());
            prop_assert!(!clean.contains("  ") && !clean.contains('\n'));
        }
    }
}
