//! Text to token ids and back.

mod beside;
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

const FILE: &str = "tokenizer.json";

/// A checkpoint's tokenizer, with the tokens that begin and end a text.
///
/// Names of special tokens inside a text are text and nothing else: a title that contains `</s>`
/// ends nothing. Only the markup of a chat template may name them. (Added tokens that a file does not
/// mark as special are words of its vocabulary.)
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
    bos: Option<u32>,
    eos: Option<u32>,
    special: SpecialTokens,
    /// How lines are tokenised one by one, where that gives the tokens of the whole.
    lines: Option<Continuation>,
    cache: LineCache,
    /// Names and contents, of one that was read from a folder.
    beside: Option<Vec<(&'static str, Vec<u8>)>>,
}

/// A text in parts as one sequence of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// All tokens; the first may be a BOS that no part holds.
    pub ids: Vec<u32>,
    /// The tokens of each part; the EOS, where one was added, is in none of them.
    pub spans: Vec<Range<usize>>,
}

impl Tokenizer {
    /// Reads `tokenizer.json`. A text begins with the token that the file's own post-processor puts
    /// first (BOS) and ends with the token `eos`: `eos_token_id` of a checkpoint's config.
    ///
    /// # Errors
    /// If the file is missing or damaged, begins texts with several tokens, or lacks the token `eos`.
    pub fn from_file(path: impl AsRef<Path>, eos: Option<u32>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let inner: tokenizers::Tokenizer = text.parse().map_err(|error| failed(path, error))?;
        Self::new(inner, path.to_owned(), eos)
    }

    /// Reads `tokenizer.json` of a checkpoint's folder [as a file](Self::from_file), and what lies beside it, which
    /// [`files`](Self::files) gives. What texts begin with, `tokenizer.json` decides alone, as in transformers 5:
    /// `add_bos_token` in `tokenizer_config.json` changes nothing.
    ///
    /// # Errors
    /// As for a file, and if one of the others cannot be read.
    pub fn from_folder(folder: impl AsRef<Path>, eos: Option<u32>) -> Result<Self> {
        let folder = folder.as_ref();
        let tokenizer = Self::from_file(folder.join(FILE), eos)?;
        Ok(Self { beside: Some(beside::read(folder)?), ..tokenizer })
    }

    fn new(mut inner: tokenizers::Tokenizer, path: PathBuf, eos: Option<u32>) -> Result<Self> {
        if let Some(eos) = eos.filter(|eos| inner.id_to_token(*eos).is_none()) {
            return Err(failed(
                &path,
                format!("expected a token with the id {eos} to end texts, found none"),
            ));
        }
        // A file may ask for both; here the whole text counts, and batches are padded elsewhere.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| failed(&path, error))?;
        let special = SpecialTokens::of(&mut inner).map_err(|error| failed(&path, error))?;
        let encode =
            |special| inner.encode_fast("a", special).map_err(|error| failed(&path, error));
        let (with, without) = (encode(true)?, encode(false)?);
        let (with, without) = (with.get_ids(), without.get_ids());
        let before = with.windows(without.len().max(1)).position(|window| window == without);
        let bos = match &with[..before.unwrap_or(0)] {
            [] => None,
            [bos] => Some(*bos),
            more => {
                let reason = format!("expected one token at most to begin texts, found {more:?}");
                return Err(failed(&path, reason));
            }
        };
        let lines = Continuation::of(&inner).map_err(|error| failed(&path, error))?;
        Ok(Self {
            inner,
            path,
            bos,
            eos,
            special,
            lines,
            cache: LineCache::default(),
            beside: None,
        })
    }

    /// Number of tokens: the highest id plus one.
    #[must_use]
    pub fn vocab(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    /// The token that begins a text.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token that ends a text.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.eos
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

    /// A text that goes on: BOS and its tokens.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids: Vec<u32> = self.bos.into_iter().collect();
        self.encode_run(text, &[], false, &mut ids)?;
        Ok(ids)
    }

    /// A whole text: BOS, its tokens and EOS.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn encode_whole(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.encode(text)?;
        ids.extend(self.eos);
        Ok(ids)
    }

    /// A text in parts. It begins with BOS, once: not if its markup does already.
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

    /// A prompt and its answer, with BOS and EOS.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if the answer has none, and if the tokenizers library refuses.
    pub fn encode_pair(&self, prompt: &str, answer: &str) -> Result<Encoded> {
        let mut ids: Vec<u32> = self.bos.into_iter().collect();
        let text = format!("{prompt}{answer}");
        let starts = self.encode_run(&text, &[0, prompt.len()], false, &mut ids)?;
        let (start, border, tokens) = (starts[0], starts[1], ids.len());
        if border == tokens {
            return Err(Error::NoTokens { what: "the answer", text: answer.into() });
        }
        ids.extend(self.eos);
        Ok(Encoded { ids, spans: vec![start..border, border..tokens] })
    }

    /// A sample to train on: the answer's tokens are trained, and with them the token that ends the
    /// turn. That is the first special token of the markup behind the answer, or else EOS; what the
    /// markup has behind it is left out.
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
            encoded.ids.extend(self.eos);
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

    /// The files of a folder that [`from_folder`](Self::from_folder) makes this tokenizer of, names and contents:
    /// `tokenizer.json`, and of those that lay beside it `tokenizer_config.json`, `special_tokens_map.json`,
    /// `added_tokens.json`, `chat_template.jinja` and `generation_config.json`, unchanged.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let mut files = vec![(FILE, self.to_json()?.into_bytes())];
        files.extend(self.beside.iter().flatten().cloned());
        Ok(files)
    }

    /// Names of all files that [`files`](Self::files) may give: of a tokenizer that was not read from a folder,
    /// `tokenizer.json` alone, for what may lie beside that is not known.
    pub fn file_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let beside: &[&str] = if self.beside.is_some() { &beside::NAMES } else { &[] };
        std::iter::once(FILE).chain(beside.iter().copied())
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
        if ids.is_empty() && self.bos != Some(follows) {
            ids.extend(self.bos);
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
            None => self.encode_at_once(text, cuts, goes_on, ids),
        }
    }

    fn encode_at_once(
        &self,
        text: &str,
        cuts: &[usize],
        goes_on: bool,
        ids: &mut Vec<u32>,
    ) -> Result<Vec<usize>> {
        // A text that goes on has something before it: a line break, whose tokens are left out again.
        let before = if goes_on { "\n" } else { "" };
        let encoding = self.inner.encode(format!("{before}{text}"), false);
        let encoding = encoding.map_err(|error| failed(&self.path, error))?;
        let ends: Vec<usize> = encoding.get_offsets().iter().map(|(_, end)| *end).collect();
        let first_behind =
            |place: usize| ends.iter().position(|end| *end > place).unwrap_or(ends.len());
        let left_out = if goes_on { first_behind(before.len()) } else { 0 };
        let first = ids.len();
        ids.extend_from_slice(&encoding.get_ids()[left_out..]);
        let place = |&cut: &usize| {
            let cut = if cut == 0 { left_out } else { first_behind(before.len() + cut) };
            first + cut.max(left_out) - left_out
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

fn failed(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Tokenizer { path: path.to_owned(), source: error.into() }
}

#[cfg(test)]
mod tests;
