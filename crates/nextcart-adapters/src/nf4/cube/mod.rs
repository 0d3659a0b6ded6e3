//! The packed weight on GPUs: kernels for CUDA and wgpu out of one source.
//!
//! Few rows are multiplied with a weight that is unpacked in the units' registers, more of them tile by tile. For many,
//! the weight is unpacked as a whole, into the type of `x`, for the matrix units that only a dense product can use: that
//! is one layer's dense weight, for the length of the product.

#[cfg(feature = "cuda-source")]
mod cuda_source;
mod kernels;

use std::any::Any;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::{DType, Shape, TensorData, bf16, f16};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeDevice, cubecl};
use cubecl::prelude::*;
use nextcart_kernels::{Side, multiply};

#[cfg(feature = "cuda-source")]
pub use self::cuda_source::cuda_sources;
use self::kernels::{ROW_UNITS, TILE, TILE_UNITS, WORD};
use super::code::CODE;
use super::nested::MAP;

/// Rows up to which a row of the weight is read once for all of them.
const FEW: usize = 8;

/// Rows up to which a weight that is unpacked, written and read again would be most of the work, by the bytes that it
/// moves and the operations that a row adds; not measured.
const SOME: usize = 128;

/// Cubes along one axis of a launch that every device allows.
const MOST_CUBES: u32 = 65_535;

/// The parts of a packed weight `[d_output, d_input]`.
pub(super) struct Packed {
    packed: CubeTensor,
    codes: CubeTensor,
    scales: CubeTensor,
    offset: CubeTensor,
    shape: [usize; 2],
}

impl Packed {
    /// `None` if the parts are not words on a plain device, as when burn fuses operations.
    pub(super) fn new<I: 'static, F: 'static>(
        [packed, codes]: [I; 2],
        [scales, offset]: [F; 2],
        shape: [usize; 2],
    ) -> Option<Self> {
        let [packed, codes] = [plain(packed)?, plain(codes)?].map(into_contiguous);
        let [scales, offset] = [plain(scales)?, plain(offset)?].map(into_contiguous);
        let words = [&packed, &codes].iter().all(|part| part.dtype == DType::U32);
        let floats = [&scales, &offset].iter().all(|part| part.dtype == DType::F32);
        let fits = words && floats && !shape.contains(&0);
        fits.then_some(Self { packed, codes, scales, offset, shape })
    }

    /// The weight in a float type.
    pub(super) fn dequantize(self, dtype: DType) -> CubeTensor {
        let client = self.packed.client.clone();
        let weight = self.empty(self.shape, dtype);
        let pairs = (self.shape[0] * self.shape[1]).div_ceil(2);
        let [packed, codes, scales, offset, table] = self.arguments();
        let dim = CubeDim::new(&client, pairs);
        let count = cubecl::calculate_cube_count_elemwise(&client, pairs, dim);
        let launch = match dtype {
            DType::F32 => kernels::unpack::launch::<f32>,
            DType::F16 => kernels::unpack::launch::<f16>,
            DType::BF16 => kernels::unpack::launch::<bf16>,
            other => panic!("a weight in {other:?}"),
        };
        launch(
            &client,
            count,
            dim,
            packed,
            codes,
            scales,
            offset,
            table,
            weight.clone().into_buffer_arg(),
        );
        weight
    }

    /// `x Wᵀ` or `x W`, in the type of `x`.
    pub(super) fn multiply(self, x: CubeTensor, side: Side) -> CubeTensor {
        let rows = x.shape()[0];
        let known = matches!(x.dtype, DType::F32 | DType::F16 | DType::BF16);
        let is_whole = known && self.shape[1].is_multiple_of(WORD); // words do not cross rows
        match side {
            Side::Input if is_whole && (1..=FEW).contains(&rows) => self.few_rows(x),
            _ if is_whole && (1..=SOME).contains(&rows) => self.tiles(x, side),
            _ => {
                let weight = self.dequantize(if known { x.dtype } else { DType::F32 });
                plain(multiply::<Cube>(back(x), back(weight), side)).expect("a plain device")
            }
        }
    }

