//! `adapter_config.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::{Bias, LoraConfig};
use crate::error::{Error, Result};
use crate::init::Init;
use crate::patterns::Patterns;
use crate::targets::TargetModules;

/// Fields that change what the tensors mean and that this crate knows only in their resting state:
/// absent, null, false or empty.
const UNSUPPORTED: [&str; 12] = [
    "alora_invocation_tokens",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
];

/// Fields that leave out some of the targets.
const NARROWING: [&str; 3] = ["exclude_modules", "layers_to_transform", "layers_pattern"];

/// Ways to start that also change the base's weight, without which the adapter means nothing.
const BASE_CHANGING_INITS: [&str; 5] = ["pissa", "olora", "corda", "lora_ga", "loftq"];

/// The configuration as PEFT writes it, patterns first: of these the order counts, which an object of `json!` loses.
#[derive(Serialize)]
struct Written<'a> {
    alpha_pattern: Patterns<Value>,
    rank_pattern: &'a Patterns<usize>,
    #[serde(flatten)]
    rest: Value,
}

/// The text of a configuration.
pub(super) fn to_json(base_model: &str, config: &LoraConfig) -> String {
    let rest = json!({
        "auto_mapping": null,
        "base_model_name_or_path": base_model,
        "bias": config.bias,
        "exclude_modules": null,
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": match config.init {
            Init::Gaussian => json!("gaussian"),
            // To PEFT, what an adapter started from is of no concern once it is loaded.
            Init::Kaiming | Init::Loftq => json!(true),
        },
        "layer_replication": null,
        "layers_pattern": null,
        "layers_to_transform": null,
        "loftq_config": {},
        "lora_alpha": whole(config.alpha),
        "lora_bias": false,
        "lora_dropout": config.dropout,
        "megatron_config": null,
        "megatron_core": "megatron.core",
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": config.rank,
        "revision": null,
        "target_modules": config.target_modules,
        "task_type": "CAUSAL_LM",
        "use_dora": config.use_dora,
        "use_rslora": config.use_rslora,
    });
    let alphas = config.alpha_pattern.iter().map(|(pattern, alpha)| (pattern, whole(alpha)));
    let written =
        Written { alpha_pattern: alphas.collect(), rank_pattern: &config.rank_pattern, rest };
    let text = serde_json::to_string_pretty(&written).expect("names, numbers and texts");
    format!("{text}\n")
}

/// PEFT declares alpha as an integer; a whole number is written as one.
fn whole(alpha: f64) -> Value {
    if alpha.fract() == 0.0 && alpha < 1e15 { json!(alpha as i64) } else { json!(alpha) }
}

/// What the configuration says, as far as loading needs it.
pub(super) struct Header {
    pub(super) config: LoraConfig,
    pub(super) base_model: Option<String>,
    /// Whether the targets stand there as this crate knows them, which does not hold for a pattern with look-around; else
    /// they are those that the tensors name.
    pub(super) names_targets: bool,
}

/// Fields whose own order counts, which a map of all fields would lose.
#[derive(Deserialize)]
struct Ordered {
    rank_pattern: Option<Patterns<usize>>,
    alpha_pattern: Option<Patterns<f64>>,
}

/// Reads the configuration.
pub(super) fn from_json(path: &Path, text: &str) -> Result<Header> {
    let fields =
        serde_json::from_str(text).map_err(|source| Error::Json { path: path.into(), source })?;
    let fields = Fields { path, fields };
    fields.check_supported()?;
    let Ordered { rank_pattern, alpha_pattern } = fields.patterns(text)?;
    let targets = fields.targets()?;
    let names_targets =
        targets.is_some() && NARROWING.iter().all(|field| is_resting(fields.get(field)));
    let config = LoraConfig::new()
        .with_rank(fields.rank()?)
        .with_alpha(fields.number("lora_alpha", "a positive number", |x| x > 0.0)?)
        .with_dropout(
            fields.number("lora_dropout", "a number in [0, 1)", |x| (0.0..1.0).contains(&x))?,
        )
        .with_use_rslora(fields.flag("use_rslora")?)
        .with_use_dora(fields.flag("use_dora")?)
        .with_target_modules(targets.unwrap_or(TargetModules::Names(Vec::new())))
        .with_rank_pattern(rank_pattern.unwrap_or_default())
        .with_alpha_pattern(alpha_pattern.unwrap_or_default())
        .with_bias(fields.bias()?)
        .with_init(fields.init()?);
    // What is left to be wrong are the patterns of ranks and alphas.
    config.validate().map_err(|error| match error {
        Error::Config { field, expected, found } => {
            Error::Field { path: path.into(), field, expected: expected.to_owned(), found }
        }
        other => other,
    })?;
    let base_model = fields.get("base_model_name_or_path").as_str().map(String::from);
    Ok(Header { config, base_model, names_targets })
}

