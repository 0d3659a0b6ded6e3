//! The packed weight's kernels on a GPU, real or in software, against the CPU.
#![cfg(any(feature = "cuda", feature = "wgpu"))]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Write as _;

use burn::tensor::{DType, Device, DeviceType, Tensor, TensorData};
use nextcart_adapters::nf4::Nf4Weight;
use nextcart_adapters::{LoraConfig, Projection};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Rows for each kind of product: few, some and many.
const ROWS: [usize; 8] = [1, 3, 8, 9, 40, 64, 65, 130];

/// Whole blocks in a row, parts of them, rows that share a word, less than one, and more rows than cubes in a line.
const SHAPES: [[usize; 2]; 7] =
    [[64, 64], [130, 192], [70, 72], [33, 50], [5, 7], [1, 1], [70_000, 8]];

#[cfg(feature = "cuda")]
const BACKEND: (DeviceType, &str) = (DeviceType::Cuda, "CUDA");
#[cfg(not(feature = "cuda"))]
const BACKEND: (DeviceType, &str) = (DeviceType::Wgpu, "wgpu");

/// The first device that the backend finds; `None` with a note, unless `NEXTCART_GPU` demands one.
fn gpu() -> Option<Device> {
    let (kind, name) = BACKEND;
    let device = Device::enumerate(kind).into_vec().into_iter().next();
    if device.is_none() {
        let demanded = std::env::var_os("NEXTCART_GPU").is_some();
        assert!(!demanded, "NEXTCART_GPU is set: {name} finds nothing");
        skipped(&format!(
            "{name} finds no device (for wgpu, Debian: apt-get install mesa-vulkan-drivers)"
        ));
    }
    device
}

/// Straight to the terminal: what a passing test prints would not be shown.
#[expect(clippy::explicit_write, reason = "`eprintln!` is caught in a test")]
fn skipped(why: &str) {
    writeln!(std::io::stderr(), "SKIPPED: {why}").unwrap();
}

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F32))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.cast(DType::F32).into_data().try_into_vec().unwrap()
}

#[track_caller]
fn close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3_f32, |max, value| max.max(value.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs() / scale;
        assert!(off <= tolerance, "{what}, {i}: {found} is not {expected}");
    }
}

/// What two orders of a sum may differ by.
fn rounding(terms: usize) -> f32 {
    2e-6 + 1e-7 * (terms as f32).sqrt()
}

/// Whether the packed weight is unpacked inside a product, which is exact; for more rows, and for rows of the weight that
/// share a word, burn multiplies.
fn is_fused(rows: usize, d_input: usize) -> bool {
    rows <= 128 && d_input.is_multiple_of(8)
}

/// What burn's products in f32 may be off: CUDA's tensor cores round their factors to TF32, of 10 bits, that is by up to
/// 5e-4 each. By reckoning, for no test has run there yet.
fn dense(exact: f32) -> f32 {
    if cfg!(feature = "cuda") { exact.max(4e-3) } else { exact }
}

#[test]
fn unpacked_values_are_those_of_the_cpu() {
    let Some(device) = gpu() else { return };
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let weight = Nf4Weight::quantize(&random(shape[0] * shape[1], seed as u64), shape).unwrap();
        let found = Projection::nf4(&weight, None, &device);
        // A GPU may multiply and add in one step.
        close(&format!("{shape:?}"), &values(found.weight()), &weight.dequantize(), 3e-7);
    }
}

#[test]
fn products_and_their_gradients_are_those_of_the_cpu() {
    let Some(device) = gpu() else { return };
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let [d_output, d_input] = shape;
        let weight = Nf4Weight::quantize(&random(d_output * d_input, seed as u64), shape).unwrap();
        for rows in ROWS {
            let x = random(rows * d_input, 100 + seed as u64);
            let g = random(rows * d_output, 200 + seed as u64);
            let run = |device: Device| {
                let device = device.autodiff();
                let x = tensor(&x, [rows, d_input], &device).require_grad();
                let y = Projection::nf4(&weight, None, &device).forward(x.clone());
                let gradients =
                    (y.clone() * tensor(&g, [rows, d_output], &device)).sum().backward();
                (values(y), values(x.grad(&gradients).unwrap()))
            };
            let ((y, dx), (expected_y, expected_dx)) = (run(device.clone()), run(Device::flex()));
            let within = |terms| match is_fused(rows, d_input) {
                true => rounding(terms),
                false => dense(rounding(terms)),
            };
            let what = format!("{shape:?}, {rows} rows");
            close(&what, &y, &expected_y, within(d_input));
            close(&format!("{what}, gradient"), &dx, &expected_dx, within(d_output));
        }
    }
}

