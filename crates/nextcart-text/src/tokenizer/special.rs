//! The tokens that a chat template's markup names.

use tokenizers::{ModelWrapper, Result, Tokenizer};

/// Special tokens by name.
#[derive(Debug)]
pub(super) struct SpecialTokens {
    /// The longest names first, so that none hides another.
    tokens: Vec<(String, u32)>,
    unknown: Option<u32>,
    prefix_behind: bool,
}

/// A special token in a text.
pub(super) struct Found<'a> {
    pub(super) before: &'a str,
    pub(super) id: u32,
    pub(super) after: &'a str,
}

impl SpecialTokens {
    pub(super) fn of(inner: &mut Tokenizer) -> Result<Self> {
        let added = inner.get_added_tokens_decoder();
        let mut tokens: Vec<(String, u32)> = added
            .into_iter()
            .filter(|(_, token)| token.special && !token.content.is_empty())
            .map(|(id, token)| (token.content, id))
            .collect();
        tokens.sort_by(|(a, x), (b, y)| (b.len(), a, x).cmp(&(a.len(), b, y)));
        let unknown = match inner.get_model() {
            ModelWrapper::BPE(model) => model.unk_token.clone(),
            ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
            ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
            ModelWrapper::Unigram(_) => Some("<unk>".to_owned()),
        };
        // A byte-level vocabulary lacks nothing, and yet may have a token for it.
        let unknown = unknown.and_then(|name| inner.token_to_id(&name));
        let unknown = unknown.or_else(|| inner.token_to_id("<unk>"));
        let prefix_behind = match tokens.first() {
            Some((name, _)) => prefix_behind(inner, name)?,
            None => false,
        };
        Ok(Self { tokens, unknown, prefix_behind })
    }

    pub(super) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    pub(super) fn holds(&self, id: u32) -> bool {
        self.tokens.iter().any(|(_, special)| *special == id)
    }

    /// Whether a text behind a special token begins as one at the start does, with the mark of a word.
    pub(super) fn prefix_behind(&self) -> bool {
        self.prefix_behind
    }

    /// The first special token that a text names.
    pub(super) fn find<'a>(&self, text: &'a str) -> Option<Found<'a>> {
        let named = self.tokens.iter().filter_map(|(name, id)| Some((text.find(name)?, name, *id)));
        // Of those at one place the longest, which is the first in the list.
        let (start, name, id) = named.min_by_key(|(start, ..)| *start)?;
        Some(Found { before: &text[..start], id, after: &text[start + name.len()..] })
    }
}

fn prefix_behind(inner: &mut Tokenizer, special: &str) -> Result<bool> {
    inner.set_encode_special_tokens(false);
    let behind = inner.encode_fast(format!("{special}a"), false)?;
    let alone = inner.encode_fast("a", false)?;
    Ok(behind.get_ids().get(1..) == Some(alone.get_ids()))
}
