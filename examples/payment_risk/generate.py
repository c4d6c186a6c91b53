"""Writes payments.jsonl.gz and fraud_signals.jsonl.gz: half an hour of payments, and what a model thinks of their users.

    python3 generate.py
"""
import gzip
import json

START_MS = 1735689600000  # 2025-01-01T00:00:00Z
SPAN_MS = 1800_000
PAYMENTS, SIGNALS, USERS = 6000, 4000, 200


def numbers(seed):
    """A linear congruential generator: the upper bits of each state."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 33


def write(name, seed, count, row):
    number = numbers(seed)
    times = sorted(next(number) % SPAN_MS for _ in range(count))
    with gzip.GzipFile(name, "wb", mtime=0) as out:
        for i, at in enumerate(times):
            # One row in a hundred has no user: nothing can be joined with it.
            user = None if next(number) % 100 == 0 else "u-%03d" % (next(number) % USERS)
            line = {"ts": START_MS + at, "user_id": user, **row(i, number)}
            out.write((json.dumps(line, separators=(",", ":")) + "\n").encode())


write("payments.jsonl.gz", 11, PAYMENTS,
      lambda i, number: {"payment_id": "p-%05d" % i, "amount": next(number) % 100000 / 100})
write("fraud_signals.jsonl.gz", 13, SIGNALS, lambda i, number: {"risk_score": next(number) % 1000 / 1000})
