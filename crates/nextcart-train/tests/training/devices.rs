use std::panic::catch_unwind;

use burn::tensor::distributed::{ReduceOperation, all_reduce};
use burn::tensor::{Device, DeviceType, Tensor};

/// Should this fail after an update of burn, training on several devices can be tested on a CPU.
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
