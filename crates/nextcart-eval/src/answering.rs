//! The ways in which a language model can answer.

/// How a language model answers a question's prompt.
///
/// What it chooses between is what the template answers with: titles, letters or numbers (its style), yes
/// and no for each candidate, or one of two for each pair (its form).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Answering {
    /// By the log-likelihood of each answer's tokens, `Σ_t ln P(a_t | prompt, a_{<t})`, in nats. Of yes and no,
    /// and of pairs, by the log-probability of the answer against the other.
    #[default]
    Likelihood,
    /// By the log-likelihood a token, which does not punish long titles, but favours those whose words
    /// determine each other (Gao et al., *A framework for few-shot language model evaluation*, `acc_norm`).
    /// Needs a template that asks about the whole question.
    PerToken,
    /// By pointwise mutual information with the history: the log-likelihood less that of the same prompt
    /// without the history, `ln P(a | prompt) - ln P(a | prompt without history)`, so that what is likely
    /// anyway gains nothing (Holtzman et al., *Surface Form Competition*, <https://arxiv.org/abs/2104.08315>).
    /// Costs twice as much. Its history-blind twin finds all options alike, whatever they give away: set it beside the
    /// same model's twin by likelihood.
    Pmi,
    /// Writes one of the answers, greedily token by token within the trie of all of them (De Cao et al., *GENRE*,
    /// <https://arxiv.org/abs/2010.00904>); always valid, and not always the likeliest. Needs a template that
    /// asks about the whole question.
    Constrained,
    /// Writes whatever is likeliest, greedily. The answer is the one whose first line equals the first line
    /// written, but for white space around and between words; anything else is none of the options and wrong.
    /// Needs a template that asks about the whole question.
    Free {
        /// Tokens at most.
        max_new_tokens: usize,
    },
}

impl Answering {
    /// In words, after "answer".
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Likelihood => "by likelihood",
            Self::PerToken => "by likelihood a token",
            Self::Pmi => "by mutual information with the history",
            Self::Constrained => "by writing one of the options",
            Self::Free { .. } => "by writing",
        }
    }
}

/// The first line of a text that is not blank, with single spaces between words.
pub(crate) fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_counts() {
        assert_eq!(first_line("\n  Green  Tea \nHoney"), "Green Tea");
        assert_eq!(first_line(" \n"), "");
    }
}
