//! Properties that ksqlDB's clients may send and that change nothing here.
//!
//! They belong to what ksqlDB is made of: its consumers, producers and stream threads, and to features that this
//! server lacks. Clients send their properties with every request, so refusing them would refuse every request.

use serde_json::{Value, json};

/// What a property takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Flag,
    /// A whole number of 32 bits.
    Int,
    /// One of 64 bits.
    Long,
    Double,
    /// Texts with commas.
    List,
    /// The name of a class of Java, of which none can be found.
    Class,
}

impl Type {
    /// The value as ksqlDB holds it.
    ///
    /// # Errors
    /// It is none of this type: what Kafka says of it.
    pub(super) fn read(self, value: &str) -> Result<Value, String> {
        let number = |what: &str| format!("Not a number of type {what}");
        match self {
            Type::Text => Ok(value.into()),
            Type::Flag if value.eq_ignore_ascii_case("true") => Ok(true.into()),
            Type::Flag if value.eq_ignore_ascii_case("false") => Ok(false.into()),
            Type::Flag => Err("Expected value to be either true or false".to_owned()),
            Type::Int => value.parse::<i32>().map(Value::from).map_err(|_| number("INT")),
            Type::Long => value.parse::<i64>().map(Value::from).map_err(|_| number("LONG")),
            Type::Double => value.parse::<f64>().map(Value::from).map_err(|_| number("DOUBLE")),
            Type::List => Ok(json!(value.split(',').map(str::trim).collect::<Vec<_>>())),
            Type::Class => Err(format!("Class {value} could not be found.")),
        }
    }
}

/// The type of a property, by its name without prefix; None if ksqlDB has none of this name.
pub(super) fn find(name: &str) -> Option<Type> {
    let typed = LISTS.iter().find(|(_, names)| names.split_ascii_whitespace().any(|known| known == name));
    typed.map(|(kind, _)| *kind)
}

/// The words that a property takes, if only these.
pub(super) fn choices(name: &str) -> Option<&'static [&'static str]> {
    CHOICES.iter().find(|(known, _)| *known == name).map(|(_, words)| *words)
}

/// Whether a property belongs to the process: nobody may set it with a request.
pub(super) fn is_fixed(name: &str) -> bool {
    name.starts_with("ssl.") || FIXED.contains(&name)
}

const CHOICES: &[(&str, &[&str])] = &[
    ("processing.guarantee", &["at_least_once", "exactly_once", "exactly_once_beta", "exactly_once_v2"]),
    ("isolation.level", &["read_committed", "read_uncommitted"]),
];

const FIXED: &[&str] = &[
    "bootstrap.servers",
    "ksql.extension.dir",
    "ksql.headers.columns.enabled",
    "ksql.hidden.topics",
    "ksql.pull.queries.enable",
    "ksql.query.persistent.active.limit",
    "ksql.readonly.topics",
    "ksql.source.table.materialization.enabled",
];

