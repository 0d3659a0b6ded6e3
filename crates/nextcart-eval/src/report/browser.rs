//! Single questions for the page.

use std::collections::HashMap;

use nextcart_data::Question;
use serde::Serialize;

use super::Report;
use crate::errors::ErrorKind;
use crate::evaluation::Prediction;

/// How many wrong and how many right answers a page holds at most.
const WRONG: usize = 200;
const RIGHT: usize = 40;

/// How many purchases of a history are shown, the latest.
const SHOWN_PURCHASES: usize = 8;

/// Options of a question that are shown at most.
const SHOWN_OPTIONS: usize = 20;

/// Longest title that is shown, in characters.
const SHOWN_TITLE: usize = 200;

/// Answers to look through: the first wrong ones, then the first right ones.
#[derive(Debug, Serialize)]
pub(super) struct Browser {
    predictor: String,
    answers: Vec<Item>,
    /// The kinds that occur, in order, for the choice of one.
    kinds: Vec<&'static str>,
    wrong: Embedded,
    right: Embedded,
}

/// How many of the answers the page holds.
#[derive(Debug, Default, Serialize)]
struct Embedded {
    shown: usize,
    all: usize,
}

#[derive(Debug, Serialize)]
struct Item {
    id: String,
    right: bool,
    kind: &'static str,
    bought: String,
    predicted: String,
    /// `None` for what is written, which has no probability.
    confidence: Option<f64>,
    earlier: usize,
    history: Vec<String>,
    options: Vec<OptionRow>,
    /// Options that are not shown.
    further: usize,
}

#[derive(Debug, Serialize)]
struct OptionRow {
    title: String,
    score: f64,
    probability: Option<f64>,
    bought: bool,
    predicted: bool,
}

impl Browser {
    /// `None` where there is nothing to show.
    pub(super) fn new(report: &Report<'_>) -> Option<Self> {
        let main = report.main()?;
        let by_id: HashMap<&str, &Question> =
            report.questions.iter().map(|question| (question.id.as_str(), question)).collect();
        let (mut wrong, mut right) = (Embedded::default(), Embedded::default());
        let (mut items, mut right_items) = (Vec::new(), Vec::new());
        for found in &main.predictions {
            let Some(question) = by_id.get(found.question.as_str()) else { continue };
            let is_right = found.is_right();
            let (count, most, list) = match is_right {
                true => (&mut right, RIGHT, &mut right_items),
                false => (&mut wrong, WRONG, &mut items),
            };
            count.all += 1;
            if count.shown < most {
                count.shown += 1;
                list.push(Item::new(question, found));
            }
        }
        items.extend(right_items);
        let labels = ErrorKind::ALL.iter().map(|kind| kind.label()).chain([RIGHT_LABEL]);
        let kinds = labels.filter(|label| items.iter().any(|item| item.kind == *label)).collect();
        let predictor = main.name.clone();
        (!items.is_empty()).then_some(Self { predictor, answers: items, kinds, wrong, right })
    }
}

const RIGHT_LABEL: &str = "right";

impl Item {
    fn new(question: &Question, found: &Prediction) -> Self {
        let shares = found.probabilities();
        let share = |place: usize| shares.as_ref().map(|shares| shares[place]);
        let (bought, given) = (&question.target().title, found.given(question));
        let right = found.is_right();
        let earlier = question.history.len().saturating_sub(SHOWN_PURCHASES);
        let option = |&place: &usize| OptionRow {
            title: short(&question.candidates[place].title),
            score: found.scores[place],
            probability: share(place),
            bought: place == found.answer,
            predicted: found.valid && place == found.predicted,
        };
        let shown = shown_options(found);
        Self {
            id: question.id.clone(),
            right,
            kind: match right {
                true => RIGHT_LABEL,
                false => ErrorKind::of(bought, given).label(),
            },
            bought: short(bought),
            predicted: short(given),
            confidence: share(found.predicted),
            earlier,
            history: question.history[earlier..].iter().map(|p| short(&p.product.title)).collect(),
            options: shown.iter().map(option).collect(),
            further: found.scores.len() - shown.len(),
        }
    }
}

