#!/usr/bin/env python3
"""Pulls by key: requests a second and their durations, over HTTP/1.1 and HTTP/2, while the table is updated or not.

The load comes from `wrk` (HTTP/1.1, a random key each) and `h2load` (both versions, one key). At half the load `wrk`
pauses by chance between two requests of a connection; `h2load` sends a burst every 10 ms, so its figures are pessimistic.
"""

import json
import os
import re
import subprocess
import threading
import time

import harness
from harness import say

STATEMENTS = (
    "CREATE STREAM src (k STRING KEY, v BIGINT) WITH (KAFKA_TOPIC='src', PARTITIONS=4, VALUE_FORMAT='JSON');"
    "CREATE TABLE t AS SELECT k, COUNT(*) AS n, SUM(v) AS total, MAX(v) AS high FROM src GROUP BY k;"
)
SCRIPT = """
local keys = %d
local headers = {["Content-Type"] = "application/json"}
function request()
  local body = string.format('{"sql":"SELECT * FROM t WHERE k=\\'k%%07d\\';"}', math.random(0, keys - 1))
  return wrk.format("POST", "/query-stream", headers, body)
end
"""
PACE = """
function delay()
  return math.random(0, %d)
end
"""


def lines(keys, count):
    """Records in pieces of 10,000: all keys once in each round, in a mixed order."""
    step = 7_368_787  # A prime, so that every key comes once.
    for begin in range(0, count, 10_000):
        numbers = range(begin, min(count, begin + 10_000))
        yield b"".join(b'{"key":"k%07d","value":{"V":%d}}\n' % (n * step % keys, n) for n in numbers)


class Updates:
    """Keeps a table busy from a backlog: resumes and pauses its query, so that it takes so many rows a second."""

    def __init__(self, server, rate):
        self.server, self.rate, self.on = server, rate, True
        self.query = server.ksql("SHOW QUERIES;")[0]["queries"][0]["id"]
        self.thread = threading.Thread(target=self._run)

    def read(self):
        return self.server.metric("tidemill_query_rows_read_total")

    def __enter__(self):
        self.rows, self.begin = self.read(), time.perf_counter()
        if self.rate:
            self.thread.start()
        return self

    def _run(self):
        paused = True
        while self.on:
            due = (time.perf_counter() - self.begin) * self.rate
            late = self.read() - self.rows < due
            if late == paused:
                self.server.ksql(f"{'RESUME' if late else 'PAUSE'} {self.query};")
                paused = not late
            time.sleep(0.02)
        if not paused:
            self.server.ksql(f"PAUSE {self.query};")

    def __exit__(self, *_):
        self.seconds, self.on = time.perf_counter() - self.begin, False
        if self.rate:
            self.thread.join()
        self.taken = (self.read() - self.rows) / self.seconds


def child(options, command):
    """Runs a load generator on the processors of the client."""
    if options.client_cpus:
        command = ["taskset", "-c", options.client_cpus, *command]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr or done.stdout}")
    return done.stdout


def wrk(options, port, scratch, rate=None):
    script = os.path.join(scratch, "pull.lua")
    with open(script, "w") as file:
        file.write(SCRIPT % options.keys)
        if rate:
            file.write(PACE % max(1, round(2000 * options.connections / rate)))
    command = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "--latency", "-s", script]
    text = child(options, [*command, f"http://127.0.0.1:{port}/query-stream"])
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", text)
    tails = [re.search(rf"^\s+{share}%\s+(\S+)", text, re.MULTILINE).group(1) for share in (50, 99)]
    figures = f"p50 {tails[0]}, p99 {tails[1]}"
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)), figures, wrong and wrong.group(0)


