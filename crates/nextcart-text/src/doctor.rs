//! A sample as the model will see it, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};
use nextcart_prompt::line;

use crate::{Sample, Tokenizer};

/// One token of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The token.
    pub id: u32,
    /// Its name in the vocabulary, as far as it has one.
    pub name: String,
    /// Whether it is trained.
    pub trained: bool,
    /// What the model learns to predict from here: the token that follows, if that is trained.
    pub label: Option<u32>,
}

/// Something that is wrong, or at least not as it mostly is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The text begins more than once.
    DoubleBos {
        /// Places of the BOS tokens.
        places: Vec<usize>,
    },
    /// The text does not begin with BOS.
    MissingBos,
    /// The last trained token is neither EOS nor another that ends turns: the model will not learn to
    /// stop.
    MissingEos,
    /// The vocabulary lacks something of the text.
    UnknownToken {
        /// Place of the token.
        place: usize,
    },
    /// Nothing but the end is trained.
    EmptyAnswer,
    /// Purchases were dropped to make the sample fit.
    Truncated {
        /// How many.
        dropped: usize,
    },
    /// Options that cannot be told from each other.
    DuplicateOption {
        /// What they say.
        option: String,
        /// How many say so.
        times: usize,
    },
}

impl Finding {
    /// What was found in general, without places and numbers: to count how many samples have it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DoubleBos { .. } => "the text begins more than once",
            Self::MissingBos => "the text does not begin with BOS",
            Self::MissingEos => "EOS is not trained: the model will not learn to stop",
            Self::UnknownToken { .. } => "a token stands for text that the vocabulary lacks",
            Self::EmptyAnswer => "the answer is empty",
            Self::Truncated { .. } => "purchases were dropped to make it fit",
            Self::DuplicateOption { .. } => "options say the same",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoubleBos { places } => {
                write!(f, "the text begins {} times, at tokens {places:?}", places.len())
            }
            Self::MissingBos | Self::MissingEos => f.write_str(self.kind()),
            Self::UnknownToken { place } => {
                write!(f, "token {place} stands for text that the vocabulary lacks")
            }
            Self::EmptyAnswer => write!(f, "the answer is empty: only EOS is trained"),
            Self::Truncated { dropped } => {
                write!(f, "{dropped} of the oldest purchases were dropped to make it fit")
            }
            Self::DuplicateOption { option, times } => {
                write!(f, "{times} options say `{option}`")
            }
        }
    }
}

/// A sample, token by token, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The text of the tokens.
    pub text: String,
    /// All tokens.
    pub rows: Vec<Row>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// The first row that is shown.
    first: usize,
}

/// Looks at a sample token by token.
///
/// # Errors
/// If the tokenizers library refuses to decode.
pub fn diagnose(sample: &Sample, tokenizer: &Tokenizer) -> crate::Result<Diagnosis> {
    let (ids, mask) = (sample.ids(), sample.loss_mask());
    let rows: Vec<Row> = (0..ids.len())
        .map(|at| Row {
            id: ids[at],
            name: tokenizer.name(ids[at]).unwrap_or_else(|| format!("#{}", ids[at])),
            trained: mask[at],
            label: mask.get(at + 1).is_some_and(|trained| *trained).then(|| ids[at + 1]),
        })
        .collect();
    let findings = begin(ids, tokenizer)
        .into_iter()
        .chain(end(sample, tokenizer))
        .chain(unknown(ids, tokenizer))
        .collect();
    let text = tokenizer.decode(ids)?;
    // What a terminal would act on is shown, not done.
    let text = text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    Ok(Diagnosis { text, rows, findings, first: 0 })
}

fn begin(ids: &[u32], tokenizer: &Tokenizer) -> Option<Finding> {
    let begin = tokenizer.bos()?;
    let is_begin = |(at, id): (usize, &u32)| (*id == begin).then_some(at);
    let places: Vec<usize> = ids.iter().enumerate().filter_map(is_begin).collect();
    match places.as_slice() {
        [0] => None,
        [0, ..] => Some(Finding::DoubleBos { places }),
        _ => Some(Finding::MissingBos),
    }
}

/// What is wrong with the trained tokens. A turn may end in another special token than the text.
fn end(sample: &Sample, tokenizer: &Tokenizer) -> Vec<Finding> {
    let trained: Vec<u32> = sample.trained().collect();
    let other = |id| Some(id) == tokenizer.bos() || Some(id) == tokenizer.unknown();
    let ends = |id: u32| tokenizer.eos() == Some(id) || tokenizer.is_special(id) && !other(id);
    let ended = trained.last().is_some_and(|id| ends(*id));
    let mut findings = Vec::new();
    if trained.len() == usize::from(ended) {
        findings.push(Finding::EmptyAnswer);
    }
    if !ended {
        findings.push(Finding::MissingEos);
    }
    findings
}

fn unknown(ids: &[u32], tokenizer: &Tokenizer) -> Vec<Finding> {
    let Some(unknown) = tokenizer.unknown() else { return Vec::new() };
    let places = ids.iter().enumerate().filter(|(_, id)| **id == unknown);
    places.map(|(place, _)| Finding::UnknownToken { place }).collect()
}

impl Diagnosis {
    /// Adds that purchases were dropped.
    #[must_use]
    pub fn with_dropped(mut self, dropped: usize) -> Self {
        self.findings.extend((dropped > 0).then_some(Finding::Truncated { dropped }));
        self
    }

