//! The tokens that a chat template's markup names.

use tokenizers::{ModelWrapper, Result, Tokenizer};

/// Special tokens by name.
#[derive(Debug)]
pub(super) struct SpecialTokens {
    /// The longest names first, so that none hides another.
    tokens: Vec<Special>,
    unknown: Option<u32>,
    prefix_behind: bool,
}

#[derive(Debug)]
struct Special {
    name: String,
    id: u32,
    /// Whether it takes in the white space before it, and behind it.
    strips: [bool; 2],
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
        let mut tokens: Vec<Special> = added
            .into_iter()
            .filter(|(_, token)| token.special && !token.content.is_empty())
            .map(|(id, token)| Special {
                name: token.content,
                id,
                strips: [token.lstrip, token.rstrip],
            })
            .collect();
        tokens.sort_by_key(|token| (std::cmp::Reverse(token.name.len()), token.id));
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
            Some(token) => prefix_behind(inner, &token.name)?,
            None => false,
        };
        Ok(Self { tokens, unknown, prefix_behind })
    }

    pub(super) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    pub(super) fn holds(&self, id: u32) -> bool {
        self.tokens.iter().any(|token| token.id == id)
    }

    /// Whether a text behind a special token begins as one at the start does, with the mark of a word.
    pub(super) fn prefix_behind(&self) -> bool {
        self.prefix_behind
    }

    /// The first special token that a text names.
    pub(super) fn find<'a>(&self, text: &'a str) -> Option<Found<'a>> {
        let named = self.tokens.iter().filter_map(|token| Some((text.find(&token.name)?, token)));
        // Of those at one place the longest, which is the first in the list.
        let (start, token) = named.min_by_key(|(start, _)| *start)?;
        let (mut before, mut after) = (&text[..start], &text[start + token.name.len()..]);
        if token.strips[0] {
            before = before.trim_end();
        }
        if token.strips[1] {
            after = after.trim_start();
        }
        Some(Found { before, id: token.id, after })
    }
}

fn prefix_behind(inner: &mut Tokenizer, special: &str) -> Result<bool> {
    inner.set_encode_special_tokens(false);
    let behind = inner.encode_fast(format!("{special}a"), false);
    inner.set_encode_special_tokens(true);
    let behind = behind?;
    let alone = inner.encode_fast("a", false)?;
    Ok(behind.get_ids().get(1..) == Some(alone.get_ids()))
}
