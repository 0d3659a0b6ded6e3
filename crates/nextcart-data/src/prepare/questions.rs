//! Histories to `questions.parquet`.

use std::fs::File;

use arrow::array::RecordBatch;

use super::{HISTORIES, QUESTIONS, histories::Stages, known::Known};
use crate::{
    Error, QuestionTally, Result,
    ask::Asker,
    candidates::Pool,
    histories::{UserHistory, UserReader},
    parallel::ordered,
    publish::go_on,
    question_file::{create_questions, to_batches},
};

/// Users that one thread asks at once.
const USERS: usize = 256;

/// Asks all users and writes their questions, by user.
pub(super) fn write(stages: &Stages<'_>, known: &Known, threads: usize) -> Result<QuestionTally> {
    let Stages { folder, options, stop, .. } = *stages;
    let catalogue = &known.catalogue;
    let pool = Pool::new(&known.popularity, catalogue, options, known.neighbours.as_ref());
    let asker = Asker { catalogue, pool: &pool, options };
    let (histories, owned) = (folder.join(HISTORIES), stages.owned());
    let path = folder.join(QUESTIONS);
    let file = File::create(&path).map_err(|source| Error::Write { path: path.clone(), source })?;
    let mut table = create_questions(file, &path)?;
    let mut total = QuestionTally::default();
    ordered(
        threads,
        |send| {
            let mut users = UserReader::open(&histories, &owned)?;
            loop {
                let mut some = Vec::with_capacity(USERS);
                while some.len() < USERS
                    && let Some(user) = users.next(catalogue)?
                {
                    some.push(user);
                }
                if some.is_empty() || !send(some) {
                    return Ok(());
                }
            }
        },
        || |users: Vec<UserHistory>| ask(&asker, &users),
        |(batches, tally)| {
            go_on(stop)?;
            total.add(&tally);
            batches.iter().try_for_each(|batch| table.write_batch(batch))
        },
    )?;
    table.finish()?;
    Ok(total)
}

fn ask(asker: &Asker<'_>, users: &[UserHistory]) -> (Vec<RecordBatch>, QuestionTally) {
    let mut tally = QuestionTally::default();
    let questions: Vec<_> = users.iter().flat_map(|user| asker.ask(user, &mut tally)).collect();
    (to_batches(&questions).collect(), tally)
}