    /// Adds options that say the same in a prompt, where white space is one space and no title ends in a colon.
    #[must_use]
    pub fn with_options<'a>(mut self, options: impl IntoIterator<Item = &'a str>) -> Self {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for option in options {
            *times.entry(line(option)).or_default() += 1;
        }
        let more = times.into_iter().filter(|(_, times)| *times > 1);
        self.findings
            .extend(more.map(|(option, times)| Finding::DuplicateOption { option, times }));
        self
    }

    /// Shows the rows from so many before the first trained token on, without the text.
    #[must_use]
    pub fn near_answer(mut self, before: usize) -> Self {
        let answer = self.rows.iter().position(|row| row.trained).unwrap_or_default();
        self.first = answer.saturating_sub(before).max(self.first);
        self
    }

    /// For a terminal: the text, then a line a token with place, id, name, mask and label, then the
    /// findings; with `colour`, trained tokens in green and findings in red.
    #[must_use]
    pub fn show(&self, colour: bool) -> String {
        let paint = Paint { colour };
        let mut shown = if self.first == 0 { format!("{}\n\n", self.text) } else { String::new() };
        let _ = writeln!(
            shown,
            "{:>5} {:>7}  {:<24} {:<5} {:>7}",
            "place", "id", "token", "mask", "label"
        );
        for (place, row) in self.rows.iter().enumerate().skip(self.first) {
            let (mask, style) = match row.trained {
                true => ("train", paint.green()),
                false => ("-", paint.dim()),
            };
            let label = row.label.map_or_else(|| "-".to_owned(), |label| label.to_string());
            let name = format!("{:?}", row.name);
            let _ = writeln!(
                shown,
                "{style}{place:>5} {:>7}  {name:<24} {mask:<5} {label:>7}{style:#}",
                row.id
            );
        }
        let (good, bad) = (paint.green(), paint.red());
        if self.findings.is_empty() {
            let _ = writeln!(shown, "\n{good}nothing found{good:#}");
        }
        for finding in &self.findings {
            let _ = writeln!(shown, "\n{bad}{finding}{bad:#}");
        }
        shown
    }
}

/// Colours, or none.
struct Paint {
    colour: bool,
}

impl Paint {
    fn green(&self) -> Style {
        self.style(Style::new().fg_color(Some(AnsiColor::Green.into())))
    }

    fn red(&self) -> Style {
        self.style(Style::new().fg_color(Some(AnsiColor::Red.into())).bold())
    }

    fn dim(&self) -> Style {
        self.style(Style::new().dimmed())
    }

    fn style(&self, style: Style) -> Style {
        if self.colour { style } else { Style::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        Tokenizer::train(["Green Tea", "Honey"].iter(), 280).unwrap()
    }

    fn findings(prompt: &[u32], answer: &[u32]) -> Vec<Finding> {
        let sample = Sample::completion(prompt, answer).unwrap();
        diagnose(&sample, &tokenizer()).unwrap().findings
    }

    #[test]
    fn a_sound_sample_has_no_findings_and_its_labels_are_the_next_tokens() {
        let tokenizer = tokenizer();
        let pair = tokenizer.encode_pair("Tea\n", "Honey").unwrap();
        let (prompt, answer) = pair.ids.split_at(pair.spans[1].start);
        let diagnosis = diagnose(&Sample::completion(prompt, answer).unwrap(), &tokenizer).unwrap();
        assert_eq!(diagnosis.text, "Tea\nHoney");
        assert!(diagnosis.findings.is_empty(), "{:?}", diagnosis.findings);
        let labels: Vec<u32> = diagnosis.rows.iter().filter_map(|row| row.label).collect();
        assert_eq!(labels, answer);
        assert_eq!(diagnosis.rows[prompt.len() - 1].label, Some(answer[0]));
        assert!(diagnosis.show(false).ends_with("\nnothing found\n"));
    }

    #[test]
    fn what_is_wrong_is_found() {
        assert_eq!(findings(&[1, 1, 9], &[8, 2]), [Finding::DoubleBos { places: vec![0, 1] }]);
        assert_eq!(findings(&[9], &[8, 2]), [Finding::MissingBos]);
        for last in [8, 0, 1] {
            assert!(findings(&[1, 9], &[8, last]).contains(&Finding::MissingEos), "{last}");
        }
        assert_eq!(findings(&[1, 9], &[2]), [Finding::EmptyAnswer]);
        assert_eq!(findings(&[1, 0], &[8, 2]), [Finding::UnknownToken { place: 1 }]);
        let sample = Sample::completion(&[1, 9], &[8, 2]).unwrap();
        let diagnosis = diagnose(&sample, &tokenizer()).unwrap();
        let told = diagnosis.with_dropped(3).with_options(["Tea", "Honey", " Tea: "]);
        let duplicate = Finding::DuplicateOption { option: "Tea".into(), times: 2 };
        assert_eq!(told.findings, [Finding::Truncated { dropped: 3 }, duplicate]);
        let shown = told.show(false);
        assert!(
            shown.contains("3 of the oldest purchases") && shown.contains("2 options say `Tea`")
        );
    }

    #[test]
    fn colours_are_there_on_request_alone() {
        let sample = Sample::completion(&[1, 9], &[8, 2]).unwrap();
        let diagnosis = diagnose(&sample, &tokenizer()).unwrap();
        assert!(diagnosis.show(true).contains("\u{1b}[32m"));
        assert!(!diagnosis.show(false).contains('\u{1b}'));
    }
}
