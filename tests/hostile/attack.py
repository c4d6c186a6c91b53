"""A hostile client: attacks a server in turn, and checks that others are served meanwhile and that nothing piles up.

attack.py PORT PID [ATTACK…] asks the server at 127.0.0.1:PORT, which is the process PID, as the user ann with the
password 'ann!'. Each attack runs three times (HOSTILE_ROUNDS) or so, most of them for 6 s (HOSTILE_SECONDS). It fails if the
process ends, a well-behaved client is not answered, or memory, threads or handles are more after the last time than
after half of the times, beyond some slack.
"""

import base64
import json
import os
import random
import socket
import struct
import sys
import threading
import time

PORT, PID = int(sys.argv[1]), int(sys.argv[2])
ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "3"))
SECONDS = float(os.environ.get("HOSTILE_SECONDS", "6"))
# How long the server keeps what is slow, and some more.
PATIENCE = 35
# How much more there may be after the last round than after the one before.
SLACK = {"kilobytes": 96 << 10, "threads": 24, "handles": 16}
AUTHORIZATION = "Basic " + base64.b64encode(b"ann:ann!").decode()
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def connect(timeout=10):
    return socket.create_connection(("127.0.0.1", PORT), timeout)


def http1(method, path, body=b"", length=None, **headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: a", f"Authorization: {AUTHORIZATION}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "transfer_encoding" not in headers:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ask(method, path, body=b"", timeout=60, **headers):
    """The status and the body of an answer whose connection ends with it."""
    with connect(timeout) as stream:
        stream.sendall(http1(method, path, body, Connection="close", **headers))
        answer = b""
        while more := stream.recv(1 << 16):
            answer += more
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), rest


def statements(text, timeout=60):
    return ask("POST", "/ksql", json.dumps({"ksql": text}).encode(), timeout)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header as HPACK writes it without a table."""
    def text(part):
        size = len(part)
        if size < 127:
            return bytes([size]) + part
        rest, out = size - 127, [127]
        while rest >= 128:
            out.append(rest % 128 + 128)
            rest //= 128
        return bytes(out + [rest]) + part
    return b"\x00" + text(name.encode()) + text(value.encode())


def block(method, path, **more):
    fields = {":method": method, ":scheme": "http", ":authority": "a", ":path": path, "authorization": AUTHORIZATION}
    return b"".join(literal(name, value) for name, value in {**fields, **more}.items())


class Second:
    """A connection of HTTP/2 that reads nothing unless it is told to."""

    def __init__(self, settings=b""):
        self.socket = connect()
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, ACK, 0))
        self.next = 1

    def send(self, data):
        """Whether the server still takes something."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def stream(self):
        self.next += 2
        return self.next - 2

    def request(self, method, path, flags=END_STREAM):
        stream = self.stream()
        return stream, frame(HEADERS, END_HEADERS | flags, stream, block(method, path))

    def drain(self):
        """Reads in the background until the end."""
        def read():
            try:
                while self.socket.recv(1 << 16):
                    pass
            except OSError:
                pass
        threading.Thread(target=read, daemon=True).start()

    def close(self):
        self.socket.close()


def at_once(count, work):
    """Does the same in several threads."""
    def quiet(number):
        try:
            work(number)
        except OSError:
            pass
    threads = [threading.Thread(target=quiet, args=(number,)) for number in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


def until(seconds=None):
    end = time.monotonic() + (SECONDS if seconds is None else seconds)
    return lambda: time.monotonic() < end


def flood(make, connections=4, reads=False):
    """Sends what `make` gives as long as the server takes it; a connection that is closed is opened anew."""
    def one(_):
        goes_on = until()
        while goes_on():
            connection = Second()
            if reads:
                connection.drain()
            connection.socket.settimeout(2)
            while goes_on() and connection.send(make(connection)):
                pass
            connection.close()
    at_once(connections, one)


def rapid_reset():
    def make(connection):
        out = []
        for _ in range(200):
            stream, headers = connection.request("GET", "/info")
            out += [headers, frame(RESET, 0, stream, b"\0\0\0\x08")]
        return b"".join(out)
    flood(make, reads=True)


def reset_of_queries():
    body = json.dumps({"sql": "SELECT * FROM pad EMIT CHANGES;"}).encode()
    def make(connection):
        out = []
        for _ in range(20):
            stream, headers = connection.request("POST", "/query-stream", 0)
            out += [headers, frame(DATA, END_STREAM, stream, body), frame(RESET, 0, stream, b"\0\0\0\x08")]
        return b"".join(out)
    flood(make, connections=2, reads=True)


def continuations():
    piece = block("GET", "/info", x="y" * 8000)
    def make(connection):
        if connection.next == 1:
            return frame(HEADERS, END_STREAM, connection.stream(), piece)
        return frame(CONTINUATION, 0, connection.next - 2, literal("z", "w" * 8000))
    flood(make)


def empty_continuations():
    def make(connection):
        if connection.next == 1:
            return frame(HEADERS, END_STREAM, connection.stream(), block("GET", "/info"))
        return frame(CONTINUATION, 0, connection.next - 2) * 1000
    flood(make)


def settings_flood():
    flood(lambda _: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535)) * 500)


