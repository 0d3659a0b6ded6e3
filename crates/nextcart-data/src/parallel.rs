//! Work on a stream by several threads, in its order.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex,
        mpsc::{channel, sync_channel},
    },
    thread,
};

use crate::Result;

/// Values, beside one for each thread, that wait to be worked on or to be taken; bounds memory.
const WAITING: usize = 32;

/// Runs `produce` in a thread, what `worker` returns in `threads` others, and `take` in the caller's.
///
/// `produce` hands on values by the function that it gets, which tells whether anybody still listens.
/// `take` sees the results in the order of the values, and an error of `produce` after those before it. While
/// one value takes long, only so many after it are begun; a panic of a worker goes on in the caller's thread.
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
        // Each value holds a permit until its result is taken, so that the other channels need no bound: whoever
        // has a value can hand it on, and the one whose turn it is always gets through.
        let (permit_sender, permits) = sync_channel(threads + WAITING);
        let (value_sender, values) = channel::<(u64, Result<T>)>();
        let (sender, results) = channel::<(u64, thread::Result<Result<U>>)>();
        scope.spawn(move || {
            let mut numbers = 0..;
            let mut send = |value| {
                let number = numbers.next().unwrap_or_default();
                permit_sender.send(()).is_ok() && value_sender.send((number, value)).is_ok()
            };
            if let Err(error) = produce(&mut |value| send(Ok(value))) {
                send(Err(error));
            }
        });
        // Owned by the threads: when the last of them ends, so does the producer.
        let values = Arc::new(Mutex::new(values));
        for _ in 0..threads {
            let (values, sender, worker) = (values.clone(), sender.clone(), &worker);
            scope.spawn(move || {
                let mut work = worker();
                loop {
                    // The lock is held while waiting: whoever holds it gets the next value.
                    let received = values.lock().map(|values| values.recv());
                    let Ok(Ok((number, value))) = received else { return };
                    // Without a result in its place, the others would wait for ever.
                    let result = catch_unwind(AssertUnwindSafe(|| value.map(&mut work)));
                    let is_broken = result.is_err();
                    if sender.send((number, result)).is_err() || is_broken {
                        return;
                    }
                }
            });
        }
        drop((values, sender));
        let mut early = BTreeMap::new();
        let mut next = 0;
        // An early return drops `permits` and `results`, and so ends the other threads.
        for (number, result) in results {
            early.insert(number, result);
            while let Some(result) = early.remove(&next) {
                match result {
                    Ok(result) => take(result?)?,
                    Err(panic) => resume_unwind(panic),
                }
                next += 1;
                // One was sent before each value.
                permits.recv().ok();
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

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

    fn send_below(end: usize, send: &mut dyn FnMut(usize) -> bool) -> Result<()> {
        (0..end).all(send);
        Ok(())
    }

    #[test]
    fn the_others_wait_for_a_slow_one() {
        const THREADS: usize = 3;
        const VALUES: usize = 20 * (THREADS + WAITING);
        let (finished, while_slow) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
        let mut taken = Vec::new();
        let outcome = ordered(
            THREADS,
            |send| send_below(VALUES, send),
            || {
                move |value: usize| {
                    if value == 0 {
                        // Until the others have done all that they may, and long enough for them to do more.
                        while finished.load(Ordering::SeqCst) < THREADS + WAITING - 1 {
                            thread::yield_now();
                        }
                        thread::sleep(Duration::from_millis(50));
                        while_slow.store(finished.load(Ordering::SeqCst), Ordering::SeqCst);
                    }
                    finished.fetch_add(1, Ordering::SeqCst);
                    value
                }
            },
            |value| {
                taken.push(value);
                Ok(())
            },
        );
        assert!(outcome.is_ok());
        assert_eq!(while_slow.load(Ordering::SeqCst), THREADS + WAITING - 1);
        assert!(taken.into_iter().eq(0..VALUES));
    }

    #[test]
    #[should_panic(expected = "broken worker")]
    fn a_panic_of_a_worker_ends_all() {
        let work = |value: usize| assert!(value != 3, "broken worker");
        let _ = ordered(3, |send| send_below(1000, send), || work, |()| Ok(()));
    }
}
