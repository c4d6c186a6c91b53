#!/usr/bin/env python3
"""Holds many push queries on one source while rows come at a fixed rate, and finds out how many the server can serve.

One process reads what all subscribers get and only counts the rows; a few subscribers are read exactly, row by row. The
table is read by `SELECT * FROM t EMIT CHANGES`; if the server cannot do that, a stream over the table's topic is.
"""

import json
import math
import os
import resource
import select
import selectors
import sys
import time

import harness
from harness import Http1, Http2, Push, Refused, milliseconds, say

STATEMENTS = (
    "CREATE STREAM s (k STRING KEY, id BIGINT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');"
    "CREATE TABLE t AS SELECT k, MAX(id) AS id FROM s GROUP BY k;"
)
STREAM = "CREATE STREAM tc (k STRING KEY, id BIGINT) WITH (KAFKA_TOPIC='T', VALUE_FORMAT='JSON');"


def source(server, wanted):
    """The source that can be subscribed to."""
    server.ksql(STATEMENTS)
    if wanted == "table":
        try:
            Push(server.port, "SELECT * FROM t EMIT CHANGES;").close()
            return "t"
        except Refused as error:
            say("push queries over the table", f"refused: {json.loads(str(error))['message']}")
    server.ksql(STREAM)
    return "tc"


PING = b"\0\0\x08\x06\0\0\0\0\0"


class Crowd:
    """All subscribers but the exact ones: sockets whose rows are only counted."""

    def __init__(self, server, options, target):
        self.port, self.options, self.target = server.port, options, target
        self.selector, self.clients, self.count, self.rows = selectors.DefaultSelector(), [], 0, 0
        self.gone = 0

    def body(self, number):
        where = f" WHERE k = 'k{number % self.options.keys}'" if self.options.own_key else ""
        return json.dumps({"sql": f"SELECT * FROM {self.target}{where} EMIT CHANGES;"})

    def grow(self, size, meanwhile):
        """Adds subscribers up to a number; returns the seconds that each took to its header."""
        durations = []
        while self.count < size:
            begin = time.perf_counter()
            added = self._connection() if self.options.version == 2 else self._single()
            durations.append((time.perf_counter() - begin) / added)
            self.drain(0)
            meanwhile()
        return durations

    def _single(self):
        client = Http1(self.port)
        client.send("POST", "/query-stream", self.body(self.count))
        status, length = client.head()
        if status != 200:
            raise Refused(client._exactly(length).decode())
        client.chunk()
        self._watch(client)
        self.count += 1
        return 1

    def _connection(self):
        """A connection with as many streams as one may have; waits for the headers of all."""
        client, streams = Http2(self.port), min(self.options.streams, self.size_left())
        for number in range(streams):
            client.open("/query-stream", self.body(self.count + number))
        seen = 0
        while seen < streams:
            for _, what, value in client.events():
                if what == "status" and value != 200 or what in ("reset", "goaway"):
                    raise Refused(f"{what} {value}")
                if what == "data":
                    seen += value.startswith(b'{"queryId"')
                    self.rows += value.startswith(b"[")
        self._watch(client)
        self.count += streams
        return streams

    def size_left(self):
        return self.goal - self.count

    def _watch(self, client):
        client.socket.setblocking(False)
        self.clients.append(client)
        self.selector.register(client.socket, selectors.EVENT_READ, client)

    def drain(self, seconds):
        """Reads for so long at most, until nothing has come; counts the rows."""
        end = time.perf_counter() + seconds
        while True:
            ready = self.selector.select(max(0, min(0.05, end - time.perf_counter())))
            for key, _ in ready:
                self._count(key.data)
            if time.perf_counter() >= end:
                return

    def _count(self, client):
        try:
            data = client.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.gone += 1
            self.selector.unregister(client.socket)
            return
        self.rows += data.count(b"]\n")
        if self.options.version == 2:
            self._pong(client, data)
            client.taken += len(data)
            if client.taken > 1 << 26:
                client.socket.setblocking(True)
                client.socket.sendall(harness.frame(harness.WINDOW, 0, 0, client.taken.to_bytes(4, "big")))
                client.socket.setblocking(False)
                client.taken = 0


    def _pong(self, client, data):
        """Answers the pings among the frames; the bytes of rows cannot look like one."""
        data, at = client.buffer + data, 0
        while 0 <= (found := data.find(PING, at)) <= len(data) - 17:
            at = found + 17
            client.socket.setblocking(True)
            client.socket.sendall(harness.frame(harness.PING, harness.ACK, 0, data[at - 8 : at]))
            client.socket.setblocking(False)
        client.buffer = data[max(at, len(data) - 16) :]


