# SPDX-License-Identifier: Apache-2.0
"""What one client may take from the others: memory, rates, connections, time."""
import random
from concurrent.futures import ThreadPoolExecutor

from support import wire
from support.sender import batch_name, gzip_batch, proxy_headers

AUTH = {"plugin": "auth", "mode": "open"}


def noise_batch(size):
    return gzip_batch(1, random.Random(size).randbytes(size).hex())


def post_chunked(port, name, body, piece=50_000):
    headers = {**proxy_headers(name, body), "Transfer-Encoding": "chunked"}
    with wire.Connection(port) as connection:
        connection.send(wire.head("POST", "/acme/web", headers))
        for at in range(0, len(body), piece):
            connection.send(wire.chunk(body[at:at + piece]))
        connection.send(wire.chunk(b""))
        return connection.read_reply()


def post_whole(port, name, body):
    return wire.request(port, "POST", "/acme/web", proxy_headers(name, body), body)


def test_bodies_many_times_the_memory_budget_are_all_stored(make_receiver):
    """40 of 900 KB at once into 2 MiB, half of them of undeclared length; nobody tries twice."""
    receiver = make_receiver({"memory": {"budget": "2MiB", "wait": "60s"}, "ack_timeout": "2m"}).start()
    body = noise_batch(800_000)
    assert len(body) > 800_000
    names = [batch_name("acme", "web") for _ in range(40)]
    with ThreadPoolExecutor(40) as clients:
        replies = [clients.submit(post_chunked if i % 2 else post_whole, receiver.port, name, body)
                   for i, name in enumerate(names)]
        assert [reply.result().status for reply in replies] == [200] * 40
    receiver.wait_batches("stored", 40).check_conservation()
    assert receiver.stored() == {f"acme/web/{name}": body for name in names}
