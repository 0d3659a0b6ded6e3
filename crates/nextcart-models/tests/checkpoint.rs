//! Checkpoints that are as they should be, and those that are not.
#![expect(clippy::unwrap_used, reason = "a test may fail and say why")]

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use nextcart_adapters::{LoraConfig, load_peft};
use nextcart_models::{
    Checkpoint, Error, Llama, LlamaConfig, ModelInput, Precision, SaveOptions, TensorMismatch,
    save_adapter, save_checkpoint, save_checkpoint_with,
};
use nextcart_text::Tokenizer;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

const VOCAB: usize = 300;

fn config() -> LlamaConfig {
    LlamaConfig { layers: 2, ..LlamaConfig::tiny(VOCAB) }
}

fn tokenizer() -> Tokenizer {
    Tokenizer::train(["Green Tea", "Acacia Honey", "Dog Leash"].iter(), VOCAB).unwrap()
}

fn saved() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = config().init(3, &Device::flex());
    save_checkpoint(folder.path(), &model, &config(), Some(&tokenizer())).unwrap();
    folder
}

fn logits(model: &Llama) -> Vec<f32> {
    let input = ModelInput::new(&[&[1, 8, 40, 2], &[1, 5]], &config(), &Device::flex());
    model.forward(&input).into_data().iter::<f32>().collect()
}

/// Changes one field of `config.json`.
fn edit_config(folder: &Path, field: &str, value: Value) {
    let path = folder.join("config.json");
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    json[field] = value;
    fs::write(path, json.to_string()).unwrap();
}

fn open(folder: &TempDir) -> Error {
    Checkpoint::open(folder.path()).expect_err("an error")
}

