//! Adapters to disk and back, and files that are not as they should be.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use nextcart_adapters::{
    ADAPTER_CONFIG, ADAPTER_WEIGHTS, Bias, Error, Init, LoraConfig, Projection, TargetModules,
    load_peft, save_peft,
};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

const MODULES: [&str; 2] = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"];
const D_INPUT: usize = 5;
const D_OUTPUT: usize = 4;
const RANK: usize = 3;

fn config() -> LoraConfig {
    LoraConfig::new()
        .with_rank(RANK)
        .with_alpha(6.0)
        .with_dropout(0.25)
        .with_target_modules(["q_proj", "up_proj"].into())
}

/// A projection whose adapter's numbers tell where they belong.
fn projection(config: &LoraConfig, start: f32) -> Projection {
    let device = Device::flex();
    let numbers = |shape: [usize; 2], start: f32| {
        let values = (0..shape[0] * shape[1]).map(|i| start + i as f32 / 3.0).collect::<Vec<_>>();
        Tensor::<2>::from_data(TensorData::new(values, shape), &device)
    };
    let mut projection = Projection::dense(Tensor::ones([D_OUTPUT, D_INPUT], &device), None);
    let magnitude = config.use_dora.then(|| Tensor::<1>::ones([D_OUTPUT], &device) * (start + 9.0));
    let (a, b) = (numbers([config.rank, D_INPUT], start), numbers([D_OUTPUT, config.rank], -start));
    projection.set_adapter(a, b, magnitude, config).unwrap();
    projection
}

/// The two modules' adapters, saved.
fn saved(config: &LoraConfig) -> (TempDir, Vec<(&'static str, Projection)>) {
    let projections: Vec<_> = MODULES
        .iter()
        .zip([1.0, 100.0])
        .map(|(m, start)| (*m, projection(config, start)))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), config, &projections).unwrap();
    (dir, projections)
}

fn save(dir: &Path, config: &LoraConfig, projections: &[(&str, Projection)]) -> Result<(), Error> {
    let projections: Vec<_> = projections.iter().map(|(m, p)| (*m, p)).collect();
    save_peft(dir, "some/base", config, &projections)
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    fs::read_dir(dir).unwrap().map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn what_was_saved_loads_again() {
    for config in [
        config(),
        config().with_use_rslora(true).with_alpha(0.5),
        config().with_use_dora(true).with_dropout(0.0).with_init(Init::Gaussian),
    ] {
        let (dir, projections) = saved(&config);
        let adapter = load_peft(dir.path()).unwrap();
        assert_eq!(adapter.config, config);
        assert_eq!(adapter.base_model.as_deref(), Some("some/base"));
        assert_eq!(adapter.modules.keys().collect::<Vec<_>>(), MODULES);
        for (module, expected) in &projections {
            let weights = &adapter.modules[*module];
            assert_eq!(weights.module(), *module);
            let mut found = Projection::dense(expected.weight(), None);
            found.load_adapter(weights, &adapter.config).unwrap();
            let (found, expected) = (found.adapter().unwrap(), expected.adapter().unwrap());
            assert_eq!(found.a().into_data(), expected.a().into_data());
            assert_eq!(found.b().into_data(), expected.b().into_data());
            let magnitude = |adapter: Option<Tensor<1>>| adapter.map(Tensor::into_data);
            assert_eq!(magnitude(found.magnitude()), magnitude(expected.magnitude()));
            assert_eq!(found.scale(), expected.scale());
        }
    }
}

#[test]
fn saving_is_byte_stable_and_leaves_no_other_file() {
    let (first, projections) = saved(&config());
    let mut reversed = projections;
    reversed.reverse();
    let second = tempfile::tempdir().unwrap();
    save(&second.path().join("new/folder"), &config(), &reversed).unwrap();

    let files = files(first.path());
    assert_eq!(files, self::files(&second.path().join("new/folder")));
    assert_eq!(files.keys().collect::<Vec<_>>(), [ADAPTER_CONFIG, ADAPTER_WEIGHTS]);
    // and over what is there already
    save(first.path(), &config(), &reversed).unwrap();
    assert_eq!(files, self::files(first.path()));
}

#[cfg(unix)]
#[test]
fn saved_files_are_as_readable_as_any_other() {
    use std::os::unix::fs::PermissionsExt;

    let (dir, _) = saved(&config());
    fs::write(dir.path().join("other"), "").unwrap();
    let mode = |name| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode(ADAPTER_CONFIG), mode("other"));
    assert_eq!(mode(ADAPTER_WEIGHTS), mode("other"));
}

