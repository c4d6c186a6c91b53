//! The settings that a topic can have: Kafka's, by name, with the values that each takes.

use super::Takes;
use crate::error::{Error, Result};

const ANY: i64 = i64::MAX;

/// Kafka's settings of a topic, sorted by name.
const SETTINGS: &[(&str, Takes)] = &[
    ("cleanup.policy", Takes::Choice(&["compact", "delete", "compact,delete", "delete,compact"])),
    ("compression.gzip.level", Takes::Number(-1, 9)),
    ("compression.lz4.level", Takes::Number(1, 17)),
    ("compression.type", Takes::Choice(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])),
    ("compression.zstd.level", Takes::Number(-131_072, 22)),
    ("delete.retention.ms", Takes::Number(0, ANY)),
    ("file.delete.delay.ms", Takes::Number(0, ANY)),
    ("flush.messages", Takes::Number(1, ANY)),
    ("flush.ms", Takes::Number(0, ANY)),
    ("follower.replication.throttled.replicas", Takes::Text),
    ("index.interval.bytes", Takes::Number(0, ANY)),
    ("leader.replication.throttled.replicas", Takes::Text),
    ("local.retention.bytes", Takes::Number(-2, ANY)),
    ("local.retention.ms", Takes::Number(-2, ANY)),
    ("max.compaction.lag.ms", Takes::Number(1, ANY)),
    ("max.message.bytes", Takes::Number(0, ANY)),
    ("message.downconversion.enable", Takes::Flag),
    ("message.format.version", Takes::Text),
    ("message.timestamp.after.max.ms", Takes::Number(0, ANY)),
    ("message.timestamp.before.max.ms", Takes::Number(0, ANY)),
    ("message.timestamp.difference.max.ms", Takes::Number(0, ANY)),
    ("message.timestamp.type", Takes::Choice(&["CreateTime", "LogAppendTime"])),
    ("min.cleanable.dirty.ratio", Takes::Fraction),
    ("min.compaction.lag.ms", Takes::Number(0, ANY)),
    ("min.insync.replicas", Takes::Number(1, ANY)),
    ("preallocate", Takes::Flag),
    ("remote.storage.enable", Takes::Flag),
    ("retention.bytes", Takes::Number(-1, ANY)),
    ("retention.ms", Takes::Number(-1, ANY)),
    ("segment.bytes", Takes::Number(14, ANY)),
    ("segment.index.bytes", Takes::Number(4, ANY)),
    ("segment.jitter.ms", Takes::Number(0, ANY)),
    ("segment.ms", Takes::Number(1, ANY)),
    ("unclean.leader.election.enable", Takes::Flag),
];

/// Those that the log follows.
const FOLLOWED: &[&str] = &[
    "cleanup.policy",
    "compression.gzip.level",
    "compression.type",
    "compression.zstd.level",
    "delete.retention.ms",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.ms",
];

/// Whether a setting has an effect in this version; the others are only kept with the topic.
pub fn is_topic_setting_followed(name: &str) -> bool {
    FOLLOWED.contains(&name)
}

/// Refuses a setting that no topic has, or a value that it does not take.
///
/// # Errors
/// There is no such setting; the error suggests the nearest name. Or the value does not fit.
pub fn check_topic_setting(name: &str, value: &str) -> Result<()> {
    let Some((_, takes)) = SETTINGS.iter().find(|(known, _)| *known == name) else {
        let error = Error::invalid(format!("Unknown setting of a topic: '{name}'"));
        return Err(error.suggest(name, SETTINGS.iter().map(|(known, _)| *known), |known| format!("'{known}'")));
    };
    if takes.fits(value) {
        return Ok(());
    }
    Err(Error::invalid(format!("Invalid value '{value}' for the setting '{name}' of a topic: it takes {takes}")))
}
