//! Contexts that plans run on, and tables on disk as their sources and sinks.

use std::{path::Path, sync::Arc};

use datafusion::{
    dataframe::DataFrameWriteOptions,
    execution::{
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::FairSpillPool,
        runtime_env::RuntimeEnvBuilder,
        session_state::SessionStateBuilder,
    },
    prelude::{DataFrame, ParquetReadOptions, SessionConfig, SessionContext},
};

use super::tie::tie_function;
use crate::{Error, Resources, Result};

/// Memory for each row of a batch: some hundred bytes, times the batches that sorts and merges hold.
const BYTES_PER_BATCH_ROW: usize = 16 << 10;

/// Sorts that a plan with two sorted joins runs at once, about.
const SORTS_OF_A_PLAN: usize = 8;

/// A context on this machine: plans take up to [`Resources::memory_bytes`] and continue in files in
/// `scratch` beyond.
///
/// # Errors
/// If the memory is less than any plan needs, or the folder cannot be used.
pub fn session(resources: &Resources, scratch: &Path) -> Result<SessionContext> {
    let memory_bytes = resources.memory_of_plans()?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![scratch.to_path_buf()]));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let mut config = SessionConfig::new().with_target_partitions(resources.threads());
    // A sort holds a few batches at least; where memory is small, so must they be.
    let rows = (memory_bytes / BYTES_PER_BATCH_ROW).clamp(256, config.batch_size());
    config = config.with_batch_size(rows);
    let options = config.options_mut();
    // Plans put the small table on the left themselves; estimates of what filters leave go wrong.
    options.optimizer.join_reordering = false;
    options.optimizer.repartition_joins = false;
    // A view keeps the whole page alive that it looks into, and sorts would count that page for every batch.
    options.execution.parquet.schema_force_view_types = false;
    // Scratch tables are read once or twice and soon gone.
    options.execution.parquet.compression = Some("lz4_raw".into());
    // Before a sort goes to disk it merges what it holds, and needs as much again for the keys: half of the
    // memory is kept for that, divided among the threads that sort.
    options.execution.sort_spill_reservation_bytes = memory_bytes / (2 * resources.threads());
    let context = SessionContext::new_with_config_rt(config, runtime);
    register(&context);
    Ok(context)
}

/// The same context, but for joins of two large tables: by sorting both, which can go on on disk, not by
/// holding one of them in memory.
#[must_use]
pub fn with_sorted_joins(context: &SessionContext) -> SessionContext {
    let mut config = context.copied_config();
    let options = config.options_mut();
    options.optimizer.prefer_hash_join = false;
    options.optimizer.repartition_joins = true;
    // Every join sorts twice, and each of these sorts keeps memory for its merge.
    options.execution.sort_spill_reservation_bytes /= SORTS_OF_A_PLAN;
    let state = SessionStateBuilder::new_from_existing(context.state()).with_config(config).build();
    SessionContext::new_with_state(state)
}

/// Registers the functions that the plans use. Executors of a cluster need them, too.
pub fn register(context: &SessionContext) {
    context.register_udf(tie_function());
}

/// A Parquet file.
///
/// # Errors
/// If there is none, or it is no Parquet file.
pub async fn read_table(context: &SessionContext, path: &Path) -> Result<DataFrame> {
    Ok(context.read_parquet(url(path)?, ParquetReadOptions::default()).await?)
}

/// Runs a plan, writes what it gives as a folder of Parquet files, and gives that table.
///
/// # Errors
/// If the plan fails or the folder cannot be written.
pub async fn store(context: &SessionContext, table: DataFrame, folder: &Path) -> Result<DataFrame> {
    let failed = |source| Error::Write { path: folder.into(), source };
    // The plan may not read the folder that it goes to; what an earlier one left there is no part of it.
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => std::fs::create_dir_all(folder).map_err(failed)?,
    }
    // Without rows there is no file, and no schema to be read from it.
    let schema = table.schema().as_arrow().clone();
    let options = DataFrameWriteOptions::new().with_single_file_output(false);
    table.write_parquet(&url(folder)?, options, None).await?;
    let options = ParquetReadOptions::default().schema(&schema);
    Ok(context.read_parquet(url(folder)?, options).await?)
}

