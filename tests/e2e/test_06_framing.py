# SPDX-License-Identifier: Apache-2.0
"""How a request is framed on the wire: chunks, 100 Continue, keep-alive, bodies that never end (P4, P20)."""
import pytest

from support import wire
from support.sender import Sender, batch_name, gzip_batch, proxy_headers
from support.wait import wait_until


def chunked_head(name, body):
    return wire.head("POST", "/acme/web", {**proxy_headers(name, body), "Transfer-Encoding": "chunked"})


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_a_chunked_body_is_stored_whole(receiver, step):
    body, name = gzip_batch(lines=50), batch_name("acme", "web")
    with wire.Connection(receiver.port) as connection:
        connection.send(chunked_head(name, body))
        for start in range(0, len(body), step):
            connection.send(wire.chunk(body[start:start + step]))
        connection.send(wire.chunk(b""))
        assert connection.read_reply().status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body


def test_a_chunked_body_over_the_limit_is_413(make_receiver):
    receiver = make_receiver({"webhook": {"max_payload_size": "64KiB"}}).start()
    body, name = gzip_batch(), batch_name("acme", "web")
    with wire.Connection(receiver.port) as connection:
        connection.send(chunked_head(name, body))
        connection.send(wire.chunk(body + b"\0" * 70_000))
        assert connection.read_reply().status == 413
        assert connection.at_end()
    assert receiver.scrape().batches("accepted") == 0


def test_expect_100_continue_gets_one_before_the_body(receiver):
    body, name = gzip_batch(), batch_name("acme", "web")
    with wire.Connection(receiver.port) as connection:
        connection.send(wire.head("POST", "/acme/web", {**proxy_headers(name, body), "Expect": "100-continue"}, len(body)))
        assert connection.read_interim() == 100
        connection.send(body)
        assert connection.read_reply().status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body


def test_a_refused_head_gets_no_100_continue(receiver):
    body = gzip_batch()
    with wire.Connection(receiver.port) as connection:
        connection.send(wire.head("POST", "/acme/web", {**proxy_headers("a/b", body), "Expect": "100-continue"}, len(body)))
        assert connection.read_reply().status == 400
        assert connection.interim == []


def test_a_connection_is_kept_for_the_next_batch(receiver):
    bodies = {}
    with wire.Connection(receiver.port) as connection:
        for _ in range(10):
            body, name = gzip_batch(), batch_name("acme", "web")
            reply = connection.request("POST", "/acme/web", proxy_headers(name, body), body)
            assert reply.status == 200 and reply.header("connection", "keep-alive").lower() != "close"
            bodies[f"acme/web/{name}"] = body
    receiver.wait_batches("stored", 10)
    assert receiver.stored() == bodies


def test_an_early_refusal_reaches_a_sender_that_is_still_sending(receiver):
    """A close that resets would take the reply away from who is busy writing."""
    body = gzip_batch() + b"\0" * 3_000_000
    for _ in range(10):
        with wire.Connection(receiver.port) as connection:
            head = wire.head("POST", "/acme/web", proxy_headers("a/b", body), len(body))
            try:
                connection.send(head + body)
            except ConnectionError:
                pass
            assert connection.read_reply().status == 400


def test_a_body_aborted_in_the_middle_stores_nothing(receiver, sender):
    body, name = gzip_batch(lines=100), batch_name("acme", "web")
    with wire.Connection(receiver.port) as connection:
        connection.send(wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)) + body[:-1])
        wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_connections") >= 1, "the connection")
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_connections") == 0, "the end of the connection")
    other, other_name = gzip_batch(), batch_name("acme", "web")
    assert sender.post("acme", "web", other, other_name).status == 200
    scrape = receiver.wait_batches("stored", 1)
    assert scrape.batches("accepted") == 1
    assert receiver.stored() == {f"acme/web/{other_name}": other}
    # Its name is free: the batch was never accepted.
    assert sender.post("acme", "web", body, name).status == 200