/// The options to show, in their order: of many the bought, the predicted and those with the highest scores.
pub(super) fn shown_options(found: &Prediction) -> Vec<usize> {
    let mut places: Vec<usize> = (0..found.scores.len()).collect();
    if places.len() > SHOWN_OPTIONS {
        let first = |place: &usize| *place == found.answer || *place == found.predicted;
        let rank = |place: &usize| (first(place), found.scores[*place]);
        places.sort_by(|a, b| {
            let ((a, x), (b, y)) = (rank(a), rank(b));
            b.cmp(&a).then(y.total_cmp(&x))
        });
        places.truncate(SHOWN_OPTIONS);
        places.sort_unstable();
    }
    places
}

/// The start of a title that is too long.
fn short(title: &str) -> String {
    match title.char_indices().nth(SHOWN_TITLE) {
        Some((end, _)) => format!("{}…", title[..end].trim_end()),
        None if title.trim().is_empty() => "(no title)".to_owned(),
        None => title.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::question;
    use crate::{FnPredictor, evaluate};

    #[test]
    fn the_page_is_bounded_and_says_what_it_leaves_out() {
        let questions: Vec<Question> = (0..300)
            .map(|i| {
                question(&i.to_string(), &["Soap"; 20], &["Tea", "Rice", ""], usize::from(i < 250))
            })
            .collect();
        let mut first = FnPredictor::new("first", |_| vec![1.0, 0.0, f64::NEG_INFINITY]);
        let evaluations = [evaluate(&mut first, &questions).unwrap()];
        let report =
            Report { questions: &questions, evaluations: &evaluations, ..Report::default() };
        let found = Browser::new(&report).unwrap();
        assert_eq!((found.wrong.shown, found.wrong.all), (WRONG, 250));
        assert_eq!((found.right.shown, found.right.all), (RIGHT, 50));
        assert_eq!(found.answers.len(), WRONG + RIGHT);
        assert_eq!(found.kinds, ["wrong product", "right"]);
        let item = &found.answers[0];
        assert_eq!((item.earlier, item.history.len()), (12, SHOWN_PURCHASES));
        assert_eq!((item.bought.as_str(), item.options[2].title.as_str()), ("Rice", "(no title)"));
        assert!(Browser::new(&Report::default()).is_none());
    }

    #[test]
    fn of_a_catalogue_the_bought_the_predicted_and_the_nearest_are_shown() {
        let titles: Vec<String> = (0..1000).map(|i| format!("Item {i}")).collect();
        let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        let questions = [question("q", &[], &titles, 3)];
        let mut last =
            FnPredictor::new("last", |q| (0..q.candidates.len()).map(|i| i as f64).collect());
        let evaluations = [evaluate(&mut last, &questions).unwrap()];
        let report =
            Report { questions: &questions, evaluations: &evaluations, ..Report::default() };
        let item = &Browser::new(&report).unwrap().answers[0];
        assert_eq!((item.options.len(), item.further), (SHOWN_OPTIONS, 1000 - SHOWN_OPTIONS));
        assert!(item.options[0].bought && item.options[0].title == "Item 3");
        assert!(item.options[SHOWN_OPTIONS - 1].predicted);
        assert_eq!(item.options[1].title, "Item 981");
        let folder = tempfile::tempdir().unwrap();
        let files = report.write(folder.path()).unwrap();
        for page in [files.html, files.page] {
            let page = std::fs::read_to_string(page).unwrap();
            assert!(page.contains("980 further options") && !page.contains("Item 500"), "{page}");
        }
    }

    #[test]
    fn long_titles_are_cut_between_characters() {
        assert_eq!(short(&"é".repeat(SHOWN_TITLE)), "é".repeat(SHOWN_TITLE));
        assert_eq!(short(&"é".repeat(SHOWN_TITLE + 1)), format!("{}…", "é".repeat(SHOWN_TITLE)));
    }
}
