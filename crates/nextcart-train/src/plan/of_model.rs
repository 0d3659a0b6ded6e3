//! A run whose model is there already.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::DType;
use nextcart_adapters::{Base, Bias, LoraConfig, TargetModules};
use nextcart_models::{Llama, LlamaConfig, LoadOptions, Precision};

use super::{Planner, TrainedSizes, Workload};
use crate::config::SftConfig;
use crate::watch::WatchConfig;

impl Planner {
    /// The run of a model that is made: what takes gradients in it trains. Off an autodiff device, where nobody can tell,
    /// that is its adapters, or all of its weights if it has none.
    #[must_use]
    pub fn of_model(
        model: &Llama,
        llama: &LlamaConfig,
        training: &SftConfig,
        workload: Workload,
    ) -> Self {
        let precision = |dtype| match dtype {
            DType::BF16 => Precision::Bf16,
            DType::F16 => Precision::F16,
            _ => Precision::F32,
        };
        let weights = precision(model.embedding().dtype());
        let activations = precision(model.activations());
        let quantized = is_quantized(model);
        Self {
            model: llama.clone(),
            load: LoadOptions { weights, quantized, activations },
            lora: adapters(model),
            trained: TrainedSizes::of(model),
            training: training.clone(),
            watch: WatchConfig::default(),
            workload,
            memory_limit: None,
        }
    }
}

/// Whether a model holds projections in NF4.
fn is_quantized(model: &Llama) -> bool {
    let projections = model.projections();
    projections.iter().any(|(_, projection)| matches!(projection.base(), Base::Nf4(_)))
}

/// The configuration that gives adapters as large as a model's; `None` if it has none.
fn adapters(model: &Llama) -> Option<LoraConfig> {
    let all = model.projections();
    let own = all.iter().filter_map(|(path, it)| Some((path.as_str(), it.adapter()?)));
    let own: BTreeMap<&str, _> = own.collect();
    let first = own.values().next()?;
    let ranks: BTreeSet<usize> = own.values().map(|adapter| adapter.rank()).collect();
    let count = |rank: usize| own.values().filter(|adapter| adapter.rank() == rank).count();
    let usual = ranks.into_iter().max_by_key(|&rank| count(rank))?;
    let others = own.iter().filter(|(_, adapter)| adapter.rank() != usual);
    // By the last segment of their names if that names no other projection: fewer names are sooner compared.
    let kind = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let kinds: BTreeSet<String> = own.keys().map(|path| kind(path)).collect();
    let named = all.iter().filter(|(path, _)| kinds.contains(&kind(path))).count();
    let names = match named == own.len() {
        true => kinds.into_iter().collect(),
        false => own.keys().map(|path| (*path).to_owned()).collect(),
    };
    let trains_others = all.iter().any(|(_, it)| it.adapter().is_none() && it.has_trained_bias());
    Some(
        LoraConfig::new()
            .with_bias(if trains_others { Bias::All } else { Bias::None })
            .with_rank(usual)
            .with_dropout(first.dropout())
            .with_use_dora(first.magnitude().is_some())
            .with_target_modules(TargetModules::Names(names))
            .with_rank_pattern(others.map(|(path, it)| (*path, it.rank())).collect()),
    )
}
