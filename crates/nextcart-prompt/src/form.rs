//! What a prompt asks about: the whole question, one candidate, or two of them.

use std::fmt;

/// What one prompt of a template asks about.
///
/// A template file that asks about less than the whole question says so in a line of its head,
/// `asks: candidate` or `asks: pair`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Form {
    /// All candidates at once.
    #[default]
    Question,
    /// One candidate, the variable `candidate`: is it bought? The output part sees `chosen`, whether
    /// it is.
    Candidate,
    /// Two candidates, the variables `first` and `second`: which of them is bought? The output part
    /// sees `first_chosen`, whether it is the first.
    Pair,
}

impl Form {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Question, Self::Candidate, Self::Pair].into_iter().find(|form| form.name() == name)
    }

    /// The name that template files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Candidate => "candidate",
            Self::Pair => "pair",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
