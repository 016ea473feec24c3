# SPDX-License-Identifier: Apache-2.0
"""The API port under requests that mean harm: each gets an answer of the API, and batches flow meanwhile."""
import select
import socket
import threading

import pytest

from support import wire
from support.api import Api
from support.letters import write_letters
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

CHANGES = [("POST", "/api/v1/dlq/retry"), ("POST", "/api/v1/dlq/purge"), ("POST", "/api/v1/tenants/acme/purge"),
           ("PUT", "/api/v1/log-level"), ("POST", "/api/v1/reload")]
BODIES = [b"[" * 16000, b'{"a":' * 3000, b'{"a":1,' * 2000, b"\x00" * 100, b'{"tenant_id":"a\x00b","dataset_id":"*"}',
          b'{"tenant_id":"\\ud800","dataset_id":"*"}', b'{"id":1e999}', b'{"id":' + b"9" * 15000 + b"}", b'\xff\xfe{}', b"{}{}", b"{",
          b'{"dry_run":true,"dry_run":false}', b'{"level":"info","level":"debug"}', b'{"tenant_id":{},"dataset_id":[]}', b"null"]


@pytest.fixture(scope="module")
def daemon(build, tmp_path_factory):
    """1,000 dead letters that nothing here may touch; batches flow into the sink beside them."""
    from support.spool import Lives  # pylint: disable=import-outside-toplevel
    lives = Lives(build, tmp_path_factory.mktemp("hostile"), options={"max_size_bytes": "1GiB", "dlq_max_share": "0.9"})
    write_letters(lives.directory, 1000)
    receiver = lives.start()
    wait_until(lambda: receiver.scrape().batches("buried") == 1000, "letters")
    yield receiver
    receiver.scrape().check_conservation()
    lives.close()


class Flow:
    """Posts batches one after another while something else goes on."""

    def __init__(self, receiver):
        self.sender, self.statuses, self.over = Sender(receiver.port), [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.is_set():
            self.statuses.append(self.sender.post("flow", "web", gzip_batch(), batch_name("flow", "web")).status)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        seen = len(self.statuses)
        wait_until(lambda: len(self.statuses) > seen + 3, "batches that still flow")
        self.over.set()
        self.thread.join()
        assert set(self.statuses) == {200}


def test_bodies_that_mean_harm_change_nothing(daemon):
    api = Api(daemon)
    with Flow(daemon):
        for method, path in CHANGES:
            for body in BODIES:
                reply = api.request(method, path, body)
                assert reply.status == 400 and reply.json()["error"], (method, path, body[:40], reply)
    assert daemon.scrape().batches("buried") == 1000


@pytest.mark.parametrize("headers", [
    [("Host", "evil.example")], [("Host", "127.0.0.1.evil.example")], [("Host", "localhost:8081@evil.example")],
    [("Host", "evil.example#localhost")], [("Host", "[::1")], [("Host", "[::1].evil.example")], [("Host", "")],
    [("Origin", "http://evil.example")], [("Origin", "null")], [("Origin", "")], [("Origin", "file://")],
    [("Origin", "http://HOST.evil.example")], [("Origin", "http://evil.example://HOST")], [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "")], [("Sec-Fetch-Site", "same-origin, cross-site")],
    [("Origin", "http://HOST"), ("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-origin"), ("Origin", "http://evil.example")]], ids=str)
def test_a_browser_that_is_made_to_ask_is_refused(daemon, headers):
    api = Api(daemon)
    given = [(name, value.replace("HOST", api.host)) for name, value in headers]
    for method, path in CHANGES:
        assert api.request(method, path, headers=given).status == 403, (method, path)


@pytest.mark.long
def test_a_thousand_requests_at_once_are_all_answered(daemon):
    request = wire.head("GET", "/api/v1/dlq/files?limit=1000", [("Host", "localhost")], 0)
    with Flow(daemon):
        answers = []
        for _ in range(5):  # the port takes 256 connections at a time
            crowd = [wire.Connection(daemon.api_port) for _ in range(200)]
            for connection in crowd:
                connection.send(request)
            assert daemon.get("/livez").status == 200
            answers += [connection.read_reply().status for connection in crowd]
            for connection in crowd:
                connection.close()
    assert set(answers) == {200, 503} and len(answers) == 1000


@pytest.mark.long
def test_clients_that_do_not_read_cost_others_nothing(daemon):
    slow = []
    for _ in range(30):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", daemon.api_port))
        client.sendall(wire.head("GET", "/api/v1/dlq/files?limit=1000", [("Host", "localhost")], 0) * 2)
        slow.append(client)
    with Flow(daemon):
        assert len(select.select(slow, [], [], 60)[0]) > 0  # answers have begun
        for _ in range(20):
            assert daemon.get("/livez").status == 200
        assert len(wait_until(lambda: Api(daemon).request("GET", "/api/v1/dlq/files?limit=10").status == 200
                              and Api(daemon).letters(limit=1000), "a listing")) == 1000
    for client in slow:
        client.close()
