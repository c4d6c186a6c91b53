-- The payments of a shop, and what a model thinks of its users.
CREATE STREAM payments (ts BIGINT, payment_id VARCHAR, user_id VARCHAR, amount DOUBLE)
  WITH (KAFKA_TOPIC='payments', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS=4);
CREATE STREAM fraud_signals (ts BIGINT, user_id VARCHAR, risk_score DOUBLE)
  WITH (KAFKA_TOPIC='fraud_signals', VALUE_FORMAT='JSON', TIMESTAMP='ts', PARTITIONS=4);

-- Every payment with the signals of its user within 30 seconds; without a risk if there is none yet.
CREATE STREAM payment_risk AS SELECT p.payment_id, p.amount, f.risk_score FROM payments p
  LEFT JOIN fraud_signals f WITHIN 30 SECONDS ON p.user_id = f.user_id;
