//! Prepares questions with the relational work on a Ballista cluster, and compares the tables with those
//! made in this process.
//!
//! The cluster is a scheduler and an executor on loopback; with `SessionContext::remote_with_state` in place
//! of `standalone_with_state` the same plans run on any other whose executors see the disk of `--out` and
//! know the functions of `plan::register`.
//!
//! Run: `cargo run --release --features nextcart-examples/ballista --example prepare_on_ballista --
//! --reviews reviews.json.gz --meta meta.json.gz --out cluster`

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use ballista::prelude::{SessionConfigExt, SessionContextExt};
use clap::Parser;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use nextcart_data::{PrepareOptions, Resources, plan, prepare, prepare_on};
use nextcart_examples::{end, say};

/// Prepares the same files twice, on a cluster and without.
#[derive(Parser)]
#[command(name = "prepare_on_ballista", version)]
#[command(after_help = "Example:
  cargo run --release --features nextcart-examples/ballista --example prepare_on_ballista -- \\
    --reviews reviews.json.gz --meta meta.json.gz --out cluster")]
struct Arguments {
    /// Review files or folders.
    #[arg(long, required = true, num_args = 1..)]
    reviews: Vec<PathBuf>,
    /// Metadata files or folders that belong to the reviews.
    #[arg(long, required = true, num_args = 1..)]
    meta: Vec<PathBuf>,
    /// Folder for the results, in `cluster` and `alone`.
    #[arg(long)]
    out: PathBuf,
    /// Purchases that every user, and buyers that every item, must have in training.
    #[arg(long)]
    k_core: Option<usize>,
}

#[tokio::main]
async fn main() -> ExitCode {
    end(run(Arguments::parse()).await)
}

async fn run(Arguments { reviews, meta, out, k_core }: Arguments) -> Result<()> {
    let (cluster, alone) = (out.join("cluster"), out.join("alone"));
    let options = PrepareOptions { k_core, ..PrepareOptions::default() };

    let config = SessionConfig::new_with_ballista().with_target_partitions(4);
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let client = SessionContext::new_with_state(state);
    plan::register(&client);
    let context = SessionContext::standalone_with_state(client.state()).await?;
    let limits = Resources::default();
    let prepared = prepare_on(&context, &reviews, &meta, &cluster, &options, &limits).await?;
    let (histories, questions) = (&prepared.manifest.histories, &prepared.manifest.questions);
    say!("on the cluster: {} users, {} questions", histories.users, questions.total())?;

    prepare(&reviews, &meta, &alone, &options)?;
    let files = [
        "reviews.parquet",
        "items.parquet",
        "histories.parquet",
        "questions.parquet",
        "manifest.json",
    ];
    for file in files {
        let same = fs::read(cluster.join(file))? == fs::read(alone.join(file))?;
        ensure!(same, "`{file}` differs between the cluster and this process");
        say!("same bytes: {file}")?;
    }
    Ok(())
}
