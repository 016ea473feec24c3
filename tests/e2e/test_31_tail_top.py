# SPDX-License-Identifier: Apache-2.0
"""`tail` and `top`: a running daemon watched through its API, and what that may never cost."""
import fcntl
import hashlib
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios

import pytest

from support import wire
from support.api import Api
from support.load import Load
from support.sender import Sender, batch_name, gzip_batch
from support.wait import LIMIT, wait_until

TOKEN = "tell-nobody-2d77"
MEMBERS = ["time", "account_id", "tenant_id", "dataset_id", "filename", "bytes", "stored_sha256", "duplicate"]


class Stream:
    """A client of /api/v1/tail that reads only when it is told to."""

    def __init__(self, receiver, query="", token=None, buffer=None):
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(LIMIT)
        self.socket.connect(("127.0.0.1", receiver.api_port))
        self.socket.sendall(wire.head("GET", f"/api/v1/tail{query}", [
            ("Host", "localhost"), *([("Authorization", f"Bearer {token}")] if token else [])], None))
        self.bytes, self.ended = b"", False
        while b"\r\n\r\n" not in self.bytes:
            self.receive()
        self.head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        self.status = int(self.head.split()[1])
        self.text, self._parsed, self._lines = b"", 0, []

    def receive(self):
        more = self.socket.recv(1 << 16)
        self.ended = not more
        self.bytes += more
        return more

    def unwrap(self):
        """Take complete chunks out of what has come; True after the last one."""
        while b"\r\n" in self.bytes:
            size, rest = self.bytes.split(b"\r\n", 1)
            size = int(size, 16)
            if len(rest) < size + 2:
                return False
            self.text += rest[:size]
            self.bytes = rest[size + 2:]
            if size == 0:
                return True
        return False

    def lines(self):
        """Those that have come in full."""
        end = self.text.rfind(b"\n") + 1
        self._lines += [json.loads(line) for line in self.text[self._parsed:end].split(b"\n") if line]
        self._parsed = max(end, self._parsed)
        return list(self._lines)

    def read(self, count):
        """Lines until so many have come."""
        while len(self.lines()) < count:
            assert self.receive(), self.lines()
            self.unwrap()
        return self.lines()

    def read_to_the_end(self):
        while not self.unwrap():
            assert self.receive(), "cut off"
        return self.lines()

    def close(self):
        self.socket.close()


def told(lines):
    """How many batches the lines are about, those left out as well."""
    return sum(line.get("dropped", 1) for line in lines)


# --- GET /api/v1/tail

def test_each_accepted_batch_is_one_line_and_a_repeat_says_so(make_receiver):
    receiver = make_receiver({"server": {"admin_token": TOKEN}}).start()
    assert wire.request(receiver.api_port, "GET", "/api/v1/tail").status == 401
    everything, web = Stream(receiver, token=TOKEN), Stream(receiver, "?tenant_id=acme&dataset_id=web", TOKEN)
    assert b"application/x-ndjson" in everything.head
    sender, body = Sender(receiver.port, token="secret-of-the-sender"), gzip_batch()
    names = [batch_name("acme", "web"), batch_name("acme", "dns"), batch_name("other", "web")]
    for name in names:
        tenant, dataset, *_ = name.split("--")
        assert sender.post(tenant, dataset, body, name).status == 200
    assert sender.post("acme", "web", body, names[0]).json()["duplicate"]
    lines = everything.read(4)
    assert [line["filename"] for line in lines] == [*names, names[0]]
    assert [line["duplicate"] for line in lines] == [False, False, False, True]
    for line in lines:
        assert list(line) == MEMBERS and line["bytes"] == len(body)
        assert line["stored_sha256"] == hashlib.sha256(body).hexdigest()
    assert [line["filename"] for line in web.read(2)] == [names[0], names[0]]
    assert b"secret-of-the-sender" not in everything.text and b"127.0.0.1" not in everything.text
    receiver.stop()
    assert everything.read_to_the_end() == lines and len(web.read_to_the_end()) == 2
    for stream in (everything, web):
        stream.close()


def test_queries_are_strict_head_has_no_body_and_places_are_few(receiver):
    api = Api(receiver)
    for query in ("?tenant=a", "?tenant_id=" + "a" * 65, "?limit=1"):
        assert api.request("GET", f"/api/v1/tail{query}").status == 400
    head = api.request("HEAD", "/api/v1/tail")
    assert head.status == 200 and head.header("content-type") == "application/x-ndjson" and head.body == b""
    streams = [Stream(receiver) for _ in range(16)]
    assert api.request("GET", "/api/v1/tail").status == 503
    streams.pop().close()
    wait_until(lambda: another(receiver, streams), "a free place")
    Sender(receiver.port).post("acme", "web", gzip_batch(), batch_name("acme", "web"))
    for stream in streams:
        assert len(stream.read(1)) == 1
        stream.close()


