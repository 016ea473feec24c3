# SPDX-License-Identifier: Apache-2.0
"""PROXY headers from trusted balancers, sockets that a supervisor hands over, and the metrics' own port."""
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys

import pytest

from support import wire
from support.balancer import Balancer
from support.certificates import Authority
from support.sender import batch_name, gzip_batch, proxy_headers
from support.wait import wait_until

V2_START = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = "203.0.113.9"
HEADERS = {
    "version 1": f"PROXY TCP4 {CLIENT} 10.0.0.1 4711 80\r\n".encode(),
    "version 2": V2_START + b"\x21\x11" + struct.pack("!H4s4sHH", 12, socket.inet_aton(CLIENT), socket.inet_aton("10.0.0.1"), 4711, 80),
}


@pytest.fixture
def receiver(make_receiver):
    return make_receiver({"webhook": {"proxy_protocol": {"trusted": ["127.0.0.0/8"]}}}).start()


def closed(receiver, reason):
    return receiver.scrape().total("bytefreezer_receiver_connections_closed_total", reason=reason)


def post_head(body, name):
    return wire.head("POST", "/acme/web", proxy_headers(name, body), len(body))


@pytest.mark.parametrize("version", HEADERS)
@pytest.mark.parametrize("step", [1, 5, 100_000])
def test_a_header_in_any_pieces_names_the_client(receiver, version, step):
    body, name = gzip_batch(), batch_name("acme", "web")
    data = HEADERS[version] + post_head(body, name) + body
    with wire.Connection(receiver.port) as connection:
        for start in range(0, len(data), step):
            connection.send(data[start:start + step])
        assert connection.read_reply().status == 200
        # The header stands once, before the first request of the connection.
        connection.send(wire.head("GET", "/no/such/route"))
        assert connection.read_reply().status == 405
    assert receiver.wait_stored(f"acme/web/{name}") == body
    assert wait_until(lambda: receiver.logged("request refused"), "the refusal")[0]["peer"] == CLIENT


@pytest.mark.parametrize("header", [V2_START + b"\x20\0\0\0", b"PROXY UNKNOWN\r\n"])
def test_a_balancer_may_speak_for_itself(receiver, header):
    with wire.Connection(receiver.port) as connection:
        connection.send(header + wire.head("GET", "/health"))
        assert connection.read_reply().status == 200
        connection.send(wire.head("GET", "/no/such/route"))
        connection.read_reply()
    assert wait_until(lambda: receiver.logged("request refused"), "the refusal")[0]["peer"] == "127.0.0.1"


@pytest.mark.parametrize("data", [
    wire.head("GET", "/health"),
    b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n" + wire.head("GET", "/health"),
    HEADERS["version 1"].replace(b"\r\n", b" x\r\n"),
    V2_START + b"\x21\x11\xff\xff",
], ids=["none", "a bad port", "something behind the ports", "too long"])
def test_a_trusted_balancer_must_send_a_good_header(receiver, data):
    with wire.Connection(receiver.port) as connection:
        connection.send(data)
        assert connection.at_end()
    assert closed(receiver, "proxy_missing") == 1
    with wire.Connection(receiver.port) as connection:
        connection.send(HEADERS["version 1"] + wire.head("GET", "/health"))
        assert connection.read_reply().status == 200


def test_who_sends_no_header_at_all_is_closed(make_receiver):
    receiver = make_receiver({"webhook": {"proxy_protocol": {"trusted": ["127.0.0.1"]}, "head_timeout": "200ms"}}).start()
    with wire.Connection(receiver.port) as connection:
        assert connection.at_end()
    assert closed(receiver, "proxy_missing") == 1


@pytest.mark.parametrize("version", HEADERS)
@pytest.mark.parametrize("step", [1, 100])
def test_nobody_else_may_claim_an_address(make_receiver, version, step):
    receiver = make_receiver({"webhook": {"proxy_protocol": {"trusted": ["10.0.0.0/8"]}}}).start()
    with wire.Connection(receiver.port) as connection:
        try:
            for start in range(0, len(HEADERS[version]), step):
                connection.send(HEADERS[version][start:start + step])
        except ConnectionError:
            pass
        assert connection.at_end()
    assert closed(receiver, "proxy_untrusted") == 1
    body, name = gzip_batch(), batch_name("acme", "web")
    with wire.Connection(receiver.port) as connection:
        for byte in post_head(body, name):
            connection.send(bytes([byte]))
        connection.send(body)
        assert connection.read_reply().status == 200


def test_a_connection_reset_before_it_is_accepted_is_nobodys(make_receiver):
    """Its bytes can still be read, but not whose they are: that makes no balancer an untrusted one."""
    webhook = {"threads": 1, "proxy_protocol": {"trusted": ["127.0.0.0/8"]}}
    receiver = make_receiver({"webhook": webhook}).start()
    receiver.signal(signal.SIGSTOP)
    with wire.Connection(receiver.port) as connection:
        connection.send(HEADERS["version 1"] + wire.head("GET", "/health"))
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    receiver.signal(signal.SIGCONT)
    for _ in range(2):  # accepted behind it, by the same loop
        with wire.Connection(receiver.port) as connection:
            connection.send(HEADERS["version 1"] + wire.head("GET", "/health"))
            assert connection.read_reply().status == 200
    assert closed(receiver, "proxy_untrusted") == 0
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_connections") == 0, "no connection")


