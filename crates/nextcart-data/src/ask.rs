//! Histories to questions.

use rand::seq::SliceRandom;

use crate::{
    Catalogue, Part, PrepareOptions, Product, QuestionTally,
    candidates::{Asked, Owned, Pool},
    histories::{Event, UserHistory},
    question_file::QuestionRow,
    seeded::seeded_rng,
};

/// Asks the questions of users, one user after another.
pub(crate) struct Asker<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) pool: &'a Pool<'a>,
    pub(crate) options: &'a PrepareOptions,
}

impl<'a> Asker<'a> {
    /// The questions of one user, in the order of time: one target in validation and one in the test, up
    /// to [`PrepareOptions::train_targets_per_user`] in training.
    pub(crate) fn ask(
        &self,
        history: &UserHistory,
        tally: &mut QuestionTally,
    ) -> Vec<QuestionRow<'a>> {
        let events = &history.events;
        let owned = self.pool.owned(self.not_offered(history, 0));
        let last_of = |part| events.iter().rposition(|event| event.part == part);
        let later = [last_of(Part::Validation), last_of(Part::Test)];

        let PrepareOptions { min_history, train_targets_per_user, .. } = *self.options;
        let mut questions: Vec<QuestionRow<'a>> = (min_history..events.len())
            .rev()
            .filter(|position| events[*position].part == Part::Train)
            .filter_map(|position| self.question(history, position, &owned, tally))
            .take(train_targets_per_user)
            .collect();
        questions.reverse();
        for position in later.into_iter().flatten() {
            if position < min_history {
                tally.short_history += 1;
            } else {
                questions.extend(self.question(history, position, &owned, tally));
            }
        }
        questions.iter().for_each(|question| tally.count(question.part));
        questions
    }

    /// The question for the purchase at `position`, or `None` (and counted) if it cannot be asked.
    fn question(
        &self,
        history: &UserHistory,
        position: usize,
        owned: &Owned,
        tally: &mut QuestionTally,
    ) -> Option<QuestionRow<'a>> {
        let (before, target) = (&history.events[..position], history.events[position]);
        let is_repeat = self.is_repeat(history, position);
        if is_repeat && !self.options.may_repeat() {
            tally.repeated_title += 1;
            return None;
        }
        if !self.pool.is_seen(target.item) {
            tally.cold_targets += 1;
            if !self.options.keep_cold_targets {
                return None;
            }
        }
        let id = format!("{}:{position}", history.user);
        // A generator for each question: neither threads nor other options' questions change it.
        let mut rng = seeded_rng(self.options.seed, &["question", &id]);
        let shown = &before[before.len().saturating_sub(self.options.max_history)..];
        let items: Vec<u32> = shown.iter().map(|event| event.item).collect();
        // Of an answer that was bought before, as this item or under its title, other options may be so, too, or the
        // history would tell it.
        let later = is_repeat.then(|| self.pool.owned(self.not_offered(history, position)));
        let asked = Asked {
            target: target.item,
            history: &items,
            owned: later.as_ref().unwrap_or(owned),
            count: self.options.candidates - 1,
        };
        let filled = &mut tally.filled_by_popularity;
        let Some(mut candidates) = self.pool.draw(&asked, self.catalogue, &mut rng, filled) else {
            tally.few_distractors += 1;
            return None;
        };
        // All of them, not the target alone: distractors come out of the draw with popular ones first.
        candidates.push(target.item);
        candidates.shuffle(&mut rng);
        let answer = candidates.iter().position(|item| *item == target.item)?;
        Some(QuestionRow {
            id,
            user: history.user.clone(),
            part: target.part,
            time: target.time,
            history: shown.iter().map(|event| self.purchase(event)).collect(),
            candidates: candidates.iter().map(|item| self.catalogue.product(*item)).collect(),
            answer,
            excluded: self.excluded(history, position),
        })
    }

    fn purchase(&self, event: &Event) -> (&'a Product, Option<i64>, Option<f32>) {
        (self.catalogue.product(event.item), event.time, event.rating)
    }

    /// Whether the user bought the same before, or what nobody can tell from it.
    fn is_repeat(&self, history: &UserHistory, position: usize) -> bool {
        let title = self.pool.title(history.events[position].item);
        history.events[..position].iter().any(|event| self.pool.title(event.item) == title)
    }

    /// What the user bought from this purchase on, and what they have besides.
    fn not_offered(&self, history: &UserHistory, position: usize) -> impl Iterator<Item = u32> {
        let bought = history.events[position..].iter().map(|event| event.item);
        bought.chain(history.owned.iter().copied())
    }

    /// What does not stand against the target, where the whole catalogue stands as candidates.
    fn excluded(&self, history: &UserHistory, position: usize) -> Vec<&'a str> {
        if !self.pool.is_whole_catalogue() {
            return Vec::new();
        }
        let target = history.events[position].item;
        let from = if self.is_repeat(history, position) { position } else { 0 };
        let mut items: Vec<&str> = self
            .not_offered(history, from)
            .filter(|item| *item != target)
            .map(|item| self.catalogue.product(item).item.as_str())
            .collect();
        items.sort_unstable();
        items.dedup();
        items
    }
}
