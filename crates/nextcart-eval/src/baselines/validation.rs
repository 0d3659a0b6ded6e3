//! The questions that a baseline may be fitted on.

use nextcart_data::{Part, Question};

use crate::error::{Error, Result};

/// There must be some, all of validation: answers of training stand in the histories that baselines count, and those of
/// the test are for the score.
pub(super) fn check_validation(questions: &[Question], purpose: &'static str) -> Result<()> {
    if questions.is_empty() {
        return Err(Error::NoQuestions { purpose });
    }
    match questions.iter().find(|question| question.part != Part::Validation) {
        None => Ok(()),
        Some(question) => {
            let found = format!("question `{}` of {:?}", question.id, question.part);
            Err(Error::option("validation", "questions of validation", found))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;

    #[test]
    fn questions_of_validation_alone_are_taken() {
        let of = |part| Question { part, ..question("q7", &[], &["a", "b"], 0) };
        assert!(check_validation(&[of(Part::Validation)], "fit").is_ok());
        for (part, name) in [(Part::Train, "Train"), (Part::Test, "Test")] {
            let error = check_validation(&[of(Part::Validation), of(part)], "fit").unwrap_err();
            let expected =
                format!("expected questions of validation, found question `q7` of {name}");
            assert!(error.to_string().contains(&expected), "{error}");
        }
        assert!(matches!(check_validation(&[], "fit"), Err(Error::NoQuestions { .. })));
    }
}
