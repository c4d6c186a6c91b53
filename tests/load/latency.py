#!/usr/bin/env python3
"""Measures the time from a row's INSERT over HTTP to its arrival at a push query, at a fixed rate.

The clock of a row starts when the row is due, not when it is sent: a server that stalls cannot hide it.
"""

import json
import os
import select
import sys
import time

import harness
from harness import Http2, Push, milliseconds, say

SOURCE = "CREATE STREAM s (k STRING KEY, id BIGINT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');"
THROUGH = {
    "the source": ("s", []),
    "one query": ("d1", ["CREATE STREAM d1 AS SELECT k, id FROM s;"]),
    "two queries": ("d2", ["CREATE STREAM d2 AS SELECT k, id FROM d1;"]),
    "an aggregation": (
        "tc",
        [
            "CREATE TABLE t AS SELECT k, COUNT(*) AS n, MAX(id) AS id FROM s GROUP BY k;",
            "CREATE STREAM tc (k STRING KEY, n BIGINT, id BIGINT) WITH (KAFKA_TOPIC='T', VALUE_FORMAT='JSON');",
        ],
    ),
}


class Values:
    """INSERT VALUES, each a request of its own on a shared connection."""

    def __init__(self, port):
        self.client, self.numbers = Http2(port), {}

    def send(self, number):
        text = f"INSERT INTO s VALUES ('k{number % 100}', {number});"
        self.numbers[self.client.open("/ksql", json.dumps({"ksql": text}))] = number

    def acknowledged(self):
        found = []
        for stream, what, value in self.client.events():
            if what == "status" and value != 200 or what == "reset":
                sys.exit(f"an INSERT was refused: {value}")
            if what == "end":
                found.append(self.numbers.pop(stream))
        return found


class Stream:
    """Rows on one /inserts-stream."""

    def __init__(self, port):
        self.client, self.first = Http2(port), None
        self.stream = self.client.open("/inserts-stream")
        self.client.send(self.stream, b'{"target":"s"}\n')

    def send(self, number):
        self.first = number if self.first is None else self.first
        self.client.send(self.stream, b'{"K":"k%d","ID":%d}\n' % (number % 100, number))

    def acknowledged(self):
        found = []
        for _, what, value in self.client.events():
            for line in value.splitlines() if what == "data" else ():
                answer = json.loads(line)
                if answer["status"] != "ok":
                    sys.exit(f"a row was refused: {answer}")
                found.append(self.first + answer["seq"])
        return found


def run(push, inserter, first, rate, seconds):
    """Sends rows at the rate and returns (seconds to acknowledgement, seconds to the push row), lists."""
    count, sent = int(rate * seconds), 0
    begin, acks, shown = time.perf_counter() + 0.1, {}, {}
    sockets = [push.fileno(), inserter.client.socket.fileno()]
    while len(shown) < count or len(acks) < count:
        now = time.perf_counter()
        while sent < count and begin + sent / rate <= now:
            inserter.send(first + sent)
            sent += 1
        wait = max(0, begin + sent / rate - time.perf_counter()) if sent < count else 30
        ready = select.select(sockets, [], [], wait)[0]
        if not ready and sent == count:
            sys.exit(f"rows are missing: {len(acks)} acknowledged, {len(shown)} shown of {count}")
        if sockets[0] in ready:
            arrived(push, first, begin, rate, shown)
        if sockets[1] in ready:
            now = time.perf_counter()
            for number in inserter.acknowledged():
                acks[number] = now - begin - (number - first) / rate
    return list(acks.values()), list(shown.values())


def arrived(push, first, begin, rate, shown):
    now = time.perf_counter()
    for row in push.read():
        if row[-1] >= first and row[-1] not in shown:
            shown[row[-1]] = now - begin - (row[-1] - first) / rate


def main():
    parser = harness.arguments(__doc__)
    parser.add_argument("--rate", type=float, default=1000, help="rows a second")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement, after 2 s that do not count")
    options = parser.parse_args()
    scratch = harness.prepare(options)
    server = harness.server(options, os.path.join(scratch, "data"))
    server.start()
    server.ksql(SOURCE)
    first = 0
    for through, (target, statements) in THROUGH.items():
        for statement in statements:
            server.ksql(statement)
        for kind in (Stream, Values):
            for version in (1, 2):
                first = measure(server, options, scratch, (through, target, kind, version, first))
    server.stop()
    harness.clean(scratch)


def measure(server, options, scratch, case):
    through, target, kind, version, first = case
    probe = harness.sync_seconds(scratch, 100)
    push = Push(server.port, f"SELECT * FROM {target} EMIT CHANGES;", version=version)
    inserter = kind(server.port)
    run(push, inserter, first, options.rate, 2)
    first += int(options.rate * 2)
    if kind is Stream:
        inserter = kind(server.port)
    cpu = server.cpu_seconds()
    acks, shown = run(push, inserter, first, options.rate, options.seconds)
    cpu = (server.cpu_seconds() - cpu) / options.seconds
    goals = [4 * harness.percentile(probe, share) * 1e3 + 1 for share in (0.5, 0.99)]
    way = "/inserts-stream" if kind is Stream else "INSERT VALUES"
    say(f"{way} through {through}, HTTP/{version}", milliseconds(shown), f"p50 {goals[0]:.1f}, p99 {goals[1]:.1f} ms")
    say("  acknowledged", f"{milliseconds(acks)}; {cpu:.0%} of a core")
    push.close()
    inserter.client.close()
    return first + int(options.rate * options.seconds)


if __name__ == "__main__":
    main()