class Feed:
    """Rows at a rate on one /inserts-stream, and exact subscribers that see when they arrive."""

    def __init__(self, server, options, target, exact):
        self.options, self.client, self.sent = options, Http2(server.port), 0
        self.stream = self.client.open("/inserts-stream")
        self.client.send(self.stream, b'{"target":"s"}\n')
        sql = f"SELECT * FROM {target} EMIT CHANGES;"
        self.exact = [Push(server.port, sql) for _ in range(exact)]

    def run(self, crowd, seconds):
        """Feeds for so long; returns (rows, seconds from due to shown at the exact ones, seconds to catch up)."""
        first, begin, late = self.sent, time.perf_counter() + 0.05, []
        crowd.rows, rows = 0, int(self.options.rate * seconds)
        while self.sent - first < rows:
            elapsed = time.perf_counter() - begin
            due = min(rows, math.floor(elapsed * self.options.rate) + 1) - (self.sent - first)
            if due > 0:
                lines = [b'{"K":"k%d","ID":%d}\n' % (n % self.options.keys, n) for n in range(self.sent, self.sent + due)]
                self.client.send(self.stream, b"".join(lines))
                self.sent += due
            crowd.drain(0.002)
            self.look(begin, first, late)
        expected, stop = self.expected(crowd, rows), time.perf_counter()
        while crowd.rows < expected and time.perf_counter() - stop < 30 and not crowd.gone:
            crowd.drain(0.05)
            self.look(begin, first, late)
        return rows, late, expected, time.perf_counter() - stop

    def expected(self, crowd, rows):
        """Rows that all subscribers should have got by then, if each change is a row."""
        return rows * crowd.count // self.options.keys if self.options.own_key else rows * crowd.count

    def look(self, begin, first, late):
        while ready := select.select([*self.exact, self.client.socket], [], [], 0)[0]:
            now = time.perf_counter()
            for one in ready:
                if one is self.client.socket:
                    self.client.events()
                    continue
                late += [now - begin - (row[-1] - first) / self.options.rate for row in one.read() if row[-1] >= first]


def main():
    parser = harness.arguments(__doc__)
    parser.add_argument("--steps", default="100,300,1000,3000,10000", help="numbers of subscribers to try")
    parser.add_argument("--rate", type=float, default=1000, help="updates a second")
    parser.add_argument("--seconds", type=float, default=10, help="of each step")
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--own-key", action="store_true", help="each subscriber asks for one key instead of all")
    parser.add_argument("--version", type=int, choices=(1, 2), default=2, help="of HTTP")
    parser.add_argument("--streams", type=int, default=100, help="subscribers of a connection of HTTP/2")
    parser.add_argument("--source", choices=("table", "stream"), default="table")
    parser.add_argument("--exact", type=int, default=3, help="subscribers whose rows are read one by one")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    scratch = harness.prepare(options)
    settings = ["ksql.max.push.queries=1000000", "cache.max.bytes.buffering=0"]
    server = harness.server(options, os.path.join(scratch, "data"), settings)
    server.start()
    target = source(server, options.source)
    crowd = Crowd(server, options, target)
    feed = Feed(server, options, target, options.exact)
    for size in map(int, options.steps.split(",")):
        if not step(server, options, crowd, feed, size):
            break
    server.kill()
    harness.clean(scratch)


def step(server, options, crowd, feed, size):
    """One number of subscribers; whether the server kept up."""
    print(f"{size} subscribers over HTTP/{options.version}, {options.rate:.0f} updates/s")
    crowd.goal = size
    try:
        added = crowd.grow(size, lambda: feed.look(0, math.inf, []))
    except (Refused, OSError) as error:
        say("  given in", f"at {crowd.count} subscribers: {error!r}")
        return False
    say("  adding one", milliseconds(added))
    crowd.drain(1)
    cpu = server.cpu_seconds()
    time.sleep(3)
    say("  processor while nothing comes", f"{(server.cpu_seconds() - cpu) / 3:.1%} of a core")
    cpu, begin, own = server.cpu_seconds(), time.perf_counter(), time.process_time()
    rows, late, expected, behind = feed.run(crowd, options.seconds)
    seconds = time.perf_counter() - begin
    cpu, own = (server.cpu_seconds() - cpu) / seconds, (time.process_time() - own) / seconds
    say("  rows shown", f"{crowd.rows:,} of {expected:,}, the last {behind:.2f} s after the last update", "none behind")
    say("  rows a second, processor", f"{crowd.rows / seconds:,.0f}/s, {cpu:.0%} of a core; this program {own:.0%}")
    say("  from due to shown", milliseconds(late) if late else "none")
    say("  RSS, threads, handles", f"{server.rss_bytes() / 1e6:.0f} MB, {server.threads()}, {server.handles()}", "< 2000 MB")
    if crowd.gone:
        say("  connections that the server ended", str(crowd.gone))
    return crowd.rows >= expected and behind < 10


if __name__ == "__main__":
    sys.exit(main())
