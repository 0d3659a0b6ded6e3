//! `config.json`, as `transformers` writes and reads it.

use std::path::Path;

use serde_json::Value;

use super::{Architecture, LlamaConfig};
use crate::error::{Error, Result};
use crate::rope_scaling::RopeScaling;

impl LlamaConfig {
    /// Reads `config.json` as `transformers` writes it, before and since its version 5.
    ///
    /// # Errors
    /// If the file cannot be read or parsed, lacks a field, or asks for something that this crate
    /// does not compute exactly (another architecture, another scaling of rotary embeddings, biases in
    /// the feed-forward network, another activation).
    pub fn from_file(path: &Path) -> Result<Self> {
        Self::from_json(path, &read_json(path)?)
    }

    /// The config that was read from this file.
    pub(crate) fn from_json(path: &Path, json: &Value) -> Result<Self> {
        Reader { path, json }.config()
    }

    /// The same config in the layout of `config.json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (class, kind) = match self.architecture {
            Architecture::Llama => ("LlamaForCausalLM", "llama"),
            Architecture::Mistral => ("MistralForCausalLM", "mistral"),
        };
        let mut json = serde_json::json!({
            "architectures": [class],
            "model_type": kind,
            "hidden_size": self.d_model,
            "intermediate_size": self.d_hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocab,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tie_word_embeddings,
            "max_position_embeddings": self.max_position_embeddings,
            "hidden_act": "silu",
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": match self.eos_token_ids.as_slice() {
                [] => Value::Null,
                [one] => (*one).into(),
                several => several.into(),
            },
            "torch_dtype": "float32",
            "use_cache": true,
        });
        if let Some(scaling) = self.rope_scaling {
            json["rope_scaling"] = serde_json::to_value(scaling).expect("numbers under names");
        }
        match self.architecture {
            Architecture::Llama => json["attention_bias"] = self.attention_bias.into(),
            Architecture::Mistral => json["sliding_window"] = self.sliding_window.into(),
        }
        json
    }
}

/// Reads a JSON file.
pub(crate) fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::Io { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| Error::Json { path: path.to_owned(), source })
}

/// The largest size that a config may state, and the widest that all heads may be together: beyond any model, and small
/// enough that the product of two sizes and the number of blocks is a number.
const MOST: u64 = 1 << 24;

/// The most blocks that a config may state.
const MOST_LAYERS: usize = 10_000;

/// Reads the fields of one `config.json`.
struct Reader<'a> {
    path: &'a Path,
    json: &'a Value,
}

