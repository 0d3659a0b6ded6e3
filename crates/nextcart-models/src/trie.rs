//! The answers that are allowed, as a tree of tokens.

use std::collections::BTreeMap;

/// Token sequences that share their beginnings, such as the titles of a catalogue.
///
/// Generation that is constrained to a trie always ends in one of its sequences, and a ranking of all
/// of them computes what they share once.
///
/// ```
/// use nextcart_models::TokenTrie;
///
/// let trie = TokenTrie::new([&[7, 8, 2][..], &[7, 9, 2]]);
/// assert_eq!(trie.next(&[]), [7]);
/// assert_eq!(trie.next(&[7]), [8, 9]);
/// assert_eq!(trie.find(&[7, 9, 2]), Some(1));
/// ```
#[derive(Debug, Clone, Default)]
pub struct TokenTrie {
    nodes: Vec<Node>,
    /// For each sequence, the first that is equal to it.
    sequences: Vec<usize>,
}

/// A beginning that some sequences share.
#[derive(Debug, Clone, Default)]
struct Node {
    children: BTreeMap<u32, usize>,
    /// The sequence that ends here.
    ends: Option<usize>,
}

/// The node of the empty beginning.
pub(crate) const ROOT: usize = 0;

impl TokenTrie {
    /// A trie of sequences. Let each end in the token that ends a text, so that none is the beginning
    /// of another; of equal ones the first counts.
    ///
    /// # Panics
    /// If a sequence is empty.
    #[must_use]
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut trie = Self { nodes: vec![Node::default()], sequences: Vec::new() };
        for (index, sequence) in sequences.into_iter().enumerate() {
            assert!(!sequence.is_empty(), "a sequence needs at least one token");
            let mut node = ROOT;
            for &token in sequence {
                let fresh = trie.nodes.len();
                let next = *trie.nodes[node].children.entry(token).or_insert(fresh);
                if next == fresh {
                    trie.nodes.push(Node::default());
                }
                node = next;
            }
            let first = *trie.nodes[node].ends.get_or_insert(index);
            trie.sequences.push(first);
        }
        trie
    }

    /// Number of sequences that went in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether no sequence went in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Number of tokens that have to be computed to know all sequences.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.nodes.len().saturating_sub(1)
    }

    /// The tokens that may follow a beginning, in ascending order; none if no sequence begins so.
    #[must_use]
    pub fn next(&self, beginning: &[u32]) -> Vec<u32> {
        self.walk(beginning)
            .map(|node| self.children(node).map(|(token, _)| token).collect())
            .unwrap_or_default()
    }

    /// Index of the sequence.
    #[must_use]
    pub fn find(&self, sequence: &[u32]) -> Option<usize> {
        self.ends(self.walk(sequence)?)
    }

    fn walk(&self, beginning: &[u32]) -> Option<usize> {
        let root = (!self.nodes.is_empty()).then_some(ROOT)?;
        beginning.iter().try_fold(root, |node, token| self.child(node, *token))
    }

    /// Gives all equal sequences what the first of them has.
    pub(crate) fn spread<T: Copy>(&self, firsts: Vec<T>) -> Vec<T> {
        self.sequences.iter().map(|first| firsts[*first]).collect()
    }

    pub(crate) fn child(&self, node: usize, token: u32) -> Option<usize> {
        self.nodes[node].children.get(&token).copied()
    }

    pub(crate) fn children(&self, node: usize) -> impl Iterator<Item = (u32, usize)> + '_ {
        self.nodes[node].children.iter().map(|(token, child)| (*token, *child))
    }

    pub(crate) fn ends(&self, node: usize) -> Option<usize> {
        self.nodes[node].ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_shared_and_ends_found() {
        let trie = TokenTrie::new([&[5, 6, 2][..], &[5, 2], &[7, 2], &[5, 6, 2]]);
        assert_eq!((trie.len(), trie.tokens()), (4, 6));
        assert_eq!(trie.next(&[]), [5, 7]);
        assert_eq!(trie.next(&[5]), [2, 6]);
        assert_eq!(trie.next(&[5, 2]), [0; 0]);
        assert_eq!(trie.next(&[9]), [0; 0]);
        assert_eq!(
            [&[5, 6, 2][..], &[5, 2], &[7, 2], &[5]].map(|s| trie.find(s)),
            [Some(0), Some(1), Some(2), None]
        );
        assert!(TokenTrie::default().is_empty() && TokenTrie::default().next(&[]).is_empty());
    }
}