#[test]
fn adapters_of_another_configuration_are_not_written() {
    let cases = [
        (config().with_rank(RANK + 1), "`model.layers.0.self_attn.q_proj`, adapter's A"),
        (
            config().with_use_dora(true),
            "`model.layers.0.self_attn.q_proj`, magnitude vector: expected one, found none",
        ),
        (
            config().with_alpha(7.5),
            "`model.layers.0.self_attn.q_proj`, adapter's scale: expected 2.5, as the configuration says, found 2",
        ),
        (config().with_dropout(1.5), "adapter configuration, `dropout`"),
    ];
    for (other, message) in cases {
        let projections = [(MODULES[0], projection(&config(), 1.0))];
        let dir = tempfile::tempdir().unwrap();
        let error = save(&dir.path().join("out"), &other, &projections).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        assert!(files(dir.path()).is_empty(), "something was written");
    }
    let dir = tempfile::tempdir().unwrap();
    let other = config().with_target_modules(["up_proj"].into());
    let error = save(dir.path(), &other, &[(MODULES[0], projection(&config(), 1.0))]).unwrap_err();
    assert!(matches!(error, Error::Config { field: "target_modules", .. }), "{error}");
    let error = save(dir.path(), &config(), &[]).unwrap_err();
    assert!(matches!(error, Error::Config { field: "target_modules", .. }), "{error}");
    assert!(files(dir.path()).is_empty());
}

#[test]
fn an_adapter_that_lacks_a_target_is_not_written() {
    let bare = Projection::dense(Tensor::ones([D_OUTPUT, D_INPUT], &Device::flex()), None);
    let projections = [(MODULES[0], projection(&config(), 1.0)), (MODULES[1], bare)];
    let dir = tempfile::tempdir().unwrap();
    let error = save(dir.path(), &config(), &projections).unwrap_err();
    let expected = "adapter configuration, `target_modules`: expected what names modules with an adapter alone, found \
                    model.layers.1.mlp.up_proj";
    assert_eq!(error.to_string(), expected);
    assert!(files(dir.path()).is_empty());
    // Where it is no target, nothing is missing.
    save(dir.path(), &config().with_target_modules(["q_proj"].into()), &projections).unwrap();
}

#[test]
fn numbers_that_are_not_finite_are_not_written() {
    let device = Device::flex();
    let config = config().with_use_dora(true).with_bias(Bias::LoraOnly);
    let (dir, _) = saved(&config);
    let before = files(dir.path());
    for (spoilt, what) in
        ["adapter's A", "adapter's B", "adapter's magnitude vector", "bias"].into_iter().enumerate()
    {
        // One tensor with a NaN in its second place.
        let numbers = |tensor: usize, count: usize| {
            let mut numbers = vec![1.0_f32; count];
            numbers[1] = if tensor == spoilt { f32::NAN } else { 1.0 };
            numbers
        };
        let matrix = |tensor, shape: [usize; 2]| {
            let numbers = numbers(tensor, shape[0] * shape[1]);
            Tensor::<2>::from_data(TensorData::new(numbers, shape), &device)
        };
        let vector = |tensor| {
            Tensor::<1>::from_data(TensorData::new(numbers(tensor, D_OUTPUT), [D_OUTPUT]), &device)
        };
        let weight = Tensor::ones([D_OUTPUT, D_INPUT], &device);
        let mut projection = Projection::dense(weight, Some(vector(3)));
        let (a, b) = (matrix(0, [RANK, D_INPUT]), matrix(1, [D_OUTPUT, RANK]));
        projection.set_adapter(a, b, Some(vector(2)), &config).unwrap();
        let error = save(dir.path(), &config, &[(MODULES[0], projection)]).unwrap_err();
        let place = "expected finite numbers, found NaN at place 1";
        assert_eq!(error.to_string(), format!("`{}`, {what}: {place}", MODULES[0]));
        assert_eq!(files(dir.path()), before, "what was there before is lost");
    }
}

