//! Share of right answers to a caller's questions.

/// Answers to questions, counted as they come.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Accuracy {
    hits: f64,
    questions: u64,
}

impl Accuracy {
    /// Adds an answer: 1 if right, 0 if wrong, a part of it for ties.
    pub fn add(&mut self, hit: f64) {
        self.hits += hit;
        self.questions += 1;
    }

    /// Number of answers.
    #[must_use]
    pub fn questions(&self) -> u64 {
        self.questions
    }

    /// Share of right answers, in `[0, 1]`; `None` without any.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.questions > 0).then(|| self.hits / self.questions as f64)
    }
}
