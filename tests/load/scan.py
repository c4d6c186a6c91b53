#!/usr/bin/env python3
"""Scans a large table or stream by a pull query with GROUP BY while a persistent query works off a backlog.

The persistent query should lose no more speed than the scan takes of the processors, and memory should stay bounded.
"""

import os
import threading
import time

import harness
from harness import say

STATEMENTS = (
    "CREATE STREAM src (k STRING KEY, g INT, v BIGINT) WITH (KAFKA_TOPIC='src', PARTITIONS=4, VALUE_FORMAT='JSON');"
    "CREATE TABLE t AS SELECT k, LATEST_BY_OFFSET(g) AS g, COUNT(*) AS n, SUM(v) AS total FROM src GROUP BY k;"
)
SCANS = {
    "table": "SELECT g, COUNT(*) AS keys, SUM(n) AS n, SUM(total) AS total FROM t GROUP BY g;",
    "stream": "SELECT g, COUNT(*) AS keys, COUNT(*) AS n, SUM(v) AS total FROM src GROUP BY g;",
}


def lines(first, count, keys):
    for begin in range(first, first + count, 10_000):
        numbers = range(begin, min(first + count, begin + 10_000))
        yield b"".join(
            b'{"key":"k%08d","value":{"G":%d,"V":%d}}\n' % (n * 7_368_787 % keys, n * 7_368_787 % keys % 100, n)
            for n in numbers
        )


class Scans(threading.Thread):
    """Scans, one after the other, until told to stop."""

    def __init__(self, server, sql):
        super().__init__()
        self.server, self.sql, self.on, self.durations, self.rows = server, sql, True, [], None

    def run(self):
        while self.on:
            begin = time.perf_counter()
            self.rows = self.server.rows(self.sql)
            self.durations.append(time.perf_counter() - begin)


class Case:
    def __init__(self, options, scratch):
        self.options, self.written = options, 0
        self.shares = []
        settings = [f"tidemill.memory.bytes={options.memory}"]
        self.server = harness.server(options, os.path.join(scratch, "data"), settings)
        self.sql = SCANS[options.scan]

    def backlog(self, count):
        """Writes records while the server is down, and leaves it running with the query paused."""
        options, server = self.options, self.server
        if self.written:
            server.ksql(f"PAUSE {self.query};")
        server.stop()
        pieces = lines(self.written, count, options.rows)
        harness.produce(options.binary, server.folder, "src", pieces, "--envelope")
        self.written += count
        server.start(600)
        server.rows(self.sql)  # Answered when the state is read.

    def work_off(self):
        """Resumes the query and waits for it; returns (rows a second, cores)."""
        server = self.server
        before, cpu, begin = server.metric("tidemill_query_rows_read_total"), server.cpu_seconds(), time.perf_counter()
        server.ksql(f"RESUME {self.query};")
        while server.metric("tidemill_query_lag_records") > 0:
            time.sleep(0.02)
        seconds = time.perf_counter() - begin
        rows = server.metric("tidemill_query_rows_read_total") - before
        return rows / seconds, (server.cpu_seconds() - cpu) / seconds, seconds

    def fill(self):
        server = self.server
        server.start()
        server.ksql(STATEMENTS, {"ksql.streams.auto.offset.reset": "earliest"})
        self.query = server.ksql("SHOW QUERIES;")[0]["queries"][0]["id"]
        server.ksql(f"PAUSE {self.query};")
        self.backlog(self.options.rows)
        rate, cores, seconds = self.work_off()
        say("filling the table", f"{rate:,.0f} rows/s, {cores:.2f} cores, {seconds:.1f} s")
        say("RSS, peak", self.memory())

    def memory(self):
        return f"{self.server.rss_bytes() / 1e6:.0f} MB, {self.server.peak_rss_bytes() / 1e6:.0f} MB"

    def scan_alone(self):
        cpu, begin = self.server.cpu_seconds(), time.perf_counter()
        rows = self.server.rows(self.sql)
        seconds = time.perf_counter() - begin
        cpu = self.server.cpu_seconds() - cpu
        say("a scan alone", f"{seconds:.2f} s, {cpu:.2f} s of processor time, {len(rows)} groups")
        say("RSS, peak", self.memory())
        return cpu

    def both(self, alone, cost):
        scans = Scans(self.server, self.sql)
        scans.start()
        rate, cores, seconds = self.work_off()
        scans.on = False
        share = min(1, max(1, len(scans.durations)) * cost / seconds / self.cores())
        scans.join()
        goal = f">= {1 - share:.0%} of {alone:,.0f}"
        say("the query while scans run", f"{rate:,.0f} rows/s ({rate / alone:.0%}), {cores:.2f} cores", goal)
        self.shares.append((rate / alone, 1 - share))
        say("scans meanwhile", f"{len(scans.durations)}, {harness.milliseconds(scans.durations)}")
        say("RSS, peak", self.memory())

    def cores(self):
        return len(harness.cpus(self.options.server_cpus) or os.sched_getaffinity(0))


def main():
    parser = harness.arguments(__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the table")
    parser.add_argument("--backlog", type=int, default=5_000_000, help="updates to work off in each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of measurements, without and with scans")
    parser.add_argument("--scan", choices=SCANS, default="table")
    parser.add_argument("--memory", type=int, default=8 << 30, help="bytes for tidemill.memory.bytes")
    options = parser.parse_args()
    scratch = harness.prepare(options)
    case = Case(options, scratch)
    case.fill()
    cost = case.scan_alone()
    for _ in range(options.rounds):
        case.backlog(options.backlog)
        alone, cores, _ = case.work_off()
        say("the query alone", f"{alone:,.0f} rows/s, {cores:.2f} cores")
        case.backlog(options.backlog)
        case.both(alone, cost)
    kept, goal = (sorted(share)[len(share) // 2] for share in zip(*case.shares))
    say("what the query keeps, median", f"{kept:.0%}", f">= {goal:.0%}")
    total = sum(row[2] for row in case.server.rows(case.sql))
    say("rows counted at the end", f"{total:,}", f"{case.written:,}")
    case.server.stop()
    harness.clean(scratch)


if __name__ == "__main__":
    main()