/// The whole chain of causes, as a person sees it.
fn message(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[test]
fn a_saved_model_loads_to_the_same_logits_and_tokens() {
    let folder = saved();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.config(), &config());
    let model = checkpoint.load(&Device::flex()).unwrap();
    assert_eq!(logits(&model), logits(&config().init(3, &Device::flex())));
    let read = checkpoint.tokenizer().unwrap();
    assert_eq!(read.encode_whole("Honey").unwrap(), tokenizer().encode_whole("Honey").unwrap());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn what_lies_beside_a_tokenizer_goes_with_it() {
    let (first, second) = (saved(), saved());
    let beside = [
        ("tokenizer_config.json", r#"{"add_bos_token": false, "bos_token": "<s>"}"#),
        ("chat_template.jinja", "{{ messages }}"),
        ("generation_config.json", "{}"),
    ];
    for (name, text) in beside {
        fs::write(first.path().join(name), text).unwrap();
    }
    let stale = second.path().join("special_tokens_map.json");
    fs::write(&stale, r#"{"bos_token": "</s>"}"#).unwrap();

    let tokenizer = Checkpoint::open(first.path()).unwrap().tokenizer().unwrap();
    let model = config().init(3, &Device::flex());
    save_checkpoint(second.path(), &model, &config(), Some(&tokenizer)).unwrap();
    for (name, text) in beside {
        assert_eq!(fs::read_to_string(second.path().join(name)).unwrap(), text);
    }
    assert!(!stale.exists(), "it belongs to what was there before");
    // One that was not read from a folder brings nothing, and takes nothing away.
    save_checkpoint(second.path(), &model, &config(), Some(&self::tokenizer())).unwrap();
    assert_eq!(fs::read_to_string(second.path().join(beside[1].0)).unwrap(), beside[1].1);
    // A file of the folder that it is written to.
    save_checkpoint(first.path(), &model, &config(), Some(&tokenizer)).unwrap();
    assert_eq!(fs::read_to_string(first.path().join(beside[1].0)).unwrap(), beside[1].1);
}

#[test]
fn loading_packed_equals_loading_and_packing() {
    let folder = saved();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let packed = checkpoint.load_quantized(&Device::flex()).unwrap();
    let expected = checkpoint.load(&Device::flex()).unwrap().quantized().unwrap();
    assert_eq!(logits(&packed), logits(&expected));
    assert_ne!(logits(&packed), logits(&checkpoint.load(&Device::flex()).unwrap()));
}

#[test]
fn shards_load_like_one_file() {
    let folder = saved();
    let expected = logits(&Checkpoint::open(folder.path()).unwrap().load(&Device::flex()).unwrap());
    let whole = folder.path().join("model.safetensors");
    let bytes = fs::read(&whole).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut map = serde_json::Map::new();
    for (number, chunk) in tensors.tensors().chunks(7).enumerate() {
        let name = format!("model-{number:05}.safetensors");
        let views = chunk.iter().map(|(name, view)| (name, view));
        safetensors::serialize_to_file(views, None, &folder.path().join(&name)).unwrap();
        map.extend(chunk.iter().map(|(tensor, _)| (tensor.clone(), json!(name))));
    }
    fs::remove_file(&whole).unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    let model = Checkpoint::open(folder.path()).unwrap().load(&Device::flex()).unwrap();
    assert_eq!(logits(&model), expected);

    // A shard that lies outside the folder is refused before anything is read.
    for path in ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "..", ""] {
        let map = json!({"weight_map": {"model.norm.weight": path}});
        fs::write(&index, map.to_string()).unwrap();
        let error = open(&folder);
        assert!(matches!(error, Error::Config { field: "weight_map", .. }), "{path}: {error}");
    }
    fs::write(&index, "{").unwrap();
    assert!(matches!(open(&folder), Error::Json { .. }));
}

#[test]
fn each_tensor_lies_in_the_shard_that_the_index_names() {
    let folder = saved();
    let expected = logits_of(folder.path());
    let [whole, first, second] = ["model.safetensors", "a.safetensors", "b.safetensors"]
        .map(|name| folder.path().join(name));
    fs::rename(whole, &first).unwrap();
    let bytes = fs::read(first).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    // Another norm, which the index does not mean.
    let (norm, zeros) = ("model.norm.weight", vec![0_u8; 4 * config().d_model]);
    let view = TensorView::new(Dtype::F32, vec![config().d_model], &zeros).unwrap();
    safetensors::serialize_to_file([(norm, view)], None, &second).unwrap();
    let mut map = serde_json::Map::new();
    map.extend(tensors.into_iter().map(|(name, _)| (name, json!("a.safetensors"))));
    // Nobody needs it, and no shard has it.
    let idle = "model.layers.0.self_attn.rotary_emb.inv_freq";
    map.insert(idle.to_owned(), json!("b.safetensors"));
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    assert_eq!(logits_of(folder.path()), expected);

    let embedding = "model.embed_tokens.weight";
    map.insert(embedding.to_owned(), json!("b.safetensors"));
    fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    let Error::Tensors { problems, .. } = open(&folder) else { panic!("another error") };
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    let told = format!("`{embedding}` is missing in `b.safetensors`, where the index places it");
    assert_eq!(problem.to_string(), told);

    // What the index forgets is found.
    map.remove(embedding);
    fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    assert_eq!(logits_of(folder.path()), expected);
}

#[test]
fn every_tensor_that_does_not_match_the_config_is_named() {
    let folder = saved();
    edit_config(folder.path(), "intermediate_size", json!(640));
    edit_config(folder.path(), "num_hidden_layers", json!(3));
    let Error::Tensors { problems, .. } = open(&folder) else { panic!("another error") };
    let shapes = problems.iter().filter(|p| matches!(p, TensorMismatch::Shape { .. })).count();
    let missing = problems.iter().filter(|p| matches!(p, TensorMismatch::Missing { .. })).count();
    assert_eq!((shapes, missing), (2 * 3, 9));
    let text = message(&open(&folder));
    assert!(
        text.contains(
            "`model.layers.0.mlp.down_proj.weight`: expected shape [192, 640], found [192, 512]"
        ),
        "{text}"
    );

    edit_config(folder.path(), "intermediate_size", json!(512));
    edit_config(folder.path(), "num_hidden_layers", json!(1));
    let Error::Tensors { problems, .. } = open(&folder) else { panic!("another error") };
    assert!(problems.iter().all(|p| matches!(p, TensorMismatch::Extra { .. })), "{problems:?}");
    assert_eq!(problems.len(), 9);
}

#[test]
fn damaged_files_are_errors_that_name_the_file() {
    let folder = saved();
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let mut huge = bytes.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut garbage = bytes.clone();
    garbage[8..40].fill(b'x');
    for (what, damaged) in [
        ("empty", Vec::new()),
        ("no header", bytes[..5].to_vec()),
        ("a cut header", bytes[..100].to_vec()),
        ("cut tensors", bytes[..bytes.len() - 1].to_vec()),
        ("too long", [&bytes[..], &[0]].concat()),
        ("a huge header", huge),
        ("no JSON", garbage),
    ] {
        fs::write(&path, damaged).unwrap();
        let error = open(&folder);
        assert!(matches!(error, Error::Safetensors { .. }), "{what}: {error}");
        assert!(message(&error).contains("model.safetensors"), "{what}: {error}");
        let cause = std::error::Error::source(&error);
        assert_eq!(cause.is_some(), what == "no JSON", "{what}: {cause:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let folder = saved();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    for (file, expected) in [
        ("tokenizer.json", "tokenizer.json"),
        ("model.safetensors", "model.safetensors or model.safetensors.index.json"),
        ("config.json", "config.json"),
    ] {
        fs::remove_file(folder.path().join(file)).unwrap();
        let error = match file {
            "tokenizer.json" => checkpoint.tokenizer().err().unwrap(),
            _ => open(&folder),
        };
        assert!(message(&error).contains(expected), "{error}");
        assert!(matches!(error, Error::MissingFile { .. }), "{error}");
    }
    let error = Checkpoint::open(folder.path().join("nowhere")).err().unwrap();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn a_tokenizer_with_more_tokens_than_embeddings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer();
    let small = LlamaConfig { vocab: tokenizer.vocab() - 1, ..config() };
    let model = small.init(3, &Device::flex());
    save_checkpoint(folder.path(), &model, &small, Some(&tokenizer)).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap().tokenizer().err().unwrap();
    let (expected, found) = (small.vocab, small.vocab + 1);
    let text = message(&error);
    assert!(text.contains(&format!("expected at most {expected} tokens")), "{text}");
    assert!(text.contains(&format!("found {found}")), "{text}");
}

#[test]
fn an_adapter_survives_the_disk_and_fits_only_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let lora = LoraConfig::new().with_rank(4);
    let fresh = || config().init(3, &Device::flex());
    let model = fresh().with_adapters(&lora, 9).unwrap();
    save_adapter(folder.path(), &model, &lora, "base").unwrap();
    let adapter = load_peft(folder.path()).unwrap();
    assert_eq!(adapter.modules.len(), 7 * config().layers);

    let again = fresh().with_peft(&adapter).unwrap();
    let a = |model: &Llama| {
        let projections = model.projections();
        let adapters = projections.iter().map(|(_, p)| p.adapter().unwrap().a().into_data());
        adapters.collect::<Vec<_>>()
    };
    assert_eq!(a(&again), a(&model));

    let smaller = LlamaConfig { layers: 1, ..config() }.init(3, &Device::flex());
    let error = smaller.with_peft(&adapter).err().unwrap();
    assert!(message(&error).contains("model.layers.1."), "{error}");
    let narrower = LlamaConfig { d_hidden: 256, ..config() }.init(3, &Device::flex());
    assert!(matches!(narrower.with_peft(&adapter), Err(Error::Adapter(_))));
}

#[test]
fn a_config_that_targets_no_module_is_refused() {
    let lora = LoraConfig::new().with_target_modules(["query"].into());
    let found = config().init(3, &Device::flex()).with_adapters(&lora, 1);
    assert!(matches!(found, Err(Error::NoTarget { .. })));
}

/// Logits of a checkpoint for one text.
fn logits_of(folder: &Path) -> Vec<f32> {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let model = checkpoint.load(&Device::flex()).unwrap();
    let input = ModelInput::new(&[&[1, 5, 9, 200]], checkpoint.config(), &Device::flex());
    model.forward(&input).into_data().iter::<f32>().collect()
}

#[test]
fn shards_hold_what_one_file_holds_and_replace_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = config().init(4, &Device::flex());
    save_checkpoint(folder.path(), &model, &config(), None).unwrap();
    let whole = logits_of(folder.path());
    let files = |ending: &str| {
        let names = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(ending)).count()
    };
    assert_eq!(files(".safetensors"), 1);
    for (most, least_files) in [(1, 10), (200_000, 2), (usize::MAX, 1)] {
        let options = SaveOptions { max_shard_bytes: most, ..SaveOptions::default() };
        save_checkpoint_with(folder.path(), &model, &config(), None, &options).unwrap();
        let shards = files(".safetensors");
        assert!(shards >= least_files, "{shards} of at most {most} bytes");
        assert_eq!(files(".index.json"), usize::from(shards > 1));
        assert_eq!(logits_of(folder.path()), whole);
        if most == 200_000 {
            let index = fs::read(folder.path().join("model.safetensors.index.json")).unwrap();
            let index: Value = serde_json::from_slice(&index).unwrap();
            let first = format!("model-00001-of-{shards:05}.safetensors");
            assert_eq!(index["weight_map"]["model.embed_tokens.weight"], *first);
            let parameters: usize = model.num_params();
            assert_eq!(index["metadata"]["total_size"], 4 * parameters);
        }
    }
}

