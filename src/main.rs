//! The `rnn-zoo` program.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match rnn_zoo::cli::run(rnn_zoo::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            rnn_zoo::cli::show_error(&error);
            ExitCode::FAILURE
        }
    }
}