def h2load(options, port, scratch, version, rate=None):
    body, log = os.path.join(scratch, "body"), os.path.join(scratch, "h2load.log")
    with open(body, "w") as file:
        json.dump({"sql": "SELECT * FROM t WHERE k='k0000042';"}, file)
    streams = 1 if version == 1 else options.streams
    clients = max(1, options.connections // streams)
    command = ["h2load", "-t1", f"-c{clients}", f"-m{streams}", f"-D{options.seconds}", "-d", body]
    command += ["--h1"] if version == 1 else []
    command += ["--rps", f"{rate / clients:.3f}", "--log-file", log] if rate else []
    text = child(options, [*command, f"http://127.0.0.1:{port}/query-stream"])
    codes = re.search(r"status codes: (\d+) 2xx, (.*)", text)
    wrong = None if codes.group(2).startswith("0 3xx, 0 4xx, 0 5xx") else codes.group(0)
    tail = ""
    if rate:
        with open(log) as file:
            tail = harness.milliseconds([int(line.split("\t")[2]) / 1e6 for line in file])
        os.remove(log)
    return int(codes.group(1)) / options.seconds, tail, wrong


def measure(server, options, scratch, rate):
    """Two rows of figures for each generator: as fast as it can, and at half of that."""
    ways = {
        "wrk, HTTP/1.1, random keys": lambda pace=None: wrk(options, server.port, scratch, pace),
        "h2load, HTTP/1.1": lambda pace=None: h2load(options, server.port, scratch, 1, pace),
        "h2load, HTTP/2": lambda pace=None: h2load(options, server.port, scratch, 2, pace),
    }
    for name, way in ways.items():
        reached = one(server, name, way, rate)
        one(server, f"{name}, half", lambda: way(reached / 2), rate)


def one(server, name, way, rate):
    with Updates(server, rate) as updates:
        cpu = server.cpu_seconds()
        reached, tail, wrong = way()
        cpu = server.cpu_seconds() - cpu
    goal = "p99 < 3 ms" if "half" in name else "35,000/s a core"
    share = cpu / updates.seconds
    say(f"  {name}", f"{reached:,.0f}/s, {share:.0%} of a core, {reached / share:,.0f} a core second", goal)
    say("", f"{tail} {wrong or ''}" + (f"  {updates.taken:,.0f} updates/s" if rate else ""))
    return reached


def backlog(server, options, count):
    """Stops the server, writes records for the table and starts it again."""
    server.stop()
    harness.produce(options.binary, server.folder, "src", lines(options.keys, count), "--envelope")
    say("start again", f"{server.start(600) * 1e3:.0f} ms")


def main():
    parser = harness.arguments(__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--streams", type=int, default=16, help="streams of a connection of HTTP/2")
    parser.add_argument("--updates", type=int, default=200_000, help="updates of the table a second; 0 for none")
    options = parser.parse_args()
    scratch = harness.prepare(options)
    server = harness.server(options, os.path.join(scratch, "data"))
    server.start()
    server.ksql(STATEMENTS, {"ksql.streams.auto.offset.reset": "earliest"})
    backlog(server, options, options.keys)
    begin = time.perf_counter()
    while server.metric("tidemill_query_lag_records") > 0:
        time.sleep(0.05)
    say("the table is filled after", f"{time.perf_counter() - begin:.1f} s, RSS {server.rss_bytes() / 1e6:.0f} MB")
    print("answer:", server.rows("SELECT * FROM t WHERE k='k0000042';"))
    print("while nothing is updated")
    measure(server, options, scratch, 0)
    if options.updates:
        server.ksql(f"PAUSE {server.ksql('SHOW QUERIES;')[0]['queries'][0]['id']};")
        backlog(server, options, options.updates * (options.seconds + 3) * 5)
        print(f"while the table takes {options.updates:,} updates/s")
        measure(server, options, scratch, options.updates)
    say("RSS at the end", f"{server.rss_bytes() / 1e6:.0f} MB, peak {server.peak_rss_bytes() / 1e6:.0f} MB")
    server.stop()
    harness.clean(scratch)


if __name__ == "__main__":
    main()