/// An error that names the file and what it must, in one line, its cause apart.
#[track_caller]
fn check_broken(name: &str, contents: Option<&[u8]>, expected: &[&str]) {
    let (dir, _) = saved(&config());
    let path = dir.path().join(name);
    match contents {
        Some(contents) => fs::write(&path, contents).unwrap(),
        None => fs::remove_file(&path).unwrap(),
    }
    let error = load_peft(dir.path()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(!text.contains('\n'), "{text}");
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    for part in expected {
        assert!(format!("{text}: {cause}").contains(part), "{text}: {cause}");
    }
}

#[test]
fn files_that_are_missing_cut_short_or_no_json_are_named() {
    check_broken(ADAPTER_CONFIG, None, &["cannot read", "No such file"]);
    check_broken(ADAPTER_WEIGHTS, None, &["cannot read", "No such file"]);
    check_broken(ADAPTER_CONFIG, Some(b""), &["is not a JSON object", "line 1"]);
    check_broken(ADAPTER_CONFIG, Some(b"{\"r\": 3,\n"), &["is not a JSON object", "line 2"]);
    check_broken(ADAPTER_CONFIG, Some(b"[1]"), &["is not a JSON object"]);
    check_broken(ADAPTER_CONFIG, Some(b"\xff\xfe"), &["cannot read"]);

    let (dir, _) = saved(&config());
    let whole = fs::read(dir.path().join(ADAPTER_WEIGHTS)).unwrap();
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        check_broken(ADAPTER_WEIGHTS, Some(&whole[..length]), &["not a whole safetensors file"]);
    }
    let longer = [whole.as_slice(), b"x"].concat();
    check_broken(ADAPTER_WEIGHTS, Some(&longer), &["not a whole safetensors file"]);
}

#[track_caller]
fn check_field(field: &str, value: Value, expected: &str) {
    let (dir, _) = saved(&config());
    let text = fs::read_to_string(dir.path().join(ADAPTER_CONFIG)).unwrap();
    let mut fields: Value = serde_json::from_str(&text).unwrap();
    fields[field] = value;
    let text = fields.to_string();
    let message = format!("field `{field}`: {expected}");
    check_broken(ADAPTER_CONFIG, Some(text.as_bytes()), &[&message]);
}

#[test]
fn fields_that_this_crate_cannot_honour_are_named() {
    check_field("peft_type", json!("IA3"), "expected \"LORA\", found \"IA3\"");
    check_field("peft_type", Value::Null, "expected \"LORA\", found nothing");
    check_field("r", json!(0), "expected a whole number from 1, found 0");
    check_field("r", json!("8"), "expected a whole number from 1, found \"8\"");
    check_field("lora_alpha", json!(-2), "expected a positive number, found -2");
    check_field("lora_dropout", json!(1.0), "expected a number in [0, 1), found 1.0");
    check_field("use_dora", json!(1), "expected true or false, found 1");
    check_field(
        "bias",
        json!("some"),
        "expected \"none\", \"all\" or \"lora_only\", found \"some\"",
    );
    check_field("rank_pattern", json!({"q_proj": 0}), "expected at least 1, found 0");
    check_field("rank_pattern", json!({"q_proj": "4"}), "expected an object of patterns and whole");
    check_field("rank_pattern", json!({"(": 4}), "expected a regular expression");
    check_field("alpha_pattern", json!({"q_proj": -1.5}), "expected a positive number, found -1.5");
    let numbers = "expected an object of patterns and numbers, found";
    check_field("alpha_pattern", json!([1]), &format!("{numbers} [1]"));
    check_field("alpha_pattern", json!({"q_proj": "2.5"}), numbers);
    check_field("modules_to_save", json!(["lm_head"]), "expected nothing (not supported)");
    check_field("init_lora_weights", json!("pissa_niter_4"), "expected a start that keeps");
    check_field("init_lora_weights", json!("loftq"), "expected a start that keeps");
    check_field("target_modules", json!([1]), "expected a list of names");
    check_field("target_modules", json!(7), "expected a list of names or a pattern");
}

