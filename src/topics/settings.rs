//! The settings of a topic that the log follows, by Kafka's names.
//!
//! Values are checked where they are set; here they are only read. A topic without settings is kept for ever.

use std::collections::BTreeMap;

use super::compression::Codec;

/// After how long a segment is followed by another one where something is ever deleted of the topic and nothing is
/// said: Kafka's default of `segment.ms`, seven days.
const SEGMENT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Kafka's default of `delete.retention.ms`, a day.
const DELETE_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;
/// Kafka's default of `min.cleanable.dirty.ratio`.
const DIRTY_RATIO: f64 = 0.5;

/// What the log does with the records of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSettings {
    /// Records of segments whose records are all older than this are deleted, in ms; `None` if age deletes nothing.
    pub retention_ms: Option<i64>,
    /// The oldest segments of a partition are deleted while those after them have so many bytes; `None` for no bound.
    pub retention_bytes: Option<u64>,
    /// A batch that would pass it begins a new segment; `None` for the log's own size.
    pub segment_bytes: Option<u64>,
    /// A batch that is so much later than the first one of its segment begins a new one, in ms of record times.
    pub segment_ms: Option<i64>,
    /// Whether of records with the same key only the last one stays.
    pub compacts: bool,
    /// How long tombstones stay after they were compacted first, in ms.
    pub delete_retention_ms: i64,
    /// How much of what could be compacted was not compacted before, of all that could be: with less it is not worth it.
    pub dirty_ratio: f64,
    /// How long records stay whatever comes after them, in ms.
    pub compaction_lag_ms: i64,
    /// How batches are compressed that are made here; `None` if they are not.
    pub codec: Option<Codec>,
}

impl Default for TopicSettings {
    fn default() -> Self {
        TopicSettings::of(&BTreeMap::new())
    }
}

impl TopicSettings {
    /// The settings by their names.
    pub fn of(config: &BTreeMap<String, String>) -> TopicSettings {
        let number = |name: &str| config.get(name).and_then(|text| text.parse::<i64>().ok());
        // Kafka writes −1 for no bound.
        let bound = |name: &str| number(name).filter(|bound| *bound >= 0);
        let deletes = config.get("cleanup.policy").is_none_or(|policy| policy.to_lowercase().contains("delete"));
        let compacts = config.get("cleanup.policy").is_some_and(|policy| policy.to_lowercase().contains("compact"));
        let retention_ms = bound("retention.ms").filter(|_| deletes);
        let ratio = config.get("min.cleanable.dirty.ratio").and_then(|text| text.parse().ok());
        TopicSettings {
            retention_ms,
            retention_bytes: bound("retention.bytes").filter(|_| deletes).map(|bytes| bytes as u64),
            segment_bytes: bound("segment.bytes").map(|bytes| bytes as u64),
            segment_ms: bound("segment.ms").or((compacts || retention_ms.is_some()).then_some(SEGMENT_MS)),
            compacts,
            delete_retention_ms: bound("delete.retention.ms").unwrap_or(DELETE_RETENTION_MS),
            dirty_ratio: ratio.unwrap_or(DIRTY_RATIO),
            compaction_lag_ms: bound("min.compaction.lag.ms").unwrap_or_default(),
            codec: match config.get("compression.type").map(|codec| codec.to_lowercase()).as_deref() {
                // Kafka's −1 is the codec's own default.
                Some("gzip") => Some(Codec::Gzip(bound("compression.gzip.level").map_or(6, |level| level as u32))),
                Some("snappy") => Some(Codec::Snappy),
                Some("lz4") => Some(Codec::Lz4),
                Some("zstd") => Some(Codec::Zstd(number("compression.zstd.level").map_or(3, |level| level as i32))),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str)]) -> TopicSettings {
        TopicSettings::of(&settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_topic_without_settings_is_kept_for_ever() {
        let none = of(&[]);
        assert_eq!(
            (none.retention_ms, none.retention_bytes, none.segment_ms, none.compacts),
            (None, None, None, false)
        );
        assert_eq!(of(&[("retention.ms", "-1"), ("retention.bytes", "-1")]), TopicSettings::default());
    }

    #[test]
    fn what_is_only_compacted_is_not_deleted_by_age_or_size() {
        let both = [("retention.ms", "5"), ("retention.bytes", "7")];
        let found = of(&both);
        assert_eq!((found.retention_ms, found.retention_bytes, found.segment_ms), (Some(5), Some(7), Some(SEGMENT_MS)));
        let found = of(&[both[0], both[1], ("cleanup.policy", "compact")]);
        assert_eq!((found.retention_ms, found.retention_bytes), (None, None));
        assert_eq!(of(&[("compression.type", "zstd"), ("compression.zstd.level", "9")]).codec, Some(Codec::Zstd(9)));
        assert_eq!(of(&[("compression.type", "producer")]).codec, None);
        let found = of(&[both[0], both[1], ("cleanup.policy", "compact,delete"), ("segment.ms", "9")]);
        assert_eq!((found.retention_ms, found.retention_bytes, found.segment_ms), (Some(5), Some(7), Some(9)));
    }
}
