//! The list of all properties.

use super::{Property, Scope, Takes};

/// Where a new query starts to read streams: `earliest` or `latest`. `none` starts at the earliest too, and fails a query
/// whose records were deleted before it read them.
pub const OFFSET_RESET: &str = "auto.offset.reset";
/// Bytes of changed groups that are held back until a commit; 0 gives a result for every row.
pub const CACHE_BYTES: &str = "cache.max.bytes.buffering";
/// The longest time between two commits of a busy query, in milliseconds.
pub const COMMIT_INTERVAL_MS: &str = "commit.interval.ms";
/// The memory budget of all queries, in bytes.
pub const MEMORY_BYTES: &str = "tidemill.memory.bytes";
/// Idle timeout of a source partition, in milliseconds.
pub const IDLE_MS: &str = "tidemill.idle.ms";
/// Whether EMIT FINAL is allowed.
pub const SUPPRESS_ENABLED: &str = "ksql.suppress.enabled";
/// Whether a join whose key is not selected is refused.
pub const JOIN_KEY_REQUIRED: &str = "tidemill.join.key.required";
/// The number of worker threads; 0 for one for each core.
pub const WORKERS: &str = "tidemill.workers";
/// The most bytes of a record's key and value together.
pub const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
/// The size of a segment, in bytes.
pub const SEGMENT_BYTES: &str = "tidemill.segment.bytes";
/// The size of a journal file, in bytes.
pub const JOURNAL_BYTES: &str = "tidemill.journal.bytes";
/// The length of the journal at which a checkpoint is made, in bytes.
pub const CHECKPOINT_BYTES: &str = "tidemill.checkpoint.bytes";
/// How often topics are looked through for records that their settings no longer keep, in milliseconds.
pub const CLEANUP_INTERVAL_MS: &str = "tidemill.cleanup.interval.ms";
/// Up to how many bytes of a partition a frame repeats.
pub const INLINE_BYTES: &str = "tidemill.inline.bytes";
/// About how many bytes of results a query makes before they are committed.
pub const TURN_BYTES: &str = "tidemill.turn.bytes";
/// Where telemetry is sent by OTLP; nowhere if empty.
pub const OTLP_ENDPOINT: &str = "tidemill.otlp.endpoint";
/// What stands in the heads of requests to the collector: NAME=VALUE, with commas.
pub const OTLP_HEADERS: &str = "tidemill.otlp.headers";
/// The PEM file with the CAs that the collector's certificate may come from; empty for those of the system.
pub const OTLP_CERTIFICATE: &str = "tidemill.otlp.certificate.location";
/// How OTLP is spoken.
pub const OTLP_PROTOCOL: &str = "tidemill.otlp.protocol";
/// Which of metrics, traces and logs are sent.
pub const OTLP_SIGNALS: &str = "tidemill.otlp.signals";
/// The name of the service in its telemetry.
pub const OTLP_SERVICE_NAME: &str = "tidemill.otlp.service.name";
/// What else the telemetry says of the service: NAME=VALUE, with commas.
pub const OTLP_RESOURCE: &str = "tidemill.otlp.resource.attributes";
/// How often metrics are sent, in milliseconds.
pub const OTLP_INTERVAL_MS: &str = "tidemill.otlp.metrics.interval.ms";
/// How often requests and events that wait are sent, in milliseconds.
pub const OTLP_DELAY_MS: &str = "tidemill.otlp.delay.ms";
/// How long the collector may take for an answer, in milliseconds.
pub const OTLP_TIMEOUT_MS: &str = "tidemill.otlp.timeout.ms";
/// The share of the requests without a trace of their own that are traced.
pub const OTLP_TRACES_RATIO: &str = "tidemill.otlp.traces.ratio";
/// The most tokens of a statement.
pub const STATEMENT_TOKENS: &str = "tidemill.statement.tokens";
/// The most rows that are decoded at once.
pub const BATCH_ROWS: &str = "tidemill.batch.rows";
/// The prefix of topics that are made for results.
pub const OUTPUT_TOPIC_PREFIX: &str = "ksql.output.topic.name.prefix";
/// The format of keys where a statement does not name one.
pub const DEFAULT_KEY_FORMAT: &str = "ksql.persistence.default.format.key";
/// The format of values where a statement does not name one.
pub const DEFAULT_VALUE_FORMAT: &str = "ksql.persistence.default.format.value";
/// Whether a single value column is written as a field: `true`, `false`, or empty for the format's own way.
pub const WRAP_SINGLE_VALUES: &str = "ksql.persistence.wrap.single.values";
/// The most values that COLLECT_LIST keeps.
pub const COLLECT_LIST_LIMIT: &str = "ksql.functions.collect_list.limit";
/// The most values that COLLECT_SET keeps.
pub const COLLECT_SET_LIMIT: &str = "ksql.functions.collect_set.limit";
/// Whether INSERT INTO … VALUES is allowed.
pub const INSERT_VALUES_ENABLED: &str = "ksql.insert.into.values.enabled";
/// Whether `${name}` stands for the value of a variable.
pub const VARIABLE_SUBSTITUTION: &str = "ksql.variable.substitution.enable";
/// Whether a pull query may look at all rows of a table.
pub const TABLE_SCAN_ENABLED: &str = "ksql.query.pull.table.scan.enabled";
/// Whether a pull query may look at a range of keys where it may not look at all rows.
pub const RANGE_SCAN_ENABLED: &str = "ksql.query.pull.range.scan.enabled";
/// Whether a SELECT without EMIT may read a stream.
pub const PULL_STREAM_ENABLED: &str = "ksql.query.pull.stream.enabled";
/// Whether ids of push queries say that they are scalable.
pub const PUSH_V2_ENABLED: &str = "ksql.query.push.v2.enabled";
/// Whether rows of push queries are told with tokens behind which a later query goes on.
pub const PUSH_TOKENS: &str = "ksql.query.push.v2.continuation.tokens.enabled";

