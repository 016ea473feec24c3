# SPDX-License-Identifier: Apache-2.0
"""The raw cases through real balancers, whose connections to the daemon are shared by all clients: whatever a client sends,
the next one gets its own answer, and every batch that was accepted was acknowledged to the one who sent it."""
import gzip
import re
import socket

import pytest

from support import wire
from support.balancer import Balancer
from support.raw_cases import CASES, GZ, PLAIN
from support.sender import batch_name, gzip_batch, proxy_headers

# What a balancer may make of the cases that it reads more generously than the daemon: a whole body, and nothing else.
KNOWN = (GZ, PLAIN, b"x")

_ACKNOWLEDGED = re.compile(rb'"status":"success".*?"file_id":"([^"]+)"')


@pytest.fixture(params=["nginx-buffered", "nginx-streamed", "haproxy"])
def balancer(request, receiver, tmp_path):
    balancer = Balancer(request.param, tmp_path / "balancer", receiver.port)
    yield balancer
    balancer.close()


def exchange(port, data):
    """All that comes back until the end. Shutting down our side is how an incomplete request ends."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                answer += piece
        except OSError: # it has closed already; on a shutdown that is ENOTCONN
            pass
    return answer


def test_no_request_shifts_the_answers_of_a_shared_connection(receiver, balancer):
    sent, acknowledged = {}, set()
    for case in CASES:
        names = [batch_name("acme", "web"), batch_name("acme", "web", "smuggled")]
        data = case.data.replace(b"@NAME@", names[0].encode()).replace(b"@SMUGGLED@", names[1].encode())
        sent |= dict.fromkeys(names, KNOWN)
        acknowledged |= {name.decode() for name in _ACKNOWLEDGED.findall(exchange(balancer.port, data))}

        body, name = gzip_batch(), batch_name("acme", "web")
        reply = wire.request(balancer.port, "POST", "/acme/web", proxy_headers(name, body), body)
        assert reply.status == 200, f"after {case.name}: {reply}"
        assert reply.json()["file_id"] == name, f"the answer after {case.name} is somebody else's"
        sent[name] = (body,)
        acknowledged.add(name)
    accepted = receiver.scrape().batches("accepted")
    receiver.wait_batches("stored", accepted)
    stored = {path.rpartition("/")[2]: data for path, data in receiver.stored().items()}
    assert len(acknowledged) > len(CASES)
    assert set(stored) == acknowledged
    for name, data in stored.items():
        assert data in sent[name] or gzip.decompress(data) in sent[name], f"{name} holds what nobody sent"


def test_connections_to_the_daemon_are_shared(receiver, balancer):
    """Or the test above would prove nothing."""
    for _ in range(20):
        body, name = gzip_batch(), batch_name("acme", "web")
        assert wire.request(balancer.port, "POST", "/acme/web", proxy_headers(name, body), body).status == 200
    assert receiver.scrape().total("bytefreezer_receiver_connections") <= 2
