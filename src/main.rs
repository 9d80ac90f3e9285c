//! The `doorward` command.

use std::process::ExitCode;

/// Keeps the memory of a busy server small, and its requests quick: docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    doorward::cli::main()
}
