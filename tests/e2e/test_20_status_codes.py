# SPDX-License-Identifier: Apache-2.0
"""Statuses in their exact situation that no other test brings about: what is our fault or the way's is never a 4xx, and what
will pass says when to come back. The others: 200, 409 in test_03_post, 404, 405 in test_04_routes_and_names, 401, 403 in
test_05_auth, 410 and 404 by the control service's word in test_21_control_auth, 429 for rates in test_14_limits, 413, 415 and
431 in support/raw_cases.py."""
import base64
import hashlib
import random
import socket

import pytest

from support import wire
from support.outage import QUICK_RETRY, Obstacle
from support.sender import Sender, batch_name, gzip_batch, proxy_headers
from support.wait import wait_until

AUTH = {"plugin": "auth", "mode": "open"}


def assert_passing(reply, reason):
    """A 429 or 503 whose sender asked for JSON."""
    assert int(reply.header("retry-after")) >= 1
    assert reply.header("content-type") == "application/problem+json"
    assert reply.json()["reason"] == reason and reply.json()["status"] == reply.status


JSON = {"Accept": "application/json"}


def content_digest(body):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@pytest.mark.parametrize("state", [
    lambda body: {"Content-Digest": content_digest(body)},
    lambda body: {"Content-Digest": f"sha-512=:AAAA:, {content_digest(body)}"},
    lambda body: {"X-Content-SHA256": hashlib.sha256(body).hexdigest()},
], ids=["content-digest", "among others", "x-content-sha256"])
def test_a_body_is_compared_with_its_digest_and_damage_is_503(receiver, sender, state):
    body, name = gzip_batch(lines=2000), batch_name("acme", "web")
    damaged = body[:500] + bytes([body[500] ^ 1]) + body[501:]
    assert_passing(sender.post("acme", "web", damaged, name, headers={**state(body), **JSON}), "digest")
    assert receiver.scrape().batches("accepted") == 0
    # Its name is free: the same batch, undamaged, is welcome.
    assert sender.post("acme", "web", body, name, headers=state(body)).status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body
    assert receiver.scrape().total("bytefreezer_receiver_refused_total", reason="digest") == 1


def test_damage_to_the_gzip_header_is_503_too_when_a_digest_tells(sender):
    body = gzip_batch()
    damaged = body[:2] + b"\x07" + body[3:]
    assert sender.post("acme", "web", damaged, headers={"Content-Digest": content_digest(body)}).status == 503
    assert sender.post("acme", "web", damaged, headers={"Content-Digest": content_digest(damaged)}).status == 400
    assert sender.post("acme", "web", damaged).status == 400


def test_a_full_check_refuses_what_does_not_decompress(make_receiver):
    receiver = make_receiver({"webhook": {"gzip_check": "full"}}).start()
    sender = Sender(receiver.port)
    body = gzip_batch(lines=5000)
    for bad in (body[:-1], body[:-8] + b"\0" * 8, body + b"\0", body + b"x", body[:100] + b"\xff" * 50 + body[150:]):
        reply = sender.post("acme", "web", bad)
        assert (reply.status, "does not decompress" in reply.text()) == (400, True)
    assert receiver.scrape().batches("accepted") == 0
    for good in (body, body + gzip_batch(), random.Random(1).randbytes(50_000)):
        name = batch_name("acme", "web")
        assert sender.post("acme", "web", good, name).status == 200
        receiver.wait_stored(f"acme/web/{name}")


def test_an_answer_that_does_not_come_in_time_is_503(make_receiver):
    receiver = make_receiver({"ack": "sink", "ack_timeout": "300ms", "retry": QUICK_RETRY}, pipeline=[
        AUTH, {"plugin": "memory"}, {"plugin": "fs", "directory": "sink"}]).start()
    obstacle = Obstacle(receiver.sink)
    body, name = gzip_batch(), batch_name("acme", "web")
    sender = Sender(receiver.port)
    assert_passing(sender.post("acme", "web", body, name, headers=JSON), "ack_timeout")
    obstacle.remove()
    assert receiver.wait_stored(f"acme/web/{name}") == body
    receiver.wait_batches("stored", 1)
    assert sender.post("acme", "web", body, name).json()["duplicate"] is True


def test_a_new_request_while_stopping_is_503(make_receiver):
    # One loop: a loop on which nothing is under way closes its kept connections at once.
    receiver = make_receiver({"webhook": {"threads": 1}}).start()
    body, name = gzip_batch(lines=100), batch_name("acme", "web")
    with wire.Connection(receiver.port) as busy, wire.Connection(receiver.port) as kept:
        assert kept.request("GET", "/health").status == 200
        busy.send(wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)) + body[:50])
        wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_memory_used_bytes") > 0, "a body on its way")
        receiver.signal()
        wait_until(lambda: not listens(receiver.port), "closed listeners")
        other = batch_name("acme", "web")
        reply = kept.request("POST", "/acme/web", {**proxy_headers(other, body), **JSON}, body)
        assert reply.status == 503 and reply.header("connection") == "close"
        assert_passing(reply, "draining")
        busy.send(body[50:])
        assert busy.read_reply().status == 200
    assert receiver.wait() == 0


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionError:
        return False
    return True


def test_a_tenant_that_fills_its_share_of_the_spool_is_429_and_others_are_served(make_receiver):
    receiver = make_receiver({"retry": QUICK_RETRY}, pipeline=[
        AUTH, {"plugin": "disk", "directory": "spool", "max_size_bytes": "32MiB", "tenant_share": 0.1},
        {"plugin": "fs", "directory": "sink"}]).start()
    obstacle = Obstacle(receiver.sink)
    sender = Sender(receiver.port)
    body = b"\x1f\x8b\x08\x00" + random.Random(2).randbytes(300_000)
    for _ in range(100):
        reply = sender.post("acme", "web", body, headers=JSON)
        if reply.status != 200:
            break
    assert reply.status == 429
    assert_passing(reply, "tenant_share")
    assert sender.post("globex", "web", body).status == 200
    obstacle.remove()
    accepted = receiver.scrape().batches("accepted")
    receiver.wait_batches("stored", accepted).check_conservation()
