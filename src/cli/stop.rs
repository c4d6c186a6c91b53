//! The wish to end: Ctrl-C and SIGTERM, noted for whoever is at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::failure::Failure;
use crate::error::Error;

/// What a shell reports of a process that was ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Whether somebody has asked for the end.
#[derive(Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Notes Ctrl-C and SIGTERM from now on. A second one, while the first is being obeyed, ends the process at once.
    pub fn on_signals() -> Result<Stop, Failure> {
        Stop::on(&[SIGINT, SIGTERM])
    }

    /// Notes Ctrl-C alone; SIGTERM ends the process, which loses nothing that was committed.
    pub fn on_interrupt() -> Result<Stop, Failure> {
        Stop::on(&[SIGINT])
    }

    fn on(signals: &[i32]) -> Result<Stop, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        for &signal in signals {
            let again = signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, stop.clone());
            again.and_then(|_| signal_hook::flag::register(signal, stop.clone())).map_err(Error::from)?;
        }
        Ok(Stop(stop))
    }

    /// Whether somebody has asked for the end.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Forgets it: what was to end has ended, and not the process.
    pub fn forget(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
