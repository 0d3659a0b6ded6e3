//! What several texts have in common at their start.

/// Number of tokens with which all texts begin, each given with the place before which it may be shared.
///
/// Answers to one prompt share the prompt; but a tokenizer may join its end with the start of an answer, and
/// then the last token is not theirs in common.
///
/// ```
/// use nextcart_text::shared_prefix;
///
/// let texts = [(&[1, 5, 9, 7][..], 3), (&[1, 5, 8, 7][..], 3)];
/// assert_eq!(shared_prefix(texts), 2);
/// ```
#[must_use]
pub fn shared_prefix<'a>(texts: impl IntoIterator<Item = (&'a [u32], usize)>) -> usize {
    let mut texts = texts.into_iter();
    let Some((first, most)) = texts.next() else { return 0 };
    texts.fold(most.min(first.len()), |shared, (other, most)| {
        let most = shared.min(most).min(other.len());
        let differ = first.iter().zip(other).take(most).position(|(a, b)| a != b);
        differ.unwrap_or(most)
    })
}