#[test]
fn targets_that_are_not_told_are_read_off_the_tensors() {
    let (dir, _) = saved(&config());
    let path = dir.path().join(ADAPTER_CONFIG);
    let mut fields: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (written, expected) in [
        (Value::Null, MODULES.into()),
        (json!(r"model\.(?!vision).*_proj"), MODULES.into()),
        (json!("all-linear"), TargetModules::AllLinear),
        (json!(".*_proj"), TargetModules::Pattern(".*_proj".into())),
    ] {
        fields["target_modules"] = written;
        fs::write(&path, fields.to_string()).unwrap();
        let found = load_peft(dir.path()).unwrap().config;
        assert_eq!(found, config().with_target_modules(expected));
    }
    // What leaves modules out is not known here; the tensors tell which are left.
    fields["layers_to_transform"] = json!([0, 1]);
    fs::write(&path, fields.to_string()).unwrap();
    let found = load_peft(dir.path()).unwrap().config;
    assert_eq!(found, config().with_target_modules(MODULES.into()));
}

#[test]
fn modules_may_have_ranks_and_alphas_of_their_own() {
    let config = config()
        .with_rank_pattern([("layers.1.mlp.up_proj", 7), ("up_proj", 9)].into())
        .with_alpha_pattern([("q_proj", 2.5)].into());
    let projections = MODULES.map(|module| (module, projection(&config.at(module), 1.0)));
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), &config, &projections).unwrap();

    let adapter = load_peft(dir.path()).unwrap();
    assert_eq!(adapter.config, config, "patterns in their order");
    for (module, expected) in &projections {
        let mut found = Projection::dense(expected.weight(), None);
        found.load_adapter(&adapter.modules[*module], &adapter.config).unwrap();
        let (found, expected) = (found.adapter().unwrap(), expected.adapter().unwrap());
        assert_eq!((found.rank(), found.scale()), (expected.rank(), expected.scale()));
    }
    assert_eq!(projections.map(|(_, p)| p.adapter().unwrap().rank()), [RANK, 7]);
}

#[test]
fn trained_biases_are_saved_beside_the_adapters() {
    let device = Device::flex();
    let bias = |value: f32| Tensor::<1>::ones([D_OUTPUT], &device) * value;
    let with_bias =
        |value| Projection::dense(Tensor::ones([D_OUTPUT, D_INPUT], &device), Some(bias(value)));
    let config = config().with_target_modules(["q_proj"].into());
    let adapted = with_bias(2.0).with_adapter(&config, 1).unwrap();
    let projections = [(MODULES[0], adapted), (MODULES[1], with_bias(3.0))];
    for (kind, expected) in
        [(Bias::None, &MODULES[..0]), (Bias::LoraOnly, &MODULES[..1]), (Bias::All, &MODULES[..])]
    {
        let config = config.clone().with_bias(kind);
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &config, &projections).unwrap();
        let adapter = load_peft(dir.path()).unwrap();
        assert_eq!(adapter.config, config);
        assert_eq!(adapter.modules.len(), 1);
        assert_eq!(adapter.biases.keys().collect::<Vec<_>>(), expected);
        for (module, bias) in &adapter.biases {
            let mut found = with_bias(0.0);
            found.set_trained_bias(bias.to_tensor(&device)).unwrap();
            let expected = projections.iter().find(|(name, _)| name == module).unwrap();
            let expected = expected.1.bias().unwrap().into_data();
            assert_eq!(found.bias().unwrap().into_data(), expected, "{module}");
        }
    }
    let mut without = Projection::dense(Tensor::ones([D_OUTPUT, D_INPUT], &device), None);
    assert!(matches!(without.set_trained_bias(bias(1.0)), Err(Error::Shape { .. })));
}