def another(receiver, streams):
    stream = Stream(receiver)
    if stream.status == 200:
        streams.append(stream)
    return stream.status == 200


def test_a_hundred_slow_readers_cost_ingest_nothing_and_are_told_what_they_missed(make_receiver):
    receiver = make_receiver().start()
    crowd = [Stream(receiver, buffer=4096) for _ in range(100)]
    followers = [stream for stream in crowd if stream.status == 200]
    assert len(followers) == 16 and all(stream.status in (200, 503) for stream in crowd)
    load = Load(receiver.port, connections=200).start(seconds=600)
    wait_until(lambda: len(load.accepted) >= 6000, "6000 batches accepted while nobody reads")
    assert told(followers[0].read(1)) >= 1  # it is alive and far behind
    load.stopping = True
    load.join()
    count = len(load.accepted)
    assert load.statuses == {200: count} and load.unanswered == load.refused == 0
    assert receiver.scrape().batches("accepted") == count
    for stream in followers:
        while told(stream.lines()) < count:
            assert stream.receive()
            stream.unwrap()
        names = [f"{line['tenant_id']}/web/{line['filename']}" for line in stream.lines() if "filename" in line]
        assert told(stream.lines()) == count and len(names) < count
        assert len(set(names)) == len(names) and set(names) <= set(load.accepted)
    receiver.wait_batches("stored", count)
    assert Api(receiver).get("/api/v1/stats")["unaccounted_batches"] == 0
    for stream in crowd:
        stream.close()


# --- the command `tail`

class Command:
    """A command of the daemon's binary that runs until it is told to end."""

    def __init__(self, build, *arguments, env=None, **options):
        self.process = subprocess.Popen(
            build.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**build.environment(), **(env or {})}, **options)
        self.output = b""

    def read_until(self, text):
        def grown():
            if select.select([self.process.stdout], [], [], 0)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                assert more, (self.output, self.process.stderr.read())
                self.output += more
            return text in self.output
        wait_until(grown, text.decode())

    def end(self, number=None):
        """Its exit status and what it said on standard error."""
        if number:
            self.process.send_signal(number)
        rest, error = self.process.communicate(timeout=LIMIT)
        self.output += rest
        assert b"Sanitizer" not in error, error
        return self.process.returncode, error.decode()


def followed(receiver, build, *arguments, env=None):
    """`tail`, once the daemon knows of it."""
    command = Command(build, "tail", "--api", f"http://127.0.0.1:{receiver.api_port}", *arguments, env=env)
    sender, body = Sender(receiver.port), gzip_batch()

    def shown():
        assert sender.post("acme", "first", body, batch_name("acme", "first")).status == 200
        return select.select([command.process.stdout], [], [], 0.05)[0]

    wait_until(shown, "a line of tail")
    return command


def test_tail_prints_rows_or_json_and_ends_well_when_interrupted(make_receiver, build):
    receiver = make_receiver({"server": {"admin_token": TOKEN}}).start()
    env = {"RECEIVER_ADMIN_TOKEN": TOKEN}
    rows, raw = followed(receiver, build, env=env), followed(receiver, build, "--tenant", "acme", "--json", env=env)
    assert Sender(receiver.port).post("acme", "we-b", gzip_batch(), batch_name("acme", "we-b")).status == 200
    raw.read_until(b"we-b")
    rows.read_until(b"acme/we-b/")
    assert TOKEN not in open(f"/proc/{rows.process.pid}/cmdline", encoding="utf-8").read()
    for command, number in ((rows, signal.SIGINT), (raw, signal.SIGTERM)):
        assert command.end(number) == (0, "")
    assert rows.output.startswith(b"TIME")
    lines = [json.loads(line) for line in raw.output.splitlines()]
    assert all(list(line) == MEMBERS for line in lines)
    assert Command(build, "tail", "--api", f"http://127.0.0.1:{receiver.api_port}").end()[0] == 1  # no token


def test_tail_says_why_it_ended_and_leaves_quietly_when_nobody_reads(make_receiver, build):
    receiver = make_receiver().start()
    stopped, unread, killed = (followed(receiver, build) for _ in range(3))
    unread.process.stdout.close()
    assert unread.process.wait(timeout=LIMIT) == 0 and unread.process.stderr.read() == b""
    receiver.stop()
    for command in (stopped, killed):
        code, error = command.end()
        assert code == 1 and "it is stopping" in error
    code, error = Command(build, "tail", "--api", f"http://127.0.0.1:{receiver.api_port}").end()
    assert code == 1 and "is it running there?" in error


def test_tail_ends_when_its_lines_cannot_be_written(receiver, build):
    sender, body = Sender(receiver.port), gzip_batch()
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen(build.command("tail", "--api", f"http://127.0.0.1:{receiver.api_port}"), stdout=full,
                                   stderr=subprocess.PIPE, env=build.environment())

    def ended():
        assert sender.post("acme", "web", body, batch_name("acme", "web")).status == 200
        return process.poll() is not None

    try:
        wait_until(ended, "the end of tail")
    finally:
        process.kill()
    error = process.communicate()[1]
    assert process.returncode == 1 and error.endswith(b"cannot write to standard output: No space left on device\n")


