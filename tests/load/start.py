#!/usr/bin/env python3
"""Measures the cold start until /healthcheck answers, and the memory of an idle server."""

import os
import time

import harness
import queries
from harness import say


def measure(server, times, cold):
    """Starts the server several times, and says how long it took and what it needs."""
    durations, cpu = [], []
    for _ in range(times):
        if cold:
            harness.forget(server.binary)
            harness.forget(server.folder)
        durations.append(server.start(600))
        cpu.append(server.cpu_seconds())
        time.sleep(1)
        rss = server.rss_bytes()
        server.stop()
    figures = f"median {harness.percentile(durations, 0.5) * 1e3:.0f} ms, from {min(durations) * 1e3:.0f}"
    say("  start", f"{figures} to {max(durations) * 1e3:.0f} ms", "< 100 ms")
    say("  processor time of it, RSS a second later", f"{min(cpu) * 1e3:.0f} ms, {rss / 1e6:.0f} MB", "< 60 MB")


def main():
    parser = harness.arguments(__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--queries", type=int, default=1000)
    options = parser.parse_args()
    scratch = harness.prepare(options)
    server = harness.server(options, os.path.join(scratch, "data"))
    print("an empty folder")
    measure(server, options.times, False)
    print("an empty folder; binary and folder are not in the page cache")
    measure(server, options.times, True)
    server.start()
    queries.make(server, options.queries)
    server.stop()
    print(f"a folder of {options.queries} queries")
    measure(server, options.times, False)
    harness.clean(scratch)


if __name__ == "__main__":
    main()
