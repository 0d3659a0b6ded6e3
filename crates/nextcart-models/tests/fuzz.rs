//! Damaged checkpoints: an error or a model, never a panic.
#![expect(clippy::unwrap_used, reason = "a test may fail and say why")]

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use nextcart_models::{Checkpoint, Error, LlamaConfig, SaveOptions, save_checkpoint_with};
use proptest::prelude::*;

/// A checkpoint of a few kilobytes, in two shards.
fn saved(folder: &Path) {
    let config = LlamaConfig {
        d_model: 16,
        d_hidden: 16,
        layers: 1,
        heads: 2,
        kv_heads: 1,
        head_dim: 8,
        ..LlamaConfig::tiny(20)
    };
    let model = config.init(3, &Device::flex());
    let options = SaveOptions { max_shard_bytes: 4000, ..SaveOptions::default() };
    save_checkpoint_with(folder, &model, &config, None, &options).unwrap();
}

/// A change to the bytes of a file: a byte at a place, or the place where it ends.
#[derive(Debug, Clone)]
enum Damage {
    Byte(usize, u8),
    End(usize),
    Insert(usize, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Most of the faults that matter lie in the header, near the start.
    let place = prop_oneof![0_usize..16, 0_usize..1500, 0_usize..6000];
    (place, any::<u8>(), 0..3).prop_map(|(place, byte, kind)| match kind {
        0 => Damage::Byte(place, byte),
        1 => Damage::End(place),
        _ => Damage::Insert(place, byte),
    })
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    match *damage {
        Damage::Byte(place, byte) if place < bytes.len() => bytes[place] = byte,
        Damage::End(place) => bytes.truncate(place),
        Damage::Insert(place, byte) if place <= bytes.len() => bytes.insert(place, byte),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn damaged_bytes_give_an_error_or_a_model(
        file in 0_usize..4,
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        saved(folder.path());
        let mut files: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        prop_assert!(files.len() >= 4, "config, index and two shards");
        let path = &files[file];
        let mut bytes = fs::read(path).unwrap();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        fs::write(path, bytes).unwrap();
        // A damaged config may describe a model of any size: only its reading is tried.
        if let Ok(checkpoint) = Checkpoint::open(folder.path())
            && !path.ends_with("config.json")
        {
            let _ = checkpoint.load(&Device::flex());
        }
    }
}

/// Python's pickles hold code; their names are not even looked at.
#[test]
fn a_pickle_is_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path());
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "safetensors")
            || path.ends_with("model.safetensors.index.json")
        {
            fs::remove_file(path).unwrap();
        }
    }
    let pickle = b"\x80\x04\x95cos\nsystem\n(S'echo'\ntR.";
    fs::write(folder.path().join("pytorch_model.bin"), pickle).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::MissingFile { .. }), "{error}");
    // Nor does a pickle pass under another name.
    fs::write(folder.path().join("model.safetensors"), pickle).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Safetensors { .. }), "{error}");
}

#[test]
fn an_index_that_leads_out_of_the_folder_is_refused() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    fs::create_dir(&folder).unwrap();
    saved(&folder);
    let index = folder.join("model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    let shard = "model-00001-of-";
    for evil in ["../model/", "/etc/", "sub/../../model/"] {
        fs::write(&index, text.replace(shard, &format!("{evil}{shard}"))).unwrap();
        let error = Checkpoint::open(&folder).unwrap_err();
        assert!(matches!(error, Error::Config { field: "weight_map", .. }), "{evil}: {error}");
    }
}
