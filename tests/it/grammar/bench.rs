//! An engine in memory that takes statements and runs its queries only when it is told to.

use std::sync::Arc;

use tidemill::clock::ManualClock;
use tidemill::config;
use tidemill::engine::{Engine, Settings, Store};
use tidemill::error::Error;
use tidemill::statements::{self, Outcome, Reply, Session, Shown};

/// An engine that reads topics from their starts and gives a result for every row, at most `batch_rows` rows at a time.
pub(super) fn engine(batch_rows: &str) -> Engine {
    let values = [(config::OFFSET_RESET, "earliest"), (config::CACHE_BYTES, "0"), (config::BATCH_ROWS, batch_rows)];
    let settings = Settings::new(Store::Memory, Arc::new(ManualClock::new()), statements::compile_kept);
    Engine::open(settings.with(&values).expect("properties")).expect("an engine in memory")
}

/// Executes statements, if none of them is refused; what they show.
pub(super) fn execute(session: &mut Session, text: &str) -> Result<Vec<String>, Vec<Error>> {
    let parsed = statements::parse(text)?;
    let placed = |place: usize, error: Error| error.at(parsed[place].span).in_source(text);
    let checked = session.dry_run().check_all(&parsed);
    checked.map_err(|errors| errors.into_iter().map(|(place, e)| placed(place, e)).collect::<Vec<_>>())?;
    let mut shown = Vec::new();
    for (place, statement) in parsed.iter().enumerate() {
        match session.run(statement).map_err(|e| vec![placed(place, e)])? {
            Outcome::Changed { committed, .. } => {
                shown.extend(committed.change.warnings.iter().map(|w| format!("warning: {w}")));
            }
            Outcome::Done { .. } => {}
            Outcome::Reply(reply) => shown.push(text_of(&reply)),
            Outcome::Rows(_) | Outcome::Push { .. } | Outcome::Print { .. } => {
                panic!("golden cases show records, not rows: {text}")
            }
        }
    }
    Ok(shown)
}

pub(super) fn text_of(reply: &Reply) -> String {
    match &reply.shown {
        Shown::Message(message) => message.trim_end().to_owned(),
        Shown::Table { rows, .. } => rows.iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("\n"),
    }
}
