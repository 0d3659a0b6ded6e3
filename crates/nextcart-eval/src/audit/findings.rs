//! What else is worth knowing of questions before a score on them is believed.

use std::collections::{HashMap, HashSet};

use nextcart_data::{Part, Product, Question, title_key};
use serde::Serialize;

/// How many of some questions something holds of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Questions of which it holds.
    pub count: usize,
    /// Questions looked at.
    pub of: usize,
}

impl Count {
    fn add(&mut self, holds: bool) {
        self.count += usize::from(holds);
        self.of += 1;
    }

    /// The share, in `[0, 1]`; `None` if no question was looked at.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }
}

/// What an audit finds beside the rules' scores.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Findings {
    /// Questions whose answer stands at each place, from the first.
    pub places: Vec<usize>,
    /// Questions in which another option has the answer's title, but for case, white space and a colon at the end:
    /// nobody can tell the two apart.
    pub title_collisions: Count,
    /// Questions whose answer is in the history already, itself or another item under its title.
    pub answer_in_history: Count,
    /// Questions in which some other option is in the history, likewise. Where answers often are and others never,
    /// whoever picks what was bought before is right without knowing why.
    pub other_in_history: Count,
    /// Held-out questions that equal one of the training part in history and answer.
    pub seen_questions: Count,
    /// Held-out questions whose customer bought the answer in the training part.
    pub seen_purchases: Count,
    /// Questions that equal an earlier one in history and answer, whatever their parts.
    pub duplicates: Count,
}

/// A history and an answer, as items.
type Asked<'a> = (Vec<&'a str>, &'a str);

pub(super) fn findings(questions: &[Question]) -> Findings {
    let mut found = Findings::default();
    let training = || questions.iter().filter(|question| question.part == Part::Train);
    let known: HashSet<Asked<'_>> = training().map(asked).collect();
    let mut bought: HashMap<&str, HashSet<&str>> = HashMap::new();
    for question in training() {
        let (history, answer) = asked(question);
        bought.entry(&question.user).or_default().extend(history.into_iter().chain([answer]));
    }
    let mut earlier: HashSet<Asked<'_>> = HashSet::new();
    for question in questions {
        if found.places.len() < question.candidates.len() {
            found.places.resize(question.candidates.len(), 0);
        }
        found.places[question.answer] += 1;
        let answer = question.target();
        let others = || {
            let candidates = question.candidates.iter().enumerate();
            candidates.filter(|(place, _)| *place != question.answer).map(|(_, other)| other)
        };
        let title = title_key(&answer.title);
        found.title_collisions.add(others().any(|other| title_key(&other.title) == title));
        let past = question.history.iter().map(|purchase| &purchase.product);
        let items: HashSet<&str> = past.clone().map(|product| product.item.as_str()).collect();
        let titles: HashSet<String> = past.map(|product| title_key(&product.title)).collect();
        let in_history = |product: &Product| {
            items.contains(product.item.as_str()) || titles.contains(&title_key(&product.title))
        };
        found.answer_in_history.add(in_history(answer));
        found.other_in_history.add(others().any(in_history));
        if question.part != Part::Train && !known.is_empty() {
            found.seen_questions.add(known.contains(&asked(question)));
            let bought = bought.get(question.user.as_str());
            found.seen_purchases.add(bought.is_some_and(|b| b.contains(answer.item.as_str())));
        }
        found.duplicates.add(!earlier.insert(asked(question)));
    }
    found
}

fn asked(question: &Question) -> Asked<'_> {
    let history = question.history.iter().map(|purchase| purchase.product.item.as_str());
    (history.collect(), &question.target().item)
}

impl Findings {
    /// What is unusual, in plain words; none if nothing is.
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut said = Vec::new();
        let mut say = |count: Count, text: &str| {
            if count.count > 0 {
                let percent = 100.0 * count.share().unwrap_or_default();
                said.push(format!("{} of {} ({percent:.1} %) {text}.", count.count, count.of));
            }
        };
        say(self.title_collisions, "have another option with the answer's title");
        say(self.answer_in_history, "ask for something that the history holds already");
        say(self.other_in_history, "offer something else that the history holds");
        say(self.seen_questions, "held-out questions equal one of the training part");
        say(self.seen_purchases, "held-out questions ask for what the customer bought in training");
        say(self.duplicates, "questions equal an earlier one in history and answer");
        said
    }
}
