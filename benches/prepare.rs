//! Raw review and metadata files to tables, histories and questions.
//!
//! Run: `cargo bench --bench prepare`

use divan::Bencher;
use divan::counter::ItemsCount;
use nextcart_data::synthetic::{Corpus, SyntheticConfig};
use nextcart_data::{PrepareOptions, prepare};

/// Users of the generated corpus.
const USERS: [usize; 2] = [300, 3000];

fn main() {
    divan::main();
}

/// Rows of both files a second: reading, sorting out, splitting, asking and writing.
#[divan::bench(args = USERS, sample_count = 10)]
fn files_to_questions(bencher: Bencher, users: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let corpus = Corpus::generate(&SyntheticConfig { users, ..SyntheticConfig::default() })
        .expect("a valid configuration");
    let files = corpus.write(folder.path()).expect("written");
    let (reviews, meta, out) = ([files.reviews], [files.meta], folder.path().join("out"));
    let run = || prepare(&reviews, &meta, &out, &PrepareOptions::default()).expect("prepared");

    let manifest = run().manifest;
    let rows = manifest.reviews.read + manifest.items.lines.read;
    bencher.counter(ItemsCount::new(rows)).bench_local(run);
}
