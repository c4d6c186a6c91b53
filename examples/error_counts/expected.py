"""Writes expected.jsonl: the errors of each service in each five minutes, counted without Tidemill.

    python3 expected.py
"""
import collections
import gzip
import json

WINDOW_MS = 300_000
counts = collections.Counter()
for line in gzip.open("application_logs.jsonl.gz"):
    row = json.loads(line)
    if row["log_level"] == "ERROR":
        counts[row["service_name"], row["ts"] // WINDOW_MS * WINDOW_MS] += 1
with open("expected.jsonl", "w") as out:
    for (service, start), count in sorted(counts.items()):
        key = {"key": service, "window": {"start": start, "end": start + WINDOW_MS}}
        out.write(json.dumps({"key": key, "value": {"ERROR_COUNT": count}}) + "\n")
