//! Waiting that can be interrupted.

use std::{pin::pin, sync::atomic::AtomicBool, time::Duration};

use crate::{Result, publish::go_on};

/// How often a waiting thread looks whether it should stop.
const TICK: Duration = Duration::from_millis(50);

/// The future's outcome; once `stop` is true, the future is dropped and its work ends.
pub(super) async fn until<T, E>(
    stop: &AtomicBool,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T>
where
    crate::Error: From<E>,
{
    let mut future = pin!(future);
    loop {
        go_on(stop)?;
        if let Ok(outcome) = tokio::time::timeout(TICK, &mut future).await {
            return Ok(outcome?);
        }
    }
}