#[test]
fn a_trained_bias_is_saved_also_while_the_adapters_are_off() {
    let device = Device::flex();
    let config = config().with_target_modules(["q_proj"].into()).with_bias(Bias::LoraOnly);
    let untrained = Some(Tensor::zeros([D_OUTPUT], &device));
    let base = Projection::dense(Tensor::ones([D_OUTPUT, D_INPUT], &device), untrained);
    let mut projection = base.with_adapter(&config, 1).unwrap();
    projection.set_trained_bias(Tensor::ones([D_OUTPUT], &device)).unwrap();
    projection.set_adapter_enabled(false);
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), &config, &[(MODULES[0], projection)]).unwrap();
    let adapter = load_peft(dir.path()).unwrap();
    let found = adapter.biases[MODULES[0]].to_tensor(&device).into_data();
    assert_eq!(found.try_into_vec::<f32>().unwrap(), [1.0; D_OUTPUT]);
}

/// Tensors as a file holds them: name, shape and values.
type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn good() -> Tensors {
    let module = format!("base_model.model.{}", MODULES[0]);
    vec![
        (format!("{module}.lora_A.weight"), vec![RANK, D_INPUT], vec![0.5; RANK * D_INPUT]),
        (format!("{module}.lora_B.weight"), vec![D_OUTPUT, RANK], vec![0.5; D_OUTPUT * RANK]),
    ]
}

fn file(tensors: &Tensors) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views: HashMap<_, _> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        })
        .collect();
    safetensors::serialize(views, None).unwrap()
}

#[track_caller]
fn check_tensors(change: impl FnOnce(&mut Tensors), tensor: &str, expected: &str) {
    let mut tensors = good();
    change(&mut tensors);
    let message = format!("tensor `base_model.model.{tensor}`: {expected}");
    check_broken(ADAPTER_WEIGHTS, Some(&file(&tensors)), &[&message]);
}

/// A DoRA adapter whose magnitude vector is missing or has another length.
#[track_caller]
fn check_magnitude(length: Option<usize>, expected: &str) {
    let (dir, _) = saved(&config().with_use_dora(true));
    let name = format!("base_model.model.{}.lora_magnitude_vector", MODULES[0]);
    let mut tensors = good();
    if let Some(length) = length {
        tensors.push((name.clone(), vec![length], vec![1.0; length]));
    }
    fs::write(dir.path().join(ADAPTER_WEIGHTS), file(&tensors)).unwrap();
    let error = load_peft(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with(&format!("tensor `{name}`: {expected}")), "{error}");
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let q = MODULES[0];
    let (a, b) = (format!("{q}.lora_A.weight"), format!("{q}.lora_B.weight"));
    check_tensors(
        |tensors| {
            tensors[0].1 = vec![2, D_INPUT];
            tensors[0].2.truncate(2 * D_INPUT);
        },
        &a,
        "expected 3 rows (r), found shape [2, 5]",
    );
    check_tensors(
        |tensors| tensors[1].1 = vec![RANK, D_OUTPUT],
        &b,
        "expected 3 columns (r), found shape [3, 4]",
    );
    check_tensors(
        |tensors| tensors[0].1 = vec![RANK * D_INPUT],
        &a,
        "expected 2 axes, none of them empty, found shape [15]",
    );
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let expected = format!("expected finite values, found {value} at 2");
        check_tensors(|tensors| tensors[1].2[2] = value, &b, &expected);
    }
    check_tensors(
        |tensors| {
            tensors.pop();
        },
        &b,
        "expected a tensor, found nothing",
    );
    check_tensors(
        |tensors| {
            tensors.remove(0);
        },
        &a,
        "expected a tensor, found nothing",
    );
    check_tensors(
        |tensors| tensors[0].0 = format!("base_model.model.{q}.lora_C.weight"),
        &format!("{q}.lora_C.weight"),
        "expected a name",
    );
    check_tensors(
        |tensors| {
            let name = format!("base_model.model.{q}.lora_magnitude_vector");
            tensors.push((name, vec![D_OUTPUT], vec![1.0; D_OUTPUT]));
        },
        &format!("{q}.lora_magnitude_vector"),
        "expected nothing without use_dora, found a tensor",
    );
    check_magnitude(None, "expected a tensor, found nothing");
    check_magnitude(Some(D_OUTPUT + 1), "expected 4 values, as B has rows, found shape [5]");
    check_tensors(Vec::clear, "MODULE.lora_A.weight", "expected at least one, found none");
    for (name, expected) in [
        ("model.embed_tokens.lora_embedding_A", "adapters of linear layers alone, found one of an"),
        ("lm_head.base_layer.weight", "adapters alone, found a weight of the model"),
    ] {
        let more = (format!("base_model.model.{name}"), vec![1, 1], vec![0.5]);
        check_tensors(|tensors| tensors.push(more), name, &format!("expected {expected}"));
    }
    let foreign = file(&vec![("lm_head.weight".into(), vec![1], vec![0.0])]);
    check_broken(ADAPTER_WEIGHTS, Some(&foreign), &["tensor `lm_head.weight`: expected a name"]);
}

