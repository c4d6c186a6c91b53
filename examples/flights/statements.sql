-- Every departure from the airports of New York in January 2013, and the weather there, hour by hour.
CREATE STREAM flights (ts BIGINT, carrier VARCHAR, flight INT, origin VARCHAR, dest VARCHAR, dep_delay INT)
  WITH (KAFKA_TOPIC='flights', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS=4);
CREATE STREAM weather (ts BIGINT, origin VARCHAR, temp DOUBLE, wind_speed DOUBLE, visib DOUBLE)
  WITH (KAFKA_TOPIC='weather', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS=4);

-- How late the flights of each airport were, hour by hour; a flight without a delay was cancelled.
CREATE TABLE delays AS SELECT origin, COUNT(*) AS flights, AVG(dep_delay) AS mean_delay, MAX(dep_delay) AS worst
  FROM flights WINDOW TUMBLING (SIZE 1 HOUR) WHERE dep_delay IS NOT NULL GROUP BY origin;

-- Each flight with the weather that was last seen before it, at most 59 minutes earlier.
CREATE STREAM weather_of_flights AS SELECT f.origin AS origin, f.carrier, f.flight, f.dep_delay, w.wind_speed, w.visib
  FROM flights f INNER JOIN weather w WITHIN (59 MINUTES, 0 SECONDS) GRACE PERIOD 1 HOUR ON f.origin = w.origin;
