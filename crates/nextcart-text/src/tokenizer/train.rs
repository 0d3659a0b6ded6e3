//! A small tokenizer from texts at hand.

use std::path::Path;

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior};

use super::{Tokenizer, failed};
use crate::error::Result;

/// Special tokens of a trained tokenizer, with the ids 0, 1 and 2 that Llama gives them.
const SPECIAL: [&str; 3] = ["<unk>", "<s>", "</s>"];

/// What errors call a tokenizer that has no file.
const IN_MEMORY: &str = "(in memory)";

impl Tokenizer {
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
}
