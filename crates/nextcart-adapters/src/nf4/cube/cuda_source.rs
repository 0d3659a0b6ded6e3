//! The CUDA source that the kernels become, which needs no GPU of that kind.

use std::any::type_name;

use burn::backend::DispatchTensorKind;
use burn::tensor::{Device, Tensor};
use cubecl::client::Client;
use cubecl::{CubeKernel, define_kernel};
use cubecl_core::Compiler;
use cubecl_cpp::shared::{CompilationOptions, CppCompiler};
use cubecl_cpp::target::Cuda;

use super::*;

/// Name and CUDA source of every kernel, for each float type.
///
/// # Panics
/// If the device is none of wgpu's, to which the arguments belong, or a kernel does not compile.
pub fn cuda_sources(device: &Device) -> Vec<(String, String)> {
    let tensor = match Tensor::<1>::zeros([64], device).into_dispatch().kind {
        DispatchTensorKind::Cube(tensor) => plain(tensor.float()).expect("a plain device"),
        _ => panic!("a device of wgpu's"),
    };
    let client = tensor.client.clone();
    let mut all = sources::<f32>(&client, &tensor);
    all.extend(sources::<f16>(&client, &tensor));
    all.extend(sources::<bf16>(&client, &tensor));
    all
}

fn source(kernel: &dyn CubeKernel) -> String {
    let definition = define_kernel(kernel).expect("a definition");
    let compiled = CppCompiler::<Cuda>::default()
        .compile(definition, &CompilationOptions::default())
        .expect("CUDA source");
    compiled.to_string()
}

/// A kernel of each kind for one float type.
fn sources<F: Float + CubeElement>(client: &Client, tensor: &CubeTensor) -> Vec<(String, String)> {
    let name = |kernel: &str| format!("{kernel}<{}>", type_name::<F>());
    let buffer = || tensor.clone().into_buffer_arg();
    let shared = || (client.properties_shared(), client.target_properties_shared());
    let count = || CubeCount::new_single();

    let (properties, target) = shared();
    let unpack = kernels::unpack::create_dummy_kernel::<F>(
        properties,
        target,
        count(),
        CubeDim::new_1d(256),
        buffer(),
        buffer(),
        buffer(),
        buffer(),
        buffer(),
        buffer(),
    );
    let mut found = vec![(name("unpack"), source(&unpack))];
    for rows in 1..=FEW {
        let (properties, target) = shared();
        let few_rows = kernels::few_rows::create_dummy_kernel::<F>(
            properties,
            target,
            count(),
            CubeDim::new_1d(ROW_UNITS as u32),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            64,
            64,
            rows,
        );
        found.push((name("few_rows"), source(&few_rows)));
    }
    for along_output in [false, true] {
        let (properties, target) = shared();
        let tiles = kernels::tiles::create_dummy_kernel::<F>(
            properties,
            target,
            count(),
            CubeDim::new_1d(TILE_UNITS as u32),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            64,
            64,
            64,
            along_output,
        );
        found.push((name("tiles"), source(&tiles)));
    }
    found
}
