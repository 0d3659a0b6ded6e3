//! Parameters by their path in a module.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Tensors on the host, by name.
pub(crate) type HostTensors = BTreeMap<String, TensorData>;

/// The place of a traversal in a module tree.
#[derive(Debug, Default)]
pub(crate) struct ModulePath(Vec<String>);

impl ModulePath {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        if !is_variant(container) {
            self.0.push(name.to_owned());
        }
    }

    pub(crate) fn exit(&mut self, container: &str) {
        if !is_variant(container) {
            self.0.pop();
        }
    }

    /// The dotted name of the checkpoint's module, then that of the field.
    pub(crate) fn dotted(&self) -> String {
        // Hugging Face keeps the head beside the `model` that holds everything else.
        let outside = self.0.first().is_some_and(|name| name == "lm_head");
        let prefix = if outside { "" } else { "model." };
        format!("{prefix}{}", self.0.join("."))
    }
}

/// Variants of an enum are no names of a checkpoint.
fn is_variant(container: &str) -> bool {
    container.starts_with("Enum:")
}

/// A float tensor of any rank, off the autodiff graph.
#[derive(Debug, Clone)]
pub(crate) struct AnyTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) flat: Tensor<1>, // f32
}

impl AnyTensor {
    pub(crate) fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        let flat = tensor.inner().cast(DType::F32).reshape([shape.iter().product::<usize>()]);
        Self { shape, flat }
    }

    /// # Panics
    /// If the tensor does not have `D` dimensions.
    pub(crate) fn shaped<const D: usize>(self) -> Tensor<D> {
        assert_eq!(self.shape.len(), D, "a tensor of shape {:?}", self.shape);
        self.flat.reshape(std::array::from_fn::<_, D, _>(|axis| self.shape[axis]))
    }

    pub(crate) fn from_host(data: TensorData, device: &Device) -> Self {
        let shape: Vec<usize> = data.shape().to_vec();
        let (bytes, _, dtype) = data.into_parts();
        let data = TensorData::from_bytes(bytes, [shape.iter().product::<usize>()], dtype);
        Self { shape, flat: Tensor::from_data(data, (device, DType::F32)) }
    }

    pub(crate) fn to_host(&self) -> TensorData {
        let (bytes, _, dtype) = self.flat.clone().into_data_dtype(DType::F32).into_parts();
        TensorData::from_bytes(bytes, self.shape.clone(), dtype)
    }
}

/// Every parameter that takes gradients.
pub(crate) fn trainable<M: Module>(module: &M) -> BTreeMap<String, AnyTensor> {
    read(module)
}

/// Values of every parameter that takes gradients: how many they are, and not what.
pub(crate) fn trained_sizes<M: Module>(module: &M) -> BTreeMap<String, usize> {
    read(module)
}

/// Whether any parameter takes gradients.
pub(crate) fn is_trainable<M: Module>(module: &M) -> bool {
    let mut found = AnyTrainable(false);
    module.visit(&mut found);
    found.0
}

/// The module with new values, from whichever device, for those of its trainable parameters that `values` names.
///
/// # Panics
/// If a value has another shape than its parameter.
pub(crate) fn with_values<M: Module>(module: M, values: BTreeMap<String, AnyTensor>) -> M {
    module.map(&mut Writer { path: ModulePath::default(), values })
}

fn read<M: Module, T: OfParameter>(module: &M) -> BTreeMap<String, T> {
    let mut reader = Reader { path: ModulePath::default(), found: BTreeMap::new() };
    module.visit(&mut reader);
    reader.found
}

/// What is told of a parameter.
trait OfParameter {
    fn of<const D: usize>(param: &Param<Tensor<D>>) -> Self;
}

impl OfParameter for AnyTensor {
    fn of<const D: usize>(param: &Param<Tensor<D>>) -> Self {
        Self::new(param.val())
    }
}

/// How many values it has.
impl OfParameter for usize {
    fn of<const D: usize>(param: &Param<Tensor<D>>) -> Self {
        param.dims().iter().product()
    }
}

struct Reader<T> {
    path: ModulePath,
    found: BTreeMap<String, T>,
}

impl<T: OfParameter> ModuleVisitor for Reader<T> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.found.insert(self.path.dotted(), T::of(param));
        }
    }
}

struct AnyTrainable(bool);

impl ModuleVisitor for AnyTrainable {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 |= param.is_require_grad();
    }
}

struct Writer {
    path: ModulePath,
    values: BTreeMap<String, AnyTensor>,
}

impl ModuleMapper for Writer {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let Some(value) = self.values.remove(&self.path.dotted()) else {
            return param;
        };
        param.map(|old| {
            assert_eq!(value.shape[..], old.dims(), "a value of the parameter's shape");
            let (device, dtype) = (old.device().inner(), old.dtype());
            value.shaped::<D>().to_device(&device).cast(dtype).autodiff().require_grad()
        })
    }
}
