//! `tidemill migrations`: numbered files of statements, applied once each and in order, as `ksql-migrations` does it.
//!
//! A project is a folder with a file of settings and a folder of files `V000001__Name.sql`. Which of them were applied
//! is kept where they were applied, in a stream of events and a table over it, in the form of `ksql-migrations`: either
//! tool goes on with what the other one began.
//!
//! ```text
//! project    the settings, the files, their versions and checksums
//! metadata   what was applied, read from the table and written to the stream
//! apply      which files come next; executes them (apply, plan, down)
//! drift      what exists and no migration made, and the reverse
//! report     what there is to be told (info, validate)
//! ```

mod apply;
mod down;
mod drift;
mod metadata;
mod project;
mod report;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::common::Common;
use super::connect::Credentials;
use super::failure::{Done, Failure};
use super::output::{Format, Output};
use super::peer::Peer;
use crate::error::Error;
use metadata::Metadata;
use project::Project;

#[derive(Args)]
pub(super) struct Arguments {
    /// The file with the settings of the project.
    #[arg(
        short = 'c',
        long = "config-file",
        id = "project-file",
        global = true,
        default_value = "ksql-migrations.properties",
        value_name = "FILE"
    )]
    project: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the folder of a project and the file of its settings.
    NewProject(NewProject),
    /// Makes the stream and the table that remember what was applied.
    InitializeMetadata(Place),
    /// Makes an empty file for the next version.
    Create(Create),
    /// Shows what apply would execute.
    Plan(Plan),
    /// Executes the files that were not applied yet.
    Apply(Apply),
    /// Takes versions back with the files V000001__Name.down.sql.
    Down(Down),
    /// Shows the versions and whether they were applied.
    Info(Info),
    /// Compares what was applied with the files, and what exists with what they make.
    Validate(Validate),
    /// Removes the stream and the table that remember what was applied.
    DestroyMetadata(Place),
}

/// Where migrations are applied.
#[derive(Args)]
struct Place {
    /// The server, in place of the one that ksql.server.url names.
    #[arg(long, value_name = "URL", conflicts_with = "local")]
    server: Option<String>,
    /// Works on the data folder, whatever ksql.server.url names.
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    credentials: Credentials,
}

#[derive(Args)]
struct NewProject {
    /// The folder of the project.
    path: PathBuf,
    /// The server; without one the project works on the data folder.
    url: Option<String>,
}

#[derive(Args)]
struct Create {
    /// The version; the next free one if it is not given.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=project::LAST_VERSION))]
    version: Option<u32>,
    /// What the migration does, in a few words.
    description: String,
}

/// Which versions are meant.
#[derive(Args)]
#[command(group = ArgGroup::new("target").required(true))]
struct Which {
    /// All versions that were not applied.
    #[arg(short, long, group = "target")]
    all: bool,
    /// The next one.
    #[arg(short, long, group = "target")]
    next: bool,
    /// All up to this one.
    #[arg(short, long, group = "target", value_name = "N")]
    until: Option<u32>,
    /// This one alone.
    #[arg(short, long, group = "target", value_name = "N")]
    version: Option<u32>,
}

#[derive(Args)]
struct Apply {
    #[command(flatten)]
    which: Which,
    /// Shows the files and executes nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Plan {
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Down {
    /// Takes back all versions that are newer than this one; without it, the last one alone.
    #[arg(short, long, value_name = "N")]
    until: Option<u32>,
    /// Shows the files and executes nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Info {
    /// How the list is written.
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Validate {
    /// Compares nothing but the files with what was applied, as ksql-migrations does.
    #[arg(long)]
    only_files: bool,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    place: Place,
}

/// Values for `${names}` in the files.
#[derive(Args)]
struct Variables {
    /// Gives a variable of the files a value.
    #[arg(short, long = "define", value_name = "NAME=VALUE")]
    define: Vec<String>,
}

impl Variables {
    /// The names and values.
    ///
    /// # Errors
    /// Status 2: one of them is not `NAME=VALUE`.
    fn pairs<'s>(&'s self) -> Result<Vec<(&'s str, &'s str)>, Failure> {
        let pair = |text: &'s String| -> Result<(&'s str, &'s str), Failure> {
            let error = || Failure::usage(Error::invalid(format!("--define: '{text}' is not NAME=VALUE")));
            let (name, value) = text.split_once('=').ok_or_else(error)?;
            Ok((name.trim(), unquoted(value)))
        };
        self.define.iter().map(pair).collect()
    }
}

/// A value without the quotes that may stand around it.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(value)
}

/// What commands work with that look at what was applied.
struct Work {
    project: Project,
    peer: Peer,
    metadata: Metadata,
    output: Output,
}

impl Work {
    fn start(common: &Common, file: &std::path::Path, place: &Place) -> Result<Work, Failure> {
        let project = Project::read(file)?;
        let url = project.server();
        let server = if place.local { None } else { place.server.as_deref().or(url) };
        let credentials = place.credentials.clone().or(project.credentials());
        let peer = Peer::open(common, server, &credentials)?;
        let metadata = Metadata::of(&project, &peer.service_id()?);
        Ok(Work { project, peer, metadata, output: Output::new(Format::Table) })
    }

    /// The same for a command that has nothing to do where no migrations were.
    fn resume(common: &Common, file: &std::path::Path, place: &Place) -> Result<Work, Failure> {
        let project = Project::read(file)?;
        if place.local || (place.server.is_none() && project.server().is_none()) {
            common.require_folder()?;
        }
        let work = Work::start(common, file, place)?;
        work.metadata.require(&work.peer)?;
        Ok(work)
    }

    fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.output.line(line)?;
        self.output.flush()
    }

    /// Ends in order, with the status.
    fn end(mut self, status: u8) -> Done {
        self.output.flush()?;
        self.peer.close()?;
        Ok(status)
    }
}

/// Runs a command; the exit status.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let file = arguments.project.as_path();
    match &arguments.command {
        Command::NewProject(new) => project::new_project(&new.path, new.url.as_deref()),
        Command::Create(create) => project::create(file, create.version, &create.description),
        Command::InitializeMetadata(place) => initialize(Work::start(common, file, place)?),
        Command::DestroyMetadata(place) => destroy(Work::start(common, file, place)?),
        Command::Plan(plan) => apply::plan(Work::resume(common, file, &plan.place)?, &plan.variables.pairs()?),
        Command::Apply(apply) => {
            let variables = apply.variables.pairs()?;
            apply::apply(Work::resume(common, file, &apply.place)?, &apply.which, apply.dry_run, &variables)
        }
        Command::Down(down) => {
            let variables = down.variables.pairs()?;
            down::down(Work::resume(common, file, &down.place)?, down.until, down.dry_run, &variables)
        }
        Command::Info(info) => report::info(Work::resume(common, file, &info.place)?, info.output),
        Command::Validate(validate) => {
            let variables = validate.variables.pairs()?;
            let work = Work::resume(common, file, &validate.place)?;
            report::validate(work, validate.only_files, &variables)
        }
    }
}

fn initialize(mut work: Work) -> Done {
    work.metadata.make(&work.peer)?;
    work.say("Migrations metadata initialized successfully")?;
    work.end(0)
}

fn destroy(mut work: Work) -> Done {
    let had = work.metadata.remove(&work.peer)?;
    work.say(if had { "Migrations metadata cleaned successfully" } else { "There are no migrations metadata" })?;
    work.end(0)
}
