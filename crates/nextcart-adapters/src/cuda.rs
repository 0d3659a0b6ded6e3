//! What kernels are compiled with on CUDA, when they are first used.

use std::panic;

/// Whether there is a folder of the CUDA toolkit, with the headers that kernels are compiled with: the one that `CUDA_PATH`
/// names, or where it is installed. Without one, the first kernel ends the program with a panic.
#[must_use]
pub fn has_cuda_toolkit() -> bool {
    cubecl::cuda::install::cuda_path().is_some_and(|folder| folder.join("include").is_dir())
}

/// Whether the loader finds `libnvrtc`, CUDA's runtime compiler. Without it, the first kernel ends the program with a panic.
#[must_use]
pub fn has_cuda_compiler() -> bool {
    // cudarc's own question is unsafe to ask; its safe functions panic where there is none.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let asked = panic::catch_unwind(|| drop(cudarc::nvrtc::compile_ptx("")));
    panic::set_hook(hook);
    asked.is_ok()
}
