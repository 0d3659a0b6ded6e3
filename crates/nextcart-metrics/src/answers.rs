//! Answers in free text: some are none of the options.

use crate::error::{Result, mean, same_length};

/// How many answers were options at all, and how many the right one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerShares {
    /// Share of answers that are one of the options, in `[0, 1]`: the valid ratio (Liao et al., *LLaRA*,
    /// <https://arxiv.org/abs/2312.02445>).
    pub valid: f64,
    /// Share of right answers among all, in `[0, valid]`: one outside the options is wrong.
    pub accuracy: f64,
    /// Share of right answers among the valid ones, `accuracy / valid`; `None` where none is valid. It
    /// flatters a model that answers only where it is sure, so never quote it alone.
    pub accuracy_of_valid: Option<f64>,
}

/// The shares of answers that are options and right; an answer is the index of an option, or `None` where it
/// is none of them. `None` without answers.
///
/// # Errors
/// If the slices differ in length.
pub fn answer_shares<T: PartialEq>(
    truth: &[T],
    answers: &[Option<T>],
) -> Result<Option<AnswerShares>> {
    same_length(("truth", truth), ("answers", answers))?;
    let share = |counts: &dyn Fn(&T, &Option<T>) -> bool| {
        let pairs = truth.iter().zip(answers);
        mean(pairs.map(|(truth, answer)| f64::from(u8::from(counts(truth, answer)))))
    };
    let valid = share(&|_, answer| answer.is_some());
    let accuracy = share(&|truth, answer| answer.as_ref() == Some(truth));
    Ok(valid.zip(accuracy).map(|(valid, accuracy)| AnswerShares {
        valid,
        accuracy,
        accuracy_of_valid: (valid > 0.0).then(|| accuracy / valid),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_outside_the_options_is_wrong() {
        let shares = answer_shares(&[0, 1, 2, 3], &[Some(0), Some(0), None, Some(3)]).unwrap();
        let expected =
            AnswerShares { valid: 0.75, accuracy: 0.5, accuracy_of_valid: Some(0.5 / 0.75) };
        assert_eq!(shares, Some(expected));
    }

    #[test]
    fn no_valid_answer_has_no_accuracy_of_its_own() {
        let shares = answer_shares(&[0, 1], &[None, None]).unwrap().unwrap();
        assert_eq!((shares.valid, shares.accuracy, shares.accuracy_of_valid), (0.0, 0.0, None));
        assert_eq!(answer_shares::<u8>(&[], &[]), Ok(None));
        assert!(answer_shares(&[1], &[]).is_err());
    }
}
