//! Work on a stream by a thread beside the one that makes it.

use std::{
    panic::resume_unwind,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{Builder, JoinHandle},
};

use crate::{Error, Result};

/// Values that wait for the thread; bounds memory.
const WAITING: usize = 4;

/// A thread that takes values and has a result once there are no more. Dropped before that, it waits for the
/// thread all the same.
pub(crate) struct Background<T, R> {
    values: Option<SyncSender<T>>,
    thread: Option<JoinHandle<Result<R>>>,
}

impl<T: Send + 'static, R: Send + 'static> Background<T, R> {
    /// Starts the thread, which must take all values or fail.
    pub(crate) fn start(
        work: impl FnOnce(Receiver<T>) -> Result<R> + Send + 'static,
    ) -> Result<Self> {
        let (sender, values) = sync_channel(WAITING);
        let thread = Builder::new().spawn(move || work(values));
        let thread = thread.map_err(|source| Error::Threads { source })?;
        Ok(Self { values: Some(sender), thread: Some(thread) })
    }

    /// Hands on a value, or tells why the thread failed.
    pub(crate) fn send(&mut self, value: T) -> Result<()> {
        match self.values.as_ref().map(|values| values.send(value)) {
            Some(Ok(())) => Ok(()),
            _ => self.end().map(|_| ()),
        }
    }

    /// The thread's result.
    pub(crate) fn finish(mut self) -> Result<R> {
        self.end()
    }
}

impl<T, R> Background<T, R> {
    fn end(&mut self) -> Result<R> {
        self.values = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => resume_unwind(panic),
            // It failed before, and has told why.
            None => Err(Error::Interrupted),
        }
    }
}

impl<T, R> Drop for Background<T, R> {
    fn drop(&mut self) {
        self.values = None;
        if let Some(thread) = self.thread.take() {
            // Whoever drops it has another error to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(until: u32) -> Result<Background<u32, u32>> {
        Background::start(move |values| {
            let mut sum = 0;
            for value in values {
                if value == until {
                    return Err(Error::EmptyCore { k: 7, users: 0, purchases: 0 });
                }
                sum += value;
            }
            Ok(sum)
        })
    }

    #[test]
    fn takes_all_values_and_gives_the_result() {
        let mut thread = sum(u32::MAX).unwrap();
        (0..100).for_each(|value| thread.send(value).unwrap());
        assert_eq!(thread.finish().unwrap(), 4950);
    }

    #[test]
    fn tells_an_error_as_soon_as_it_is_known() {
        let mut thread = sum(5).unwrap();
        let error = (0..100).find_map(|value| thread.send(value).err()).unwrap();
        assert!(matches!(error, Error::EmptyCore { k: 7, .. }));
        assert!(thread.finish().is_err());
        assert!(sum(5).and_then(|mut thread| thread.send(5).and(thread.finish())).is_err());
        drop(sum(5).unwrap());
    }
}
