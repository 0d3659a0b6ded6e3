//! Texts that go on in several ways.

use crate::input::sees;

/// A text that goes on in several ways, or in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branched<'a> {
    /// What all branches follow.
    pub prompt: &'a [u32],
    /// How it goes on; a branch may be empty.
    pub branches: Vec<&'a [u32]>,
}

/// Where a token of a packed row belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    text: usize,
    branch: Option<usize>,
    pub(crate) position: usize,
}

impl<'a> Branched<'a> {
    pub(crate) fn whole(prompt: &'a [u32]) -> Self {
        Self { prompt, branches: Vec::new() }
    }

    /// Number of tokens of prompt and branches together.
    #[must_use]
    pub fn token_count(&self) -> usize {
        self.prompt.len() + self.branches.iter().map(|branch| branch.len()).sum::<usize>()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.prompt.iter().chain(self.branches.iter().copied().flatten()).copied()
    }

    /// Its tokens, as those of the `text`-th of a row.
    pub(crate) fn tokens(&self, text: usize) -> Vec<Token> {
        let start = self.prompt.len();
        let prompt = (0..start).map(|position| Token { text, branch: None, position });
        let branches = self.branches.iter().enumerate().flat_map(|(index, branch)| {
            let branch_of =
                move |place| Token { text, branch: Some(index), position: start + place };
            (0..branch.len()).map(branch_of)
        });
        prompt.chain(branches).collect()
    }
}

impl Token {
    /// Whether this token, as a query, sees a key.
    pub(crate) fn sees(&self, key: &Self, window: usize) -> bool {
        let shared = key.branch.is_none() || key.branch == self.branch;
        self.text == key.text && shared && sees(self.position, key.position, window)
    }
}
