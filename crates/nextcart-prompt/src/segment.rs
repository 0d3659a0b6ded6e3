//! A text for a model in stretches, each known by where it comes from.

/// What a stretch of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// Written by a chat template: names of special tokens in it are special tokens.
    Markup,
    /// Part of the prompt: text and nothing else, whatever it looks like.
    Text,
    /// Part of the answer: text and nothing else, and trained.
    Answer,
}

/// A stretch of a text for a model.
///
/// A text is a row of segments. Where one ends and the next begins is known from the start, so that
/// nobody has to look for a marker in the text, which a customer's words could contain as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The text.
    pub text: String,
    /// What it is.
    pub kind: SegmentKind,
}

impl Segment {
    /// A stretch of a kind.
    #[must_use]
    pub fn new(kind: SegmentKind, text: impl Into<String>) -> Self {
        Self { text: text.into(), kind }
    }
}
