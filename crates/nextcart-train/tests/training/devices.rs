use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use burn::tensor::distributed::{ReduceOperation, all_reduce};
use burn::tensor::{Device, DeviceType, Tensor};

/// Should this fail after an update of burn, training on several devices can be tested on a CPU. burn-dispatch passes
/// collective operations on to the CUDA and the remote backend alone.
#[test]
fn the_cpu_backend_has_one_device_and_no_collective_operation() {
    let device = Device::flex();
    assert_eq!(Device::enumerate(DeviceType::Flex).len(), 1);
    let reduced = catch_unwind(|| {
        let ones = Tensor::<1>::ones([2], &device);
        all_reduce(ones, ReduceOperation::Sum, vec![device.clone()]).resolve()
    });
    let panic = reduced.expect_err("there is no such operation");
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    assert!(text.contains("not supported"), "{text}");
}

/// burn-collective has no release for this line of burn: its newest, 0.21.0, asks for the backend of 0.21. Should this
/// fail, look at what brought it in.
#[test]
fn no_crate_for_collective_operations_comes_with_burn() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let Ok(text) = fs::read_to_string(path) else { return };
    let names = |name: &str| text.contains(&format!("name = \"{name}\"\n"));
    assert!(names("burn-dispatch") && !names("burn-collective"));
}
