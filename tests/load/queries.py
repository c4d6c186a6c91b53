#!/usr/bin/env python3
"""Starts many persistent queries in one process, one by one over HTTP, and measures what each costs."""

import os
import sys
import time

import harness
from harness import Http1, ksql, milliseconds, say

SOURCE = (
    "CREATE STREAM src (k STRING KEY, v BIGINT) WITH (KAFKA_TOPIC='src', PARTITIONS=1, VALUE_FORMAT='JSON');"
)
SHAPES = {
    "filter": "CREATE STREAM q{0} AS SELECT k, v, v * 2 AS w FROM src WHERE v % {1} = {0};",
    "count": "CREATE TABLE q{0} AS SELECT k, COUNT(*) AS n FROM src WHERE v % {1} = {0} GROUP BY k;",
}


def make(server, count, shape="filter"):
    """Creates the queries and returns the seconds that each took."""
    server.ksql(SOURCE)
    durations = []
    with Http1(server.port) as client:
        for number in range(count):
            begin = time.perf_counter()
            ksql(client, SHAPES[shape].format(number, count))
            durations.append(time.perf_counter() - begin)
    return durations


def idle_share(server, seconds):
    """The share of one core that the server takes."""
    before, begin = server.cpu_seconds(), time.perf_counter()
    time.sleep(seconds)
    return (server.cpu_seconds() - before) / (time.perf_counter() - begin)


def row_seconds(server, rows):
    """(wall, processor) seconds of a row: a whole INSERT VALUES until all queries have passed it."""
    begin, cpu = time.perf_counter(), server.cpu_seconds()
    with Http1(server.port) as client:
        for number in range(rows):
            ksql(client, f"INSERT INTO src VALUES ('k', {number});")
    while server.metric("tidemill_query_lag_records") > 0:
        time.sleep(0.01)
    return (time.perf_counter() - begin) / rows, (server.cpu_seconds() - cpu) / rows


def report_thirds(durations):
    third = max(1, len(durations) // 3)
    say("creating one, the first third", milliseconds(durations[:third]))
    say("creating one, the last third", milliseconds(durations[-third:]))


def main():
    parser = harness.arguments(__doc__)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--shape", choices=SHAPES, default="filter")
    parser.add_argument("--idle", type=float, default=10, help="seconds of idleness to measure")
    parser.add_argument("--rows", type=int, default=200, help="rows to insert, one by one")
    options = parser.parse_args()
    scratch = harness.prepare(options)
    server = harness.server(options, os.path.join(scratch, "data"))
    say("start over an empty folder", f"{server.start() * 1e3:.0f} ms")
    base, cpu = server.rss_bytes(), server.cpu_seconds()
    durations = make(server, options.queries, options.shape)
    cpu = server.cpu_seconds() - cpu
    say(f"creating one of {options.queries}", milliseconds(durations), "p50 and p99 < 20 ms")
    report_thirds(durations)
    say("processor time to create one", f"{cpu / options.queries * 1e3:.2f} ms")
    say("fdatasync of 4 KiB on this disk", milliseconds(harness.sync_seconds(scratch)))
    time.sleep(1)
    say("RSS", f"{server.rss_bytes() / 1e6:.0f} MB, {base / 1e6:.0f} MB before", "< 1000 MB")
    say("threads, handles", f"{server.threads()}, {server.handles()}")
    say("idle", f"{idle_share(server, options.idle):.2%} of a core", "< 2 %")
    wall, cpu = row_seconds(server, options.rows)
    say("a row through all of them", f"{wall * 1e3:.2f} ms, {cpu * 1e3:.2f} ms of processor time")
    say("RSS after the rows", f"{server.rss_bytes() / 1e6:.0f} MB")
    restarts(server, options)
    harness.clean(scratch)


def restarts(server, options):
    for what, end in (("a kill", server.kill), ("an orderly end", server.stop)):
        end()
        seconds = server.start(600)
        running = server.ksql("SHOW QUERIES;")[0]["queries"]
        say(f"start after {what}", f"{seconds * 1e3:.0f} ms, {len(running)} queries", "< 1000 ms")
        say("processor time of that start", f"{server.cpu_seconds():.2f} s")
        time.sleep(2)
        say("RSS after it", f"{server.rss_bytes() / 1e6:.0f} MB")
        if len(running) != options.queries:
            sys.exit("queries are missing")
    seconds, status = server.stop()
    say("an orderly end", f"{seconds * 1e3:.0f} ms, status {status}")


if __name__ == "__main__":
    main()