impl Reader<'_> {
    fn config(&self) -> Result<LlamaConfig> {
        let architecture = self.architecture()?;
        self.reject_inexact()?;
        let d_model = self.size("hidden_size")?;
        let heads = self.size("num_attention_heads")?;
        let kv_heads = self.optional_size("num_key_value_heads")?.unwrap_or(heads);
        let head_dim = match self.optional_size("head_dim")? {
            Some(width) => width,
            None if d_model.is_multiple_of(heads) => d_model / heads,
            None => {
                return Err(self.error(
                    "num_attention_heads",
                    format!("a divisor of hidden_size ({d_model})"),
                    &heads.into(),
                ));
            }
        };
        if !heads.is_multiple_of(kv_heads) {
            return Err(self.error(
                "num_key_value_heads",
                format!("a divisor of num_attention_heads ({heads})"),
                &kv_heads.into(),
            ));
        }
        if (heads * head_dim) as u64 > MOST {
            let expected = format!("at most {MOST} with all {heads} heads together");
            return Err(self.error("head_dim", expected, &head_dim.into()));
        }
        if !head_dim.is_multiple_of(2) {
            return Err(self.error("head_dim", "an even width".into(), &head_dim.into()));
        }
        let layers = self.size("num_hidden_layers")?;
        if layers > MOST_LAYERS {
            let expected = format!("at most {MOST_LAYERS}");
            return Err(self.error("num_hidden_layers", expected, &layers.into()));
        }
        let sliding_window = match architecture {
            // Where the field is left out, transformers takes this; null means none.
            Architecture::Mistral if self.json.get("sliding_window").is_none() => Some(4096),
            Architecture::Mistral => self.optional_size("sliding_window")?,
            Architecture::Llama => None,
        };
        Ok(LlamaConfig {
            architecture,
            d_model,
            d_hidden: self.size("intermediate_size")?,
            layers,
            heads,
            kv_heads,
            head_dim,
            vocab: self.size("vocab_size")?,
            rms_norm_eps: self.positive("rms_norm_eps", &self.json["rms_norm_eps"])?,
            rope_theta: self.rope_theta()?,
            rope_scaling: self.rope_scaling()?,
            attention_bias: self.attention_bias(architecture)?,
            sliding_window,
            tie_word_embeddings: self.json["tie_word_embeddings"].as_bool().unwrap_or(false),
            max_position_embeddings: self.optional_size("max_position_embeddings")?.unwrap_or(2048),
            bos_token_id: self.token_ids("bos_token_id")?.first().copied(),
            eos_token_ids: self.token_ids("eos_token_id")?,
        })
    }

    fn architecture(&self) -> Result<Architecture> {
        let named = &self.json["architectures"][0];
        let value = if named.is_null() { &self.json["model_type"] } else { named };
        match value.as_str() {
            Some("LlamaForCausalLM" | "llama") => Ok(Architecture::Llama),
            Some("MistralForCausalLM" | "mistral") => Ok(Architecture::Mistral),
            _ => Err(self.error(
                "architectures",
                "LlamaForCausalLM or MistralForCausalLM".into(),
                value,
            )),
        }
    }

    fn reject_inexact(&self) -> Result<()> {
        let act = &self.json["hidden_act"];
        if !act.is_null() && act != "silu" {
            return Err(self.error("hidden_act", "silu".into(), act));
        }
        if self.json["mlp_bias"] == true {
            return Err(self.error("mlp_bias", "false".into(), &self.json["mlp_bias"]));
        }
        let fraction = &self.json["partial_rotary_factor"];
        if fraction.as_f64().is_some_and(|f| f != 1.0) {
            return Err(self.error("partial_rotary_factor", "1.0".into(), fraction));
        }
        Ok(())
    }

    /// Llama alone may have biases; transformers passes over the field in a Mistral.
    fn attention_bias(&self, architecture: Architecture) -> Result<bool> {
        let value = &self.json["attention_bias"];
        match (value, architecture) {
            (Value::Null | Value::Bool(false), _) => Ok(false),
            (Value::Bool(true), Architecture::Llama) => Ok(true),
            _ => {
                Err(self.error("attention_bias", "true or false, false in a Mistral".into(), value))
            }
        }
    }

    /// From `rope_parameters`, or as older versions wrote it from `rope_scaling`.
    fn rope_scaling(&self) -> Result<Option<RopeScaling>> {
        let new = &self.json["rope_parameters"];
        let field = if new.is_null() { "rope_scaling" } else { "rope_parameters" };
        let value = &self.json[field];
        if value.is_null() {
            return Ok(None);
        }
        let old = &self.json["rope_scaling"];
        if !value.is_object()
            || !new.is_null() && !old.is_null() && rope_type(old) != rope_type(new)
        {
            let expected = "an object, of one type with `rope_parameters` if both are there".into();
            return Err(self.error("rope_scaling", expected, old));
        }
        let number = |name: &str| {
            let found = value[name].as_f64().filter(|number| *number > 0.0);
            let expected = || format!("a positive number `{name}`");
            found.ok_or_else(|| self.error(field, expected(), value))
        };
        match rope_type(value) {
            "default" => Ok(None),
            "linear" => Ok(Some(RopeScaling::Linear { factor: number("factor")? })),
            "llama3" => {
                let (low, high) = (number("low_freq_factor")?, number("high_freq_factor")?);
                if low >= high {
                    let expected = "a low_freq_factor below high_freq_factor".into();
                    return Err(self.error(field, expected, value));
                }
                Ok(Some(RopeScaling::Llama3 {
                    factor: number("factor")?,
                    low_freq_factor: low,
                    high_freq_factor: high,
                    original_max_position_embeddings: number("original_max_position_embeddings")?
                        .max(1.0) as usize,
                }))
            }
            _ => Err(self.error(field, "the type default, linear or llama3".into(), value)),
        }
    }

    fn rope_theta(&self) -> Result<f64> {
        let new = &self.json["rope_parameters"]["rope_theta"];
        let value = if new.is_null() { &self.json["rope_theta"] } else { new };
        if value.is_null() {
            return Ok(10_000.0);
        }
        self.positive("rope_theta", value)
    }

    fn positive(&self, field: &'static str, value: &Value) -> Result<f64> {
        value
            .as_f64()
            .filter(|v| *v > 0.0)
            .ok_or_else(|| self.error(field, "a positive number".into(), value))
    }

    fn size(&self, field: &'static str) -> Result<usize> {
        self.optional_size(field)?
            .ok_or_else(|| self.error(field, "a positive whole number".into(), &Value::Null))
    }

    fn optional_size(&self, field: &'static str) -> Result<Option<usize>> {
        let value = &self.json[field];
        if value.is_null() {
            return Ok(None);
        }
        let size = value.as_u64().filter(|v| (1..=MOST).contains(v));
        let size = size.and_then(|v| usize::try_from(v).ok());
        let expected = || format!("a whole number of 1 to {MOST}");
        size.map(Some).ok_or_else(|| self.error(field, expected(), value))
    }

    /// A token id, a list of them, or nothing.
    fn token_ids(&self, field: &'static str) -> Result<Vec<u32>> {
        let value = &self.json[field];
        let values = match value {
            Value::Null => return Ok(Vec::new()),
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        values
            .iter()
            .map(|v| v.as_u64().and_then(|id| u32::try_from(id).ok()))
            .collect::<Option<Vec<u32>>>()
            .ok_or_else(|| self.error(field, "a token id or a list of them".into(), value))
    }

    fn error(&self, field: &'static str, expected: String, found: &Value) -> Error {
        Error::Config { path: self.path.to_owned(), field, expected, found: found.to_string() }
    }
}

