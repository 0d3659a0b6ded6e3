//! The reference numbers that golden tests compare with.
//!
//! The folder is named by `NEXTCART_REFERENCE`. Every model, run, shape and tolerance-bearing number
//! is read from the files in it, so that another folder can be put in its place.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The folder and the specification that all files in it were made from.
pub(crate) struct Reference {
    folder: PathBuf,
    pub(crate) spec: Value,
}

impl Reference {
    /// The named folder; `None` with a note if none is named.
    ///
    /// # Panics
    /// If a folder is named and not there.
    pub(crate) fn open() -> Option<Self> {
        let Some(folder) = std::env::var_os("NEXTCART_REFERENCE") else {
            // Straight to the terminal: what a passing test prints would not be shown.
            std::io::stderr().write_all(b"skipped: NEXTCART_REFERENCE is not set\n").unwrap();
            return None;
        };
        let folder = PathBuf::from(folder);
        assert!(folder.is_dir(), "NEXTCART_REFERENCE: `{}` is no folder", folder.display());
        let spec = json(&folder.join("spec.json"));
        Some(Self { folder, spec })
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    pub(crate) fn json(&self, relative: &str) -> Value {
        json(&self.path(relative))
    }

    pub(crate) fn tensors(&self, relative: &str) -> Tensors {
        let path = self.path(relative);
        let all = read(&path);
        Tensors { path, all }
    }
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

/// Shape and values of each tensor.
type All = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

fn read(path: &Path) -> All {
    let bytes =
        fs::read(path).unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let tensors = file.iter().map(|(name, view)| {
        let values = numbers(view.dtype(), view.data());
        (name.to_owned(), (view.shape().to_vec(), values))
    });
    tensors.collect()
}

/// The tensors of a safetensors file.
pub(crate) struct Tensors {
    path: PathBuf,
    all: All,
}

impl Tensors {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    pub(crate) fn shape(&self, name: &str) -> &[usize] {
        &self.entry(name).0
    }

    pub(crate) fn values(&self, name: &str) -> &[f64] {
        &self.entry(name).1
    }

    pub(crate) fn ids(&self, name: &str) -> Vec<u32> {
        self.values(name).iter().map(|&id| id as u32).collect()
    }

    fn entry(&self, name: &str) -> &(Vec<usize>, Vec<f64>) {
        let entry = self.all.get(name);
        entry.unwrap_or_else(|| panic!("no tensor `{name}` in `{}`", self.path.display()))
    }
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    fn decode<const N: usize>(bytes: &[u8], one: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks().0.iter().map(|&chunk| one(chunk)).collect()
    }
    match dtype {
        Dtype::F64 => decode(bytes, f64::from_le_bytes),
        Dtype::F32 => decode(bytes, |b| f32::from_le_bytes(b).into()),
        // The upper half of an f32.
        Dtype::BF16 => decode(bytes, |[low, high]| f32::from_le_bytes([0, 0, low, high]).into()),
        Dtype::I64 => decode(bytes, |b| i64::from_le_bytes(b) as f64),
        Dtype::U8 => decode(bytes, |[byte]| byte.into()),
        other => panic!("no golden tensor has values of type {other:?}"),
    }
}

/// The entries of a JSON object.
pub(crate) fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().expect("a JSON object").iter()
}

/// The items of a JSON array.
pub(crate) fn array(value: &Value) -> &[Value] {
    value.as_array().expect("a JSON array")
}

pub(crate) fn size(value: &Value) -> usize {
    value.as_u64().expect("a whole number") as usize
}

pub(crate) fn float(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

pub(crate) fn ids(value: &Value) -> Vec<u32> {
    array(value).iter().map(|id| size(id) as u32).collect()
}

/// The largest deviation seen so far, for a line of output that says how near the bound it came.
#[derive(Default)]
pub(crate) struct Deviation {
    largest: f64,
    place: String,
    compared: usize,
}

impl Deviation {
    /// Compares values with what they should be.
    #[track_caller]
    pub(crate) fn compare<const D: usize>(
        &mut self,
        what: &str,
        found: Tensor<D>,
        expected: &[f64],
        tolerance: f64,
    ) {
        let found: Vec<f32> = found.into_data().try_into_vec_as().expect("floats");
        assert_eq!(found.len(), expected.len(), "{what}: another number of values");
        for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            self.compare_one(&format!("{what}, {i}"), f64::from(found), expected, tolerance);
        }
    }

    #[track_caller]
    pub(crate) fn compare_one(&mut self, what: &str, found: f64, expected: f64, tolerance: f64) {
        let off = (found - expected).abs();
        assert!(off <= tolerance, "{what}: {found} is not {expected} (off by {off:.1e})");
        self.compared += 1;
        if off > self.largest {
            self.largest = off;
            self.place = what.to_owned();
        }
    }

    /// Prints what was seen; a test that compared nothing fails.
    #[track_caller]
    pub(crate) fn report(self, title: &str) {
        assert!(self.compared > 0, "{title}: nothing was compared");
        let Self { largest, place, compared } = self;
        eprintln!("{title}: {compared} values, at most {largest:.2e} off ({place})");
    }
}
