//! The program `unfenced`: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    unfenced::cli::run()
}
