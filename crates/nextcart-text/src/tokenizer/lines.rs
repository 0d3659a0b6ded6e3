//! Tokens line by line, for vocabularies in which that gives the tokens of the whole text.

use tokenizers::{Result, Tokenizer};

use super::cache::LineCache;

/// How a line that goes on is tokenised.
///
/// A line with the line break before it, alone, gives the marks of a beginning text, then the token of
/// the break, then the line's own tokens: those that it has inside a text.
#[derive(Debug)]
pub(super) struct Continuation {
    /// What a beginning text has before a line break.
    prefix: Vec<u32>,
}

/// Texts on which the tokens by line must be those of the whole, before lines are trusted.
const PROBES: [&str; 6] = [
    "Green Tea, 100 Bags\nTea Strainer\n\nOptions:\nHoney",
    " two  spaces \n and\ttabs \n",
    "\n\nCrème brûlée ☃\n日本語 text\n",
    "a\r\nb\n\u{a0}c\n",
    "word\n\n\nword word\n1234567890\n",
    "[INST] x [/INST]\n### Response:\n</s>",
];

impl Continuation {
    /// `None` if a token of the vocabulary spans a line break, or if the tokens of the whole text are
    /// others for another reason.
    pub(super) fn of(inner: &Tokenizer) -> Result<Option<Self>> {
        let spans = inner.get_vocab(true).into_keys().any(|token| {
            let breaks = token.matches(['\n', 'Ċ']).count();
            breaks > 0 && token.chars().count() > 1
        });
        // Words of the vocabulary that take in the white space beside them could take in a break.
        let added = inner.get_added_tokens_decoder();
        let spans =
            spans || added.values().any(|token| !token.special && (token.lstrip || token.rstrip));
        let (one, two) = (inner.encode_fast("\n", false)?, inner.encode_fast("\n\n", false)?);
        let (one, two) = (one.get_ids(), two.get_ids());
        let Some((&line_break, prefix)) = one.split_last() else { return Ok(None) };
        if spans || two != [one, &[line_break]].concat() {
            return Ok(None);
        }
        let lines = Self { prefix: prefix.to_vec() };
        let cache = LineCache::default();
        for probe in PROBES {
            let mut ids = Vec::new();
            lines.encode(inner, &cache, probe, &[], false, &mut ids)?;
            if ids != inner.encode_fast(probe, false)?.get_ids() {
                return Ok(None);
            }
        }
        Ok(Some(lines))
    }

    /// Appends the tokens of a text and gives, for each cut, the first token behind it. `goes_on`: the
    /// text does not begin one.
    pub(super) fn encode(
        &self,
        inner: &Tokenizer,
        cache: &LineCache,
        text: &str,
        cuts: &[usize],
        goes_on: bool,
        ids: &mut Vec<u32>,
    ) -> Result<Vec<usize>> {
        let mut places = Vec::with_capacity(cuts.len());
        let mut cuts = cuts.iter().copied().peekable();
        let mut start = 0;
        while start < text.len() {
            let from = start + usize::from(text.as_bytes()[start] == b'\n');
            let end = text[from..].find('\n').map_or(text.len(), |line| from + line);
            let piece = &text[start..end];
            let first = ids.len();
            while cuts.next_if(|cut| *cut == start).is_some() {
                places.push(first);
            }
            // The break is a token of its own, behind the marks of a beginning text if it begins one.
            let alone = start == 0 && !goes_on;
            while cuts.next_if(|cut| *cut == from).is_some() {
                places.push(first + 1 + if alone { self.prefix.len() } else { 0 });
            }
            if cuts.peek().is_none_or(|cut| *cut >= end) {
                cache.append(piece, alone, ids, || self.piece(inner, piece, alone))?;
            } else {
                let tokens = self.piece_with_ends(inner, piece, alone)?;
                ids.extend(tokens.iter().map(|(id, _)| *id));
                while let Some(cut) = cuts.next_if(|cut| *cut < end) {
                    let behind = tokens.iter().position(|(_, ends)| start + ends > cut);
                    places.push(first + behind.unwrap_or(tokens.len()));
                }
            }
            start = end;
        }
        places.extend(cuts.map(|_| ids.len()));
        Ok(places)
    }

    /// Tokens of a line with the break before it, or of the first line of a text.
    fn piece(&self, inner: &Tokenizer, piece: &str, alone: bool) -> Result<Vec<u32>> {
        if alone {
            return Ok(inner.encode_fast(piece, false)?.get_ids().to_vec());
        }
        let broken = piece.starts_with('\n');
        let text = if broken { piece.to_owned() } else { format!("\n{piece}") };
        let encoding = inner.encode_fast(text, false)?;
        let skipped = self.prefix.len() + usize::from(!broken);
        let tokens = encoding.get_ids().get(skipped..);
        Ok(tokens.ok_or("a line break gave no token")?.to_vec())
    }

    /// As [`Self::piece`], each token with the place in the piece where its text ends.
    fn piece_with_ends(
        &self,
        inner: &Tokenizer,
        piece: &str,
        alone: bool,
    ) -> Result<Vec<(u32, usize)>> {
        let broken = piece.starts_with('\n');
        let added = usize::from(!alone && !broken);
        let text = if added == 1 { format!("\n{piece}") } else { piece.to_owned() };
        let encoding = inner.encode(text, false)?;
        let skipped = if alone { 0 } else { self.prefix.len() + added };
        let tokens = encoding.get_ids().iter().zip(encoding.get_offsets()).skip(skipped);
        Ok(tokens.map(|(id, (_, end))| (*id, end.saturating_sub(added))).collect())
    }
}
