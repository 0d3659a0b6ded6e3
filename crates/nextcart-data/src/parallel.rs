//! Work on a stream by several threads, in its order.

use std::{
    collections::BTreeMap,
    sync::{Mutex, mpsc::sync_channel},
    thread,
};

use crate::Result;

/// Messages that wait between two threads; bounds memory.
const WAITING: usize = 16;

/// Runs `produce` in a thread, what `worker` returns in `threads` others, and `take` in the caller's.
///
/// `produce` hands on values by the function that it gets, which tells whether anybody still listens.
/// `take` sees the results in the order of the values, and an error of `produce` after those before it.
pub(crate) fn ordered<T, U, W>(
    threads: usize,
    produce: impl FnOnce(&mut dyn FnMut(T) -> bool) -> Result<()> + Send,
    worker: impl Fn() -> W + Sync,
    mut take: impl FnMut(U) -> Result<()>,
) -> Result<()>
where
    T: Send,
    U: Send,
    W: FnMut(T) -> U,
{
    thread::scope(|scope| {
        let (value_sender, values) = sync_channel::<(u64, Result<T>)>(WAITING);
        let (sender, results) = sync_channel::<(u64, Result<U>)>(WAITING);
        scope.spawn(move || {
            let mut numbers = 0..;
            let mut send = |value| {
                let number = numbers.next().unwrap_or_default();
                value_sender.send((number, value)).is_ok()
            };
            if let Err(error) = produce(&mut |value| send(Ok(value))) {
                send(Err(error));
            }
        });
        // Owned by the threads: when the last of them ends, so does the producer.
        let values = std::sync::Arc::new(Mutex::new(values));
        for _ in 0..threads {
            let (values, sender, worker) = (values.clone(), sender.clone(), &worker);
            scope.spawn(move || {
                let mut work = worker();
                loop {
                    // The lock is held while waiting: whoever holds it gets the next value.
                    let received = values.lock().map(|values| values.recv());
                    let Ok(Ok((number, value))) = received else { return };
                    if sender.send((number, value.map(&mut work))).is_err() {
                        return;
                    }
                }
            });
        }
        drop((values, sender));
        // Holds no more than what the threads have in hand.
        let mut early = BTreeMap::new();
        let mut next = 0;
        // An early return drops `results`, and so ends the other threads.
        for (number, result) in results {
            early.insert(number, result);
            while let Some(result) = early.remove(&next) {
                take(result?)?;
                next += 1;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn keeps_the_order_and_ends_early_on_either_side() {
        for threads in [1, 3] {
            let count = |fails_at: u32, stops_at: u32| {
                let mut taken = Vec::new();
                let outcome = ordered(
                    threads,
                    |send| {
                        for value in 0..1000_u32 {
                            if value == fails_at {
                                return Err(Error::Interrupted);
                            }
                            if !send(value) {
                                break;
                            }
                        }
                        Ok(())
                    },
                    || |value| value * 2,
                    |value| {
                        taken.push(value);
                        if value == stops_at { Err(Error::Interrupted) } else { Ok(()) }
                    },
                );
                assert!(taken.iter().copied().eq((0..taken.len() as u32).map(|value| value * 2)));
                (taken.len(), outcome.is_ok())
            };
            assert_eq!(count(u32::MAX, u32::MAX), (1000, true));
            assert_eq!(count(700, u32::MAX), (700, false));
            assert_eq!(count(u32::MAX, 100), (51, false));
        }
    }
}
