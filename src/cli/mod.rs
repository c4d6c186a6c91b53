//! The command line: what scripts and people type.
//!
//! Results go to the standard output, everything else to the standard error. The exit status is 0 if it is done, 1 if a
//! statement, test or check failed, 2 for wrong usage and 3 if the environment is in the way.
//!
//! A command takes its arguments, opens an engine over the data folder (or over nothing, to check first), does one
//! thing and returns an exit status. Commands share four things: what all of them take (`common`), how they fail
//! (`failure`), how results are written (`output`), and how they hear of Ctrl-C (`stop`). No module outside of this one
//! prints.
//!
//! ```text
//! command   opens the folder   makes it if missing      runs queries
//! run       yes                if the script makes      yes
//!                              something
//! shell     yes                yes; with -e or -f if    yes
//!                              the script makes
//!                              something
//! serve     yes                yes                      yes
//! topic     yes                only topic create        no
//! export    yes                no                       no
//! backup    yes                no                       no
//! migrations  unless a       only initialize-metadata  yes
//!             server is
//!             named
//! datagen   unless --stdout   yes                      no
//!           or --server is
//!           given
//! import    if it is there    only with --apply        only with --apply
//! user      no
//! check-    no
//! config
//! fmt       no
//! test      no; for --batch    yes, and removes it      yes
//!           resume one a case
//! bench     beside the data    yes, and removes it      yes
//!           folder
//! ```

mod backup;
mod bench;
mod check_config;
mod common;
mod connect;
mod datagen;
mod events;
mod export;
mod failure;
mod format;
mod import;
mod made;
mod migrations;
mod output;
mod peer;
mod queries_file;
mod remote;
mod rows;
mod run;
mod script;
mod serve;
mod settings;
mod shell;
mod stop;
mod table;
mod test;
mod topic;
mod user;
mod viewer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use common::{Common, Configured};
use failure::Done;
use output::tell_error;

/// A streaming SQL engine: ksqlDB's language in one static binary.
#[derive(Parser)]
#[command(name = "tidemill", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Command {
    /// Checks a script of statements, applies it and runs its queries.
    Run(Configured<run::Arguments>),
    /// Executes statements as they are typed.
    Shell(Configured<shell::Arguments>),
    /// Serves the API of ksqlDB's clients.
    Serve(Configured<serve::Arguments>),
    /// Makes topics, lists them, writes records to them and reads them.
    #[command(subcommand)]
    Topic(topic::Command),
    /// Prints the statements that made what exists, as a script.
    Export(Configured<export::Arguments>),
    /// Copies the data folder as of one moment, also while a service uses it.
    Backup(Configured<backup::Arguments>),
    /// Prints the settings with their places, and refuses what cannot be used.
    CheckConfig(Configured<check_config::Arguments>),
    /// Applies numbered files of statements, once each and in order, as ksql-migrations does.
    Migrations(Configured<migrations::Arguments>),
    /// Makes rows that look like something, with the arguments of ksql-datagen.
    Datagen(Configured<datagen::Arguments>),
    /// Takes over the statements of a running ksqlDB.
    Import(Configured<import::Arguments>),
    /// Prints the line of a user for the file of the service's users.
    User(user::Arguments),
    /// Prints statements in their canonical form.
    Fmt(format::Arguments),
    /// Runs test cases: statements, input records and expected output records.
    Test(test::Arguments),
    /// Measures what the standard pipelines reach on this machine.
    Bench(Configured<bench::Arguments>),
}

/// Runs the command line of this process.
///
/// A command that fails has its text on the standard error, without a stack trace. A pipe whose reader has gone ends a
/// command with status 0 and without a word.
pub fn main() -> ExitCode {
    crate::process::keep_freed();
    let Arguments { command, common } = Arguments::parse();
    let done: Done = match command {
        Command::Run(run) => run::run(&run.common(common), &run.own),
        Command::Shell(shell) => shell::run(&shell.common(common), &shell.own),
        Command::Serve(serve) => serve::run(&serve.common(common), &serve.own),
        Command::Topic(command) => topic::run(common, &command),
        Command::Export(export) => export::run(&export.common(common), &export.own),
        Command::Backup(backup) => backup::run(&backup.common(common), &backup.own),
        Command::CheckConfig(check) => check_config::run(&check.common(common), &check.own),
        Command::Migrations(migrations) => migrations::run(&migrations.common(common), &migrations.own),
        Command::Datagen(datagen) => datagen::run(&datagen.common(common), &datagen.own),
        Command::Import(import) => import::run(&import.common(common), &import.own),
        Command::User(arguments) => user::run(&arguments),
        Command::Fmt(arguments) => format::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(bench) => bench::run(&bench.common(common), &bench.own),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            if !failure.text.is_empty() {
                tell_error(&failure.text);
            }
            ExitCode::from(failure.status)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn no_two_arguments_of_a_command_are_alike() {
        super::Arguments::command().debug_assert();
    }
}
