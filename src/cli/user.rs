//! `tidemill user`: the line of a user for the file of the service's users.

use std::io::{self, BufRead, IsTerminal};

use clap::{Args, ValueEnum};

use super::connect::prompt;
use super::failure::{Done, Failure};
use super::output::{Format, Output};
use crate::error::Error;
use crate::serving::user_line;
use crate::statements::Right;

#[derive(Args)]
pub(super) struct Arguments {
    /// The name of the user.
    #[arg(value_name = "NAME")]
    name: String,
    /// What the user may do.
    #[arg(long, value_enum)]
    role: Role,
}

/// What a user may do.
#[derive(Clone, Copy, ValueEnum)]
enum Role {
    /// Ask for rows, lists and descriptions.
    Read,
    /// Insert rows, too.
    Write,
    /// Create, drop and terminate, too.
    Admin,
}

/// Prints the line; the password is read from the terminal, or is the first line of the standard input.
///
/// # Errors
/// Status 2: the name cannot be one, the password is empty, or the two that were typed differ.
pub(super) fn run(arguments: &Arguments) -> Done {
    let password = if io::stdin().is_terminal() { typed(&arguments.name)? } else { first_line()? };
    let right = match arguments.role {
        Role::Read => Right::Read,
        Role::Write => Right::Write,
        Role::Admin => Right::Admin,
    };
    let mut output = Output::new(Format::Table);
    output.line(&user_line(&arguments.name, &password, right).map_err(Failure::usage)?)?;
    output.flush()?;
    Ok(0)
}

/// The password, typed twice.
fn typed(name: &str) -> Result<String, Failure> {
    let password = prompt(&format!("Password of {name}: "))?;
    match prompt("The same again: ")? == password {
        true => Ok(password),
        false => Err(Failure::usage(Error::invalid("the two passwords differ"))),
    }
}

fn first_line() -> Result<String, Failure> {
    let mut line = String::new();
    let unread = |e| Error::backend(format!("the password cannot be read from the standard input: {e}"));
    io::stdin().lock().read_line(&mut line).map_err(unread)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
