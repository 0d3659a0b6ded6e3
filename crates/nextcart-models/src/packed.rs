//! Weights that bitsandbytes stored in NF4 (`-bnb-4bit` folders).

use nextcart_adapters::nf4::{BLOCK, CODE, NESTED_BLOCK, NestedAbsmax, Nf4Weight, dynamic_map};
use safetensors::Dtype;
use serde_json::Value;

use crate::error::{Error, Result, TensorMismatch};
use crate::precision::Precision;
use crate::safetensors_file::SafetensorsFile;

/// What stands beside a packed weight, after the weight's own name.
const STATE: &str = ".quant_state.bitsandbytes__nf4";
const FP4_STATE: &str = ".quant_state.bitsandbytes__fp4";
const ABSMAX: &str = ".absmax";
const MAP: &str = ".quant_map";
const NESTED_ABSMAX: &str = ".nested_absmax";
const NESTED_MAP: &str = ".nested_quant_map";

/// The weight that a tensor of a checkpoint belongs to, if it is one of those beside a packed weight.
pub(crate) fn weight_of(tensor: &str) -> Option<&str> {
    [STATE, FP4_STATE, ABSMAX, MAP, NESTED_ABSMAX, NESTED_MAP]
        .iter()
        .find_map(|suffix| tensor.strip_suffix(suffix))
}

/// Finds the file of a tensor.
pub(crate) type FileOf<'a> = &'a dyn Fn(&str) -> Option<&'a SafetensorsFile>;

/// Whether a weight is stored packed, be it in a way that [`check`] refuses.
pub(crate) fn is_packed(weight: &str, file_of: FileOf<'_>) -> bool {
    [STATE, FP4_STATE].iter().any(|state| file_of(&format!("{weight}{state}")).is_some())
}

/// What of a packed weight is of another kind than NF4 with double quantisation, whose tensors alone are known.
fn of_another_kind(weight: &str, file_of: FileOf<'_>) -> Option<TensorMismatch> {
    let wrong = |name, what, expected: &str, found: &str| {
        let (expected, found) = (expected.to_owned(), found.to_owned());
        Some(TensorMismatch::Packed { name, what, expected, found })
    };
    let state = format!("{weight}{FP4_STATE}");
    if file_of(&state).is_some() {
        return wrong(state, "quant_type", "nf4", "fp4");
    }
    let absmax = format!("{weight}{ABSMAX}");
    let stored = file_of(&absmax)?.info(&absmax)?.dtype;
    let is_nested = file_of(&format!("{weight}{NESTED_ABSMAX}")).is_some();
    if stored != Dtype::F32 || is_nested {
        return None;
    }
    let expected = "in double quantisation (bnb_4bit_use_double_quant=true)";
    wrong(absmax, "absmax", expected, "plain f32 absmax")
}

/// Compares the tensors of a packed weight with what its shape asks for.
pub(crate) fn check(
    weight: &str,
    shape: &[usize],
    file_of: FileOf<'_>,
    problems: &mut Vec<TensorMismatch>,
) {
    if let Some(problem) = of_another_kind(weight, file_of) {
        problems.push(problem);
        return;
    }
    let values: usize = shape.iter().product();
    let blocks = values.div_ceil(BLOCK);
    for (suffix, dtype, expected) in [
        ("", Dtype::U8, vec![values.div_ceil(2), 1]),
        (ABSMAX, Dtype::U8, vec![blocks]),
        (MAP, Dtype::F32, vec![CODE.len()]),
        (NESTED_ABSMAX, Dtype::F32, vec![blocks.div_ceil(NESTED_BLOCK)]),
        (NESTED_MAP, Dtype::F32, vec![256]),
    ] {
        let name = format!("{weight}{suffix}");
        let Some(info) = file_of(&name).and_then(|file| file.info(&name)) else {
            problems.push(TensorMismatch::Missing { name, shard: None });
            continue;
        };
        if info.shape != expected {
            problems.push(TensorMismatch::Shape { name, expected, found: info.shape.clone() });
        } else if info.dtype != dtype {
            let (expected, found) = (format!("{dtype:?}"), format!("{:?}", info.dtype));
            problems.push(TensorMismatch::Packed { name, what: "format", expected, found });
        }
    }
}

/// Reads a packed weight as it is stored.
///
/// # Errors
/// If a file cannot be read, or the weight was packed in another way than NF4 in blocks of 64 with double
/// quantisation in blocks of 256.
pub(crate) fn read(weight: &str, shape: [usize; 2], file_of: FileOf<'_>) -> Result<Nf4Weight> {
    let bytes = |suffix: &str| {
        let name = format!("{weight}{suffix}");
        file_of(&name).expect("checked when the checkpoint was opened").read_bytes(&name)
    };
    let floats = |suffix: &str| Ok::<_, Error>(Precision::F32.decode(&bytes(suffix)?));
    let name = format!("{weight}{STATE}");
    let file = file_of(&name).expect("what makes it a packed weight");
    let wrong = |what: &'static str, expected: String, found: String| {
        let problem = TensorMismatch::Packed { name: name.clone(), what, expected, found };
        Error::Tensors { path: file.path().to_owned(), problems: vec![problem] }
    };
    let state: Value = serde_json::from_slice(&bytes(STATE)?)
        .map_err(|error| wrong("state", "JSON".to_owned(), error.to_string()))?;
    for (field, expected) in [
        ("quant_type", Value::from("nf4")),
        ("blocksize", Value::from(BLOCK)),
        ("nested_blocksize", Value::from(NESTED_BLOCK)),
        ("shape", Value::from(shape.to_vec())),
    ] {
        if state[field] != expected {
            return Err(wrong(field, expected.to_string(), state[field].to_string()));
        }
    }
    let offset = state["nested_offset"].as_f64().map(|offset| offset as f32);
    let offset = offset.filter(|offset| offset.is_finite()).ok_or_else(|| {
        wrong("nested_offset", "a number".to_owned(), state["nested_offset"].to_string())
    })?;
    for (what, map, expected) in [
        ("quant_map", floats(MAP)?, CODE.to_vec()),
        ("nested_quant_map", floats(NESTED_MAP)?, dynamic_map(true).to_vec()),
    ] {
        if let Some(place) = (0..expected.len()).find(|&i| map[i] != expected[i]) {
            let (expected, found) = (expected[place].to_string(), map[place].to_string());
            return Err(wrong(what, expected, found));
        }
    }
    let (codes, scales) = (bytes(ABSMAX)?, floats(NESTED_ABSMAX)?);
    if let Some(scale) = scales.iter().find(|scale| !scale.is_finite()) {
        return Err(wrong("nested_absmax", "finite numbers".to_owned(), scale.to_string()));
    }
    let absmax = NestedAbsmax { codes, scales, offset };
    Ok(Nf4Weight::from_parts(shape, bytes("")?, absmax)?)
}
