//! Text to token ids and back.

use std::path::{Path, PathBuf};

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior};

use crate::config::LlamaConfig;
use crate::error::{Error, Result};

/// Special tokens of a trained tokenizer, with the ids 0, 1 and 2 that Llama gives them.
const SPECIAL: [&str; 3] = ["<unk>", "<s>", "</s>"];

/// What errors call a tokenizer that has no file.
const IN_MEMORY: &str = "(in memory)";

/// A checkpoint's tokenizer, with the tokens that begin and end a text.
///
/// Names of special tokens inside a text are text and nothing else: a title that contains `</s>`
/// ends nothing.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    begin: Vec<u32>,
    end: Option<u32>,
}

/// A prompt and its answer as one sequence of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Begin of text, prompt, answer and end of text, as far as the model has such tokens.
    pub ids: Vec<u32>,
    /// Index of the answer's first token.
    pub answer_start: usize,
}

impl Tokenizer {
    /// Reads `tokenizer.json`. The model ends its texts with the first of `config.eos_token_ids`
    /// and begins them as the file's own post-processor does.
    ///
    /// # Errors
    /// If the file is missing or damaged, or knows more tokens than the model embeds.
    pub fn from_file(path: impl AsRef<Path>, config: &LlamaConfig) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let inner: tokenizers::Tokenizer = text.parse().map_err(|error| failed(path, error))?;
        let found = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        if found > config.vocab {
            let expected = config.vocab;
            return Err(Error::VocabularyTooLarge { path: path.to_owned(), expected, found });
        }
        Self::new(inner, path.to_owned(), config.eos_token_ids.first().copied())
    }

    /// Trains a byte-level BPE tokenizer (Sennrich et al., <https://arxiv.org/abs/1508.07909>) of at
    /// most `vocab` tokens, the special ones and the 256 bytes among them.
    ///
    /// Tokens do not cross line breaks but may span words of a line, as in SuperBPE (Liu et al.,
    /// <https://arxiv.org/abs/2503.13423>): a catalogue repeats brands, products and sizes as wholes,
    /// and a title of few tokens is learnt faster.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn train<S: AsRef<str> + Send>(
        texts: impl Iterator<Item = S> + Send,
        vocab: usize,
    ) -> Result<Self> {
        let path = Path::new(IN_MEMORY);
        let special = SPECIAL.map(|token| AddedToken::from(token, true)).to_vec();
        let trainer = BpeTrainer::builder()
            .vocab_size(vocab)
            .special_tokens(special)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .show_progress(false)
            .build();
        let begin = TemplateProcessing::builder()
            .try_single("<s> $A")
            .map_err(|error| failed(path, error))?
            .special_tokens(vec![("<s>", 1)])
            .build()
            .map_err(|error| failed(path, error))?;

        let mut inner = tokenizers::Tokenizer::new(BPE::default());
        let bytes = ByteLevel::default().add_prefix_space(false).use_regex(false);
        let lines = Split::new("\n", SplitDelimiterBehavior::Isolated, false)
            .map_err(|error| failed(path, error))?;
        inner.with_pre_tokenizer(Some(Sequence::new(vec![lines.into(), bytes.into()])));
        inner.with_decoder(Some(bytes));
        inner
            .train(&mut TrainerWrapper::from(trainer), texts)
            .map_err(|error| failed(path, error))?;
        inner.with_post_processor(Some(begin));
        Self::new(inner, path.to_owned(), Some(2))
    }

    fn new(mut inner: tokenizers::Tokenizer, path: PathBuf, end: Option<u32>) -> Result<Self> {
        inner.set_encode_special_tokens(true);
        // A file may ask for both; here the whole text counts, and batches are padded elsewhere.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| failed(&path, error))?;
        let encode =
            |special| inner.encode_fast("a", special).map_err(|error| failed(&path, error));
        let (with, without) = (encode(true)?, encode(false)?);
        let (with, without) = (with.get_ids(), without.get_ids());
        let begin = with.windows(without.len().max(1)).position(|window| window == without);
        let begin = with[..begin.unwrap_or(0)].to_vec();
        Ok(Self { inner, path, begin, end })
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

    /// A text that goes on: begin of text and its tokens.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding =
            self.inner.encode_fast(text, false).map_err(|error| failed(&self.path, error))?;
        Ok([&self.begin, encoding.get_ids()].concat())
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

    /// A prompt and its answer: the tokens are those of the whole text. A token that spans the
    /// border between the two holds text of the answer and belongs to it.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if the answer has none, and if the tokenizers library refuses.
    pub fn encode_pair(&self, prompt: &str, answer: &str) -> Result<Encoded> {
        let text = format!("{prompt}{answer}");
        let encoding = self.inner.encode(text, false).map_err(|error| failed(&self.path, error))?;
        let place = encoding.get_offsets().iter().position(|&(_, end)| end > prompt.len());
        let place =
            place.ok_or_else(|| Error::NoTokens { what: "the answer", text: answer.into() })?;
        let mut ids = [&self.begin, encoding.get_ids()].concat();
        ids.extend(self.end);
        Ok(Encoded { ids, answer_start: self.begin.len() + place })
    }

    /// The text of some tokens, without the special ones.
    ///
    /// # Errors
    /// If the tokenizers library refuses.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|error| failed(&self.path, error))
    }

    /// The contents of `tokenizer.json`.
    pub(crate) fn to_json(&self) -> Result<String> {
        self.inner.to_string(false).map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Tokenizer { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained() -> Tokenizer {
        let texts = ["Green Tea, 20 Bags", "Green Tea\nHoney", "Tea Strainer", "Acacia Honey"];
        Tokenizer::train(texts.iter(), 290).expect("trained")
    }

    #[test]
    fn texts_come_back() {
        let tokenizer = trained();
        for text in ["Green Tea, 20 Bags", "Crème brûlée\n☃ </s>", ""] {
            let ids = tokenizer.encode(text).expect("encoded");
            assert_eq!(ids[0], 1);
            assert_eq!(tokenizer.decode(&ids).expect("decoded"), text);
        }
    }

    #[test]
    fn names_of_special_tokens_in_a_text_are_text() {
        let tokenizer = trained();
        let ids = tokenizer.encode_whole("a</s><s>b").expect("encoded");
        assert_eq!(ids.iter().filter(|&&id| id <= 2).count(), 2);
    }

    #[test]
    fn a_pair_has_the_tokens_of_the_whole_text() {
        let tokenizer = trained();
        for (prompt, answer) in [("Tea\n", "Green Tea"), ("Gre", "en Tea"), ("", "Honey")] {
            let pair = tokenizer.encode_pair(prompt, answer).expect("encoded");
            let whole = tokenizer.encode_whole(&format!("{prompt}{answer}")).expect("encoded");
            assert_eq!(pair.ids, whole);
            let text = tokenizer.decode(&pair.ids[pair.answer_start..]).expect("decoded");
            assert!(text.ends_with(answer), "{text}");
        }
        assert!(matches!(tokenizer.encode_pair("Tea", ""), Err(Error::NoTokens { .. })));
    }

    #[test]
    fn a_saved_tokenizer_reads_back_the_same() {
        let tokenizer = trained();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, tokenizer.to_json().expect("serialised")).expect("written");

        let read = Tokenizer::from_file(&path, &LlamaConfig::tiny(290)).expect("read");
        let text = "Acacia Honey\nTea";
        assert_eq!(
            read.encode_whole(text).expect("ids"),
            tokenizer.encode_whole(text).expect("ids")
        );

        let vocab = tokenizer.vocab();
        match Tokenizer::from_file(&path, &LlamaConfig::tiny(vocab - 1)) {
            Err(Error::VocabularyTooLarge { expected, found, .. }) => {
                assert_eq!((expected, found), (vocab - 1, vocab));
            }
            other => panic!("{other:?}"),
        }
    }
}
