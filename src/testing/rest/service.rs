//! The service of a case: an engine with its threads, behind a port that the system gives.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::clock::SystemClock;
use crate::config;
use crate::config::Properties;
use crate::disk::RealDisk;
use crate::engine::{Drive, Engine, Settings, Store};
use crate::error::{Error, Result};
use crate::serving::{
    self, Listener, Setup,
    client::{self, Answer, Call},
};
use crate::statements::{self, Session};
use crate::testing::run::{Mode, scratch_folder};

/// A service.
pub(super) struct Service {
    settings: Settings,
    /// `None` if the topics are in memory.
    folder: Option<PathBuf>,
    /// `None` only between an end and the next start.
    running: Option<Running>,
}

/// An engine that is served.
struct Running {
    engine: Arc<Engine>,
    address: String,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Service {
    /// Starts a service with nothing in it.
    ///
    /// # Errors
    /// Kind `Backend`: the system has no port, no thread or no folder for it.
    pub(super) fn start(mode: Mode) -> Result<Service> {
        let folder = (mode == Mode::Resume).then(scratch_folder);
        let store = match &folder {
            Some(path) => Store::Folder { disk: Arc::new(RealDisk), path: path.clone() },
            None => Store::Memory,
        };
        let usual = Settings::new(store, Arc::new(SystemClock::new()), statements::compile_kept);
        let settings = Settings { drive: Drive::Threads { start: true }, ..usual }.with(&[
            (config::OFFSET_RESET, "earliest"),
            (config::CACHE_BYTES, "0"),
            (config::JOURNAL_BYTES, "65536"),
            (config::WORKERS, "1"),
            (config::PUSH_V2_ENABLED, "true"),
        ])?;
        let settings = if mode == Mode::Whole { settings } else { settings.with(&[(config::BATCH_ROWS, "1")])? };
        let mut service = Service { settings, folder, running: None };
        service.running = Some(service.open()?);
        Ok(service)
    }

    fn open(&self) -> Result<Running> {
        let listeners = Listener::open_all("http://127.0.0.1:0")?;
        let address = listeners[0].address()?.to_string();
        let engine = Arc::new(Engine::open(self.settings.clone())?);
        let is_over = Arc::new(AtomicBool::new(false));
        let (served, stop) = (engine.clone(), is_over.clone());
        let setup = Setup::read(engine.properties(), &listeners, engine.events().clone())?;
        let serve = move || serving::serve(&served, listeners, setup, &|| stop.load(Ordering::SeqCst));
        let thread = std::thread::Builder::new().name("service".to_owned()).spawn(serve);
        let thread = thread.map_err(|e| Error::backend(format!("no thread for the service: {e}")))?;
        Ok(Running { engine, address, is_over, thread })
    }

    fn running(&self) -> Result<&Running> {
        self.running.as_ref().ok_or_else(|| Error::bug("the service has ended"))
    }

    /// The engine.
    ///
    /// # Errors
    /// A bug: it has ended.
    pub(super) fn engine(&self) -> Result<&Engine> {
        Ok(&self.running()?.engine)
    }

    /// Executes a statement without a request.
    ///
    /// # Errors
    /// It is refused.
    pub(super) fn execute(&self, text: &str) -> Result<()> {
        statements::execute(self.engine()?, text)
    }

    /// A statement that writes values, without them; None for all others.
    pub(super) fn masked(&self, text: &str) -> Option<String> {
        let parsed = statements::parse(text).ok()?;
        let session = Session::new(self.engine().ok()?, Properties::default());
        let is_insert = |statement: &&statements::Parsed| statement.text.to_ascii_uppercase().starts_with("INSERT");
        parsed.iter().find(is_insert).map(|statement| session.completed(statement))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// Kind `Backend`: there is no answer.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Answer> {
        client::send(&self.running()?.address, call).await
    }

    /// Ends the service and starts it again over the same folder.
    ///
    /// # Errors
    /// It cannot end in order, or not start again.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.close()?;
        self.running = Some(self.open()?);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.is_over.store(true, Ordering::SeqCst);
        let served = running.thread.join().unwrap_or_else(|_| Err(Error::bug("the service panicked")));
        running.engine.close();
        served
    }

    /// Ends the service and removes its folder.
    ///
    /// # Errors
    /// It could not do its work to the end.
    pub(super) fn end(&mut self) -> Result<()> {
        let closed = self.close();
        if let Some(folder) = &self.folder {
            // A folder that stays behind does no harm; the system's own cleaning takes it.
            let _ = std::fs::remove_dir_all(folder);
        }
        closed
    }
}
