//! What all commands take: where the data are, the properties, and how much is told.
//!
//! [`super::settings`] says where properties come from. A command may also bring a default of its own for where queries
//! start to read: the earliest record for `run`, the latest for `shell` and `serve`.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tracing::Dispatch;

use super::events::{self, Level, LogFormat};
use super::failure::Failure;
use super::settings::ProcessSettings;
use crate::clock::SystemClock;
use crate::config::{self, Properties};
use crate::disk::RealDisk;
use crate::engine::{Drive, Engine, Settings, Store};
use crate::error::Error;
use crate::journal::WhenFull;
use crate::serving::Telemetry;
use crate::statements::compile_kept;

/// The file that every data folder has.
const FORMAT_FILE: &str = "format";

#[derive(Args, Clone, Debug)]
pub(super) struct Common {
    /// The folder with the topics, the state and the journal.
    #[arg(long, global = true, env = "TIDEMILL_DATA_DIR", default_value = "./tidemill-data", value_name = "DIR")]
    data_dir: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
    /// Sets a property; it wins over the file and the environment.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The brokers of the Kafka cluster that has the topics.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    bootstrap_servers: Option<String>,
    /// How much is told on the standard error.
    #[arg(long, global = true, value_enum, default_value = "warn", value_name = "LEVEL")]
    log: Level,
    /// How it is told.
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
    /// What takes events besides the standard error.
    #[arg(skip)]
    telemetry: Option<Telemetry>,
}

/// The file of properties; not an argument of all commands at once, since `topic create` has settings of that name.
#[derive(Args, Clone, Debug)]
struct ConfigFile {
    /// A file of properties, one KEY=VALUE a line.
    #[arg(long = "config", id = "config-file", value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A command that takes the file of properties behind its name, too.
#[derive(Args)]
pub(super) struct Configured<T: Args> {
    #[command(flatten)]
    pub own: T,
    #[command(flatten)]
    config: ConfigFile,
}

impl<T: Args> Configured<T> {
    /// What all commands take, with what was said behind this command's name.
    pub(super) fn common(&self, mut common: Common) -> Common {
        common.config.file = self.config.file.clone().or(common.config.file);
        common
    }
}

impl Common {
    /// The settings of the process: those of the file, over them those of the environment and of the command line.
    ///
    /// # Errors
    /// Those of [`ProcessSettings::read`].
    pub(super) fn settings(&self) -> Result<ProcessSettings, Failure> {
        ProcessSettings::read(self.config.file.as_deref(), std::env::vars_os(), &self.set)
    }

    /// The properties of the process.
    ///
    /// # Errors
    /// Those of [`ProcessSettings::read`].
    pub(super) fn properties(&self) -> Result<Properties, Failure> {
        Ok(self.settings()?.properties)
    }

    /// A folder beside the data folder, on the same disk, for what is measured.
    ///
    /// The name of the data folder with `-bench` at its end. It is on the same disk, since the disk is part of what is
    /// measured.
    pub(super) fn bench_dir(&self) -> PathBuf {
        let mut name = self.data_dir.file_name().map_or_else(|| "tidemill-data".into(), ToOwned::to_owned);
        name.push("-bench");
        self.data_dir.with_file_name(name)
    }

    /// Opens the engine over the data folder. `reset` is where queries start to read if nobody has said it.
    ///
    /// # Errors
    /// Status 3: the folder cannot be used, or another process has it. Status 1: `--bootstrap-servers` is given, which
    /// this version does not support, or a kept statement cannot be compiled.
    pub(super) fn open(&self, drive: Drive, when_full: WhenFull, reset: &'static str) -> Result<Engine, Failure> {
        if self.bootstrap_servers.is_some() {
            return Err(Error::unsupported("topics in Kafka").into());
        }
        let properties = self.assumed(reset)?;
        let store = Store::Folder { disk: Arc::new(RealDisk), path: self.data_dir.clone() };
        self.open_store(store, drive, when_full, properties)
    }

    /// Opens an engine with nothing in it and nothing on the disk, to check what would be done in a new folder.
    ///
    /// Statements can be executed in it; their queries take no turns, and all of it goes with the engine.
    pub(super) fn open_empty(&self, reset: &'static str) -> Result<Engine, Failure> {
        self.open_store(Store::Memory, Drive::Threads { start: false }, WhenFull::Refuse, self.assumed(reset)?)
    }

    /// The properties, with a default of the command's own for where queries start to read.
    fn assumed(&self, reset: &'static str) -> Result<Properties, Failure> {
        let mut properties = self.properties()?;
        properties.assume(config::OFFSET_RESET, reset);
        Ok(properties)
    }

    fn open_store(
        &self,
        store: Store,
        drive: Drive,
        when_full: WhenFull,
        properties: Properties,
    ) -> Result<Engine, Failure> {
        let usual = Settings::new(store, Arc::new(SystemClock::new()), compile_kept);
        Ok(Engine::open(Settings { drive, properties, when_full, events: self.events(), ..usual })?)
    }

    /// What takes events.
    pub(super) fn events(&self) -> Dispatch {
        events::dispatch(self.log, self.log_format, self.telemetry.clone())
    }

    /// The same, with events that go to a collector, too.
    pub(super) fn exporting(self, telemetry: Option<Telemetry>) -> Common {
        Common { telemetry, ..self }
    }

    /// Says something that is no result, whatever the level.
    pub(super) fn say(&self, text: &str) {
        events::say(self.log, self.log_format, text);
    }

    /// Opens the engine to look after the topics that there are: no query runs, and no folder is made.
    ///
    /// The properties are read first, so that a mistake in them is told even if the folder is missing too.
    ///
    /// # Errors
    /// There is no data folder, or it cannot be opened.
    pub(super) fn open_existing(&self) -> Result<Engine, Failure> {
        self.properties()?;
        self.require_folder()?;
        self.open_topics()
    }

    /// The data folder as messages name it.
    pub(super) fn folder(&self) -> std::path::Display<'_> {
        self.data_dir.display()
    }

    /// Whether the data folder is there. One that cannot be looked at counts: opening it tells why.
    ///
    /// A folder counts if its format file is there, whatever is in that file.
    pub(super) fn has_folder(&self) -> bool {
        let found = std::fs::metadata(self.data_dir.join(FORMAT_FILE));
        !matches!(found, Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
    }

    /// Refuses a data folder that is not there, for commands that have nothing to do in a new one: its name is mistyped.
    ///
    /// # Errors
    /// There is no such folder, or it is a folder of something else.
    pub(super) fn require_folder(&self) -> Result<(), Failure> {
        if self.has_folder() {
            return Ok(());
        }
        let shown = self.folder();
        // A file, or a folder that lost its format file, is judged by opening it.
        let error = match std::fs::metadata(&self.data_dir) {
            Ok(found) if found.is_dir() && self.data_dir.join("journal").is_dir() => return Ok(()),
            Ok(found) if found.is_dir() => Error::missing(format!("{shown} is no data folder of tidemill")),
            Ok(_) => return Ok(()),
            Err(_) => Error::missing(format!("there is no data folder {shown}")),
        };
        let hint = "--data-dir or TIDEMILL_DATA_DIR name another; topic create, run and shell make a new one";
        Err(Failure::usage(error.hint(hint)))
    }

    /// Opens the engine to look after topics: no query runs.
    pub(super) fn open_topics(&self) -> Result<Engine, Failure> {
        self.open(Drive::Threads { start: false }, WhenFull::Refuse, "earliest")
    }
}
