//! The binary: hands its arguments to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    keylender::cli::main(std::env::args_os())
}
