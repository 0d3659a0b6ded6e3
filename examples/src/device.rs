//! The device of a program, and what is said where its memory does not do.

use std::panic::{set_hook, take_hook};

use anyhow::Result;
use burn::tensor::Device;

/// What a panic of burn's has in it, for of these there is no error, and what to do then.
const FAULTS: [(&str, &str); 3] = [
    ("out of device memory", FULL), // CUDA
    ("wgpu error: Out of Memory", FULL),
    (
        "can't allocate buffer of size",
        "one tensor is larger than the device takes: use fewer or shorter samples at a time, or a smaller model",
    ),
];

const FULL: &str = "the device has no memory left, of which other programs may hold some: end them, or use fewer or \
                    shorter samples at a time, or a model in 4 bits";

/// The device that the program was built for. A panic for want of its memory ends with a line that says what to do.
///
/// # Errors
/// Those of [`find_device`](nextcart_models::find_device).
pub fn find_device() -> Result<Device> {
    let device = nextcart_models::find_device()?;
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        before(panic);
        if let Some(advice) = advice(&panic.to_string()) {
            eprintln!("error: {advice}");
        }
    }));
    Ok(device)
}

fn advice(panic: &str) -> Option<&'static str> {
    FAULTS.iter().find_map(|(part, advice)| panic.contains(part).then_some(*advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_for_want_of_memory_is_told_from_others() {
        // As wgpu on Mesa's software GPU gave it, shortened.
        let seen = "Error while reading data: use `try_into_scalar` instead to catch the error at runtime: Execution(An \
                    error happened during execution\nCaused by:\n  Several failures at once\nCaused by:\n  An IO error \
                    happened\nCaused by:\n  can't allocate buffer of size: 1073741824\nNo backtrace available)";
        assert!(advice(seen).unwrap().starts_with("one tensor is larger"));
        assert_eq!(
            advice("An IO error happened: out of device memory allocating 8 bytes"),
            Some(FULL)
        );
        assert_eq!(advice("wgpu error: Out of Memory"), Some(FULL));
        assert_eq!(advice("index out of bounds: the len is 3 but the index is 3"), None);
    }
}
