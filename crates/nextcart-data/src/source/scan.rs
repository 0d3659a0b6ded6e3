//! The fields of a line in the plain form that nearly all lines have, several times as fast as a parser.
//!
//! What is unusual, such as a field that stands twice, an escape in a name or anything that is no JSON, is left
//! to the parser, which also knows what is wrong with it.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Deserializer;

use super::value::{Unread, Value};

/// Brackets within a value, far fewer than the parser's limit on how deep they may be nested.
const MAX_BRACKETS: usize = 100;

/// Digits of a number whose value as a float is exact.
const MAX_DIGITS: usize = 15;

/// Bytes of a text that are looked at by words; beyond, a call to a faster search is worth its cost.
const SHORT: usize = 32;

/// Where the value of a field goes.
pub(super) enum Slot<'s, 'a> {
    Value(&'s mut Value<'a>),
    Unread(&'s mut Option<Unread<'a>>),
    /// It is passed over.
    Nowhere,
}

/// An object whose fields have a slot each: all that the parser reads, or lines in the plain form would lack them.
pub(super) trait Fields<'a>: Default {
    fn slot<'s>(&'s mut self, name: &str) -> Slot<'s, 'a>;
}

/// Fills in the fields of a line, or gives `None` if the parser must tell what it is.
pub(super) fn scan<'a, T: Fields<'a>>(line: &'a str, fields: &mut T) -> Option<()> {
    // Control characters: not one by one, so that the compiler takes many at once.
    if line.bytes().fold(u8::MAX, u8::min) < b' ' {
        return None;
    }
    let mut scanner = Scanner { line, at: 0 };
    scanner.expect(b'{')?;
    loop {
        let name = scanner.name()?;
        scanner.expect(b':')?;
        scanner.value(fields.slot(name))?;
        match scanner.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    line.as_bytes()[scanner.at..].iter().all(|byte| *byte == b' ').then_some(())
}

struct Scanner<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.line.as_bytes()[self.at..]
    }

    /// The next byte that is no space, which stays.
    fn peek(&mut self) -> Option<u8> {
        while *self.rest().first()? == b' ' {
            self.at += 1;
        }
        self.rest().first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    fn name(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let (name, has_escapes) = self.text()?;
        (!has_escapes).then_some(name)
    }

    /// A text whose first quote is behind, and whether there are escapes in it.
    #[inline]
    fn text(&mut self) -> Option<(&'a str, bool)> {
        let (start, rest) = (self.at, self.rest());
        let end = find_end(rest)?;
        self.at += end;
        let has_escapes = rest[end] != b'"';
        if has_escapes {
            self.pass_over_escapes()?;
        }
        let text = &self.line[start..self.at];
        self.at += 1;
        Some((text, has_escapes))
    }

    /// Goes on from an escape to the quote at the text's end.
    fn pass_over_escapes(&mut self) -> Option<()> {
        while self.rest()[0] != b'"' {
            self.at += escape(self.rest())?;
            self.at += find_end(self.rest())?;
        }
        Some(())
    }

    fn value(&mut self, slot: Slot<'_, 'a>) -> Option<()> {
        let first = self.peek()?;
        let start = self.at;
        match slot {
            Slot::Nowhere => self.pass_over(first),
            Slot::Unread(unread) => {
                // The parser takes null for an absent field.
                if first == b'n' || unread.is_some() {
                    return None;
                }
                self.pass_over(first)?;
                *unread = Some(Unread(&self.line[start..self.at]));
                Some(())
            }
            Slot::Value(value) => {
                if value.is_present() {
                    return None;
                }
                self.read(first, value)
            }
        }
    }

    fn pass_over(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => {
                self.at += 1;
                self.text().map(|_| ())
            }
            b'[' | b'{' => self.parse::<IgnoredAny>().map(|_| ()),
            _ => self.scalar(first).map(|_| ()),
        }
    }

    /// Written where it stays, in every case: to move it there from another place costs more than to read it.
    fn read(&mut self, first: u8, value: &mut Value<'a>) -> Option<()> {
        let start = self.at;
        match first {
            b'"' => {
                self.at += 1;
                match self.text()? {
                    (text, false) => *value = Value::Text(Cow::Borrowed(text)),
                    (_, true) => *value = serde_json::from_str(&self.line[start..self.at]).ok()?,
                }
            }
            b'[' | b'{' => *value = self.parse()?,
            _ => *value = self.scalar(first)?,
        }
        Some(())
    }

    fn scalar(&mut self, first: u8) -> Option<Value<'a>> {
        match first {
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Option<Value<'a>> {
        self.rest().starts_with(word.as_bytes()).then(|| self.at += word.len())?;
        Some(value)
    }

    /// A number without sign and exponent.
    fn number(&mut self) -> Option<Value<'a>> {
        let (whole, digits) = digits(self.rest(), 0);
        let has_leading_zero = digits > 1 && self.rest()[0] == b'0';
        if digits == 0 || digits > MAX_DIGITS || has_leading_zero {
            return None;
        }
        self.at += digits;
        if self.rest().first() != Some(&b'.') {
            return Some(Value::Integer(whole as i64));
        }
        let (number, places) = self::digits(&self.rest()[1..], whole);
        if places == 0 || digits + places > MAX_DIGITS {
            return None;
        }
        self.at += 1 + places;
        Some(Value::Float(number as f64 / 10_u64.pow(places as u32) as f64))
    }

    /// A list or an object.
    fn parse<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut values = Deserializer::from_str(&self.line[self.at..]).into_iter();
        let value = values.next()?.ok()?;
        let text = &self.rest()[..values.byte_offset()];
        self.at += text.len();
        (memchr::memchr2_iter(b'[', b'{', text).count() <= MAX_BRACKETS).then_some(value)
    }
}

