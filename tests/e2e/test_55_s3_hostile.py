# SPDX-License-Identifier: Apache-2.0
"""A store that means harm, or something that is no store at all: replies without end, replies that lie, redirects to
somebody else. It gets nothing that is not its own, costs little memory, and each batch still ends in one right object."""
import re
import socket
import threading

import pytest

from support import faulty_proxy
from support.outage import QUICK_RETRY
from support.s3_fixtures import *  # noqa: F401,F403
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

SHORT = {"connect_timeout": "5s", "stall_timeout": "5s", "request_timeout": "20s"}
PIECE = 65536


def post(receiver, body=None):
    body, name = body or gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    return {f"acme/web/{name}": body}


def resident_peak(receiver):
    status = open(f"/proc/{receiver.process.pid}/status", encoding="ascii").read()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024


def endless(start, piece):
    """After `start` the same piece again and again, until the client has had enough or 1 GB have gone."""

    def fault(connection, head):
        for _ in connection.body(head):
            pass
        connection.client.sendall(start)
        many = piece * (PIECE // len(piece) + 1)
        for _ in range((1 << 30) // len(many)):
            connection.client.sendall(many)
        faulty_proxy.reset(connection.client)

    return fault


def raw(reply):
    """The store is not asked; exactly these bytes, and the end of the connection."""

    def fault(connection, head):
        for _ in connection.body(head):
            pass
        connection.client.sendall(reply)
        connection.client.shutdown(socket.SHUT_RDWR)

    return fault


BOMB = (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "' + b"x" * 1000 + b'">' +
        b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)) +
        b"]><Error><Code>&j;</Code><Message>&j;</Message></Error>")

FAULTS = {
    "headers without end": endless(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 900 + b"\r\n"),
    "a header without end": endless(b"HTTP/1.1 200 OK\r\nX-More: ", b"x" * 1000),
    "a status line without end": endless(b"HTTP/1.1 500 ", b"x" * 1000),
    "interim replies without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints without end": endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "an error document of a gigabyte": endless(b"HTTP/1.1 403 x\r\nContent-Length: 1073741824\r\n\r\n", b"<Error>" * 100),
    "chunks without end": endless(b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n", b"8\r\n<Error>x\r\n"),
    "trailers without end": endless(b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-More: x\r\n"),
    "entities in entities": faulty_proxy.answer(500, BOMB),
    "a length that is too long": raw(b"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 500\r\n\r\nx"),
    "a length that is no number": raw(b"HTTP/1.1 500 x\r\nContent-Length: -1\r\n\r\n"),
    "a length of 30 digits": raw(b"HTTP/1.1 500 x\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n"),
    "no HTTP at all": raw(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "zeros": raw(bytes(100000)),
    "nothing": raw(b""),
    "a switch to HTTP/2": raw(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + bytes(500)),
    "HTTP/2 without being asked": raw(b"HTTP/2 200\r\n\r\n"),
    "a date at the end of time": faulty_proxy.error(
        403, "RequestTimeTooSkewed", headers=["Date: Fri, 31 Dec 9999 23:59:59 GMT"]),
    "a region that is a host": faulty_proxy.error(
        301, "PermanentRedirect", more="<Region>evil.example/x</Region>", headers=["x-amz-bucket-region: evil.example#"]),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_reply_that_means_harm_costs_little_and_charges_nothing(s3_receiver, bucket, proxy, fault):
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy, **SHORT)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    before = resident_peak(receiver)
    proxy.fault(fault, times=2)
    expected = {**post(receiver), **post(receiver)}
    receiver.wait_batches("stored", 2).check_conservation()
    assert proxy.hits == 2
    assert bucket.objects() == expected
    assert {bucket.head(key)["Metadata"]["retry-count"] for key in expected} == {"0"}
    if not receiver.build.sanitizer:
        assert resident_peak(receiver) - before < 16 << 20


class Listener:
    """Somebody else's host: it hears what it is told."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.heard = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client:
                self.heard.append(client.recv(PIECE))

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
def test_nobody_else_is_sent_anything(s3_receiver, bucket, proxy, status):
    """Neither the batch nor the signature goes to where a reply points; the region that it names changes no host."""
    other = Listener()
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy, **SHORT)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    place = f"http://127.0.0.1:{other.port}"
    proxy.fault(faulty_proxy.error(status, "PermanentRedirect" if status == 301 else "TemporaryRedirect",
                                   more=f"<Endpoint>127.0.0.1:{other.port}</Endpoint>",
                                   headers=[f"Location: {place}/x", f"Alt-Svc: http/1.1=\"127.0.0.1:{other.port}\"",
                                            f"Refresh: 0; url={place}"]), times=2)
    expected = {**post(receiver), **post(receiver)}
    receiver.wait_batches("stored", 2).check_conservation()
    other.close()
    assert other.heard == [] and bucket.objects() == expected