/// The names, by type.
const LISTS: &[(Type, &str)] = &[
    (
        Type::Text,
        "acks application.id application.server built.in.metrics.version client.dns.lookup client.id client.rack \
         compression.type default.dsl.store group.id group.instance.id group.protocol group.remote.assignor \
         isolation.level ksql.access.validator.enable ksql.connect.basic.auth.credentials.file \
         ksql.connect.basic.auth.credentials.source ksql.connect.request.headers.plugin ksql.connect.url \
         ksql.connect.worker.config ksql.deployment.type ksql.error.classifier.regex ksql.metastore.backup.location \
         ksql.metrics.extension ksql.metrics.tags.custom ksql.persistent.prefix \
         ksql.queryanonymizer.cluster_namespace ksql.schema.registry.url ksql.transient.prefix \
         metadata.recovery.strategy metrics.recording.level processing.guarantee rack.aware.assignment.strategy \
         sasl.jaas.config sasl.kerberos.service.name sasl.mechanism security.protocol security.providers state.dir \
         topology.optimization transactional.id upgrade.from windowed.inner.class.serde",
    ),
    (
        Type::Flag,
        "allow.auto.create.topics auto.include.jmx.reporter check.crcs enable.auto.commit enable.fips \
         enable.idempotence enable.metrics.push exclude.internal.topics ksql.cast.strings.preserve.nulls \
         ksql.client.ip_port.configuration.enabled ksql.connect.basic.auth.credentials.reload \
         ksql.create.or.replace.enabled ksql.create.topic.inherit.source.replicas.enabled ksql.endpoint.migrate.query \
         ksql.fail.on.deserialization.error ksql.fail.on.production.error ksql.insert.into.values.enabled \
         ksql.json_sr.converter.deserializer.enabled ksql.lambdas.enabled ksql.nested.error.set.null \
         ksql.new.query.planner.enabled ksql.proxy.protocol.local.mode.enabled \
         ksql.query.pull.consistency.token.enabled ksql.query.pull.enable.standby.reads \
         ksql.query.pull.interpreter.enabled ksql.query.pull.limit.clause.enabled ksql.query.pull.metrics.enabled \
         ksql.query.push.v2.alos.enabled ksql.query.push.v2.interpreter.enabled ksql.query.push.v2.metrics.enabled \
         ksql.query.push.v2.registry.installed ksql.queryanonymizer.logs_enabled ksql.runtime.feature.shared.enabled \
         ksql.timestamp.throw.on.invalid ksql.transient.query.cleanup.service.enable ksql.udf.collect.metrics \
         ksql.udf.enable.security.manager ksql.udfs.enabled partitioner.adaptive.partitioning.enable \
         partitioner.ignore.keys",
    ),
    (
        Type::Int,
        "auto.commit.interval.ms batch.size buffered.records.per.partition compression.gzip.level \
         compression.lz4.level compression.zstd.level default.api.timeout.ms delivery.timeout.ms fetch.max.bytes \
         fetch.max.wait.ms fetch.min.bytes heartbeat.interval.ms ksql.connect.request.timeout.ms \
         ksql.internal.topic.min.insync.replicas ksql.query.error.max.queue.size \
         ksql.query.pull.max.concurrent.requests ksql.query.pull.max.hourly.bandwidth.megabytes ksql.query.pull.max.qps \
         ksql.query.pull.router.thread.pool.size ksql.query.pull.thread.pool.size \
         ksql.query.push.v2.max.catchup.consumers ksql.query.push.v2.max.hourly.bandwidth.megabytes \
         ksql.query.status.running.threshold.seconds ksql.shared.runtimes.count max.in.flight.requests.per.connection \
         max.partition.fetch.bytes max.poll.interval.ms max.poll.records max.request.size max.warmup.replicas \
         metrics.num.samples num.standby.replicas num.stream.threads rack.aware.assignment.non_overlap_cost \
         rack.aware.assignment.traffic_cost receive.buffer.bytes replication.factor request.timeout.ms retries \
         send.buffer.bytes session.timeout.ms transaction.timeout.ms",
    ),
    (
        Type::Long,
        "acceptable.recovery.lag buffer.memory connections.max.idle.ms ksql.assert.schema.default.timeout.ms \
         ksql.authorization.cache.expiry.time.secs ksql.authorization.cache.max.entries \
         ksql.fetch.remote.hosts.max.timeout.seconds ksql.query.cleanup.shutdown.timeout.ms \
         ksql.query.persistent.max.bytes.buffering.total ksql.query.pull.forwarding.timeout.ms \
         ksql.query.pull.max.allowed.offset.lag ksql.query.push.v2.catchup.consumer.msg.window \
         ksql.query.push.v2.latest.reset.age.ms ksql.query.push.v2.new.latest.delay.ms \
         ksql.query.retry.backoff.initial.ms ksql.query.retry.backoff.max.ms \
         ksql.query.transient.max.bytes.buffering.total ksql.sink.window.change.log.additional.retention \
         ksql.suppress.buffer.size.bytes ksql.transient.query.cleanup.service.initial.delay.seconds \
         ksql.transient.query.cleanup.service.period.seconds ksql.websocket.connection.max.timeout.ms linger.ms \
         log.summary.interval.ms max.block.ms max.task.idle.ms metadata.max.age.ms metadata.max.idle.ms \
         metrics.sample.window.ms partitioner.availability.timeout.ms poll.ms probing.rebalance.interval.ms \
         reconnect.backoff.max.ms reconnect.backoff.ms repartition.purge.interval.ms retry.backoff.max.ms \
         retry.backoff.ms shutdown.timeout.ms socket.connection.setup.timeout.max.ms \
         socket.connection.setup.timeout.ms state.cleanup.delay.ms statestore.cache.max.bytes task.timeout.ms \
         window.size.ms windowstore.changelog.additional.retention.ms",
    ),
    (Type::Double, "sasl.kerberos.ticket.renew.jitter sasl.login.refresh.window.factor"),
    (
        Type::List,
        "interceptor.classes ksql.properties.overrides.denylist metric.reporters partition.assignment.strategy \
         rack.aware.assignment.tags",
    ),
    (
        Type::Class,
        "default.client.supplier default.deserialization.exception.handler default.key.serde \
         default.production.exception.handler default.timestamp.extractor default.value.serde \
         deserialization.exception.handler dsl.store.suppliers.class key.deserializer key.serializer \
         ksql.security.extension.class partitioner.class processing.exception.handler production.exception.handler \
         rocksdb.config.setter task.assignor.class value.deserializer value.serializer",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_the_types_that_kafka_has() {
        let read = |name: &str, value: &str| find(name).expect(name).read(value);
        assert_eq!(read("num.stream.threads", "0"), Ok(json!(0)));
        assert_eq!(read("linger.ms", "1.5"), Err("Not a number of type LONG".to_owned()));
        assert_eq!(read("metric.reporters", "a, b"), Ok(json!(["a", "b"])));
        assert_eq!(read("rocksdb.config.setter", "a.B"), Err("Class a.B could not be found.".to_owned()));
        assert!(read("check.crcs", "maybe").is_err());
        assert_eq!(find("no.such"), None);
    }

    #[test]
    fn a_property_that_means_something_here_is_not_listed() {
        let of_statements = crate::config::PROPERTIES.iter().filter(|p| p.scope == crate::config::Scope::Statement);
        of_statements.for_each(|property| assert_eq!(find(property.name), None, "{}", property.name));
    }
}
