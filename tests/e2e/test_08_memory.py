# SPDX-License-Identifier: Apache-2.0
"""A full queue refuses early, with the status that makes a sender come back, and loses nothing."""
import random

from support import wire
from support.outage import QUICK_RETRY, Obstacle
from support.sender import Sender, batch_name, gzip_batch, proxy_headers
from support.wait import wait_until

AUTH = {"plugin": "auth", "mode": "open"}


def small_receiver(make_receiver, limit, **changes):
    return make_receiver({"retry": QUICK_RETRY, **changes}, pipeline=[
        AUTH, {"plugin": "memory", "max_bytes": limit}, {"plugin": "fs", "directory": "sink"},
    ])


def noise(size):
    return random.Random(size).randbytes(size)


def test_a_full_queue_is_503_with_retry_after_until_there_is_room(make_receiver):
    receiver = small_receiver(make_receiver, "256KiB").start()
    obstacle = Obstacle(receiver.sink)
    sender, bodies = Sender(receiver.port), {}
    padding = noise(10_000).hex()
    for _ in range(1000):
        body, name = gzip_batch(1, padding), batch_name("acme", "web")
        reply = sender.post("acme", "web", body, name)
        if reply.status != 200:
            break
        bodies[f"acme/web/{name}"] = body
    assert reply.status == 503, reply
    assert int(reply.header("retry-after")) >= 1
    assert 0 < sum(map(len, bodies.values())) <= 256 * 1024
    assert receiver.get("/readyz").status == 503
    scrape = receiver.scrape()
    assert scrape.batches("accepted") == len(bodies) and scrape.batches("unaccounted") == 0

    obstacle.remove()
    receiver.wait_batches("stored", len(bodies)).check_conservation()
    assert receiver.stored() == bodies
    wait_until(lambda: receiver.get("/readyz").status == 200, "room again")
    # The one that was refused is welcome now: its name was not remembered.
    assert sender.post("acme", "web", body, name).status == 200


def test_a_full_queue_is_refused_before_the_body_is_sent(make_receiver):
    receiver = small_receiver(make_receiver, "64KiB").start()
    obstacle = Obstacle(receiver.sink)
    sender = Sender(receiver.port)
    body = noise(2000)
    while (reply := sender.post(body=body, headers={"Content-Encoding": "identity"})).status == 200:
        pass
    assert reply.status == 503
    name = batch_name("acme", "web")
    with wire.Connection(receiver.port) as connection:
        headers = {**proxy_headers(name, body), "Expect": "100-continue"}
        connection.send(wire.head("POST", "/acme/web", headers, 16_000))
        assert connection.read_reply().status == 503
        assert connection.interim == []
    obstacle.remove()
    wait_until(lambda: receiver.scrape().batches("held") == 0, "an empty queue")


def test_those_who_declare_much_and_send_nothing_cost_nothing(make_receiver):
    """200 idle uploads of 10 MiB each, in a budget of 32 MiB, keep nobody else out."""
    receiver = make_receiver({"memory": {"budget": "32MiB"}}).start()
    idle = []
    for _ in range(200):
        connection = wire.Connection(receiver.port)
        name = batch_name("acme", "idle")
        connection.send(wire.head("POST", "/acme/idle", proxy_headers(name, b""), 10 << 20))
        idle.append(connection)
    sender = Sender(receiver.port)
    assert [sender.post().status for _ in range(20)] == [200] * 20
    for connection in idle:
        connection.close()
    receiver.wait_batches("stored", 20).check_conservation()