/// Whether records of which rows fail go to a topic of their query's own.
pub const DEAD_LETTERS: &str = "tidemill.dead.letters.enable";
/// Whether the service makes the topic of the processing log.
pub const LOG_TOPIC_CREATE: &str = "ksql.logging.processing.topic.auto.create";
/// The topic of the processing log.
pub const LOG_TOPIC: &str = "ksql.logging.processing.topic.name";
/// How many partitions the topic of the processing log gets.
pub const LOG_PARTITIONS: &str = "ksql.logging.processing.topic.partitions";
/// Whether the service makes the stream over the processing log.
pub const LOG_STREAM_CREATE: &str = "ksql.logging.processing.stream.auto.create";
/// The name of that stream.
pub const LOG_STREAM: &str = "ksql.logging.processing.stream.name";
/// Whether the processing log has the records of which rows failed.
pub const LOG_ROWS: &str = "ksql.logging.processing.rows.include";

/// The origins whose pages may use the service; empty if none may, `*` if all may.
pub const CORS_ORIGIN: &str = "access.control.allow.origin";
/// The methods that they may use.
pub const CORS_METHODS: &str = "access.control.allow.methods";
/// The headers that they may send.
pub const CORS_HEADERS: &str = "access.control.allow.headers";
/// Whether `/clusterStatus` and `/heartbeat` answer.
pub const HEARTBEAT: &str = "ksql.heartbeat.enable";
/// Whether `/lag` answers.
pub const LAG_REPORTING: &str = "ksql.lag.reporting.enable";
/// How long ASSERT TOPIC waits where it does not say, in milliseconds.
pub const ASSERT_TOPIC_TIMEOUT_MS: &str = "ksql.assert.topic.default.timeout.ms";
/// How many queries may show rows to clients of the service at once.
pub const MAX_PUSH_QUERIES: &str = "ksql.max.push.queries";
/// The properties that clients of the service may not set.
pub const DENY_LIST: &str = "ksql.properties.overrides.denylist";
/// The folder in which clients of the service may have backups made; empty if they may not.
pub const BACKUPS: &str = "tidemill.backup.location";
/// The file of statements that the service runs, instead of those that its clients send.
pub const QUERIES_FILE: &str = "ksql.queries.file";
/// How many persistent queries clients of the service may start.
pub const ACTIVE_LIMIT: &str = "ksql.query.persistent.active.limit";

