//! What the examples have in common: how a program says something, stops at Ctrl-C and ends.

use std::fmt::Display;
use std::io::{Error, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Set by Ctrl-C where something is to be left in order; long work looks at it.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Whether there is something to be left in order now.
static ORDERLY: AtomicBool = AtomicBool::new(false);

/// From here on Ctrl-C sets [`STOP`], and ends the program the second time.
///
/// # Errors
/// If the system takes no handler.
pub fn stop_on_ctrl_c() -> Result<()> {
    ORDERLY.store(true, Ordering::Relaxed);
    end_on_ctrl_c()
}

/// Ctrl-C ends the program at once, but for the work of [`in_order`].
///
/// # Errors
/// If the system takes no handler.
pub fn end_on_ctrl_c() -> Result<()> {
    ctrlc::set_handler(|| {
        if !ORDERLY.load(Ordering::Relaxed) || STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    })
    .context("cannot watch for Ctrl-C")
}

/// After [`end_on_ctrl_c`], does work that Ctrl-C lets come to an end: it leaves a checkpoint, or no half of a table.
pub fn in_order<T>(work: impl FnOnce(&'static AtomicBool) -> T) -> T {
    ORDERLY.store(true, Ordering::Relaxed);
    let done = work(&STOP);
    ORDERLY.store(false, Ordering::Relaxed);
    done
}

/// Shows what is logged on the standard error, as `RUST_LOG` filters it or else as told here.
pub fn log(filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// How a program ends: an error is one line on the standard error and code 1, or 130 after Ctrl-C.
pub fn end(result: Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {error:#}");
    ExitCode::from(if STOP.load(Ordering::Relaxed) { INTERRUPTED } else { 1 })
}

/// The same of a program that is there for what it prints: a reader such as `head` that has seen enough is no error.
pub fn end_of_output(result: Result<()>) -> ExitCode {
    let is_closed = |error: &Error| error.kind() == ErrorKind::BrokenPipe;
    end(result.or_else(|error| match error.downcast_ref().is_some_and(is_closed) {
        true => Ok(()),
        false => Err(error),
    }))
}

/// Writes to the standard output. Not `print!`, which panics where that cannot be done.
///
/// # Errors
/// If it cannot be done.
pub fn print(text: impl Display) -> Result<()> {
    write!(std::io::stdout(), "{text}").context("cannot write to the standard output")
}

/// `println!` with an error instead of a panic.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// So many of all, or all, spread evenly over them.
pub fn spread<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    let count = most.min(all.len());
    (0..count).map(|place| all[place * all.len() / count].clone()).collect()
}

/// Whether the output goes to someone who wants colours.
pub fn in_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused
}
