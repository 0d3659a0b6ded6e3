use std::panic::catch_unwind;

use burn::tensor::distributed::{ReduceOperation, all_reduce};
use burn::tensor::{Device, Tensor};

/// Should this fail after an update of burn, training on several devices can be tested on a CPU.
#[test]
fn the_cpu_backend_has_one_device_and_no_collective_operation() {
    let device = Device::flex();
    assert_eq!(Device::flex(), device);
    let reduced = catch_unwind(|| {
        let ones = Tensor::<1>::ones([2], &device);
        all_reduce(ones, ReduceOperation::Sum, vec![device.clone()]).resolve()
    });
    assert!(reduced.is_err());
}
