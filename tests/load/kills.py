#!/usr/bin/env python3
"""Kills the server at random instants while clients do everything at once, and checks exactly what is there afterwards.

What was acknowledged must be there once; what was sent and not acknowledged may be there once; nothing else may. Results
are compared with what the source holds. What a reader was shown must never be undone. The status is 1 after any fault.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter

import harness
from harness import Cut, Http1, Http2, Push, Refused, ksql, milliseconds, say

STATEMENTS = (
    "CREATE STREAM s (k STRING KEY, id BIGINT, round BIGINT) WITH (KAFKA_TOPIC='s', PARTITIONS=2, VALUE_FORMAT='JSON');"
    "CREATE STREAM e AS SELECT k, id, round FROM s;"
    "CREATE STREAM ee AS SELECT k, id, round, id * 2 AS twice FROM e PARTITION BY k;"
    "CREATE TABLE t AS SELECT k, COUNT(*) AS n, SUM(id) AS total FROM s GROUP BY k;"
    "CREATE TABLE tt AS SELECT round, COUNT(*) AS n FROM e GROUP BY round;"
)
SETTINGS = (
    "tidemill.checkpoint.bytes=300000",
    "tidemill.journal.bytes=65536",
    "tidemill.segment.bytes=400000",
    "ksql.max.push.queries=1000",
)
EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}
KEYS = [f"k{n}" for n in range(40)]


class Model:
    """What clients have sent and were told."""

    def __init__(self):
        self.lock = threading.Lock()
        self.round, self.next = 0, 0
        self.sent, self.acknowledged = {}, set()
        self.shown, self.counts = set(), Counter()
        self.things, self.open = {}, None
        self.faults, self.done = [], Counter()

    def fault(self, text):
        with self.lock:
            self.faults.append(f"round {self.round}: {text}")
        print("FAULT", self.faults[-1][:2000], flush=True)

    def id(self):
        """A new number of a row, which is about to be sent."""
        with self.lock:
            self.next += 1
            self.sent[self.next] = self.round
            return self.next

    def acknowledge(self, number, what):
        with self.lock:
            self.acknowledged.add(number)
            self.done[what] += 1


class Worker(threading.Thread):
    """A client that works until its connection ends; anything but a clean end is a fault."""

    def __init__(self, model, port, seed):
        super().__init__()
        self.model, self.port, self.random = model, port, random.Random(seed)

    def run(self):
        try:
            self.work()
        except (Cut, OSError):
            pass
        except Exception as error:  # Whatever it is, it is told.
            self.model.fault(f"{type(self).__name__}: {error!r}")


class Values(Worker):
    """INSERT VALUES, one after the other."""

    def work(self):
        with Http1(self.port) as client:
            while True:
                number = self.model.id()
                text = f"INSERT INTO s VALUES ('{self.random.choice(KEYS)}', {number}, {self.model.round});"
                ksql(client, text)
                self.model.acknowledge(number, "INSERT VALUES")


class Stream(Worker):
    """Rows on /inserts-stream, in small groups."""

    burst, ahead = 5, 50

    def work(self):
        client, numbers, waiting = Http2(self.port), [], 0
        stream = client.open("/inserts-stream")
        client.send(stream, b'{"target":"s"}\n')
        while True:
            while waiting + self.burst <= self.ahead:
                group = [self.model.id() for _ in range(self.burst)]
                client.send(stream, "".join(map(self.line, group)).encode())
                numbers += group
                waiting += self.burst
            for _, what, value in client.events():
                if what == "data":
                    waiting -= self.answers(value, numbers)
                elif what != "status" or value != 200:
                    raise ValueError(f"{what} {value}")

    def line(self, number):
        row = {"K": self.random.choice(KEYS), "ID": number, "ROUND": self.model.round}
        return json.dumps(row) + "\n"

    def answers(self, data, numbers):
        lines = data.splitlines()
        for line in lines:
            answer = json.loads(line)
            if answer["status"] != "ok":
                raise ValueError(f"a row was refused: {line}")
            self.model.acknowledge(numbers[answer["seq"]], type(self).__name__)
        return len(lines)


class Load(Stream):
    """The background load: large groups."""

    burst, ahead = 400, 800


class Pulls(Worker):
    """Pulls by key: what is counted never falls."""

    def work(self):
        with Http1(self.port) as client:
            while True:
                key = self.random.choice(KEYS)
                status, body = client.request("POST", "/query-stream", json.dumps({"sql": f"SELECT * FROM t WHERE k='{key}';"}))
                values = [json.loads(line) for line in body.splitlines() if line.strip()]
                if status != 200:
                    raise ValueError(body)
                for _, count, _ in values[1:]:
                    if count < self.model.counts[key]:
                        self.model.fault(f"{key} was {self.model.counts[key]} and is {count}")
                    self.model.counts[key] = count
                self.model.done["pulls"] += 1


class Pushes(Worker):
    """A push query over results."""

    version = 1

    def work(self):
        push = Push(self.port, "SELECT id FROM e EMIT CHANGES;", version=self.version)
        while not push.ended:
            rows = push.read()
            with self.model.lock:
                self.model.shown.update(row[0] for row in rows)
                self.model.done["push rows"] += len(rows)
        raise ValueError("a push query ended although its connection did not")


class Pushes2(Pushes):
    """The same over HTTP/2."""

    version = 2


class Statements(Worker):
    """Creates and drops streams and queries. `open` has the steps of a request that was not answered yet."""

    def work(self):
        with Http1(self.port) as client:
            while True:
                text, steps = self.choose()
                with self.model.lock:
                    self.model.open = steps
                answers = ksql(client, text, EARLIEST)
                with self.model.lock:
                    for (name, state), answer in zip(steps, answers):
                        if state and not state.get("query"):
                            state["query"] = answer["commandStatus"]["queryId"]
                        apply(self.model.things, name, state)
                    self.model.open = None
                    self.model.done["statements"] += len(steps)
                time.sleep(self.random.uniform(0, 0.02))

    def choose(self):
        """A request, and the names that its statements bring to a state."""
        things = self.model.things
        if len(things) >= 6 or things and self.random.random() < 0.3:
            name = self.random.choice(sorted(things))
            return f"DROP STREAM {name} DELETE TOPIC;", [(name, None)]
        queries = [n for n, state in things.items() if state.get("query")]
        if queries and self.random.random() < 0.2:
            name = self.random.choice(queries)
            paused = not things[name]["paused"]
            query = f"{'PAUSE' if paused else 'RESUME'} {things[name]['query']};"
            return query, [(name, {**things[name], "paused": paused})]
        return self.create()

    def create(self):
        with self.model.lock:
            self.model.next += 1
            number = self.model.next
        plain, query, rest = f"P{number}", f"Q{number}", self.random.randrange(5)
        one = f"CREATE STREAM {plain} (id BIGINT) WITH (KAFKA_TOPIC='{plain}', PARTITIONS=1, VALUE_FORMAT='JSON');"
        two = f"CREATE STREAM {query} AS SELECT k, id FROM s WHERE id % 5 = {rest};"
        state = {"paused": False, "rest": rest, "query": None}
        steps = [(plain, {"query": None}), (query, state)]
        pick = self.random.randrange(3)
        return [(one, steps[:1]), (two, steps[1:]), (one + two, steps)][pick]


def apply(things, name, state):
    if state is None:
        things.pop(name, None)
    else:
        things[name] = state


WORKERS = (Values, Values, Stream, Load, Pulls, Pushes, Pushes2, Statements)


class Checks:
    """Compares the server after a restart with the model."""

    def __init__(self, server, model):
        self.server, self.model, self.present = server, model, {}

    def all(self, whole):
        self.things()
        self.source(whole)
        self.results(whole)
        self.queries()

    def things(self):
        """What exists is what was acknowledged, with a beginning of the steps of the open request."""
        model, found = self.model, self.found()
        for done in range(len(model.open or []) + 1):
            expected = dict(model.things)
            for name, state in (model.open or [])[:done]:
                apply(expected, name, state)
            if {name: state.get("paused") for name, state in expected.items()} == found:
                model.things, model.open = expected, None
                return
        model.fault(f"exists: {found}, acknowledged: {model.things}, open: {model.open}")
        model.things, model.open = {name: {} for name in found}, None

    def found(self):
        """Name to whether its query is paused; None without a query."""
        streams = self.server.ksql("SHOW STREAMS;")[0]["streams"]
        found = {one["name"]: None for one in streams if one["name"][0] in "PQ" and one["name"][1:].isdigit()}
        self.ids = {}
        for query in self.server.ksql("SHOW QUERIES;")[0]["queries"]:
            if query["sinks"][0] in found:
                self.ids[query["sinks"][0]] = query["id"]
                paused = self.server.metric("tidemill_query_state", query=query["id"], state="paused")
                found[query["sinks"][0]] = paused == 1
        return found

    def rows(self, source, whole, columns="id"):
        where = "" if whole else f" WHERE round = {self.model.round}"
        return self.server.rows(f"SELECT {columns} FROM {source}{where};")

    def source(self, whole):
        """Every acknowledged row once, every other one that was sent at most once."""
        model, wanted = self.model, self.model.round
        found = Counter(row[0] for row in self.rows("s", whole))
        for number, count in found.items():
            if count > 1 or number not in model.sent:
                model.fault(f"row {number} is there {count} times, sent: {number in model.sent}")
        ours = {n for n, round in model.sent.items() if whole or round == wanted}
        lost = sorted((ours & model.acknowledged) - found.keys())
        if lost:
            model.fault(f"{len(lost)} acknowledged rows are lost: {lost[:20]}")
        if whole and self.present.keys() - found.keys():
            model.fault("rows that were there are lost")
        for number in found:
            self.present[number] = model.sent.get(number)

    def results(self, whole):
        """Each sink has each row of the source once."""
        model = self.model
        expected = {n for n, round in self.present.items() if whole or round == model.round}
        for sink in ("e", "ee"):
            self.settle(sink, lambda: [row[0] for row in self.rows(sink, whole)], expected)
        unseen = model.shown - self.present.keys()
        if unseen:
            model.fault(f"{len(unseen)} rows were shown and are not there: {sorted(unseen)[:20]}")
        total = [len(self.present), sum(self.present)]
        self.same("t", "SELECT n, total FROM t;", lambda rows: [sum(r[0] for r in rows), sum(r[1] for r in rows)], total)
        rounds = sorted(Counter(self.present.values()).items())
        self.same("tt", "SELECT round, n FROM tt;", lambda rows: sorted(map(tuple, rows)), rounds)

    def settle(self, what, read, expected):
        """Waits until a query has caught up, and reports what is there twice or too much."""
        end = time.perf_counter() + 30
        while True:
            found = Counter(read())
            wrong = [n for n, count in found.items() if count > 1 or n not in expected]
            if wrong:
                return self.model.fault(f"{what} has {[(n, found[n]) for n in wrong[:20]]}, which is too much")
            if len(found) == len(expected):
                return None
            if time.perf_counter() > end:
                lost = sorted(expected - found.keys())
                return self.model.fault(f"{what} lacks {len(lost)} of {len(expected)} rows: {lost[:20]}")
            time.sleep(0.02)

    def same(self, what, sql, shape, expected):
        end = time.perf_counter() + 30
        while (found := shape(self.server.rows(sql))) != expected:
            if time.perf_counter() > end:
                return self.model.fault(f"{what} has {str(found)[-300:]}, expected {str(expected)[-300:]}")
            time.sleep(0.02)
        return None

    def queries(self):
        """One of the queries that clients have made has exactly its rows."""
        for name, identity in self.ids.items():
            self.model.things.get(name, {})["query"] = identity
        running = [n for n, state in self.model.things.items() if state.get("paused") is False and "rest" in state]
        for name in running[:1]:
            rest = self.model.things[name]["rest"]
            expected = {n for n in self.present if n % 5 == rest}
            self.settle(name, lambda: [row[0] for row in self.server.rows(f"SELECT id FROM {name};")], expected)


def interrupted_starts(server, chance):
    """Kills the server while it starts, now and then."""
    while chance.random() < 0.25:
        server.spawn()
        time.sleep(chance.uniform(0, 0.15))
        server.kill()


def round_of_work(server, model, chance, longest):
    model.round += 1
    workers = [kind(model, server.port, chance.random()) for kind in WORKERS]
    for worker in workers:
        worker.start()
    time.sleep(chance.uniform(0.03, longest))
    server.kill()
    for worker in workers:
        worker.join(70)
        if worker.is_alive():
            model.fault(f"{type(worker).__name__} has no end")


def main():
    parser = harness.arguments(__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--longest", type=float, default=1.0, help="seconds until a kill at the latest")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    options = parser.parse_args()
    print("seed", options.seed, flush=True)
    scratch, chance, end = harness.prepare(options), random.Random(options.seed), time.time() + options.minutes * 60
    server, model = harness.server(options, os.path.join(scratch, "data"), SETTINGS), Model()
    server.start()
    server.ksql(STATEMENTS, EARLIEST)
    checks, starts = Checks(server, model), []
    while model.round < options.kills and time.time() < end and len(model.faults) < 20:
        round_of_work(server, model, chance, options.longest)
        interrupted_starts(server, chance)
        try:
            starts.append(server.start())
            checks.all(model.round % 20 == 0)
        except (Refused, OSError, Cut) as error:
            model.fault(f"start or check: {error!r}")
            break
    if not model.faults:
        checks.all(True)
    end_of(server, model, starts, scratch)


def end_of(server, model, starts, scratch):
    if server.process.poll() is None:
        seconds, status = server.stop()
        if status:
            model.fault(f"an orderly end has status {status}: {server.last_words()}")
    say("kills", str(model.round))
    say("acknowledged, shown", ", ".join(f"{what} {count:,}" for what, count in model.done.items()))
    say("sent and not acknowledged", f"{len(model.sent) - len(model.acknowledged):,} rows")
    say("starts after a kill", milliseconds(starts))
    say("faults", str(len(model.faults)), "0")
    if model.faults:
        sys.exit(f"the folder is kept in {scratch}")
    harness.clean(scratch)


if __name__ == "__main__":
    main()