    fn few_rows(self, x: CubeTensor) -> CubeTensor {
        let ([d_output, d_input], rows) = (self.shape, x.shape()[0]);
        let client = x.client.clone();
        let y = self.empty([rows, d_output], x.dtype);
        let [packed, codes, scales, offset, table] = self.arguments();
        let across = (d_output as u32).min(MOST_CUBES);
        let count = CubeCount::Static(across, (d_output as u32).div_ceil(across), 1);
        let launch = match x.dtype {
            DType::F32 => kernels::few_rows::launch::<f32>,
            DType::F16 => kernels::few_rows::launch::<f16>,
            DType::BF16 => kernels::few_rows::launch::<bf16>,
            other => panic!("inputs in {other:?}"),
        };
        launch(
            &client,
            count,
            CubeDim::new_1d(ROW_UNITS as u32),
            into_contiguous(x).into_buffer_arg(),
            packed,
            codes,
            scales,
            offset,
            table,
            y.clone().into_buffer_arg(),
            d_output,
            d_input,
            rows,
        );
        y
    }

    fn tiles(self, x: CubeTensor, side: Side) -> CubeTensor {
        let ([d_output, d_input], rows) = (self.shape, x.shape()[0]);
        let width = match side {
            Side::Input => d_output,
            Side::Output => d_input,
        };
        let client = x.client.clone();
        let y = self.empty([rows, width], x.dtype);
        let [packed, codes, scales, offset, table] = self.arguments();
        let cubes = |length: usize| length.div_ceil(TILE) as u32;
        let launch = match x.dtype {
            DType::F32 => kernels::tiles::launch::<f32>,
            DType::F16 => kernels::tiles::launch::<f16>,
            DType::BF16 => kernels::tiles::launch::<bf16>,
            other => panic!("inputs in {other:?}"),
        };
        launch(
            &client,
            CubeCount::Static(cubes(width), cubes(rows), 1),
            CubeDim::new_1d(TILE_UNITS as u32),
            into_contiguous(x).into_buffer_arg(),
            packed,
            codes,
            scales,
            offset,
            table,
            y.clone().into_buffer_arg(),
            rows,
            d_output,
            d_input,
            side == Side::Output,
        );
        y
    }

    /// What every kernel reads of the weight, in its order.
    fn arguments(self) -> [BufferArg; 5] {
        let table = table(&self.packed.device);
        [self.packed, self.codes, self.scales, self.offset, table].map(CubeTensor::into_buffer_arg)
    }

    fn empty(&self, shape: [usize; 2], dtype: DType) -> CubeTensor {
        let (client, device) = (self.packed.client.clone(), self.packed.device.clone());
        empty_device_contiguous_dtype(client, device, Shape::from(shape), dtype)
    }
}

/// The backend's tensor as the kernels take it; `None` where burn's fusion has wrapped it.
pub(super) fn plain<T: 'static>(tensor: T) -> Option<CubeTensor> {
    let tensor: Box<dyn Any> = Box::new(tensor);
    tensor.downcast().ok().map(|tensor| *tensor)
}

/// Undoes [`plain`].
pub(super) fn back(tensor: CubeTensor) -> FloatTensor<Cube> {
    let tensor: Box<dyn Any> = Box::new(tensor);
    *tensor.downcast().expect("a tensor that was plain before")
}

/// The values of codes and of absmax codes, once for each device.
fn table(device: &CubeDevice) -> CubeTensor {
    static TABLES: LazyLock<Mutex<HashMap<CubeDevice, CubeTensor>>> = LazyLock::new(Mutex::default);
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let table = tables.entry(device.clone()).or_insert_with(|| {
        let values = [CODE.as_slice(), MAP.as_slice()].concat();
        let shape = [values.len()];
        let table = Cube::float_from_data(TensorData::new(values, shape), device);
        plain(table).expect("a plain device")
    });
    table.clone()
}
