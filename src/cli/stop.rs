//! The wish to end: Ctrl-C and SIGTERM, noted for whoever is at work.
//!
//! A signal only sets a flag. Each command looks at it between two steps and ends in order. Nothing is lost if the
//! process is killed instead: what was committed is durable, and the rest is done again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::failure::Failure;
use crate::error::Error;

/// What a shell reports of a process that was ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Whether somebody has asked for the end.
#[derive(Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Notes Ctrl-C and SIGTERM from now on. A second one, while the first is being obeyed, ends the process at once.
    ///
    /// The second one ends with status 130, as shells report it.
    ///
    /// # Errors
    /// Status 3: the system refuses to register a handler.
    pub(super) fn on_signals() -> Result<Stop, Failure> {
        let stop = Stop(Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM] {
            let again = signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, stop.0.clone());
            again.map_err(Error::from)?;
            stop.note(signal)?;
        }
        Ok(stop)
    }

    /// Notes Ctrl-C alone, however often; SIGTERM ends the process, which loses nothing that was committed.
    pub(super) fn on_interrupt() -> Result<Stop, Failure> {
        let stop = Stop(Arc::new(AtomicBool::new(false)));
        stop.note(SIGINT)?;
        Ok(stop)
    }

    /// A wish that nobody has.
    #[cfg(test)]
    pub(super) fn never() -> Stop {
        Stop(Arc::new(AtomicBool::new(false)))
    }

    fn note(&self, signal: i32) -> Result<(), Failure> {
        signal_hook::flag::register(signal, self.0.clone()).map_err(Error::from)?;
        Ok(())
    }

    /// Whether somebody has asked for the end.
    ///
    /// Stays true until it is forgotten.
    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Forgets it: what was to end has ended, and not the process.
    pub(super) fn forget(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