/// Where the first quote or backslash stands.
fn find_end(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    // The highest bit of each zero byte, and perhaps of some after the first of these.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let (words, _) = bytes[..bytes.len().min(SHORT)].as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found =
            zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(place * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let seen = words.len() * 8;
    memchr::memchr2(b'"', b'\\', &bytes[seen..]).map(|place| seen + place)
}

/// Length of the escape that `bytes` start with, if it is one.
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// A number that goes on with the digits at the start of `bytes`, and how many these are, so long as they are
/// few.
fn digits(bytes: &[u8], before: u64) -> (u64, usize) {
    let digits = bytes.iter().take(MAX_DIGITS + 1).take_while(|byte| byte.is_ascii_digit());
    digits.fold((before, 0), |(number, count), digit| {
        (number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')), count + 1)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::fmt::Debug;

    use super::*;
    use crate::source::value::parse_any_object;

    /// Whether a line is scanned. If so, the parser must find the same.
    #[track_caller]
    pub(in crate::source) fn is_scanned<'a, T>(line: &'a str) -> bool
    where
        T: Fields<'a> + Deserialize<'a> + Debug,
    {
        let mut scanned = T::default();
        if scan(line, &mut scanned).is_none() {
            return false;
        }
        match parse_any_object::<T>(line) {
            Ok(parsed) => assert_eq!(format!("{scanned:?}"), format!("{parsed:?}"), "{line}"),
            Err(fault) => panic!("scanned what is broken: {fault}: {line}"),
        }
        true
    }

    /// The line without one character, or with another at its place or before it, for all places.
    pub(in crate::source) fn variants(line: &str) -> Vec<String> {
        let others = [
            "", "\"", "\\", "{", "}", "[", "]", ",", ":", " ", "0", "1", ".", "-", "e", "u", "\t",
            "é",
        ];
        let places = line.char_indices().map(|(place, c)| (place, place + c.len_utf8()));
        let variant = |from: usize, to: usize, other| [&line[..from], other, &line[to..]].concat();
        places
            .flat_map(|(from, to)| {
                others.map(|other| [variant(from, to, other), variant(from, from, other)])
            })
            .flatten()
            .collect()
    }

    #[test]
    fn finds_the_first_quote_or_backslash_wherever_it_stands() {
        for place in 0..70 {
            for found in ["\"", "\\", "\\\"", "\"\\"] {
                let text =
                    ["é!#[]".repeat(20).get(..place).unwrap_or(&"x".repeat(place)), found, "\"\\"]
                        .concat();
                assert_eq!(find_end(text.as_bytes()), Some(place), "{text}");
            }
        }
        assert_eq!(find_end(b"no end of this text, however long it is"), None);
    }
}
