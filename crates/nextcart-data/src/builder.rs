//! Histories to questions.

use std::{collections::HashMap, sync::atomic::AtomicBool};

use rand::seq::SliceRandom;

use crate::{
    Catalogue, Error, Part, PrepareOptions, Purchase, Question, QuestionTally, Result, Split,
    SplitTally,
    candidates::{Owned, Pool},
    history::{Histories, UserHistory},
    prepare::go_on,
    seeded::seeded_rng,
};

/// Questions and how they came about.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) questions: Vec<Question>,
    pub(crate) split: SplitTally,
    pub(crate) tally: QuestionTally,
}

/// Cuts the histories in time and asks for one target per user and window in validation and test, for up
/// to [`PrepareOptions::train_targets_per_user`] in training.
pub(crate) fn build_questions(
    histories: &Histories,
    catalogue: &Catalogue,
    options: &PrepareOptions,
    stop: &AtomicBool,
) -> Result<Built> {
    let events = || histories.users.iter().flat_map(|history| &history.events);
    let times = events().map(|event| event.time).collect();
    let cuts = Split::at_quantiles(times, options.validation_from, options.test_from)
        .expect("the caller made sure that there are histories");
    let mut split = SplitTally { cuts, train: 0, validation: 0, test: 0 };
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for event in events() {
        match cuts.part(event.time) {
            Part::Train => {
                split.train += 1;
                *counts.entry(event.item).or_default() += 1;
            }
            Part::Validation => split.validation += 1,
            Part::Test => split.test += 1,
        }
    }
    let pool = Pool::new(&counts, catalogue, options);
    let mut builder = Builder {
        catalogue,
        options,
        cuts,
        pool,
        questions: Vec::new(),
        tally: QuestionTally::default(),
    };
    for history in &histories.users {
        go_on(stop)?;
        builder.ask(history);
    }
    let Builder { questions, tally, .. } = builder;
    for (part, count, in_part) in
        [("train", tally.train, split.train), ("test", tally.test, split.test)]
    {
        if count == 0 {
            return Err(Error::NoQuestions {
                part,
                users: histories.tally.users,
                interactions: histories.tally.interactions,
                in_part,
                min_history: options.min_history,
                short: tally.short_history,
                cold: tally.cold_targets,
                repeated: tally.repeated_title,
                few: tally.few_distractors,
            });
        }
    }
    Ok(Built { questions, split, tally })
}

struct Builder<'a> {
    catalogue: &'a Catalogue,
    options: &'a PrepareOptions,
    cuts: Split,
    pool: Pool,
    questions: Vec<Question>,
    tally: QuestionTally,
}

impl Builder<'_> {
    /// Adds the questions of one user, in the order of time.
    fn ask(&mut self, history: &UserHistory) {
        let bought = history.events.iter().map(|event| event.item);
        let owned = self.pool.owned(bought.chain(history.unverified.iter().copied()));
        let cuts = self.cuts;
        let part_of = |position: usize| cuts.part(history.events[position].time);
        let train = (0..history.events.len())
            .take_while(|position| part_of(*position) == Part::Train)
            .count();
        let last_of =
            |part| (train..history.events.len()).rev().find(|position| part_of(*position) == part);
        let later = [last_of(Part::Validation), last_of(Part::Test)];

        let PrepareOptions { min_history, train_targets_per_user, .. } = *self.options;
        let mut questions: Vec<Question> = (min_history..train)
            .rev()
            .filter_map(|position| self.question(history, position, &owned))
            .take(train_targets_per_user)
            .collect();
        questions.reverse();
        for position in later.into_iter().flatten() {
            if position < min_history {
                self.tally.short_history += 1;
            } else {
                questions.extend(self.question(history, position, &owned));
            }
        }
        for question in questions {
            match question.part {
                Part::Train => self.tally.train += 1,
                Part::Validation => self.tally.validation += 1,
                Part::Test => self.tally.test += 1,
            }
            self.questions.push(question);
        }
    }

    /// The question for the purchase at `position`, or `None` (and counted) if it cannot be asked.
    fn question(
        &mut self,
        history: &UserHistory,
        position: usize,
        owned: &Owned,
    ) -> Option<Question> {
        let (before, target) = (&history.events[..position], history.events[position]);
        let title = self.pool.title(target.item);
        if before.iter().any(|event| self.pool.title(event.item) == title) {
            self.tally.repeated_title += 1;
            return None;
        }
        if !self.pool.is_seen(target.item) {
            self.tally.cold_targets += 1;
            if !self.options.keep_cold_targets {
                return None;
            }
        }
        let id = format!("{}:{position}", history.user);
        // A generator for each question: neither threads nor other options' questions change it.
        let mut rng = seeded_rng(self.options.seed, &["question", &id]);
        let Some(mut candidates) =
            self.pool.draw(target.item, owned, self.options.candidates - 1, &mut rng)
        else {
            self.tally.few_distractors += 1;
            return None;
        };
        // All of them, not the target alone: distractors come out of the draw with popular ones first.
        candidates.push(target.item);
        candidates.shuffle(&mut rng);
        let answer = candidates.iter().position(|item| *item == target.item)?;
        let shown = &before[before.len().saturating_sub(self.options.max_history)..];
        Some(Question {
            id,
            user: history.user.clone(),
            part: self.cuts.part(target.time),
            time: Some(target.time),
            history: shown
                .iter()
                .map(|event| Purchase {
                    product: self.catalogue.product(event.item).clone(),
                    time: Some(event.time),
                    rating: Some(event.rating),
                })
                .collect(),
            candidates: candidates
                .into_iter()
                .map(|item| self.catalogue.product(item).clone())
                .collect(),
            answer,
        })
    }
}
