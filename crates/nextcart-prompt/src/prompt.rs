//! A rendered question, and the text around its parts.

use serde::{Deserialize, Serialize};

use crate::{Segment, SegmentKind};

/// A question as text, in three parts without surrounding white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prompt {
    /// What to do.
    pub instruction: String,
    /// History and options.
    pub input: String,
    /// The answer.
    pub output: String,
}

/// The text that joins instruction and input and announces the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Wrapper {
    /// The parts, a line break between them, then `Answer:` on a line of its own. The shortest, for
    /// models that are fine-tuned anyway.
    #[default]
    Plain,
    /// The wording of Stanford Alpaca (<https://github.com/tatsu-lab/stanford_alpaca>), the form
    /// without an input where the input is empty, and a line break after `### Response:`.
    Alpaca,
    /// What the seed project put around its prompts, a variant of Alpaca's second form; for the
    /// template `seed` and its kin, whose input is empty. Another input follows the instruction.
    Seed,
}

impl Prompt {
    /// Everything before the answer; the whole text is `prefix + output`.
    ///
    /// The prefix ends in a line break with every wrapper and the output starts with no white
    /// space, which makes the place between them a token boundary: byte-level BPE tokenizers
    /// attach a *space* to the word after it but never a line break, and the SentencePiece
    /// vocabularies of the Llama family have no piece that spans one. A prefix that ends in a space
    /// would not have this property. The lists of the `next_purchase` family start each title on a
    /// new line as well, so that a title has the same tokens there and in the answer.
    #[must_use]
    pub fn prefix(&self, wrapper: Wrapper) -> String {
        let Self { instruction, input, .. } = self;
        match (wrapper, instruction.is_empty(), input.is_empty()) {
            (Wrapper::Plain, false, false) => format!("{instruction}\n{input}\nAnswer:\n"),
            (Wrapper::Plain, true, true) => "Answer:\n".to_owned(),
            (Wrapper::Plain, _, _) => format!("{instruction}{input}\nAnswer:\n"),
            (Wrapper::Alpaca, _, false) => format!(
                "Below is an instruction that describes a task, paired with an input that provides \
                 further context. Write a response that appropriately completes the request.\n\n\
                 ### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
            ),
            (Wrapper::Seed, _, _) => {
                let joint = if input.is_empty() { "" } else { "\n" };
                format!(
                    "Below is an instruction that describes a user's interaction history with \
                     products on Amazon. Write a response that appropriately completes the request.\n\n\
                     ### Instruction:\n{instruction}{joint}{input}\n\n### Response:\n"
                )
            }
            (Wrapper::Alpaca, _, true) => format!(
                "Below is an instruction that describes a task. Write a response that \
                 appropriately completes the request.\n\n\
                 ### Instruction:\n{instruction}\n\n### Response:\n"
            ),
        }
    }

    /// The text in its parts: everything before the answer, and the answer.
    #[must_use]
    pub fn segments(&self, wrapper: Wrapper) -> Vec<Segment> {
        vec![
            Segment::new(SegmentKind::Text, self.prefix(wrapper)),
            Segment::new(SegmentKind::Answer, self.output.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wrapper: Wrapper, instruction: &str, input: &str, expected: &str) {
        let own = str::to_owned;
        let prompt = Prompt { instruction: own(instruction), input: own(input), output: own("x") };
        assert_eq!(prompt.prefix(wrapper), expected);
    }

    #[test]
    fn plain_joins_the_parts_that_are_there() {
        check(Wrapper::Plain, "Do", "this", "Do\nthis\nAnswer:\n");
        check(Wrapper::Plain, "Do", "", "Do\nAnswer:\n");
        check(Wrapper::Plain, "", "this", "this\nAnswer:\n");
        check(Wrapper::Plain, "", "", "Answer:\n");
    }

    #[test]
    fn alpaca_is_the_published_wording_and_a_line_break() {
        let expected = "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nDo\n\n### Input:\nthis\n\n### Response:\n";
        check(Wrapper::Alpaca, "Do", "this", expected);
    }

    #[test]
    fn alpaca_without_input_uses_its_second_form() {
        let expected = "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nDo\n\n### Response:\n";
        check(Wrapper::Alpaca, "Do", "", expected);
    }
}