#[test]
fn products_in_16_bits_are_close_to_those_in_32() {
    let Some(device) = gpu() else { return };
    let [d_output, d_input] = [96, 128];
    let weight = Nf4Weight::quantize(&random(d_output * d_input, 1), [d_output, d_input]).unwrap();
    for dtype in [DType::F16, DType::BF16] {
        if !device.supports_dtype(dtype) {
            skipped(&format!("the device knows no {dtype:?}"));
            continue;
        }
        for rows in ROWS {
            let x = random(rows * d_input, 2);
            let run = |device: &Device, dtype: DType| {
                let x = tensor(&x, [rows, d_input], device).cast(dtype);
                values(Projection::nf4(&weight, None, device).forward(x))
            };
            let (found, expected) = (run(&device, dtype), run(&Device::flex(), DType::F32));
            close(&format!("{dtype:?}, {rows} rows"), &found, &expected, 2e-2);
        }
    }
}

#[test]
fn adapters_train_as_on_the_cpu() {
    let Some(device) = gpu() else { return };
    let [d_output, d_input, rows] = [48, 64, 20];
    let config = LoraConfig::new().with_rank(4).with_alpha(6.0);
    for (packed, config) in [
        (false, config.clone()),
        (true, config.clone()),
        (true, config.clone().with_use_rslora(true)),
        (false, config.clone().with_use_dora(true)),
        (true, config.with_use_dora(true)),
    ] {
        let run = |device: Device| {
            let device = device.autodiff();
            let dense = tensor(&random(d_output * d_input, 1), [d_output, d_input], &device);
            let mut projection = Projection::dense(dense, None);
            if packed {
                projection = projection.quantize().unwrap();
            }
            projection
                .set_adapter(
                    tensor(&random(4 * d_input, 2), [4, d_input], &device),
                    tensor(&random(d_output * 4, 3), [d_output, 4], &device),
                    config
                        .use_dora
                        .then(|| tensor(&random(d_output, 4), [d_output], &device).abs() + 0.5),
                    &config,
                )
                .unwrap();
            let x = tensor(&random(rows * d_input, 5), [rows, d_input], &device).require_grad();
            let y = projection.forward(x.clone());
            let gradients = y.clone().square().sum().backward();
            let adapter = projection.adapter().unwrap();
            let mut found = vec![
                values(y),
                values(x.grad(&gradients).unwrap()),
                values(adapter.a().grad(&gradients).unwrap()),
                values(adapter.b().grad(&gradients).unwrap()),
            ];
            found.extend(adapter.magnitude().map(|m| values(m.grad(&gradients).unwrap())));
            let merged = projection.merge_and_unload(Default::default()).unwrap();
            found.push(values(merged.weight()));
            found
        };
        let (found, expected) = (run(device.clone()), run(Device::flex()));
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            close(&format!("packed {packed}, {config:?}, {i}"), found, expected, dense(1e-5));
        }
    }
}

#[test]
fn row_norms_of_a_weight_in_parts_are_those_of_the_cpu() {
    let Some(device) = gpu() else { return };
    let shape = [270, 512]; // five parts
    let weight = Nf4Weight::quantize(&random(shape[0] * shape[1], 1), shape).unwrap();
    let config = LoraConfig::new().with_use_dora(true);
    let run = |device: &Device| {
        let projection = Projection::nf4(&weight, None, device).with_adapter(&config, 1).unwrap();
        values(projection.adapter().unwrap().magnitude().unwrap())
    };
    close("norms", &run(&device), &run(&Device::flex()), rounding(shape[1]));
}

/// With the folder whose `include` holds CUDA's headers; its `lib` is to be in the loader's path.
#[cfg(feature = "cuda-source")]
const NVRTC: &str = "NEXTCART_NVRTC";

#[cfg(feature = "cuda-source")]
#[test]
fn kernels_compile_for_cuda() {
    use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};

    let folder = std::env::var_os(NVRTC);
    let device = gpu();
    assert!(
        device.is_some() || folder.is_none(),
        "{NVRTC} is set: expected a device, as the kernels are made for one, found none; nothing was compiled"
    );
    let Some(device) = device else { return };
    let all = nextcart_adapters::nf4::cuda_sources(&device);
    for (name, source) in &all {
        assert!(source.contains("__global__"), "{name}: {source}");
    }
    let Some(folder) = folder else {
        skipped(&format!("{NVRTC} names no folder with CUDA's headers; nothing was compiled"));
        return;
    };
    let include = std::path::Path::new(&folder).join("include");
    for arch in ["compute_75", "compute_80", "compute_90"] {
        for (name, source) in &all {
            let include_paths = vec![include.display().to_string()];
            let options =
                CompileOptions { include_paths, arch: Some(arch), ..CompileOptions::default() };
            match compile_ptx_with_opts(source, options) {
                Ok(ptx) => assert!(ptx.to_src().contains(".entry"), "{name}, {arch}"),
                Err(error) => panic!("{name}, {arch}: {error:?}\n{source}"),
            }
        }
    }
    println!("{} kernels compiled for three generations of GPUs", all.len());
}
