-- The lines that the services of a shop log. The time of a line is the field ts.
CREATE STREAM application_logs (ts BIGINT, service_name VARCHAR, log_level VARCHAR)
  WITH (KAFKA_TOPIC='application_logs', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS=4);

-- How many errors each service has had in every five minutes.
CREATE TABLE error_counts AS SELECT service_name, COUNT(*) as error_count FROM application_logs
  WINDOW TUMBLING (SIZE 5 MINUTES) WHERE log_level = 'ERROR' GROUP BY service_name;
