-- The statements of a service that takes no others: tidemill serve --queries-file pipeline.sql
CREATE STREAM orders (id INT KEY, item STRING, amount INT)
  WITH (KAFKA_TOPIC='orders', PARTITIONS=4, VALUE_FORMAT='JSON');

SET 'auto.offset.reset'='earliest';

CREATE TABLE sold AS
  SELECT item, SUM(amount) AS amount FROM orders GROUP BY item;
