//! `tidemill topic consume`: the committed records of a topic, by their times, one JSON object each.
//!
//! The partitions are merged by the times of their next records, so the output is in the order of times as far as each
//! partition is. Only committed records are read. At the end of all partitions the command ends, or with `--follow`
//! looks again every 20 ms.

use std::time::Duration;

use clap::Args;

use super::cursor::{Cursor, Decode, StartAt};
use super::source_of;
use crate::cli::common::Common;
use crate::cli::failure::Done;
use crate::cli::output::{Format, Output};
use crate::cli::stop::Stop;
use crate::error::Result;
use crate::topics::PartitionId;

#[derive(Args)]
pub(crate) struct Arguments {
    name: String,
    /// Where to start: beginning, end, an offset, or a time.
    #[arg(long, default_value = "beginning", value_name = "WHERE", allow_negative_numbers = true)]
    from: StartAt,
    /// Ends after so many records.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Waits for more records at the end, until it is interrupted.
    #[arg(long)]
    follow: bool,
    /// Shows the bytes of key and value as text, whatever the catalog knows of them.
    #[arg(long)]
    raw: bool,
}

/// How long to wait at the end before looking again.
const PAUSE: Duration = Duration::from_millis(20);

/// Prints the records.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let engine = common.open_existing()?;
    let stop = Stop::on_signals()?;
    let catalog = engine.catalog();
    let topic = catalog.topic(&arguments.name).ok_or_else(|| catalog.no_topic(&arguments.name))?;
    let mut decode = Decode::new(source_of(&catalog, &topic.name), arguments.raw);
    let topics = engine.topics().as_ref();
    let cursor = |partition| {
        let id = PartitionId { topic: topic.id, partition };
        Cursor::new(topics, id, arguments.from.resolve(topics, id)?)
    };
    let mut cursors = (0..topic.partitions).map(cursor).collect::<Result<Vec<_>>>()?;
    let mut output = Output::new(Format::Json);
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    while left > 0 && !stop.is_asked() {
        let Some(next) = earliest(&mut cursors, &mut decode)? else {
            output.flush()?;
            if !arguments.follow {
                break;
            }
            std::thread::sleep(PAUSE);
            cursors.iter_mut().for_each(Cursor::look_again);
            continue;
        };
        if let Some(shown) = cursors[next].take() {
            output.line(shown.line)?;
            left -= 1;
        }
    }
    output.flush()?;
    Ok(0)
}

/// The partition whose next record is the earliest.
///
/// Of equal times the first partition. `None` if all are at their ends.
fn earliest(cursors: &mut [Cursor], decode: &mut Decode) -> Result<Option<usize>> {
    let mut found: Option<(i64, usize)> = None;
    for (place, cursor) in cursors.iter_mut().enumerate() {
        let time = cursor.next_time(decode)?;
        if let Some(time) = time.filter(|time| found.is_none_or(|(least, _)| *time < least)) {
            found = Some((time, place));
        }
    }
    Ok(found.map(|(_, place)| place))
}
