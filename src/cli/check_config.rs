//! `tidemill check-config`: the settings with their places, and everything among them that cannot be used.

use std::path::Path;

use clap::Args;

use super::common::Common;
use super::failure::{Done, Failure, USAGE};
use super::output::{Format, Output};
use super::queries_file;
use crate::config;
use crate::serving;

#[derive(Args)]
pub(super) struct Arguments {
    /// How the settings are written.
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

/// Prints all properties with their values and places. No port is opened, and the data folder is not touched.
///
/// # Errors
/// Status 2 with everything that is wrong: names, values, ports, and files that are not there or cannot be used.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let refused = |failure: Failure| Failure { status: USAGE, ..failure };
    let settings = common.settings().map_err(refused)?;
    let mut output = Output::new(arguments.output);
    output.listing(&["Property", "Value", "From"], &settings.rows())?;
    output.flush()?;
    let mut texts: Vec<String> = serving::check(&settings.properties).iter().map(|error| error.render(None)).collect();
    let file = settings.properties.text(config::QUERIES_FILE);
    if !file.is_empty() {
        texts.extend(queries_file::read(Path::new(file), &settings.properties).err().map(|failure| failure.text));
    }
    if texts.is_empty() { Ok(0) } else { Err(Failure { status: USAGE, text: texts.join("\n") }) }
}
