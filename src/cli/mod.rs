//! The command line: what scripts and people type.

mod bench;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, Kind};

/// A streaming SQL engine: ksqlDB's language in one static binary.
#[derive(Parser)]
#[command(name = "tidemill", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs test cases: statements, input records and expected output records.
    Test(test::Arguments),
    /// Measures what the standard pipelines reach on this machine.
    Bench(bench::Arguments),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments, &arguments_folder(), &Default::default()),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{}", error.render(None));
            ExitCode::from(status(&error))
        }
    }
}

/// The exit status for an error: 3 where the environment is in the way, else 1.
fn status(error: &Error) -> u8 {
    if error.kind() == Kind::Backend { 3 } else { 1 }
}

fn arguments_folder() -> std::path::PathBuf {
    std::env::temp_dir()
}