/// The memory that one pull query may take.
pub const PULL_MEMORY_BYTES: &str = "tidemill.pull.memory.bytes";
/// The memory that the bodies of requests to the service may take together, in bytes.
pub const REQUEST_MEMORY_BYTES: &str = "tidemill.request.memory.bytes";
/// How long a client of the service may take nothing of an answer that is ready as a whole, in milliseconds.
pub const CLIENT_STALL_MS: &str = "tidemill.client.stall.ms";
/// How long a pull query may take.
pub const PULL_TIMEOUT_MS: &str = "tidemill.pull.timeout.ms";
/// Where the service takes requests: addresses with `http://` or `https://`, with commas.
pub const LISTENERS: &str = "listeners";
/// Where the service takes connections of PostgreSQL's protocol: addresses with commas.
pub const PG_LISTENERS: &str = "tidemill.pg.listeners";
/// How clients of the service say who they are: `NONE` or `BASIC`.
pub const AUTHENTICATION: &str = "authentication.method";
/// The file with the users of the service.
pub const USERS: &str = "tidemill.users.location";
/// What the file with the certificate is: only `PEM` can be read.
pub const KEYSTORE_TYPE: &str = "ssl.keystore.type";
/// The file with the certificate of the service, those of the CAs between, and the key.
pub const KEYSTORE: &str = "ssl.keystore.location";
/// The file with the key, if it is not in the same file as the certificate.
pub const KEY_LOCATION: &str = "tidemill.ssl.key.location";
/// The password of an encrypted key.
pub const KEY_PASSWORD: &str = "ssl.key.password";
/// Whether clients show a certificate: `NONE`, `REQUESTED` or `REQUIRED`.
pub const CLIENT_AUTHENTICATION: &str = "ssl.client.authentication";
/// What the file with the CAs of clients is: only `PEM` can be read.
pub const TRUSTSTORE_TYPE: &str = "ssl.truststore.type";
/// The file with the CAs that sign certificates of clients.
pub const TRUSTSTORE: &str = "ssl.truststore.location";

/// The types of key stores that ksqlDB knows.
const STORES: Takes = Takes::Choice(&["PEM", "JKS", "PKCS12"]);

/// No upper bound.
pub(super) const ANY: i64 = i64::MAX;

