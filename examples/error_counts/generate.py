"""Writes application_logs.jsonl.gz: an hour of log lines of a small shop, the same on every machine.

    python3 generate.py
"""
import gzip
import json

SERVICES = ["checkout", "payments", "inventory", "search", "accounts", "mail"]
# How often a line is an error, in a thousand, quarter after quarter: payments break down in the third.
ERRORS = {"checkout": [10, 10, 60, 20], "payments": [15, 15, 400, 30], "inventory": [5, 5, 5, 5],
          "search": [30, 30, 30, 30], "accounts": [8, 8, 25, 8], "mail": [50, 20, 20, 20]}
START_MS = 1735689600000  # 2025-01-01T00:00:00Z
LINES = 20000


def numbers(seed):
    """A linear congruential generator: the upper bits of each state."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 33


def main():
    number = numbers(7)
    with gzip.GzipFile("application_logs.jsonl.gz", "wb", mtime=0) as out:
        for i in range(LINES):
            at = i * 3600_000 // LINES
            service = SERVICES[next(number) % len(SERVICES)]
            is_error = next(number) % 1000 < ERRORS[service][at // 900_000]
            level = "ERROR" if is_error else ["INFO", "INFO", "WARN"][next(number) % 3]
            line = {"ts": START_MS + at, "service_name": service, "log_level": level,
                    "message": "upstream timed out" if is_error else "request finished",
                    "duration_ms": next(number) % 500}
            out.write((json.dumps(line, separators=(",", ":")) + "\n").encode())


main()
