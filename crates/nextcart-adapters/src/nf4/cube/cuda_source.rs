//! The CUDA source that the kernels become, through CUDA's own compiler, without a GPU.

use burn::tensor::{Device, DeviceType, Tensor};
use cubecl::client::Client;
use cubecl::{CubeKernel, define_kernel};
use cubecl_core::Compiler;
use cubecl_cpp::shared::{CompilationOptions, CppCompiler};
use cubecl_cpp::target::Cuda;
use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};

use super::*;

/// Folder with `include/`, where CUDA's headers lie; its `lib/` is to be in the loader's path.
const NVRTC: &str = "NEXTCART_NVRTC";

fn source(kernel: &dyn CubeKernel) -> String {
    let definition = define_kernel(kernel).expect("a definition");
    let compiled = CppCompiler::<Cuda>::default()
        .compile(definition, &CompilationOptions::default())
        .expect("CUDA source");
    compiled.to_string()
}

/// A kernel of each kind for one float type.
fn sources<F: Float + CubeElement>(client: &Client, tensor: &CubeTensor) -> Vec<(String, String)> {
    let name = |kernel: &str| format!("{kernel}<{}>", std::any::type_name::<F>());
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
    for rows in [1, FEW] {
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

#[test]
fn the_kernels_compile_for_cuda() {
    // Arguments need a device; which one makes no difference to the source.
    let Some(device) = Device::enumerate(DeviceType::Wgpu).into_vec().into_iter().next() else {
        eprintln!("SKIPPED: wgpu finds no adapter (Debian: apt-get install mesa-vulkan-drivers)");
        return;
    };
    let tensor = Tensor::<1>::zeros([64], &device).into_dispatch();
    let tensor = match tensor.kind {
        burn::backend::DispatchTensorKind::Cube(tensor) => plain(tensor.float()).expect("plain"),
        _ => panic!("a tensor on wgpu"),
    };
    let client = tensor.client.clone();
    let mut all = sources::<f32>(&client, &tensor);
    all.extend(sources::<f16>(&client, &tensor));
    all.extend(sources::<bf16>(&client, &tensor));
    for (name, source) in &all {
        assert!(source.contains("__global__"), "{name}: {source}");
    }

    let Some(folder) = std::env::var_os(NVRTC) else {
        eprintln!("SKIPPED: {NVRTC} names no folder with CUDA's headers; nothing was compiled");
        return;
    };
    let include = std::path::Path::new(&folder).join("include");
    for arch in ["compute_75", "compute_80", "compute_90"] {
        for (name, source) in &all {
            let options = CompileOptions {
                include_paths: vec![include.display().to_string()],
                arch: Some(arch),
                ..CompileOptions::default()
            };
            match compile_ptx_with_opts(source, options) {
                Ok(ptx) => assert!(ptx.to_src().contains(".entry"), "{name}, {arch}"),
                Err(error) => panic!("{name}, {arch}: {error:?}\n{source}"),
            }
        }
    }
    println!("{} kernels compiled for three generations of GPUs", all.len());
}