def test_tail_notices_a_daemon_that_was_killed(make_receiver, build):
    receiver = make_receiver().start()
    command = followed(receiver, build)
    receiver.kill()
    code, error = command.end()
    assert code == 1 and "cannot ask the daemon" in error


@pytest.mark.parametrize("arguments", [
    ["tail", "x"], ["tail", "--once"], ["tail", "--nothing"], ["tail", "--api"], ["top", "--json"], ["top", "--interval", "0"],
    ["top", "--interval", "1x"], ["top", "more"]])
def test_wrong_usage_is_2_and_names_the_right_one(build, arguments):
    result = build.run(*arguments)
    assert result.returncode == 2 and f"Usage: bytefreezer-receiver {arguments[0]}" in result.stderr


# --- the command `top`

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[0m\x1b[?25h\x1b[?1049l"


class Terminal(Command):
    """`top` on a terminal of its own. `output` is all that it ever sent there."""

    def __init__(self, receiver, build, env=None, columns=100):
        self.master, self.slave = pty.openpty()
        self.resize(columns)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            build.command("top", "--api", f"http://127.0.0.1:{receiver.api_port}"), stdin=self.slave, stdout=self.slave,
            stderr=subprocess.PIPE, env={**build.environment(), **(env or {})}, start_new_session=True)
        self.output = b""

    def resize(self, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def take(self):
        while select.select([self.master], [], [], 0)[0]:
            self.output += os.read(self.master, 65536)

    def await_new(self, text):
        """Until it sends `text` again."""
        at = len(self.output)

        def shown():
            self.take()
            return text in self.output[at:]
        wait_until(shown, text.decode())
        return self.output[at:]

    def type(self, keys):
        os.write(self.master, keys)

    def leave(self):
        """Its exit status, once the terminal is as it was."""
        def ended():
            self.take()
            return self.process.poll() is not None
        wait_until(ended, "the end of top")
        self.take()
        assert self.output.endswith(LEAVE) and self.output.count(ENTER) == self.output.count(LEAVE)
        assert termios.tcgetattr(self.slave) == self.before
        error = self.process.stderr.read()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)
        assert error == b""
        return self.process.returncode


def test_top_shows_the_flow_follows_the_size_and_q_gives_the_terminal_back(receiver, build):
    top = Terminal(receiver, build)
    top.await_new(b"STAGES")
    assert ENTER in top.output and b"\x1b[1m" in top.output
    sender, body = Sender(receiver.port), gzip_batch()

    def seen():
        assert sender.post("acme", "web", body, batch_name("acme", "web")).status == 200
        top.take()
        return b"acme" in top.output
    wait_until(seen, "the tenant")
    top.resize(40)
    top.process.send_signal(signal.SIGWINCH)
    drawn = top.await_new(b"\x1b[J") + top.await_new(b"\x1b[J")
    last = drawn[:drawn.rindex(b"\x1b[J")].rsplit(b"\x1b[H", 1)[1].decode()
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[K"):
        last = last.replace(code, "")
    assert "\x1b" not in last and max(len(line.strip("\r")) for line in last.split("\n")) <= 40
    top.type(b"q")
    assert top.leave() == 0


def test_top_gives_the_terminal_back_on_signals_and_knows_no_color(receiver, build):
    tops = [Terminal(receiver, build, env={"NO_COLOR": "1"}) for _ in range(4)]
    for top, number in zip(tops, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)):
        top.await_new(b"STAGES")
        assert b"\x1b[3" not in top.output and b"\x1b[1m" not in top.output
        top.process.send_signal(number)
        assert top.leave() == 0


def test_top_says_that_the_daemon_is_gone_and_goes_on_trying(receiver, build):
    top = Terminal(receiver, build)
    top.await_new(b"STAGES")
    receiver.stop()
    top.await_new(b"trying again")
    top.await_new(b"cannot ask the daemon")
    assert top.process.poll() is None
    top.type(b"q")
    assert top.leave() == 0


def test_top_once_is_plain_text_and_fails_when_nobody_answers(receiver, build):
    place = f"http://127.0.0.1:{receiver.api_port}"
    assert Sender(receiver.port).post("acme", "web", gzip_batch(), batch_name("acme", "web")).status == 200
    for arguments in (["--once"], []):  # the second is in a pipe
        result = build.run("top", "--api", place, *arguments)
        assert result.returncode == 0 and result.stderr == "" and "\x1b" not in result.stdout
        for part in ("FLOW", "STAGES", "QUEUES", "SINKS", "ROOM", "acme"):
            assert part in result.stdout
    receiver.stop()
    result = build.run("top", "--once", "--api", place)
    assert result.returncode == 1 and "is it running there?" in result.stderr and result.stdout == ""