/// A `file:` address: in a plain path, `*` and `?` would be patterns.
fn url(path: &Path) -> Result<String> {
    let failed = |source| Error::Read { path: path.into(), source };
    let absolute = path.canonicalize().map_err(failed)?;
    let url = if absolute.is_dir() {
        url::Url::from_directory_path(&absolute)
    } else {
        url::Url::from_file_path(&absolute)
    };
    Ok(url.expect("a canonical path is absolute").to_string())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use arrow::{array::RecordBatch, compute::concat_batches};
    use datafusion::physical_plan::{ExecutionPlan, collect, displayable};

    use super::*;
    use crate::{
        IngestOptions, PrepareOptions,
        plan::{classify, in_order, purchases, users},
        prepare::on_runtime,
        synthetic::Bulk,
    };

    /// Stores the purchases of the tables in a folder.
    fn store_purchases(folder: &Path, sorted_joins: bool) {
        let tables: Vec<PathBuf> =
            ["reviews.parquet", "items.parquet"].iter().map(|file| folder.join(file)).collect();
        let options = PrepareOptions::default();
        let work = async {
            let plain = session(&Resources::default(), folder)?;
            let context = if sorted_joins { with_sorted_joins(&plain) } else { plain };
            let classified = classify(&context, &tables[0], &tables[1], &options).await?;
            let users = users(classified.clone())?;
            let purchases = purchases(classified, users, &options)?;
            let plan = purchases.clone().create_physical_plan().await?;
            let plan = displayable(plan.as_ref()).indent(false).to_string();
            assert_eq!(plan.contains("SortMergeJoin"), sorted_joins, "{plan}");
            assert_eq!(plan.contains("HashJoin"), !sorted_joins, "{plan}");
            store(&context, purchases, &folder.join("purchases")).await
        };
        on_runtime(2, work).unwrap();
    }

    /// How often the sort of the stored purchases went to disk, and the rows that it gave.
    fn spills(memory_bytes: usize, folder: &Path) -> (usize, Vec<RecordBatch>) {
        let resources = Resources { memory_bytes, threads: 2 };
        let work = async {
            let context = session(&resources, folder)?;
            let plan = in_order(read_table(&context, &folder.join("purchases")).await?, 0)?;
            let tasks = plan.task_ctx();
            let plan = plan.create_physical_plan().await?;
            let batches = collect(plan.clone(), tasks.into()).await?;
            Ok((count(plan.as_ref()), batches))
        };
        on_runtime(2, work).unwrap()
    }

    fn count(plan: &dyn ExecutionPlan) -> usize {
        let own = plan.metrics().and_then(|metrics| metrics.spill_count()).unwrap_or_default();
        own + plan.children().iter().map(|child| count(child.as_ref())).sum::<usize>()
    }

    #[test]
    fn a_runtime_within_a_runtime_comes_and_goes() {
        let inner = || on_runtime(1, async { Ok(7) }).unwrap();
        assert_eq!(on_runtime(1, async { Ok(inner()) }).unwrap(), 7);
    }

    #[test]
    fn sorts_go_on_on_disk_when_memory_ends() {
        let folder = tempfile::tempdir().unwrap();
        let files = Bulk::new(300_000).write(folder.path()).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let (limits, options) = (Resources::default(), IngestOptions::default());
        let out = folder.path().join("out");
        crate::ingest(&[files.reviews], &[files.meta], &out, &options, &limits, &stop).unwrap();
        store_purchases(&out, false);
        let (none, expected) = spills(512 << 20, &out);
        let (some, found) = spills(12 << 20, &out);
        assert_eq!(none, 0);
        assert!(some > 0);
        let schema = expected[0].schema();
        let whole = |batches: &[RecordBatch]| concat_batches(&schema, batches).unwrap();
        assert_eq!(whole(&found), whole(&expected));

        store_purchases(&out, true);
        let (_, found) = spills(512 << 20, &out);
        assert!(whole(&found) == whole(&expected), "sorted joins give other rows");
    }
}