def test_a_body_that_does_not_come_is_closed_without_a_4xx(make_receiver):
    receiver = make_receiver({"webhook": {"read_timeout_seconds": 1}}).start()
    body, name = gzip_batch(lines=100), batch_name("acme", "web")
    with wire.Connection(receiver.port) as connection:
        connection.send(wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)) + body[:10])
        try:
            assert connection.read_reply().status == 503
        except wire.Closed:
            pass
    assert receiver.scrape().batches("accepted") == 0


def test_a_head_in_single_bytes_is_read_as_one(receiver):
    body, name = gzip_batch(), batch_name("acme", "web")
    with wire.Connection(receiver.port) as connection:
        for byte in wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)):
            connection.send(bytes([byte]))
        connection.send(body)
        assert connection.read_reply().status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body


def test_http_1_0_is_served_and_closed(receiver):
    body, name = gzip_batch(), batch_name("acme", "web")
    head = wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)).replace(b"HTTP/1.1", b"HTTP/1.0")
    with wire.Connection(receiver.port) as connection:
        connection.send(head + body)
        assert connection.read_reply().status == 200
        assert connection.at_end()
    assert receiver.wait_stored(f"acme/web/{name}") == body


@pytest.mark.parametrize(
    "head",
    [
        b"POST /acme/web HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /acme/web HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /acme/web HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /acme/web HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /acme/web HTTP/1.1\r\nHost: h\r\nX-A : b\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /acme/web HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /acme/web HTTP/2.5\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /health HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
    ],
)
def test_a_request_that_two_readers_could_split_differently_is_400(receiver, head):
    with wire.Connection(receiver.port) as connection:
        connection.send(head)
        assert connection.read_reply().status == 400
        assert connection.at_end()
    assert receiver.scrape().batches("accepted") == 0


def test_two_of_a_header_that_must_be_single_is_400(receiver):
    body = gzip_batch()
    headers = [*proxy_headers("one.gz", body).items(), ("X-Proxy-Filename", "two.gz")]
    assert wire.request(receiver.port, "POST", "/acme/web", headers, body).status == 400


def test_a_pipelined_request_is_not_served(receiver):
    first, second = batch_name("acme", "web"), batch_name("acme", "web")
    body = gzip_batch()
    with wire.Connection(receiver.port) as connection:
        connection.send(b"".join(
            wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)) + body
            for name in (first, second)))
        reply = connection.read_reply()
        assert reply.status == 200 and reply.header("connection").lower() == "close"
        assert connection.at_end()
    assert receiver.wait_stored(f"acme/web/{first}") == body
    assert receiver.scrape().batches("accepted") == 1


def test_a_large_head_is_431(receiver):
    reply = wire.request(receiver.port, "POST", "/acme/web", {"X-Padding": "x" * 70_000}, gzip_batch())
    assert reply.status == 431


def test_more_connections_than_allowed_wait_and_the_rest_go_on(make_receiver):
    """At the cap a new connection is not answered, or is closed; those within it are served."""
    receiver = make_receiver({"webhook": {"max_connections": 4}}).start()
    kept = [wire.Connection(receiver.port) for _ in range(4)]
    for connection in kept:
        assert connection.request("GET", "/health").status == 200
    with wire.Connection(receiver.port) as extra:
        for connection in kept:
            body, name = gzip_batch(), batch_name("acme", "web")
            assert connection.request("POST", "/acme/web", proxy_headers(name, body), body).status == 200
        for connection in kept:
            connection.close()
        # Room again: either this one is served at last, or a new one is.
        try:
            status = extra.request("GET", "/health").status
        except (wire.Closed, ConnectionError):
            status = None
    assert status in (200, 503, None)
    wait_until(lambda: served(receiver.port), "service after the crowd has gone")
    assert Sender(receiver.port).post().status == 200


def served(port):
    try:
        return wire.request(port, "GET", "/health").status == 200
    except (wire.Closed, ConnectionError):
        return False
