//! The topic of the processing log and the stream over it, which the service makes when it starts.

use crate::config::{self, Properties};
use crate::engine::Engine;
use crate::error::Result;
use crate::sql::words::string_literal;
use crate::statements;
use crate::types::quoted;

/// What a record of the processing log says.
///
/// The schema is ksqlDB's.
const COLUMNS: &str = "\
    logger VARCHAR, level VARCHAR, time BIGINT, message STRUCT<\
    type INTEGER, \
    deserializationError STRUCT<target VARCHAR, errorMessage VARCHAR, recordB64 VARCHAR, cause ARRAY<VARCHAR>, \
    `topic` VARCHAR>, \
    recordProcessingError STRUCT<errorMessage VARCHAR, record VARCHAR, cause ARRAY<VARCHAR>>, \
    productionError STRUCT<errorMessage VARCHAR>, \
    serializationError STRUCT<target VARCHAR, errorMessage VARCHAR, record VARCHAR, cause ARRAY<VARCHAR>, \
    `topic` VARCHAR>, \
    kafkaStreamsThreadError STRUCT<errorMessage VARCHAR, threadName VARCHAR, cause ARRAY<VARCHAR>>>";

/// Makes what the properties ask for and what is not there. What is there stays as it is, whatever it is.
///
/// # Errors
/// The stream is wanted and its topic is not there, a name cannot be used, or the disk is full.
pub fn make_processing_log(engine: &Engine, properties: &Properties) -> Result<()> {
    let (topic, stream) = (properties.text(config::LOG_TOPIC), properties.text(config::LOG_STREAM));
    let (mut missing, catalog) = (Vec::new(), engine.catalog());
    if properties.flag(config::LOG_TOPIC_CREATE) && catalog.topic(topic).is_none() {
        let partitions = properties.number(config::LOG_PARTITIONS);
        missing.push(format!("CREATE TOPIC {} WITH (PARTITIONS={partitions});", string_literal(topic)));
    }
    if properties.flag(config::LOG_STREAM_CREATE) && catalog.source(stream).is_none() {
        let (stream, topic) = (quoted(stream), string_literal(topic));
        missing.push(format!(
            "CREATE STREAM {stream} ({COLUMNS}) WITH (KAFKA_TOPIC={topic}, KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');"
        ));
    }
    let make = |text: &String| statements::execute(engine, text);
    missing.iter().try_for_each(make).map_err(|error| error.context("the processing log: "))
}
