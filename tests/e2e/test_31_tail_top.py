# SPDX-License-Identifier: Apache-2.0
"""`tail` and `top`: a running daemon watched through its API, and what that may never cost."""
import hashlib
import json
import os
import select
import signal
import socket
import subprocess

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
        self.text = b""

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
        return [json.loads(line) for line in self.text.split(b"\n")[:-1] if line]

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


def test_tail_notices_a_daemon_that_was_killed(make_receiver, build):
    receiver = make_receiver().start()
    command = followed(receiver, build)
    receiver.kill()
    code, error = command.end()
    assert code == 1 and "cannot ask the daemon" in error


@pytest.mark.parametrize("arguments", [
    ["tail", "x"], ["tail", "--once"], ["tail", "--nothing"], ["tail", "--api"]])
def test_wrong_usage_is_2_and_names_the_right_one(build, arguments):
    result = build.run(*arguments)
    assert result.returncode == 2 and f"Usage: bytefreezer-receiver {arguments[0]}" in result.stderr
