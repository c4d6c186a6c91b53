"""Writes expected.jsonl.gz: the payments with the fraud signals of their user within 30 seconds, joined without Tidemill.

A payment without a signal before it comes out at once, without a risk; a signal that comes later adds a row.

    python3 expected.py
"""
import collections
import gzip
import json

WITHIN_MS = 30_000


def rows(name, side):
    return [(json.loads(line)["ts"], side, i, json.loads(line)) for i, line in enumerate(gzip.open(name))]


seen = [collections.defaultdict(list), collections.defaultdict(list)]
results = []
# In the order of time; of one time the payments first.
for ts, side, _, row in sorted(rows("payments.jsonl.gz", 0) + rows("fraud_signals.jsonl.gz", 1), key=lambda r: r[:3]):
    user = row["user_id"]
    matches = [other for other in seen[1 - side][user] if abs(other["ts"] - ts) <= WITHIN_MS] if user else []
    if user:
        seen[side][user].append(row)
    pairs = [(row, other) if side == 0 else (other, row) for other in matches]
    if side == 0 and not pairs:
        pairs = [(row, None)]
    for payment, signal in pairs:
        value = {"PAYMENT_ID": payment["payment_id"], "AMOUNT": payment["amount"],
                 "RISK_SCORE": signal and signal["risk_score"]}
        results.append({"key": user, "value": value})
with gzip.GzipFile("expected.jsonl.gz", "wb", mtime=0) as out:
    out.writelines((line + "\n").encode() for line in sorted(json.dumps(result) for result in results))
