//! Text to token ids and back.

mod cache;
mod lines;
mod special;
mod train;

use std::ops::Range;
use std::path::{Path, PathBuf};

use nextcart_prompt::{Segment, SegmentKind};

use crate::Sample;
use crate::error::{Error, Result};
use cache::LineCache;
use lines::Continuation;
use special::SpecialTokens;

/// A checkpoint's tokenizer, with the tokens that begin and end a text.
///
/// Names of special tokens inside a text are text and nothing else: a title that contains `</s>`
/// ends nothing. Only the markup of a chat template may name them.
///
/// # Parts
/// A text in parts has the tokens of the whole text. Where a token spans the border between two parts,
/// it belongs to the later one; so does its training, since it holds text of the answer. With the
/// vocabularies of Llama and Mistral no token spans a line break, and a part that starts on a new line
/// is tokenised as if it stood alone.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    begin: Vec<u32>,
    end: Option<u32>,
    special: SpecialTokens,
    /// How lines are tokenised one by one, where that gives the tokens of the whole.
    lines: Option<Continuation>,
    cache: LineCache,
}

/// A text in parts as one sequence of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// All tokens; the first ones may be a begin of text that no part holds.
    pub ids: Vec<u32>,
    /// The tokens of each part; the end of text, where one was added, is in none of them.
    pub spans: Vec<Range<usize>>,
}

impl Tokenizer {
    /// Reads `tokenizer.json`. A text begins as the file's own post-processor begins it and ends with
    /// the token `end`: `eos_token_id` of a checkpoint's config.
    ///
    /// # Errors
    /// If the file is missing or damaged.
    pub fn from_file(path: impl AsRef<Path>, end: Option<u32>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let inner: tokenizers::Tokenizer = text.parse().map_err(|error| failed(path, error))?;
        Self::new(inner, path.to_owned(), end)
    }

    fn new(mut inner: tokenizers::Tokenizer, path: PathBuf, end: Option<u32>) -> Result<Self> {
        // A file may ask for both; here the whole text counts, and batches are padded elsewhere.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| failed(&path, error))?;
        let special = SpecialTokens::of(&mut inner).map_err(|error| failed(&path, error))?;
        inner.set_encode_special_tokens(true);
        let encode =
            |special| inner.encode_fast("a", special).map_err(|error| failed(&path, error));
        let (with, without) = (encode(true)?, encode(false)?);
        let (with, without) = (with.get_ids(), without.get_ids());
        let begin = with.windows(without.len().max(1)).position(|window| window == without);
        let begin = with[..begin.unwrap_or(0)].to_vec();
        let lines = Continuation::of(&inner).map_err(|error| failed(&path, error))?;
        Ok(Self { inner, path, begin, end, special, lines, cache: LineCache::default() })
    }

    /// Number of tokens: the highest id plus one.
    #[must_use]
    pub fn vocab(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    /// The tokens that begin a text: one, or none.
    #[must_use]
    pub fn begin(&self) -> &[u32] {
        &self.begin
    }

    /// The token that ends a text.
    #[must_use]
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// The token that stands for what the vocabulary lacks.
    #[must_use]
    pub fn unknown(&self) -> Option<u32> {
        self.special.unknown()
    }

    /// Whether the token is a special one, such as those that begin and end texts.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        self.special.holds(id)
    }

    /// The token's name in the vocabulary.
    #[must_use]
    pub fn name(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// A text that goes on: begin of text and its tokens.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.begin.clone();
        self.encode_run(text, &[], false, &mut ids)?;
        Ok(ids)
    }