#[test]
fn an_adapter_of_another_module_does_not_go_into_a_projection() {
    let (dir, _) = saved(&config());
    let mut adapter = load_peft(dir.path()).unwrap();
    let weights = &adapter.modules[MODULES[0]];
    for (shape, message) in [
        ([D_OUTPUT, 9], "adapter's A: expected shape [3, 9], found [3, 5]"),
        ([9, D_INPUT], "adapter's B: expected shape [9, 3], found [4, 3]"),
    ] {
        let mut other = Projection::dense(Tensor::ones(shape, &Device::flex()), None);
        let error = other.load_adapter(weights, &adapter.config).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}`, {message}", MODULES[0]));
        assert!(other.adapter().is_none());
    }
    let mut fitting = Projection::dense(Tensor::ones([D_OUTPUT, D_INPUT], &Device::flex()), None);
    adapter.config.alpha_pattern = [("q_proj", -1.0)].into();
    let error = fitting.load_adapter(weights, &adapter.config).unwrap_err();
    let expected = "adapter configuration, `alpha`: expected a positive number, found -1 for \
                    `model.layers.0.self_attn.q_proj`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn half_precision_files_are_widened() {
    let (dir, _) = saved(&config());
    let one = [half::f16::from_f32(1.5).to_le_bytes(); RANK * D_INPUT].concat();
    let two = [half::bf16::from_f32(-2.0).to_le_bytes(); D_OUTPUT * RANK].concat();
    let names: Vec<_> = good().into_iter().map(|(name, shape, _)| (name, shape)).collect();
    let views = [(Dtype::F16, &one), (Dtype::BF16, &two)].into_iter().zip(names).map(
        |((dtype, bytes), (name, shape))| (name, TensorView::new(dtype, shape, bytes).unwrap()),
    );
    let bytes = safetensors::serialize(views, None).unwrap();
    fs::write(dir.path().join(ADAPTER_WEIGHTS), bytes).unwrap();

    let adapter = load_peft(dir.path()).unwrap();
    let (weights, device) = (&adapter.modules[MODULES[0]], Device::flex());
    let all = |tensor: Tensor<2>| tensor.into_data().try_into_vec::<f32>().unwrap();
    assert!(all(weights.a(&device)).iter().all(|&value| value == 1.5));
    assert!(all(weights.b(&device)).iter().all(|&value| value == -2.0));

    let view = TensorView::new(Dtype::I32, vec![1, 1], &[0; 4]).unwrap();
    let bytes = safetensors::serialize([(&good()[0].0, view)], None).unwrap();
    check_broken(ADAPTER_WEIGHTS, Some(&bytes), &["expected F32, F16 or BF16, found I32"]);
}