fn is_resting(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

struct Fields<'a> {
    path: &'a Path,
    fields: Map<String, Value>,
}

impl Fields<'_> {
    fn get(&self, field: &str) -> &Value {
        self.fields.get(field).unwrap_or(&Value::Null)
    }

    fn wrong(&self, field: &'static str, expected: &str, found: &Value) -> Error {
        let found = if found.is_null() { "nothing".to_owned() } else { found.to_string() };
        Error::Field { path: self.path.into(), field, expected: expected.to_owned(), found }
    }

    /// Refuses another kind of adapter, and fields that ask for what this crate does not do.
    fn check_supported(&self) -> Result<()> {
        let kind = self.get("peft_type");
        if kind != "LORA" {
            return Err(self.wrong("peft_type", r#""LORA""#, kind));
        }
        match UNSUPPORTED.into_iter().find(|field| !is_resting(self.get(field))) {
            Some(field) => Err(self.wrong(field, "nothing (not supported)", self.get(field))),
            None => Ok(()),
        }
    }

    fn rank(&self) -> Result<usize> {
        let value = self.get("r");
        let rank = value.as_u64().filter(|&rank| rank > 0);
        let rank = rank.and_then(|rank| usize::try_from(rank).ok());
        rank.ok_or_else(|| self.wrong("r", "a whole number from 1", value))
    }

    /// Ranks and alphas of some modules, from the text of all fields.
    fn patterns(&self, text: &str) -> Result<Ordered> {
        serde_json::from_str(text).map_err(|_| {
            let [ranks, alphas] = ["rank_pattern", "alpha_pattern"].map(|field| self.get(field));
            match Option::<Patterns<usize>>::deserialize(ranks) {
                Err(_) => {
                    let expected = "an object of patterns and whole numbers";
                    self.wrong("rank_pattern", expected, ranks)
                }
                Ok(_) => self.wrong("alpha_pattern", "an object of patterns and numbers", alphas),
            }
        })
    }

    /// The modules with an adapter; `None` if they are left out, or are a pattern of Python's that this crate lacks.
    fn targets(&self) -> Result<Option<TargetModules>> {
        let value = self.get("target_modules");
        let targets = Option::<TargetModules>::deserialize(value)
            .map_err(|_| self.wrong("target_modules", "a list of names or a pattern", value))?;
        Ok(targets.filter(|targets| targets.fault().is_none()))
    }

    fn bias(&self) -> Result<Bias> {
        let value = self.get("bias");
        let bias = Option::<Bias>::deserialize(value)
            .map_err(|_| self.wrong("bias", r#""none", "all" or "lora_only""#, value))?;
        Ok(bias.unwrap_or_default())
    }

    /// How the factors were drawn, unless the base's weight was changed with them.
    fn init(&self) -> Result<Init> {
        let value = self.get("init_lora_weights");
        let name = value.as_str().unwrap_or_default().to_lowercase();
        if BASE_CHANGING_INITS.iter().any(|changing| name.starts_with(changing)) {
            let expected = "a start that keeps the base's weight";
            return Err(self.wrong("init_lora_weights", expected, value));
        }
        Ok(if value == "gaussian" { Init::Gaussian } else { Init::Kaiming })
    }

    fn number(
        &self,
        field: &'static str,
        expected: &str,
        allowed: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        let value = self.get(field);
        let number = value.as_f64().filter(|&number| allowed(number));
        number.ok_or_else(|| self.wrong(field, expected, value))
    }

    fn flag(&self, field: &'static str) -> Result<bool> {
        match self.get(field) {
            Value::Null => Ok(false), // older than the field
            Value::Bool(flag) => Ok(*flag),
            other => Err(self.wrong(field, "true or false", other)),
        }
    }
}