    /// A whole text: begin of text, its tokens and end of text.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn encode_whole(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.encode(text)?;
        ids.extend(self.end);
        Ok(ids)
    }

    /// A text in parts. It begins with the begin of text, once: not if its markup does already.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn encode_segments(&self, segments: &[Segment]) -> Result<Encoded> {
        let mut ids = Vec::new();
        let mut starts = Vec::with_capacity(segments.len());
        let mut run = Run::default();
        for segment in segments {
            run.cuts.push(run.text.len());
            let mut rest = segment.text.as_str();
            if segment.kind == SegmentKind::Markup {
                while let Some(found) = self.special.find(rest) {
                    run.text.push_str(found.before);
                    self.flush(&mut run, &mut ids, &mut starts)?;
                    self.begin_unless(found.id, &mut ids);
                    ids.push(found.id);
                    run.after_special = true;
                    rest = found.after;
                }
            }
            run.text.push_str(rest);
        }
        self.flush(&mut run, &mut ids, &mut starts)?;
        let ends = starts.iter().skip(1).copied().chain([ids.len()]);
        let spans = starts.iter().copied().zip(ends).map(|(start, end)| start..end.max(start));
        Ok(Encoded { spans: spans.collect(), ids })
    }

    /// A prompt and its answer, with begin and end of text.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if the answer has none, and if the tokenizers library refuses.
    pub fn encode_pair(&self, prompt: &str, answer: &str) -> Result<Encoded> {
        let mut ids = self.begin.clone();
        let text = format!("{prompt}{answer}");
        let starts = self.encode_run(&text, &[0, prompt.len()], false, &mut ids)?;
        let (start, border, tokens) = (starts[0], starts[1], ids.len());
        if border == tokens {
            return Err(Error::NoTokens { what: "the answer", text: answer.into() });
        }
        ids.extend(self.end);
        Ok(Encoded { ids, spans: vec![start..border, border..tokens] })
    }

    /// A sample to train on: the answer's tokens are trained, and with them the token that ends the
    /// turn. That is the first special token of the markup behind the answer, or else the end of text;
    /// what the markup has behind it is left out.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if no segment is an answer or it has no tokens, and if the tokenizers
    /// library refuses.
    pub fn sample(&self, segments: &[Segment]) -> Result<Sample> {
        let place = segments.iter().rposition(|segment| segment.kind == SegmentKind::Answer);
        let answer = place.map(|place| &*segments[place].text).unwrap_or_default();
        let missing = || Error::NoTokens { what: "the answer", text: answer.to_owned() };
        let place = place.ok_or_else(missing)?;
        let behind = segments[place + 1..].iter().map(|segment| segment.text.as_str());
        let turn_end = self.turn_end(&behind.collect::<String>());
        let mut turn = segments[..=place].to_vec();
        turn.extend(turn_end.map(|text| Segment::new(SegmentKind::Markup, text)));
        let mut encoded = self.encode_segments(&turn)?;
        let trained = encoded.spans[place].clone();
        if trained.is_empty() {
            return Err(missing());
        }
        if turn.len() == place + 1 {
            encoded.ids.extend(self.end);
        }
        let mask = (0..encoded.ids.len()).map(|token| token >= trained.start).collect();
        Sample::new(encoded.ids, mask)
    }

    /// What follows an answer, up to and with the first special token.
    fn turn_end(&self, behind: &str) -> Option<String> {
        let found = self.special.find(behind)?;
        Some(behind[..behind.len() - found.after.len()].to_owned())
    }

    /// The text of some tokens, without the special ones.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|error| failed(&self.path, error))
    }

    /// The contents of `tokenizer.json`.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn to_json(&self) -> Result<String> {
        self.inner.to_string(false).map_err(|error| failed(&self.path, error))
    }

    /// Tokenises what has been gathered, and empties it.
    fn flush(&self, run: &mut Run, ids: &mut Vec<u32>, starts: &mut Vec<usize>) -> Result<()> {
        if !run.text.is_empty() {
            self.begin_unless(u32::MAX, ids);
            starts.extend(self.encode_run(&run.text, &run.cuts, run.after_special, ids)?);
        } else {
            starts.extend(run.cuts.iter().map(|_| ids.len()));
        }
        run.text.clear();
        run.cuts.clear();
        Ok(())
    }

    /// Begins the text if nothing has, and if what follows does not.
    fn begin_unless(&self, follows: u32, ids: &mut Vec<u32>) {
        if ids.is_empty() && self.begin.first() != Some(&follows) {
            ids.extend_from_slice(&self.begin);
        }
    }

    /// Appends the tokens of a text in which no name of a special token is one. For each of the cuts,
    /// places in the text in ascending order, gives the first token that holds text behind it.
    fn encode_run(
        &self,
        text: &str,
        cuts: &[usize],
        after_special: bool,
        ids: &mut Vec<u32>,
    ) -> Result<Vec<usize>> {
        let goes_on = after_special && !self.special.prefix_behind();
        match &self.lines {
            Some(lines) => lines
                .encode(&self.inner, &self.cache, text, cuts, goes_on, ids)
                .map_err(|error| failed(&self.path, error)),
            None => self.encode_at_once(text, cuts, ids),
        }
    }

    fn encode_at_once(&self, text: &str, cuts: &[usize], ids: &mut Vec<u32>) -> Result<Vec<usize>> {
        let encoding = self.inner.encode(text, false).map_err(|error| failed(&self.path, error))?;
        let first = ids.len();
        ids.extend_from_slice(encoding.get_ids());
        let place = |&cut: &usize| {
            let behind = encoding.get_offsets().iter().position(|&(_, end)| end > cut);
            first + behind.unwrap_or(encoding.len())
        };
        Ok(cuts.iter().map(place).collect())
    }
}

/// A stretch of text between special tokens, with the places where segments begin.
#[derive(Default)]
struct Run {
    text: String,
    cuts: Vec<usize>,
    after_special: bool,
}

fn failed(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Tokenizer { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests;
