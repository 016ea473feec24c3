# SPDX-License-Identifier: Apache-2.0
"""What one client may take from the others: memory, rates, connections, time."""
import random
from concurrent.futures import ThreadPoolExecutor

from support import wire
from support.sender import Sender, batch_name, gzip_batch, proxy_headers
from support.wait import wait_until

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


def test_bodies_that_wait_for_each_other_all_pass_in_the_end(make_receiver):
    """The same with the shipped wait: some may be told to come again, but what holds a part of the memory is completed, so
    that each round lets some through."""
    receiver = make_receiver({"memory": {"budget": "2MiB"}}).start()
    body = noise_batch(800_000)
    names = [batch_name("acme", "web") for _ in range(40)]

    def post_until_taken(number):
        post = post_chunked if number % 2 else post_whole
        for _ in range(20):
            reply = post(receiver.port, names[number], body)
            if reply.status != 503:
                return reply.status
        return 503

    with ThreadPoolExecutor(40) as clients:
        assert set(clients.map(post_until_taken, range(40))) == {200}
    receiver.wait_batches("stored", 40).check_conservation()
    assert receiver.stored() == {f"acme/web/{name}": body for name in names}
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_memory_used_bytes") == 0, "memory given back")


# Rates

def post_until_refused(sender, tenant, most, **options):
    for count in range(most):
        reply = sender.post(tenant, "web", **options)
        if reply.status != 200:
            return count, reply
    raise AssertionError(f"{most} requests of {tenant} and none refused")


def test_a_tenant_over_its_rate_gets_429_and_the_others_nothing(make_receiver):
    receiver = make_receiver({"quotas": {"tenants": {"acme": {"requests_per_second": 1}}}}).start()
    sender = Sender(receiver.port)
    stored, reply = post_until_refused(sender, "acme", 1000)
    assert reply.status == 429 and reply.header("retry-after") == "1"
    assert [sender.post("other", "web").status for _ in range(20)] == [200] * 20
    assert receiver.scrape().total("bytefreezer_receiver_refused_total", reason="request_rate") == 1
    wait_until(lambda: sender.post("acme", "web").status == 200, "a second to go by")
    receiver.wait_batches("stored", stored + 21).check_conservation()


def test_all_loops_share_one_rate(make_receiver):
    """1 KiB per second, and 400 KiB on many connections: one body goes through, and its debt is everyone's."""
    receiver = make_receiver({"quotas": {"default": {"bytes_per_second": "1KiB"}}}).start()
    body = noise_batch(80_000)
    with ThreadPoolExecutor(20) as clients:
        replies = [clients.submit(Sender(receiver.port).post, body=body) for _ in range(20)]
        statuses = [reply.result().status for reply in replies]
    assert sorted(statuses) == [200] + [429] * 19


def test_a_chunked_body_is_paid_for_and_its_debtor_refused(make_receiver):
    """Who does not declare a length has no other rate than who does."""
    receiver = make_receiver({"quotas": {"default": {"bytes_per_second": "1KiB"}}}).start()
    body = noise_batch(80_000)
    for status in (200, 429, 429):
        headers = {**proxy_headers(batch_name("acme", "web"), body), "Transfer-Encoding": "chunked"}
        with wire.Connection(receiver.port) as connection:
            connection.send(wire.head("POST", "/acme/web", headers) + wire.chunk(body) + wire.chunk(b""))
            assert connection.read_reply().status == status
    assert receiver.scrape().total("bytefreezer_receiver_refused_total", reason="byte_rate") == 2


# Connections

def open_until_refused(port, most):
    """Connections that were served a request and stay, until one is not."""
    held = []
    for _ in range(most):
        connection = wire.Connection(port)
        try:
            assert connection.request("GET", "/health").status == 200
        except wire.Closed:
            return held
        held.append(connection)
    raise AssertionError(f"{most} connections, and all were served")


def test_an_address_has_so_many_connections(make_receiver):
    receiver = make_receiver({"webhook": {"max_connections_per_address": 5}}).start()
    held = open_until_refused(receiver.port, 6)
    assert len(held) == 5
    held.pop().close()
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_connections") == 4, "its place")
    assert wire.request(receiver.port, "GET", "/health").status == 200
    for connection in held:
        connection.close()


def test_connections_leave_descriptors_to_the_spool(make_receiver):
    """With 256 descriptors and twice as many clients, a batch still gets to the disk and from there to the sink."""
    receiver = make_receiver({"ack": "disk", "webhook": {"max_connections": 10_000}}, pipeline=[
        AUTH, {"plugin": "disk", "directory": "spool", "segment_bytes": "1MiB"}, {"plugin": "fs", "directory": "sink"},
    ])
    receiver.start(descriptors=256)
    assert receiver.logged("fewer connections than webhook.max_connections, for want of descriptors")
    sender = wire.Connection(receiver.port)
    assert sender.request("GET", "/health").status == 200
    crowd = [wire.Connection(receiver.port) for _ in range(512)]
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_connections") == 128, "all places taken")
    for _ in range(8):  # several segments
        body, name = noise_batch(400_000), batch_name("acme", "web")
        assert sender.request("POST", "/acme/web", proxy_headers(name, body), body).status == 200
    receiver.wait_batches("stored", 8).check_conservation()
    assert receiver.logged("not accepting connections for a moment")
    for connection in crowd:
        connection.close()
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_connections") == 1, "the crowd gone")
    assert wire.request(receiver.port, "GET", "/health").status == 200
    sender.close()
