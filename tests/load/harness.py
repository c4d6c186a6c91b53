"""What the programs of this folder share: a server as a process, clients of HTTP/1.1 and HTTP/2, and figures.

Python's standard library alone. The clients are small on purpose: they see frames and chunks as they come, so that a
program can tell a row that is cut off from one that is wrong.
"""

import argparse
import atexit
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Cut(Exception):
    """The connection ended before an answer was complete."""


class Refused(Exception):
    """The server answered with an error."""


def arguments(description):
    """A parser with the arguments that all programs take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--binary", default=os.path.join(ROOT, "target/release/tidemill"), help="the server to measure")
    parser.add_argument("--scratch", help="a folder for data, on the disk to measure; else a temporary one")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a property of the server")
    parser.add_argument("--server-cpus", metavar="N[,N]", help="the processors that the server may use")
    parser.add_argument("--client-cpus", metavar="N[,N]", help="the processors that this program may use")
    parser.add_argument("--nice", type=int, default=0, help="the priority of the server and of this program")
    return parser


def cpus(text):
    return {int(number) for number in text.split(",")} if text else None


def prepare(options):
    """Gives this process its processors and priority, and returns the folder for data."""
    if options.client_cpus:
        os.sched_setaffinity(0, cpus(options.client_cpus))
    if options.nice:
        os.setpriority(os.PRIO_PROCESS, 0, options.nice)
    if options.scratch:
        os.makedirs(options.scratch, exist_ok=True)
    return tempfile.mkdtemp(prefix="tidemill-load-", dir=options.scratch)


def server(options, folder, settings=()):
    """The server that the arguments describe, not yet started."""
    return Server(options.binary, folder, [*settings, *options.set], cpus(options.server_cpus), options.nice)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`tidemill serve` over one data folder; it can be started again after its end."""

    def __init__(self, binary, folder, settings=(), processors=None, priority=0):
        self.binary, self.folder, self.settings = binary, folder, settings
        self.processors, self.priority = processors, priority
        self.port, self.process = free_port(), None
        self.log = folder.rstrip("/") + ".log"

    def _limits(self):
        if self.processors:
            os.sched_setaffinity(0, self.processors)
        if self.priority:
            os.setpriority(os.PRIO_PROCESS, 0, self.priority)

    def spawn(self):
        """Starts the process and does not wait for it."""
        command = [self.binary, "serve", "--data-dir", self.folder, "--listen", f"127.0.0.1:{self.port}"]
        for setting in self.settings:
            command += ["--set", setting]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=self._limits)
        atexit.register(self.process.kill)  # Without effect on one that has ended.

    def start(self, patience=60):
        """Starts it and returns the seconds until /healthcheck answered."""
        begin = time.perf_counter()
        self.spawn()
        while time.perf_counter() - begin < patience:
            if self.process.poll() is not None:
                raise Refused(f"the server ended with {self.process.returncode}: {self.last_words()}")
            try:
                with Http1(self.port) as client:
                    if client.request("GET", "/healthcheck")[0] == 200:
                        return time.perf_counter() - begin
            except (Cut, OSError):
                pass
            time.sleep(0.001)
        raise Refused(f"no answer within {patience} s: {self.last_words()}")

    def last_words(self):
        with open(self.log, errors="replace") as log:
            return log.read()[-1000:]

    def stop(self, number=signal.SIGTERM):
        """Ends it in order and returns (seconds, status)."""
        begin = time.perf_counter()
        self.process.send_signal(number)
        status = self.process.wait(timeout=300)
        return time.perf_counter() - begin, status

    def kill(self):
        self.process.kill()
        self.process.wait()

    def _proc(self, name):
        with open(f"/proc/{self.process.pid}/{name}") as file:
            return file.read()

    def cpu_seconds(self):
        """Processor time of all its threads, user and system."""
        fields = self._proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_bytes(self):
        return int(self._proc("statm").split()[1]) * PAGE

    def peak_rss_bytes(self):
        line = next(line for line in self._proc("status").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def threads(self):
        return int(self._proc("stat").rsplit(")", 1)[1].split()[17])

    def handles(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def ksql(self, text, properties=None):
        """Executes statements over a connection of their own."""
        with Http1(self.port) as client:
            return ksql(client, text, properties)

    def rows(self, sql, properties=None):
        """The rows of a query that ends."""
        with Http1(self.port) as client:
            body = json.dumps({"sql": sql, "properties": properties or {}})
            status, answer = client.request("POST", "/query-stream", body)
        if status != 200:
            raise Refused(answer.decode())
        lines = [json.loads(line) for line in answer.splitlines() if line.strip()]
        wrong = [line for line in lines[1:] if not isinstance(line, list)]
        if wrong:
            raise Refused(json.dumps(wrong[0]))
        return lines[1:]

    def metric(self, name, **labels):
        """The sum of a metric's values over what has these labels."""
        with Http1(self.port) as client:
            text = client.request("GET", "/metrics")[1].decode()
        total = 0
        for line in text.splitlines():
            if line.startswith(name) and all(f'{label}="{value}"' in line for label, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total


def ksql(client, text, properties=None):
    """Executes statements over HTTP/1.1 and returns the answer; raises Refused for an error."""
    body = json.dumps({"ksql": text, "streamsProperties": properties or {}})
    status, answer = client.request("POST", "/ksql", body)
    if status != 200:
        raise Refused(answer.decode())
    return json.loads(answer)


class Http1:
    """A kept-alive connection of HTTP/1.1."""

    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def _more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise Cut("the connection ended")
        self.buffer += data

    def _line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._more()
        line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
        return line

    def _exactly(self, count):
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send(self, method, path, body=""):
        body = body.encode() if isinstance(body, str) else body
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def head(self):
        """Reads the head of an answer: (status, the length of its body or None if it comes in chunks)."""
        status, length = int(self._line().split()[1]), None
        while line := self._line():
            name, value = line.split(b":", 1)
            if name.lower() == b"content-length":
                length = int(value)
        return status, length

    def chunk(self):
        """The next chunk of a body, empty at its end."""
        size = int(self._line().split(b";")[0], 16)
        data = self._exactly(size)
        if self._exactly(2) != b"\r\n":
            raise ValueError("a chunk does not end where it says")
        return data

    def chunks(self):
        """Returns the chunks that are whole, after one read if there is none, and whether the body has ended."""
        found, ended = self._whole_chunks()
        if not found and not ended:
            self._more()
            found, ended = self._whole_chunks()
        return found, ended

    def _whole_chunks(self):
        found = []
        while (end := self.buffer.find(b"\r\n")) > 0:
            size = int(self.buffer[:end], 16)
            after = end + 2 + size + 2
            if len(self.buffer) < after:
                break
            if size == 0:
                return found, True
            found.append(self.buffer[end + 2 : after - 2])
            self.buffer = self.buffer[after:]
        return found, False

    def request(self, method, path, body=""):
        """(status, body) of a request whose answer ends."""
        self.send(method, path, body)
        status, length = self.head()
        if length is not None:
            return status, self._exactly(length)
        parts = []
        while part := self.chunk():
            parts.append(part)
        return status, b"".join(parts)


DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
STATUSES = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """A header field that no table has (RFC 7541, 6.2.2), shorter than 127 bytes."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


class Http2:
    """A connection of HTTP/2 in clear text, with many streams. `events` reads what has come."""

    def __init__(self, port, timeout=60, window=0x7FFFFFFF):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings = struct.pack(">HIHI", 1, 0, 4, window)
        opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings)
        self.socket.sendall(opening + frame(WINDOW, 0, 0, struct.pack(">I", 0x7FFFFFFF - 65535)))
        self.buffer, self.next_stream, self.taken = b"", 1, 0
        self.room, self.initial, self.rooms, self.largest = 65535, 65535, {}, 16384
        self.waiting, self.streams_allowed = [], None

    def close(self):
        self.socket.close()

    def open(self, path, body=None):
        """Begins a POST; with a body the request is complete. Returns the stream."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        fields = b"\x83\x86" + literal(b":path", path.encode()) + literal(b":authority", b"localhost")
        self.rooms[stream] = self.initial
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, fields))
        if body is not None:
            self.send(stream, body.encode() if isinstance(body, str) else body, True)
        return stream

    def send(self, stream, data, end=False):
        """Sends data as flow control allows; what comes meanwhile is kept for `events`."""
        while True:
            while (room := min(self.room, self.rooms[stream], self.largest, len(data))) <= 0 and data:
                self.waiting += self._read()
            part, data = data[:room], data[room:]
            self.room -= len(part)
            self.rooms[stream] -= len(part)
            self.socket.sendall(frame(DATA, END_STREAM if end and not data else 0, stream, part))
            if not data:
                return

    def events(self):
        """Waits for something and returns [(stream, what, value)]: status, data, end or reset."""
        found, self.waiting = self.waiting, []
        return found or self._read()

    def _read(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise Cut("the connection ended")
        buffer, at, found = self.buffer + data, 0, []
        while len(buffer) - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if len(buffer) - at < 9 + length:
                break
            kind, flags, stream = struct.unpack_from(">BBI", buffer, at + 3)
            self._take(kind, flags, stream & 0x7FFFFFFF, buffer[at + 9 : at + 9 + length], found)
            at += 9 + length
        self.buffer = buffer[at:]
        if self.taken > 1 << 28:
            self.socket.sendall(frame(WINDOW, 0, 0, struct.pack(">I", self.taken)))
            self.taken = 0
        return found

    def _take(self, kind, flags, stream, payload, found):
        if kind == DATA:
            self.taken += len(payload)
            if payload:
                found.append((stream, "data", payload))
        elif kind == HEADERS:
            block = payload.lstrip(b"\x20")
            found.append((stream, "status", STATUSES.get(block[0] if block else 0, 0)))
        elif kind == RESET:
            found.append((stream, "reset", int.from_bytes(payload, "big")))
        elif kind == SETTINGS and not flags & ACK:
            self._settings(payload)
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            found.append((0, "goaway", payload[8:]))
        elif kind == WINDOW:
            more = int.from_bytes(payload, "big")
            if stream:
                self.rooms[stream] = self.rooms.get(stream, self.initial) + more
            else:
                self.room += more
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            found.append((stream, "end", None))

    def _settings(self, payload):
        for name, value in struct.iter_unpack(">HI", payload):
            if name == 3:
                self.streams_allowed = value
            elif name == 4:
                for stream in self.rooms:
                    self.rooms[stream] += value - self.initial
                self.initial = value
            elif name == 5:
                self.largest = value
        self.socket.sendall(frame(SETTINGS, ACK, 0))


class Push:
    """The rows of a push query as they come, for `select`; `ended` says whether the server has said its last word."""

    def __init__(self, port, sql, properties=None, version=1):
        body = json.dumps({"sql": sql, "properties": properties or {}})
        self.version, self.ended, self.header = version, False, None
        self.client = Http1(port) if version == 1 else Http2(port)
        if version == 1:
            self.client.send("POST", "/query-stream", body)
            status, length = self.client.head()
            if status != 200:
                raise Refused(self.client._exactly(length).decode())
        else:
            self.client.open("/query-stream", body)
        self.early = []
        while self.header is None and not self.ended:
            self.early += self._read()

    def fileno(self):
        return self.client.socket.fileno()

    def close(self):
        self.client.close()

    def read(self):
        """Waits for bytes and returns the rows that are whole; raises Cut, or ValueError for what is no JSON."""
        early, self.early = self.early, []
        return early or self._read()

    def _read(self):
        rows = []
        for line in self._elements():
            value = json.loads(line)
            if self.header is None:
                self.header = value
            elif isinstance(value, list):
                rows.append(value)
            else:
                raise Refused(json.dumps(value))
        return rows

    def _elements(self):
        if self.version == 1:
            chunks, self.ended = self.client.chunks()
            return [chunk for chunk in chunks if chunk.strip()]
        found = []
        for _, what, value in self.client.events():
            if what == "data" and value.strip():
                found.append(value)
            elif what == "status" and value != 200:
                raise Refused(f"status {value}")
            elif what in ("end", "reset"):
                self.ended = True
        return found


def percentile(values, share):
    """The value below which a share of all lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def milliseconds(values):
    """The usual figures of durations in seconds, as a text."""
    parts = [f"p{label} {percentile(values, share) * 1e3:.2f}" for label, share in SHARES]
    return f"{', '.join(parts)}, max {max(values) * 1e3:.2f} ms (of {len(values)})"


SHARES = (("50", 0.5), ("90", 0.9), ("99", 0.99))


def say(what, figure, goal=""):
    """Prints a figure with its goal beside it."""
    print(f"{what:<44} {figure}" + (f"   [goal: {goal}]" if goal else ""), flush=True)


def sync_seconds(folder, count=200):
    """Durations of `count` appends of 4 KiB with fdatasync, as the journal does them."""
    path, durations = os.path.join(folder, "sync-probe"), []
    with open(path, "wb", buffering=0) as file:
        for _ in range(count):
            begin = time.perf_counter()
            file.write(b"\0" * 4096)
            os.fdatasync(file.fileno())
            durations.append(time.perf_counter() - begin)
    os.remove(path)
    return durations


def folder_bytes(folder):
    """The bytes that a folder takes on the disk."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                pass  # It was removed since it was listed.
    return total


def forget(folder_or_file):
    """Has the kernel drop files from its page cache, as far as nothing uses them."""
    files = [folder_or_file] if os.path.isfile(folder_or_file) else []
    files += [os.path.join(path, name) for path, _, names in os.walk(folder_or_file) for name in names]
    for name in files:
        with open(name, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)


def produce(binary, folder, topic, lines, *extra):
    """Writes lines to a topic of a folder that no server uses."""
    command = [binary, "topic", "produce", topic, "-", "--data-dir", folder, *extra]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr)
    for line in lines:
        child.stdin.write(line)
    child.stdin.close()
    if child.wait() != 0:
        raise Refused("topic produce failed")
