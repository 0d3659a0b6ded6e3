//! Writing an adapter.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use burn::tensor::Tensor;
use safetensors::tensor::{Dtype, TensorView};

use super::{A, ADAPTER_CONFIG, ADAPTER_WEIGHTS, B, BIAS, MAGNITUDE, PREFIX, WRAPPED, header};
use crate::config::LoraConfig;
use crate::error::{Error, Result};
use crate::projection::{Projection, to_f32};

/// Writes the adapters in use of some projections to the folder `dir`, made if it is missing, in the form that PEFT
/// loads; with them the biases that the configuration [trains](LoraConfig::trains_bias).
///
/// Each projection comes with the dotted path of its module in the Hugging Face model, such as
/// `model.layers.0.self_attn.q_proj`. One that the configuration does not [target](LoraConfig::targets) is without an
/// adapter, and given for its bias. Tensors are written as f32. Each file is written under another name first, the
/// configuration last: a folder that has one is whole.
///
/// # Errors
/// [`Error::Config`] for a configuration that does not [validate](LoraConfig::validate), or that targets others of the
/// projections than those with an adapter, and for projections without any adapter; [`Error::Shape`],
/// [`Error::Magnitude`] and [`Error::Scale`] for an adapter that was made with another one; [`Error::NotFinite`] for a
/// tensor with a NaN or an infinity in it, which [`load_peft`](crate::load_peft) refuses; [`Error::Safetensors`] if the
/// tensors cannot be laid out as one file. Then nothing is written, and what was there stays. [`Error::Write`] if a
/// file cannot be written.
pub fn save_peft<S: AsRef<str>>(
    dir: &Path,
    base_model: &str,
    config: &LoraConfig,
    projections: &[(S, &Projection)],
) -> Result<()> {
    config.validate()?;
    let adapters =
        || projections.iter().filter_map(|(module, p)| Some((module.as_ref(), p.adapter()?)));
    if adapters().next().is_none() {
        let (expected, found) = ("at least one module with an adapter", "none".to_owned());
        return Err(Error::Config { field: "target_modules", expected, found });
    }
    for (module, adapter) in adapters() {
        if !config.targets(module) {
            let (expected, found) = ("what names every module with an adapter", module.to_owned());
            return Err(Error::Config { field: "target_modules", expected, found });
        }
        adapter.check(&config.at(module)).map_err(|error| error.within(module))?;
    }
    for (module, projection) in projections {
        let module = module.as_ref();
        if projection.adapter().is_none() && config.targets(module) {
            let (expected, found) = ("what names modules with an adapter alone", module.to_owned());
            return Err(Error::Config { field: "target_modules", expected, found });
        }
    }

    let mut tensors = Vec::new();
    for (module, adapter) in adapters() {
        let name = |suffix| format!("{PREFIX}{module}{suffix}");
        tensors.push((name(A), HostTensor::new(module, "adapter's A", adapter.a())?));
        tensors.push((name(B), HostTensor::new(module, "adapter's B", adapter.b())?));
        if let Some(magnitude) = adapter.magnitude() {
            let magnitude = HostTensor::new(module, "adapter's magnitude vector", magnitude)?;
            tensors.push((name(MAGNITUDE), magnitude));
        }
    }
    for (module, projection) in projections {
        let module = module.as_ref();
        // Also while the adapters are off: the trained bias is theirs.
        let bias = projection.trained_or_base_bias().filter(|_| config.trains_bias(module));
        if let Some(bias) = bias {
            let wrapped = projection.adapter().map_or("", |_| WRAPPED);
            let name = format!("{PREFIX}{module}{wrapped}{BIAS}");
            tensors.push((name, HostTensor::new(module, "bias", bias)?));
        }
    }
    let path = dir.join(ADAPTER_WEIGHTS);
    let views = tensors
        .iter()
        .map(|(name, tensor)| {
            Ok((name, TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes)?))
        })
        .collect::<Result<Vec<_>, _>>();
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|source| Error::Safetensors { path: path.clone(), source })?;

    fs::create_dir_all(dir).map_err(|source| Error::Write { path: dir.into(), source })?;
    // Where a configuration stands, the tensors are its own.
    let config_file = dir.join(ADAPTER_CONFIG);
    match fs::remove_file(&config_file) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::Write { path: config_file, source });
        }
        _ => {}
    }
    write(&path, &bytes)?;

    let text = header::to_json(base_model, config);
    write(&config_file, text.as_bytes())?;
    tracing::debug!(path = %dir.display(), modules = adapters().count(), "adapter saved");
    Ok(())
}

/// A tensor's shape and bytes, in little-endian f32.
struct HostTensor {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl HostTensor {
    /// Copies a tensor of a module, checked for being finite.
    fn new<const D: usize>(module: &str, what: &str, tensor: Tensor<D>) -> Result<Self> {
        let shape = tensor.dims().to_vec();
        let values = to_f32(tensor.into_data());
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let (what, found) = (what.to_owned(), values[place]);
            return Err(Error::NotFinite { what, found, place }.within(module));
        }
        Ok(Self { shape, bytes: values.into_iter().flat_map(f32::to_le_bytes).collect() })
    }
}

/// Writes a file as a whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::Write { path: path.into(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; an adapter is to be read like any other new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