#[test]
fn what_a_config_cannot_say_is_not_saved_and_files_are_readable() {
    let folder = tempfile::tempdir().unwrap();
    let model = config().init(4, &Device::flex());
    let windowed = LlamaConfig { sliding_window: Some(4), ..config() };
    let error = save_checkpoint(folder.path(), &model, &windowed, None).unwrap_err();
    assert!(matches!(error, Error::Config { field: "sliding_window", .. }), "{error}");
    save_checkpoint(folder.path(), &model, &config(), None).unwrap();
    #[cfg(unix)]
    for name in ["config.json", "model.safetensors"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{name}");
    }
}

#[test]
fn halves_are_rounded_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = config().init(4, &Device::flex());
    save_checkpoint(folder.path(), &model, &config(), None).unwrap();
    let whole = logits_of(folder.path());
    for (format, name, bound) in
        [(Precision::Bf16, "bfloat16", 2e-2), (Precision::F16, "float16", 2e-3)]
    {
        let options = SaveOptions { format, ..SaveOptions::default() };
        save_checkpoint_with(folder.path(), &model, &config(), None, &options).unwrap();
        let json = fs::read_to_string(folder.path().join("config.json")).unwrap();
        assert!(json.contains(&format!("\"torch_dtype\": \"{name}\"")), "{json}");
        let differences = whole.iter().zip(logits_of(folder.path())).map(|(a, b)| (a - b).abs());
        let worst = differences.fold(0.0, f32::max);
        assert!(worst > 0.0 && worst < bound, "{name}: {worst}");
        assert_eq!(Checkpoint::open(folder.path()).unwrap().precision(), format);
    }
}

#[test]
fn the_matrices_of_a_checkpoint_say_how_wide_weights_must_be() {
    let folder = saved();
    let precision = || Checkpoint::open(folder.path()).unwrap().precision();
    assert_eq!(precision(), Precision::F32);
    let model = config().init(4, &Device::flex());
    let options = SaveOptions { format: Precision::Bf16, ..SaveOptions::default() };
    save_checkpoint_with(folder.path(), &model, &config(), None, &options).unwrap();
    assert_eq!(precision(), Precision::Bf16);

    // Norms are in f32 whatever they were stored in; of matrices, one decides.
    for (name, shape, expected) in [
        ("model.norm.weight", vec![config().d_model], Precision::Bf16),
        ("model.embed_tokens.weight", vec![VOCAB, config().d_model], Precision::F32),
    ] {
        let path = folder.path().join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        let mut tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
        let zeros = vec![0_u8; 4 * shape.iter().product::<usize>()];
        let tensor = tensors.iter_mut().find(|(known, _)| known == name).unwrap();
        tensor.1 = TensorView::new(Dtype::F32, shape, &zeros).unwrap();
        safetensors::serialize_to_file(tensors, None, &path).unwrap();
        assert_eq!(precision(), expected, "{name}");
    }
}