def pings():
    flood(lambda _: frame(PING, 0, 0, b"12345678") * 500)


def windows():
    flood(lambda _: frame(WINDOW, 0, 0, b"\0\0\0\x01") * 500, reads=True)


def priorities():
    flood(lambda c: frame(PRIORITY, 0, c.stream(), b"\0\0\0\0\x10") * 500, reads=True)


def empty_data():
    def make(connection):
        if connection.next == 1:
            return connection.request("POST", "/ksql", 0)[1]
        return frame(DATA, 0, connection.next - 2) * 1000
    flood(make, reads=True)


def many_streams():
    def make(connection):
        return b"".join(connection.request("POST", "/ksql", 0)[1] for _ in range(300))
    flood(make, reads=True)


def malformed():
    rng = random.Random(7)
    kinds = [
        lambda: frame(DATA, 0, 0, b"x"),
        lambda: frame(HEADERS, END_HEADERS, 2, block("GET", "/info")),
        lambda: frame(HEADERS, END_HEADERS, 1, b"\xff" * 40),
        lambda: frame(HEADERS, END_HEADERS | 8, 1, b"\xff"),
        lambda: frame(SETTINGS, 0, 0, b"123"),
        lambda: frame(WINDOW, 0, 0, b"\0\0\0\0"),
        lambda: b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        lambda: frame(rng.randrange(256), rng.randrange(256), rng.randrange(1 << 31), rng.randbytes(rng.randrange(99))),
        lambda: rng.randbytes(200),
    ]
    first = [b"GET / HTTP/9.9\r\n\r\n", b"\0" * 500, b"GET " + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n??",
             http1("POST", "/ksql", b"x", length="-1"), b"POST /ksql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
             b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n"]
    goes_on = until()
    while goes_on():
        connection = Second()
        connection.send(b"".join(rng.choice(kinds)() for _ in range(5)))
        connection.close()
        with connect() as stream:
            stream.sendall(rng.choice(first))


def kept(count, begin, piece, seconds=PATIENCE):
    """Holds connections that send a piece now and then; how many the server has closed by then."""
    streams = []
    for _ in range(count):
        stream = connect()
        stream.sendall(begin)
        streams.append(stream)
    goes_on = until(seconds)
    while goes_on():
        for stream in streams:
            try:
                stream.sendall(piece)
            except OSError:
                pass
        time.sleep(1)
    closed = 0
    for stream in streams:
        stream.settimeout(0.2)
        try:
            while stream.recv(1 << 16):
                pass
            closed += 1
        except TimeoutError:
            pass
        except OSError:
            closed += 1
        stream.close()
    return closed


def slow_heads():
    closed = kept(300, b"GET /info HTTP/1.1\r\n", b"a: b\r\n")
    check(closed == 300, f"{closed} of 300 slow heads were ended")


def slow_bodies():
    closed = kept(300, http1("POST", "/ksql", b"{", length=1_000_000), b" ")
    check(closed == 300, f"{closed} of 300 slow bodies were ended")


def slow_readers():
    """Asks for much, and reads nothing of it: over HTTP/1.1, and over HTTP/2 with closed windows."""
    pull = json.dumps({"sql": "SELECT * FROM pads;"}).encode()
    push = json.dumps({"sql": "SELECT * FROM pad EMIT CHANGES;", "properties": {"auto.offset.reset": "earliest"}}).encode()
    held = []
    for number in range(30):
        stream = connect()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.sendall(http1("POST", "/query-stream", pull if number % 3 else push))
        held.append(stream)
    for _ in range(5):
        # The initial window of a stream is 0.
        second = Second(struct.pack(">HI", 4, 0))
        for _ in range(20):
            stream, headers = second.request("POST", "/query-stream", 0)
            second.send(headers + frame(DATA, END_STREAM, stream, pull))
        held.append(second)
    time.sleep(SECONDS)
    [stream.close() for stream in held]


def huge_bodies():
    try:
        status, _ = ask("POST", "/ksql", b"[" * (17 << 20))
        check(status == 413, f"a body that is too large gets {status}")
    except OSError:
        # The server answers and closes before it has read all of it; the answer may be lost by that.
        pass
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    def endless(_):
        with connect() as stream:
            stream.sendall(http1("POST", "/ksql", transfer_encoding="chunked"))
            goes_on = until()
            while goes_on():
                stream.sendall(chunk)
    at_once(4, endless)


def many_bodies():
    """Sends many bodies of nearly the largest size, and ends none."""
    def one(_):
        with connect(20) as stream:
            stream.sendall(http1("POST", "/ksql", b" " * (15 << 20), length=16 << 20))
            time.sleep(SECONDS)
    at_once(60, one)


def deep():
    for text in [
        b'{"ksql":' + b"[" * 1_000_000,
        b'{"ksql":' * 500_000,
        json.dumps({"ksql": "SELECT " + "(" * 200_000 + "1;"}).encode(),
        json.dumps({"ksql": "SELECT " + "-" * 1_000_001 + "1 FROM pad;"}).encode(),
        json.dumps({"ksql": "SELECT " + "NOT " * 200_000 + "TRUE FROM pad EMIT CHANGES;"}).encode(),
        json.dumps({"ksql": "SELECT id FROM counts WHERE " + " OR ".join(["id=1"] * 100_000) + ";"}).encode(),
        json.dumps({"ksql": "CREATE TYPE t AS " + "ARRAY<" * 200_000 + "INT;"}).encode(),
        json.dumps({"ksql": "SELECT CASE " * 50_000}).encode(),
        json.dumps({"ksql": "'" * 1_000_001}).encode(),
    ]:
        for path in ["/ksql", "/query"]:
            status, _ = ask("POST", path, text, 120)
            check(status in (200, 400, 413), f"{path} {text[:40]} gets {status}")


def wrong_passwords():
    def one(number):
        goes_on = until()
        while goes_on():
            wrong = base64.b64encode(f"ann:{number}{random.random()}".encode()).decode()
            with connect(60) as stream:
                stream.sendall(b"GET /info HTTP/1.1\r\nHost: a\r\nAuthorization: Basic " + wrong.encode() + b"\r\n\r\n")
                answer = stream.recv(4096)
            check(answer.split(b" ", 2)[1] in (b"401", b"429"), f"a wrong password gets {answer[:40]}")
    at_once(30, one)


def connections():
    held = []
    try:
        for _ in range(4000):
            held.append(connect())
    except OSError:
        pass
    time.sleep(2)
    [stream.close() for stream in held]
    check(len(held) > 500, f"there were {len(held)} connections")


def web_sockets():
    upgrade = ("GET /ws/query HTTP/1.1\r\nHost: a\r\nAuthorization: " + AUTHORIZATION + "\r\nConnection: Upgrade\r\n"
               "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    query = "/ws/query?request=" + "%7B%22ksql%22%3A%22SELECT%20*%20FROM%20pad%20EMIT%20CHANGES%3B%22%7D"
    def one(number):
        with connect() as stream:
            stream.sendall(upgrade.replace("/ws/query", query).encode())
            stream.recv(4096)
            # A message that never ends, in pieces, or one that says to be long.
            size = 1 << 20
            head = bytes([0x02 if number % 2 else 0x82, 0xff]) + struct.pack(">Q", size if number % 2 else 1 << 40) + b"\0" * 4
            goes_on = until()
            while goes_on():
                stream.sendall(head + b"\0" * size)
                head = bytes([0x00, 0xff]) + struct.pack(">Q", size) + b"\0" * 4 if number % 2 else b""
    at_once(10, one)


ATTACKS = [rapid_reset, reset_of_queries, continuations, empty_continuations, settings_flood, pings, windows, priorities,
           empty_data, many_streams, malformed, huge_bodies, many_bodies, deep, wrong_passwords, connections, web_sockets,
           slow_readers, slow_heads, slow_bodies]

failures = []


def check(is_right, text):
    if not is_right and text not in failures:
        failures.append(text)
        print(f"FAILED: {text}", flush=True)


class Good(threading.Thread):
    """A client that asks for something small again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.answered, self.worst, self.is_resting, self.is_over = 0, 0.0, False, False

    def run(self):
        questions = [("GET", "/info", b""), ("POST", "/ksql", b'{"ksql": "LIST STREAMS;"}'),
                     ("POST", "/query", b'{"ksql": "SELECT * FROM counts WHERE id = 1;"}')]
        while not self.is_over:
            for question in [] if self.is_resting else questions:
                start = time.monotonic()
                try:
                    status, _ = ask(*question, timeout=60)
                    check(status == 200, f"the well-behaved client gets {status} for {question[1]}")
                    self.answered += 1
                except (OSError, IndexError) as error:
                    check(False, f"the well-behaved client is not answered for {question[1]}: {error}")
                self.worst = max(self.worst, time.monotonic() - start)
            time.sleep(0.05)


def held():
    """What the process holds."""
    with open(f"/proc/{PID}/status") as status:
        fields = dict(line.split(":", 1) for line in status if ":" in line)
    return {"kilobytes": int(fields["VmRSS"].split()[0]), "threads": int(fields["Threads"]),
            "handles": len(os.listdir(f"/proc/{PID}/fd"))}


def settled(before=None):
    """What it holds when that no longer becomes less; threads that wait for work end after 10 s without any, and free memory
    is returned every 10 s."""
    last = held()
    for turn in range(16):
        time.sleep(1.5)
        now = held()
        is_back = {name: now[name] <= (before or now)[name] + slack for name, slack in SLACK.items()}
        goes_on = now["kilobytes"] < last["kilobytes"] or not is_back["kilobytes"] and turn < 8
        if is_back["threads"] and is_back["handles"] and not goes_on:
            break
        last = now
    return held()


def prepare():
    status, answer = statements("""SET 'auto.offset.reset'='earliest';
        CREATE STREAM pad (id INT KEY, text STRING) WITH (KAFKA_TOPIC='pad', PARTITIONS=1, VALUE_FORMAT='JSON');
        CREATE TABLE counts AS SELECT id, COUNT(*) AS n FROM pad GROUP BY id;
        CREATE TABLE pads AS SELECT id, LATEST_BY_OFFSET(text) AS text FROM pad GROUP BY id;""")
    assert status == 200, answer
    for start in range(0, 600, 100):
        rows = [f"INSERT INTO pad VALUES ({id}, '{'x' * 10_000}');" for id in range(start, start + 100)]
        status, answer = statements("".join(rows))
        assert status == 200, answer[:500]


def main():
    wanted = sys.argv[3:]
    unknown = set(wanted) - {attack.__name__ for attack in ATTACKS}
    if unknown:
        sys.exit(f"there is no attack {', '.join(unknown)}")
    prepare()
    before = settled()
    print(f"at the start: {before}", flush=True)
    for attack in ATTACKS:
        if wanted and attack.__name__ not in wanted:
            continue
        after, most = [], 0
        good = Good()
        good.start()
        # Those that hold something until it is ended take long. What large answers leave behind in pieces levels off slowly.
        rounds = {slow_heads: 1, slow_bodies: 1, slow_readers: 2 * ROUNDS}.get(attack, ROUNDS)
        for _ in range(rounds):
            try:
                attack()
            except OSError as error:
                check(False, f"{attack.__name__}: {error}")
            most = max(most, held()["kilobytes"]) if os.path.exists(f"/proc/{PID}/fd") else most
            if not os.path.exists(f"/proc/{PID}"):
                check(False, f"{attack.__name__}: the process has ended")
                sys.exit(1)
            # Threads that wait for work end only if there is little of it.
            good.is_resting = True
            after.append(settled(before))
            good.is_resting = False
        good.is_over = True
        good.join()
        for name, slack in SLACK.items():
            # What the first half takes may stay with the allocator.
            check(after[-1][name] <= after[(len(after) - 1) // 2][name] + slack, f"{attack.__name__}: {name} grow: {[a[name] for a in after]}")
        check(after[-1]["handles"] <= before["handles"] + SLACK["handles"], f"{attack.__name__}: handles stay: {after[-1]}")
        print(f"{attack.__name__}: {[a['kilobytes'] // 1024 for a in after]} MiB, at most {most // 1024}; threads "
              f"{after[-1]['threads']}, handles {after[-1]['handles']}; others: {good.answered} answers, the slowest "
              f"after {good.worst:.2f} s", flush=True)
    sys.exit(1 if failures else 0)


main()
