//! The device of a program, and what is said where its memory is full.

use std::panic::{set_hook, take_hook};

use anyhow::Result;
use burn::tensor::Device;

/// What a panic of burn's says then, for of it there is no error.
const FULL: [&str; 2] = ["out of device memory", "can't allocate buffer of size"];

const ADVICE: &str = "error: the device has no memory left, of which other programs may hold some: end them (`nvidia-smi` \
                      lists them), or ask for less, as by a smaller batch; before training, --plan says what a run needs";

/// The device that the program was built for. A panic for want of its memory ends with a line that says what to do.
///
/// # Errors
/// Those of [`find_device`](nextcart_models::find_device).
pub fn find_device() -> Result<Device> {
    let device = nextcart_models::find_device()?;
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        before(panic);
        if is_of_memory(&panic.to_string()) {
            eprintln!("{ADVICE}");
        }
    }));
    Ok(device)
}

fn is_of_memory(panic: &str) -> bool {
    FULL.iter().any(|full| panic.contains(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_for_want_of_memory_is_told_from_others() {
        // The one is wgpu's, as it was seen; the other is CUDA's.
        let seen = "Error while reading data: use `try_into_scalar` instead to catch the error at runtime: Execution(An \
                    error happened during execution\nCaused by:\n  Several failures at once\nCaused by:\n  The bytes \
                    were never written (failure #1, still claiming 3 buffer(s))\nCaused by:\n  An IO error happened\n\
                    Caused by:\n  can't allocate buffer of size: 1073741824\nNo backtrace available)";
        assert!(is_of_memory(seen) && is_of_memory("out of device memory allocating 8 bytes"));
        assert!(!is_of_memory("index out of bounds: the len is 3 but the index is 3"));
    }
}
