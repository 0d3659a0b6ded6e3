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
    let fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|source| Error::Json { path: path.into(), source })?;
    let fields = Fields { path, fields };

    fields.expect("peft_type", "LORA", Value::Null)?;
    let bias = fields.fields.get("bias").unwrap_or(&Value::Null);
    let bias = match bias {
        Value::Null => Bias::None,
        _ => Bias::deserialize(bias)
            .map_err(|_| fields.wrong("bias", r#""none", "all" or "lora_only""#, bias))?,
    };
    for field in UNSUPPORTED {
        let value = fields.get(field);
        if !is_resting(value) {
            return Err(fields.wrong(field, "nothing (not supported)", value));
        }
    }
    let init = fields.get("init_lora_weights");
    if let Some(text) = init.as_str()
        && BASE_CHANGING_INITS.iter().any(|name| text.to_lowercase().starts_with(name))
    {
        return Err(fields.wrong(
            "init_lora_weights",
            "a start that keeps the base's weight",
            init,
        ));
    }

    let rank = fields.get("r");
    let rank = rank
        .as_u64()
        .filter(|&rank| rank > 0)
        .and_then(|rank| usize::try_from(rank).ok())
        .ok_or_else(|| fields.wrong("r", "a whole number from 1", rank))?;
    let config = LoraConfig::new()
        .with_rank(rank)
        .with_alpha(fields.number("lora_alpha", "a positive number", |x| x > 0.0)?)
        .with_dropout(
            fields.number("lora_dropout", "a number in [0, 1)", |x| (0.0..1.0).contains(&x))?,
        )
        .with_use_rslora(fields.flag("use_rslora")?)
        .with_use_dora(fields.flag("use_dora")?);

    let ordered = serde_json::from_str(text).map_err(|_| {
        let patterns = ["rank_pattern", "alpha_pattern"];
        let field = patterns.into_iter().find(|field| !is_of_numbers(fields.get(field)));
        let field = field.unwrap_or(patterns[0]);
        fields.wrong(field, "an object of patterns and whole numbers", fields.get(field))
    })?;
    let Ordered { rank_pattern, alpha_pattern } = ordered;

    let targets = fields.get("target_modules");
    let names = match targets {
        Value::Null => None,
        _ => Some(TargetModules::deserialize(targets).map_err(|_| {
            fields.wrong("target_modules", "a list of names or a pattern", targets)
        })?),
    };
    // Python knows patterns that this crate does not.
    let names = names.filter(|names| names.fault().is_none());
    let config = config
        .with_bias(bias)
        .with_rank_pattern(rank_pattern.unwrap_or_default())
        .with_alpha_pattern(alpha_pattern.unwrap_or_default())
        .with_init(if init == "gaussian" { Init::Gaussian } else { Init::Kaiming });
    let header = Header {
        base_model: fields.get("base_model_name_or_path").as_str().map(String::from),
        names_targets: names.is_some()
            && NARROWING.iter().all(|field| is_resting(fields.get(field))),
        config: config.with_target_modules(names.unwrap_or(TargetModules::Names(Vec::new()))),
    };
    // What is left to be wrong are the patterns of ranks and alphas.
    header.config.validate().map_err(|error| match error {
        Error::Config { field, expected, found } => {
            Error::Field { path: path.into(), field, expected: expected.to_owned(), found }
        }
        other => other,
    })?;
    Ok(header)
}

/// Whether a field may be a pattern of ranks.
fn is_of_numbers(value: &Value) -> bool {
    let fields = value.as_object();
    value.is_null() || fields.is_some_and(|fields| fields.values().all(Value::is_u64))
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

    /// A text with one allowed value; `absent` stands in for a missing field.
    fn expect(&self, field: &'static str, expected: &str, absent: Value) -> Result<()> {
        let value = self.fields.get(field).unwrap_or(&absent);
        if value.as_str() == Some(expected) {
            return Ok(());
        }
        Err(self.wrong(field, &format!("{expected:?}"), value))
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