/// All properties, sorted by name.
pub const PROPERTIES: &[Property] = &[
    Property {
        name: CORS_HEADERS,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The headers that pages of other origins may send to the service, with commas.",
    },
    Property {
        name: CORS_METHODS,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The methods that pages of other origins may use, with commas.",
    },
    Property {
        name: CORS_ORIGIN,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The origins whose pages may use the service, with commas; * for all of them.",
    },
    Property {
        name: AUTHENTICATION,
        default: "NONE",
        takes: Takes::Choice(&["NONE", "BASIC"]),
        scope: Scope::Process,
        summary: "How clients of the service say who they are: not at all, or by HTTP basic authentication.",
    },
    Property {
        name: OFFSET_RESET,
        default: "latest",
        takes: Takes::Choice(&["latest", "earliest", "none"]),
        scope: Scope::Statement,
        summary: "Where a new query starts to read a stream, and where one goes on whose records were deleted.",
    },
    Property {
        name: CACHE_BYTES,
        default: "10000000",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "How many bytes of changed groups are held back to merge the results of a key; 0 gives a result for every row.",
    },
    Property {
        name: COMMIT_INTERVAL_MS,
        default: "100",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "The longest time from one commit of a busy query to the next, in milliseconds.",
    },
    Property {
        name: COLLECT_LIST_LIMIT,
        default: "2147483647",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "The most values that COLLECT_LIST keeps.",
    },
    Property {
        name: COLLECT_SET_LIMIT,
        default: "2147483647",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "The most values that COLLECT_SET keeps.",
    },
    Property {
        name: ASSERT_TOPIC_TIMEOUT_MS,
        default: "1000",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "How long ASSERT TOPIC waits where it does not say, in ms.",
    },
    Property {
        name: HEARTBEAT,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Process,
        summary: "Whether the service answers /clusterStatus and /heartbeat.",
    },
    Property {
        name: INSERT_VALUES_ENABLED,
        default: "true",
        takes: Takes::Flag,
        scope: Scope::Process,
        summary: "Whether INSERT INTO … VALUES is allowed.",
    },
    Property {
        name: LAG_REPORTING,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Process,
        summary: "Whether the service answers /lag.",
    },
    Property {
        name: LOG_ROWS,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Process,
        summary: "Whether the processing log has the records of which rows failed.",
    },
    Property {
        name: LOG_STREAM_CREATE,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Process,
        summary: "Whether the service makes a stream over the processing log.",
    },
    Property {
        name: LOG_STREAM,
        default: "KSQL_PROCESSING_LOG",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The name of the stream over the processing log.",
    },
    Property {
        name: LOG_TOPIC_CREATE,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Process,
        summary: "Whether the service makes the topic of the processing log, and every failed row is logged.",
    },
    Property {
        name: LOG_TOPIC,
        default: "default_ksql_processing_log",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The topic of the processing log; what fails is written to it if it is there.",
    },
    Property {
        name: LOG_PARTITIONS,
        default: "1",
        takes: Takes::Number(1, ANY),
        scope: Scope::Process,
        summary: "How many partitions the topic of the processing log gets.",
    },
    Property {
        name: MAX_PUSH_QUERIES,
        default: "100",
        takes: Takes::Number(0, ANY),
        scope: Scope::Process,
        summary: "How many queries may show rows to clients of the service at once.",
    },
    Property {
        name: OUTPUT_TOPIC_PREFIX,
        default: "",
        takes: Takes::Text,
        scope: Scope::Statement,
        summary: "What stands before the names of topics that are made for the results of queries.",
    },
    Property {
        name: DEFAULT_KEY_FORMAT,
        default: "KAFKA",
        takes: Takes::Text,
        scope: Scope::Statement,
        summary: "The format of keys where a statement does not say.",
    },
    Property {
        name: DEFAULT_VALUE_FORMAT,
        default: "",
        takes: Takes::Text,
        scope: Scope::Statement,
        summary: "The format of values where a statement does not say.",
    },
    Property {
        name: WRAP_SINGLE_VALUES,
        default: "",
        takes: Takes::Text,
        scope: Scope::Statement,
        summary: "Whether a single value column is written inside of an object where the format leaves the choice.",
    },
    Property {
        name: DENY_LIST,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The properties that clients of the service may not set, with commas.",
    },
    Property {
        name: QUERIES_FILE,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The file of statements that the service runs; then clients cannot change what exists.",
    },
    Property {
        name: ACTIVE_LIMIT,
        default: "2147483647",
        takes: Takes::Number(0, ANY),
        scope: Scope::Process,
        summary: "How many persistent queries there may be when a client of the service starts one more.",
    },
    Property {
        name: RANGE_SCAN_ENABLED,
        default: "true",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether a pull query may look at a range of keys where it may not look at all rows of the table.",
    },
    Property {
        name: PULL_STREAM_ENABLED,
        default: "true",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether a SELECT without EMIT may read a stream.",
    },
    Property {
        name: TABLE_SCAN_ENABLED,
        default: "true",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether a pull query may look at all rows of a table.",
    },
    Property {
        name: PUSH_V2_ENABLED,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether ids of push queries begin as ksqlDB's scalable ones do, where it would make them such.",
    },
    Property {
        name: PUSH_TOKENS,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether rows of push queries are followed by tokens, with which a later query goes on behind them.",
    },
    Property {
        name: SUPPRESS_ENABLED,
        default: "true",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether queries may hand on only the last result of a window (EMIT FINAL).",
    },
    Property {
        name: VARIABLE_SUBSTITUTION,
        default: "true",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether ${name} in statements stands for the value of a variable.",
    },
    Property {
        name: LISTENERS,
        default: "http://0.0.0.0:8088",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "Where the service takes requests: addresses with http:// or https://, with commas.",
    },
    Property {
        name: MAX_MESSAGE_BYTES,
        default: "1048588",
        takes: Takes::Number(1024, 1 << 30),
        scope: Scope::Process,
        summary: "The most bytes of key and value that a record may have.",
    },
    Property {
        name: CLIENT_AUTHENTICATION,
        default: "NONE",
        takes: Takes::Choice(&["NONE", "REQUESTED", "REQUIRED"]),
        scope: Scope::Process,
        summary: "Whether clients of the service show a certificate.",
    },
    Property {
        name: KEY_PASSWORD,
        default: "",
        takes: Takes::Secret,
        scope: Scope::Process,
        summary: "The password of the key of the service, if it is encrypted.",
    },
    Property {
        name: KEYSTORE,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The PEM file with the certificate of the service, those of the CAs between, and the key.",
    },
    Property {
        name: KEYSTORE_TYPE,
        default: "PEM",
        takes: STORES,
        scope: Scope::Process,
        summary: "What the file with the certificate of the service is; only PEM can be read.",
    },
    Property {
        name: TRUSTSTORE,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The PEM file with the CAs that sign the certificates of clients.",
    },
    Property {
        name: TRUSTSTORE_TYPE,
        default: "PEM",
        takes: STORES,
        scope: Scope::Process,
        summary: "What the file with the CAs of clients is; only PEM can be read.",
    },
    Property {
        name: BACKUPS,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The folder in which admins may have the service make backups of its data folder.",
    },
    Property {
        name: BATCH_ROWS,
        default: "8192",
        takes: Takes::Number(1, 1 << 20),
        scope: Scope::Process,
        summary: "The most rows that are decoded at once.",
    },
    Property {
        name: CHECKPOINT_BYTES,
        default: "134217728",
        takes: Takes::Number(1, ANY),
        scope: Scope::Process,
        summary: "How many bytes of journal there may be before the state is written to a checkpoint and their files are used again.",
    },
    Property {
        name: CLEANUP_INTERVAL_MS,
        default: "60000",
        takes: Takes::Number(1, ANY),
        scope: Scope::Process,
        summary: "How often topics are looked through for records that their settings no longer keep, in milliseconds.",
    },
    Property {
        name: DEAD_LETTERS,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether records of which rows fail are copied to a topic of their query's own.",
    },
    Property {
        name: IDLE_MS,
        default: "10000",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "After how long at its end a source partition no longer holds back the stream time of the others.",
    },
    Property {
        name: INLINE_BYTES,
        default: "262144",
        takes: Takes::Number(0, ANY),
        scope: Scope::Process,
        summary: "Up to how many bytes of a partition a commit repeats in the journal instead of syncing its segment.",
    },
    Property {
        name: JOIN_KEY_REQUIRED,
        default: "false",
        takes: Takes::Flag,
        scope: Scope::Statement,
        summary: "Whether a join whose key is not selected is refused instead of keeping the key.",
    },
    Property {
        name: JOURNAL_BYTES,
        default: "8388608",
        takes: Takes::Number(4096, ANY),
        scope: Scope::Process,
        summary: "The size of a journal file.",
    },
    Property {
        name: MEMORY_BYTES,
        default: "4294967296",
        takes: Takes::Number(1 << 16, ANY),
        scope: Scope::Process,
        summary: "The memory that the state of all queries and what is in flight may take.",
    },
    Property {
        name: OTLP_ENDPOINT,
        default: "",
        takes: Takes::Url,
        scope: Scope::Process,
        summary: "Where metrics, traces and logs are sent by OTLP over HTTP: a URL; nowhere if empty.",
    },
    Property {
        name: OTLP_HEADERS,
        default: "",
        takes: Takes::Secret,
        scope: Scope::Process,
        summary: "The headers of requests to the collector: NAME=VALUE, with commas.",
    },
    Property {
        name: OTLP_CERTIFICATE,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The PEM file with the CAs of the collector; those of the system if empty.",
    },
    Property {
        name: OTLP_PROTOCOL,
        default: "http/protobuf",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "How OTLP is spoken; only http/protobuf is.",
    },
    Property {
        name: OTLP_SIGNALS,
        default: "metrics,traces,logs",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "What is sent by OTLP: metrics, traces, logs, with commas.",
    },
    Property {
        name: OTLP_SERVICE_NAME,
        default: "tidemill",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The name of the service in what is sent by OTLP.",
    },
    Property {
        name: OTLP_RESOURCE,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "What else is said of the service by OTLP: NAME=VALUE, with commas.",
    },
    Property {
        name: OTLP_INTERVAL_MS,
        default: "60000",
        takes: Takes::Number(1, ANY),
        scope: Scope::Process,
        summary: "How often metrics are sent by OTLP, in milliseconds.",
    },
    Property {
        name: OTLP_DELAY_MS,
        default: "5000",
        takes: Takes::Number(1, ANY),
        scope: Scope::Process,
        summary: "How long traces and logs wait at most before they are sent by OTLP, in milliseconds.",
    },
    Property {
        name: OTLP_TIMEOUT_MS,
        default: "10000",
        takes: Takes::Number(1, ANY),
        scope: Scope::Process,
        summary: "How long the collector may take for an answer, in milliseconds.",
    },
    Property {
        name: OTLP_TRACES_RATIO,
        default: "1",
        takes: Takes::Fraction,
        scope: Scope::Process,
        summary: "The share of requests that are traced, of those that do not belong to a trace already.",
    },
    Property {
        name: REQUEST_MEMORY_BYTES,
        default: "268435456",
        takes: Takes::Number(1 << 20, ANY),
        scope: Scope::Process,
        summary: "The memory that the bodies of requests may take together; 64 KiB of each do not count.",
    },
    Property {
        name: CLIENT_STALL_MS,
        default: "60000",
        takes: Takes::Number(1, ANY),
        scope: Scope::Process,
        summary: "How long a client may take nothing of an answer that is ready as a whole before it is dropped.",
    },
    Property {
        name: STATEMENT_TOKENS,
        default: "100000",
        takes: Takes::Number(100, ANY),
        scope: Scope::Process,
        summary: "The most words, numbers, texts and symbols of a statement; a request may have ten times as many.",
    },
    Property {
        name: PULL_MEMORY_BYTES,
        default: "268435456",
        takes: Takes::Number(1 << 20, ANY),
        scope: Scope::Statement,
        summary: "The memory that one pull query may take, its result included.",
    },
    Property {
        name: PG_LISTENERS,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "Where PostgreSQL's protocol is spoken: addresses HOST:PORT, with commas; nowhere if empty.",
    },
    Property {
        name: PULL_TIMEOUT_MS,
        default: "0",
        takes: Takes::Number(0, ANY),
        scope: Scope::Statement,
        summary: "How long a pull query may take; 0 for as long as it needs.",
    },
    Property {
        name: SEGMENT_BYTES,
        default: "134217728",
        takes: Takes::Number(1024, 1 << 30),
        scope: Scope::Process,
        summary: "The size after which a topic's partition starts a new segment.",
    },
    Property {
        name: KEY_LOCATION,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The PEM file with the key of the service, if it is not in the file of the certificate.",
    },
    Property {
        name: TURN_BYTES,
        default: "16777216",
        takes: Takes::Number(1, 1 << 30),
        scope: Scope::Process,
        summary: "About how many bytes of results a query makes before it commits them, even in the middle of its work.",
    },
    Property {
        name: USERS,
        default: "",
        takes: Takes::Text,
        scope: Scope::Process,
        summary: "The file with the users of the service, one name:hash:role a line.",
    },
    Property {
        name: WORKERS,
        default: "0",
        takes: Takes::Number(0, 1024),
        scope: Scope::Process,
        summary: "The number of worker threads; 0 for one a core.",
    },
];
