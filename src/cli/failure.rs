//! How a command ends that did not do what it was asked: a message and the exit status.
//!
//! ```text
//! status   when
//! 0        done; also if the reader of a pipe has gone
//! 1        a statement, a test or a check failed
//! 2        the command line or a name on it is wrong
//! 3        the environment is in the way: rights, a full disk, a folder in use
//! ```

use std::io;

use crate::error::{Error, Kind};

/// A statement, test or check failed.
pub(super) const FAILED: u8 = 1;
/// The command was used wrongly.
pub(super) const USAGE: u8 = 2;
/// The environment is in the way.
pub(super) const ENVIRONMENT: u8 = 3;

/// The result of a command.
pub(super) type Done = Result<u8, Failure>;

/// Why a command ends early.
#[derive(Debug)]
pub(super) struct Failure {
    /// One of the constants of this file, or 0.
    pub status: u8,
    /// For the standard error; nothing if there is nobody to tell.
    pub text: String,
}

impl Failure {
    /// The command was used wrongly.
    ///
    /// The kind of the error does not matter: whatever was said on the command line is wrong.
    pub(super) fn usage(error: Error) -> Failure {
        Failure { status: USAGE, text: error.render(None) }
    }

    /// An error in a text that a user wrote, which is known by a name.
    ///
    /// Shows the line with a caret, if the error has a place in the text.
    pub(super) fn in_file(error: &Error, file: &str) -> Failure {
        Failure { status: status(error), text: error.render(Some(file)) }
    }

    /// A file that was named on the command line cannot be read.
    ///
    /// Status 2 if it is not there or is a folder, else 3.
    pub(super) fn unreadable(file: &str, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::NotFound => Failure::usage(Error::missing(format!("there is no file {file}"))),
            io::ErrorKind::IsADirectory => Failure::usage(Error::invalid(format!("{file} is a folder, not a file"))),
            _ => Error::backend(format!("cannot read {file}: {error}")).into(),
        }
    }

    /// The standard output cannot be written: if its reader has gone, that is no failure.
    pub(super) fn output(error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure { status: 0, text: String::new() };
        }
        Error::backend(format!("cannot write the output: {error}")).into()
    }
}

/// The exit status for an error.
///
/// Only trouble with disk or network has a status of its own; a bug of the program counts as 1.
fn status(error: &Error) -> u8 {
    if error.kind() == Kind::Backend { ENVIRONMENT } else { FAILED }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { status: status(&error), text: error.render(None) }
    }
}