fn rope_type(value: &Value) -> &str {
    value["rope_type"].as_str().or_else(|| value["type"].as_str()).unwrap_or("default")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &Value) -> Result<LlamaConfig> {
        LlamaConfig::from_json(Path::new("config.json"), json)
    }

    #[track_caller]
    fn check_rejected(field: &'static str, value: Value) {
        let mut json = LlamaConfig::tiny(64).to_json();
        json[field] = value;
        match read(&json) {
            Err(Error::Config { field: named, .. }) => assert_eq!(named, field),
            other => panic!("expected an error for `{field}`, got {other:?}"),
        }
    }

    #[test]
    fn written_configs_read_back_the_same() {
        for config in [
            LlamaConfig::tiny(64),
            LlamaConfig::tinyllama_1_1b(),
            LlamaConfig::mistral_7b_v0_1(),
            LlamaConfig::mistral_7b_v0_2(),
            LlamaConfig::mistral_7b_v0_3(),
            LlamaConfig::smollm2_135m(),
            LlamaConfig::llama_3_2_1b(),
            LlamaConfig { eos_token_ids: vec![7, 8, 9], ..LlamaConfig::tiny(64) },
            LlamaConfig {
                rope_scaling: Some(RopeScaling::Linear { factor: 4.0 }),
                attention_bias: true,
                ..LlamaConfig::tiny(64)
            },
        ] {
            assert_eq!(read(&config.to_json()).expect("readable"), config);
        }
    }

    /// As their cards on the hub count them.
    #[test]
    fn named_models_have_as_many_parameters_as_published() {
        for (config, expected) in [
            (LlamaConfig::tinyllama_1_1b(), 1_100_048_384),
            (LlamaConfig::mistral_7b_v0_1(), 7_241_732_096),
            (LlamaConfig::mistral_7b_v0_2(), 7_241_732_096),
            (LlamaConfig::mistral_7b_v0_3(), 7_248_023_552),
            (LlamaConfig::smollm2_135m(), 134_515_008),
            (LlamaConfig::llama_3_2_1b(), 1_235_814_400),
        ] {
            let tensors = crate::names::tensors(&config);
            let count = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>());
            assert_eq!(count.sum::<usize>(), expected, "{config:?}");
        }
    }

    #[test]
    fn reads_rope_theta_in_the_old_and_the_new_place() {
        let mut json = LlamaConfig::tiny(64).to_json();
        json["rope_theta"] = 500.0.into();
        assert_eq!(read(&json).expect("readable").rope_theta, 500.0);
        json["rope_parameters"] = serde_json::json!({"rope_type": "default", "rope_theta": 7.0});
        assert_eq!(read(&json).expect("readable").rope_theta, 7.0);
    }

    #[test]
    fn names_the_field_that_it_cannot_run() {
        check_rejected("architectures", serde_json::json!(["GPT2LMHeadModel"]));
        check_rejected("hidden_act", "gelu".into());
        check_rejected("attention_bias", "yes".into());
        check_rejected("mlp_bias", true.into());
        check_rejected("rope_scaling", serde_json::json!({"rope_type": "llama3"}));
        check_rejected("rope_scaling", serde_json::json!({"type": "yarn", "factor": 2.0}));
        check_rejected("rope_scaling", serde_json::json!({"type": "linear", "factor": 0.0}));
        check_rejected("head_dim", (MOST / 2).into());
        check_rejected("rope_parameters", serde_json::json!({"rope_type": "dynamic"}));
        check_rejected("num_key_value_heads", 4.into());
        check_rejected("head_dim", 7.into());
        check_rejected("vocab_size", 0.into());
        check_rejected("vocab_size", u64::MAX.into());
        check_rejected("num_hidden_layers", 1_000_000.into());
        check_rejected("rope_scaling", "llama3".into());
        check_rejected("eos_token_id", "2".into());
        check_rejected("rms_norm_eps", (-1).into());
    }
}