def test_limits_per_address_count_clients_not_balancers(make_receiver):
    receiver = make_receiver({"webhook": {"proxy_protocol": {"trusted": ["127.0.0.1"]},
                                          "max_connections_per_address": 1}}).start()
    other = HEADERS["version 1"].replace(CLIENT.encode(), b"203.0.113.10")
    with wire.Connection(receiver.port) as one, wire.Connection(receiver.port) as two:
        for connection, header in ((one, HEADERS["version 1"]), (two, other)):
            connection.send(header + wire.head("GET", "/health"))
            assert connection.read_reply().status == 200
        with wire.Connection(receiver.port) as surplus:
            surplus.send(HEADERS["version 1"] + wire.head("GET", "/health"))
            assert surplus.at_end()
    assert closed(receiver, "per_address") == 1


def test_the_header_stands_before_tls(make_receiver, tmp_path):
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.issue_pair("server")
    receiver = make_receiver({"webhook": {"proxy_protocol": {"trusted": ["127.0.0.1"]},
                                          "tls": {"certificate": str(certificate), "key": str(key)}}}).start()
    context = ssl.create_default_context(cafile=authority.certificate)
    body, name = gzip_batch(lines=5000), batch_name("acme", "web")
    for header in HEADERS.values():
        with wire.Connection(receiver.port) as connection:
            connection.send(header)
            connection.socket = context.wrap_socket(connection.socket, server_hostname="127.0.0.1")
            assert connection.request("POST", "/acme/web", proxy_headers(name, body), body).status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy_tells_the_client(receiver, tmp_path, option):
    balancer = Balancer("haproxy", tmp_path / "balancer", receiver.port, option)
    try:
        body, name = gzip_batch(lines=5000), batch_name("acme", "web")
        client = wire.Connection(balancer.port, source=("127.0.0.77", 0))
        with client:
            assert client.request("POST", "/acme/web", proxy_headers(name, body), body).status == 200
            assert client.request("GET", "/no/such/route").status == 405
    finally:
        balancer.close()
    assert receiver.wait_stored(f"acme/web/{name}") == body
    assert wait_until(lambda: receiver.logged("request refused"), "the refusal")[0]["peer"] == "127.0.0.77"
    assert closed(receiver, "proxy_missing") == 0


# Inherited sockets

LAUNCHER = """
import fcntl, os, sys
names, fds, *command = sys.argv[1:]
fds = [int(fd) for fd in fds.split(",")]
copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, 200) for fd in fds]  # out of the way of what is to come
for index, fd in enumerate(copies):
    os.dup2(fd, 3 + index, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execvp(command[0], command)
"""


def launch_with(receiver, sockets):
    """Start the daemon with sockets as a supervisor would hand them over."""
    build = receiver.build
    fds = [sock.fileno() for _, sock in sockets]
    with open(receiver.log_path, "wb") as log:
        receiver.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, ":".join(name for name, _ in sockets), ",".join(map(str, fds)),
             *build.command("run", "--config", receiver.config_path)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, pass_fds=fds,
            env={**build.environment(), **receiver.env})


def listening():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    return sock


def test_inherited_sockets_are_served_by_all_threads(make_receiver):
    receiver = make_receiver({"webhook": {"threads": 4}})
    with listening() as webhook, listening() as api, listening() as metrics:
        early = wire.Connection(webhook.getsockname()[1])  # queued before there is a daemon
        launch_with(receiver, [("webhook", webhook), ("api", api), ("metrics", metrics)])
        receiver.port, receiver.api_port = webhook.getsockname()[1], api.getsockname()[1]
        with early:
            assert early.request("GET", "/health").status == 200
        wait_until(lambda: receiver.get("/readyz").status == 200, "ready")
        bodies = {}
        for _ in range(40):
            body, name = gzip_batch(), batch_name("acme", "web")
            assert wire.request(receiver.port, "POST", "/acme/web", proxy_headers(name, body), body).status == 200
            bodies[f"acme/web/{name}"] = body
        receiver.wait_batches("stored", 40)
        assert receiver.stored() == bodies
        page = wire.request(metrics.getsockname()[1], "GET", "/metrics")
        assert page.status == 200 and b"bytefreezer_receiver_build_info" in page.body
        assert receiver.logged("sockets were handed over; webhook.bind and webhook.port are not used")
        receiver.stop()
        # The supervisor's sockets still listen: a client waits for the next instance instead of being refused.
        wire.Connection(receiver.port).close()


@pytest.mark.parametrize("what", ["no name", "not a listener", "no TCP"])
def test_what_cannot_be_served_is_refused_at_start(make_receiver, what, tmp_path):
    receiver = make_receiver()
    name, sock, text = {
        "no name": ("unknown", listening(), "FileDescriptorName=webhook"),
        "not a listener": ("webhook", socket.socket(), "not a listening TCP socket"),
        "no TCP": ("webhook", socket.socket(socket.AF_UNIX), "not a listening TCP socket"),
    }[what]
    with sock:
        if what == "no TCP":
            sock.bind(str(tmp_path / "socket"))
            sock.listen(1)
        launch_with(receiver, [(name, sock)])
        assert receiver.wait() == 1
    assert text in receiver.log()


# The metrics' own port

def test_the_metrics_have_a_port_that_serves_nothing_else(make_receiver):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    receiver = make_receiver({"metrics": {"port": port, "bind": "127.0.0.1"}}).start()
    page = wire.request(port, "GET", "/metrics")
    assert page.status == 200 and page.header("content-type").startswith("text/plain; version=0.0.4")
    assert re.search(rb"^bytefreezer_receiver_connections ", page.body, re.M)
    for path in ("/", "/livez", "/api/v1/health", "/metrics/"):
        assert wire.request(port, "GET", path).status == 404
    assert wire.request(port, "POST", "/metrics", body=b"x").status == 405
    assert receiver.get("/metrics").status == 200
