#!/usr/bin/env python3
"""A day of load in an hour: rows with a curve of a day, topics that keep a part of them, clients and queries that come
and go. It samples what the server takes, writes a CSV and a plot (SVG), and says whether anything grows.

Everything that depends on time is scaled to the length of the run: topics keep a tenth of it, so ten times what they
keep goes through; windows and their retention follow.
"""

import csv
import itertools
import json
import math
import os
import random
import select
import sys
import threading
import time

import harness
from harness import Cut, Http1, Http2, Push, Refused, ksql, say

COLUMNS = ("seconds", "rss_mb", "handles", "threads", "disk_mb", "topics_mb", "journal_mb", "cpu_percent", "rows_per_second",
           "lag_records", "queries", "push_queries")
PANELS = {
    "rss_mb": "RSS, MB",
    "disk_mb": "data folder, MB",
    "handles": "file handles",
    "threads": "threads",
    "cpu_percent": "processor, % of a core",
    "rows_per_second": "rows/s written",
}


def statements(retention_ms):
    window, kept = max(1000, retention_ms // 10), retention_ms
    topic = f"PARTITIONS=4, VALUE_FORMAT='JSON', RETENTION_MS={kept}"
    return (
        f"CREATE STREAM orders (k STRING KEY, id BIGINT, item STRING, price DOUBLE) WITH (KAFKA_TOPIC='orders', {topic});"
        f"CREATE STREAM visits (k STRING KEY, id BIGINT, page STRING) WITH (KAFKA_TOPIC='visits', {topic});"
        f"CREATE STREAM dear WITH (RETENTION_MS={kept}) AS SELECT k, id, item, price FROM orders WHERE price > 50;"
        "CREATE TABLE totals AS SELECT k, COUNT(*) AS n, SUM(price) AS total FROM orders GROUP BY k;"
        f"CREATE TABLE recent AS SELECT item, COUNT(*) AS n, SUM(price) AS total FROM orders WINDOW TUMBLING (SIZE {window} "
        f"MILLISECONDS, RETENTION {kept} MILLISECONDS, GRACE PERIOD {window} MILLISECONDS) GROUP BY item;"
        "CREATE STREAM seen AS SELECT o.k AS k, o.id AS id, v.page AS page FROM orders o JOIN visits v WITHIN "
        f"{window} MILLISECONDS GRACE PERIOD {window} MILLISECONDS ON o.k = v.k;"
    )


class Part(threading.Thread):
    """Something that goes on until the end; what goes wrong is counted and told."""

    def __init__(self, soak, number):
        super().__init__(daemon=True)
        self.soak, self.number, self.random, self.count = soak, number, random.Random(number), 0

    def run(self):
        while not self.soak.over():
            try:
                self.step()
            except (Refused, Cut, OSError, ValueError) as error:
                self.soak.wrong.append(f"{type(self).__name__}: {error!r}")
                time.sleep(1)


class Writer(Part):
    """Rows on /inserts-stream: at noon as many as the rate, at night a fifth of it."""

    ids = itertools.count()

    def step(self):
        client, soak = Http2(self.soak.server.port), self.soak
        streams = {client.open("/inserts-stream"): name for name in ("orders", "visits")}
        for stream, name in streams.items():
            client.send(stream, json.dumps({"target": name}).encode() + b"\n")
        waiting, begin, group = 0, time.time(), 0
        while not soak.over() and time.time() - begin < soak.length / 20:
            rows = max(1, int(soak.rate * (0.6 - 0.4 * math.cos(2 * math.pi * soak.day())) * 0.1))
            for stream, name in streams.items():
                client.send(stream, b"".join(self.row(name) for _ in range(rows // 2)))
                waiting += rows // 2
            while waiting > 5 * rows or waiting and time.time() - begin < group * 0.1:
                waiting -= sum(self.lines(value) for _, what, value in client.events() if what == "data")
            group += 1
            time.sleep(max(0, begin + group * 0.1 - time.time()))
        client.close()

    def lines(self, data):
        if b"error" in data:
            raise ValueError(data)
        count = data.count(b"\n")
        self.count += count
        return count

    def row(self, name):
        number = next(self.ids)
        key = self.random.randrange(5000)
        if name == "orders":
            return b'{"K":"k%d","ID":%d,"ITEM":"item %d","PRICE":%d.5}\n' % (key, number, key % 50, number % 100)
        return b'{"K":"k%d","ID":%d,"PAGE":"/page/%d"}\n' % (key, number, number % 300)


class Puller(Part):
    """Pulls by key and by expression, on connections that live for a while."""

    def step(self):
        with Http1(self.soak.server.port) as client:
            for _ in range(self.random.randrange(1, 200)):
                sql = self.random.choice(
                    (
                        f"SELECT * FROM totals WHERE k='k{self.random.randrange(5000)}';",
                        f"SELECT * FROM recent WHERE item='item {self.random.randrange(50)}';",
                        "SELECT item, SUM(n) AS n FROM recent GROUP BY item ORDER BY n DESC LIMIT 5;",
                    )
                )
                status, body = client.request("POST", "/query-stream", json.dumps({"sql": sql}))
                if status != 200:
                    raise ValueError(body)
                self.count += 1
                if self.soak.over():
                    return
                time.sleep(0.02)


class Subscriber(Part):
    """A push query that goes away without a word."""

    def step(self):
        source = self.random.choice(("dear", "orders", "seen"))
        push = Push(self.soak.server.port, f"SELECT * FROM {source} EMIT CHANGES;", version=self.random.choice((1, 2)))
        end = time.time() + self.random.uniform(0.2, self.soak.length / 60)
        while time.time() < end and not self.soak.over():
            if select.select([push], [], [], 0.1)[0]:
                self.count += len(push.read())
        push.close()


class Maker(Part):
    """Queries that are created, live for a while and are dropped."""

    def step(self):
        name, self.count = f"made{self.number}x{self.count}", self.count + 1
        made = self.random.choice(
            (
                f"CREATE STREAM {name} AS SELECT k, id FROM orders WHERE id % 10 = 3;",
                f"CREATE TABLE {name} AS SELECT page, COUNT(*) AS n FROM visits GROUP BY page;",
            )
        )
        self.soak.server.ksql(made)
        end = time.time() + self.soak.length / 120
        while time.time() < end and not self.soak.over():
            time.sleep(0.1)
        self.soak.server.ksql(f"DROP {made.split()[1]} {name} DELETE TOPIC;")


PARTS = (Writer, Puller, Puller, Subscriber, Subscriber, Subscriber, Maker, Maker)


class Soak:
    def __init__(self, server, options):
        self.server, self.rate, self.length = server, options.rate, options.minutes * 60
        self.begin, self.wrong, self.samples = time.time(), [], []

    def over(self):
        return time.time() - self.begin >= self.length

    def day(self):
        return (time.time() - self.begin) / self.length

    def sample(self, last):
        server, now = self.server, time.time() - self.begin
        cpu, rows = server.cpu_seconds(), server.metric("tidemill_topic_end_offset", topic="orders")
        rows += server.metric("tidemill_topic_end_offset", topic="visits")
        passed = now - last[0]
        found = (
            now,
            server.rss_bytes() / 1e6,
            server.handles(),
            server.threads(),
            harness.folder_bytes(server.folder) / 1e6,
            server.metric("tidemill_topic_log_bytes") / 1e6,
            server.metric("tidemill_journal_bytes") / 1e6,
            (cpu - last[1]) / passed * 100,
            (rows - last[2]) / passed,
            server.metric("tidemill_query_lag_records"),
            len(server.ksql("SHOW QUERIES;")[0]["queries"]),
            server.metric("tidemill_push_queries"),
        )
        self.samples.append([round(value, 2) for value in found])
        return now, cpu, rows


def panel(samples, column, title, top):
    """A curve with its largest value and its axis."""
    values, times = [row[COLUMNS.index(column)] for row in samples], [row[0] for row in samples]
    high = max(max(values), 1)
    points = " ".join(f"{60 + t / times[-1] * 640:.1f},{top + 100 - v / high * 80:.1f}" for t, v in zip(times, values))
    return (
        f'<text x="60" y="{top + 12}" font-weight="bold">{title}</text>'
        f'<text x="54" y="{top + 24}" text-anchor="end">{high:,.0f}</text>'
        f'<text x="54" y="{top + 104}" text-anchor="end">0</text>'
        f'<path d="M60 {top + 20}V{top + 100}H700" stroke="#888" fill="none"/>'
        f'<polyline points="{points}" stroke="#06c" stroke-width="1.5" fill="none"/>'
    )


def plot(samples, path, title):
    """Writes the panels one below the other; the time runs from left to right through all of them."""
    height = 40 + 130 * len(PANELS) + 20
    parts = [panel(samples, *item, 40 + 130 * number) for number, item in enumerate(PANELS.items())]
    with open(path, "w") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" font-family="sans-serif" font-size="11">'
            f'<rect width="720" height="{height}" fill="#fff"/><text x="60" y="22" font-size="14">{title}</text>'
            f'{"".join(parts)}<text x="700" y="{height - 10}" text-anchor="end">{samples[-1][0] / 60:.0f} minutes</text></svg>\n'
        )


def growth(samples, column):
    """The means of the second and of the last quarter."""
    values, quarter = [row[COLUMNS.index(column)] for row in samples], max(1, len(samples) // 4)
    return sum(values[quarter : 2 * quarter]) / quarter, sum(values[-quarter:]) / quarter


def main():
    parser = harness.arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=int, default=5000, help="rows a second at noon")
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--csv", default="soak.csv")
    parser.add_argument("--svg", default="soak.svg")
    options = parser.parse_args()
    scratch = harness.prepare(options)
    retention = int(options.minutes * 60_000 / 10)
    settings = [f"tidemill.cleanup.interval.ms={max(1000, retention // 10)}", "tidemill.segment.bytes=4194304"]
    settings += ["tidemill.checkpoint.bytes=16777216", "ksql.max.push.queries=1000"]
    server = harness.server(options, os.path.join(scratch, "data"), settings)
    server.start()
    server.ksql(statements(retention))
    soak = Soak(server, options)
    parts = [kind(soak, number) for number, kind in enumerate(PARTS)]
    for part in parts:
        part.start()
    watch(soak, options)
    for part in parts:
        part.join(30)
    finish(soak, parts, options)
    harness.clean(scratch)


def watch(soak, options):
    last, number = (0, soak.server.cpu_seconds(), 0), 0
    while not soak.over():
        number += 1
        time.sleep(max(0, soak.begin + number * soak.length / options.samples - time.time()))
        last = soak.sample(last)
        with open(options.csv, "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *soak.samples])


def finish(soak, parts, options):
    plot(soak.samples, options.svg, f"{options.minutes:.0f} minutes of load, {options.rate:,} rows/s at their noon")
    done = {}
    for part in parts:
        done[type(part).__name__] = done.get(type(part).__name__, 0) + part.count
    say("done", ", ".join(f"{name} {count:,}" for name, count in done.items()))
    for column in ("rss_mb", "disk_mb", "topics_mb", "handles", "threads"):
        before, after = growth(soak.samples, column)
        say(f"{column}, second and last quarter", f"{before:,.1f}, {after:,.1f}", "no growth")
    say("clients that met an error", f"{len(soak.wrong)} {soak.wrong[:5]}", "0")
    failed = [q["id"] for q in soak.server.ksql("SHOW QUERIES;")[0]["queries"] if q["state"] != "RUNNING"]
    seconds, status = soak.server.stop()
    say("queries that failed, the end", f"{failed}, {seconds:.1f} s, status {status}", "none, 0")
    if soak.wrong or failed or status:
        sys.exit(1)


if __name__ == "__main__":
    main()
