//! What the examples have in common: how a program says something and how wide, finds its device, opens a model and shows
//! its download, asks what leaves a choice or of a whole catalogue, makes samples of what a run learns, tunes, compares,
//! stops at Ctrl-C and ends.

mod advice;
mod ask;
mod compare;
mod device;
mod run;
mod samples;
mod scores;
mod tally;
mod terminal;
mod tune;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{Error, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use nextcart_models::DownloadProgress;
use tracing_subscriber::EnvFilter;

pub use ask::{
    ask, at_least, check_choice, check_folder, checkpoint, dataset, purchases_template,
    question_file, template,
};
pub use compare::compared;
pub use device::find_device;
pub use run::{check_data, check_files, check_run, planned, report};
pub use samples::RunSamples;
pub use scores::{
    fits, in_words, percent_interval, ranking_columns, ranking_heading, say_rankings, say_scores,
};
pub use tally::lines;
pub use terminal::{columns, example, in_colour, next, word, wrapped};
pub use tune::Tuning;

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// What the first Ctrl-C is answered with where something is to be left in order.
const STOPPING: &str =
    "stopping as soon as what is under way can be left in order; Ctrl-C again ends at once";

/// What to do after Ctrl-C where a program looks for what it left.
pub const SAME_COMMAND: &str = "the same command goes on";

/// Set by Ctrl-C where something is to be left in order; long work looks at it.
static STOP: AtomicBool = AtomicBool::new(false);

/// Whether there is something to be left in order now.
static ORDERLY: AtomicBool = AtomicBool::new(false);

/// Ctrl-C ends the program at once, but for the work of [`in_order`], which it asks to stop: it says so, and ends the
/// program the second time.
///
/// # Errors
/// If the system takes no handler.
pub fn end_on_ctrl_c() -> Result<()> {
    ctrlc::set_handler(|| {
        if !ORDERLY.load(Ordering::Relaxed) || STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
        let mut stderr = std::io::stderr();
        let text = match stderr.is_terminal() {
            // Behind what progress bars have drawn, and above the two lines that they draw over.
            true => format!("\n{STOPPING}\n\n"),
            false => format!("{STOPPING}\n"),
        };
        // Where nobody can be told, it stops all the same.
        let _ = stderr.write_all(text.as_bytes());
    })
    .context("cannot watch for Ctrl-C")
}

/// After [`end_on_ctrl_c`], does work that Ctrl-C lets come to an end: it leaves a checkpoint, or no half of a table. What
/// takes long after it begins with [`go_on`], for the work may be over before it looks.
pub fn in_order<T>(work: impl FnOnce(&'static AtomicBool) -> T) -> T {
    ORDERLY.store(true, Ordering::Relaxed);
    let done = work(&STOP);
    ORDERLY.store(false, Ordering::Relaxed);
    done
}

/// An error if Ctrl-C came after work of [`in_order`] had looked for it the last time. It says what to do then.
///
/// # Errors
/// Then.
pub fn go_on(then: &str) -> Result<()> {
    ensure!(!STOP.load(Ordering::Relaxed), "stopped; {then}");
    Ok(())
}

/// Shows what is logged on the standard error, as `RUST_LOG` filters it or else as told here.
pub fn log(filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    let colours = terminal::takes_colour(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(std::io::stderr).init();
}

/// How a program ends: an error is one line on the standard error and code 1, or 130 after Ctrl-C.
pub fn end(result: Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {}", advice::told(&error));
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

/// A bar on the terminal for all bytes of a download, which goes away with the closure.
pub fn fetching() -> impl Fn(DownloadProgress<'_>) + Send + Sync + 'static {
    let style = "{prefix:>17} [{wide_bar}] {bytes}/{total_bytes} {eta} left";
    let style = ProgressStyle::with_template(style).expect("a valid template");
    let bar = ProgressBar::new(0).with_style(style.progress_chars("=> "));
    let bar = bar.with_prefix("fetching").with_finish(ProgressFinish::AndClear);
    let files = Mutex::new(BTreeMap::new());
    move |file| {
        let Ok(mut files) = files.lock() else { return };
        files.insert(file.file.to_owned(), (file.bytes, file.total));
        bar.set_length(files.values().map(|(_, total)| total).sum());
        bar.set_position(files.values().map(|(bytes, _)| bytes).sum());
    }
}
