# SPDX-License-Identifier: Apache-2.0
"""TLS on the webhook and the API: the same gate behind it, certificates exchanged while it runs, and what is said to those
who do not speak it."""
import http.client
import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

from support import wire
from support.certificates import Authority
from support.sender import batch_name, gzip_batch, proxy_headers
from support.wait import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server_pair(authority):
    return authority.issue_pair("server")


def tls_settings(pair, client_ca=None):
    settings = {"certificate": str(pair[0]), "key": str(pair[1])}
    return {**settings, "client_ca": str(client_ca)} if client_ca else settings


def client_context(authority, client=None, version=None):
    context = ssl.create_default_context(cafile=authority.certificate)
    if client:
        context.load_cert_chain(*client)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class Connection(wire.Connection):
    """The client of wire.py with TLS under it."""

    def __init__(self, port, context, **options):
        super().__init__(port, **options)
        self.raw = self.socket
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


@pytest.fixture
def receiver(make_receiver, server_pair):
    return make_receiver({"webhook": {"tls": tls_settings(server_pair), "max_payload_size": "4MiB"}}).start()


@pytest.fixture
def context(authority):
    return client_context(authority)


def refused(receiver, reason):
    return receiver.scrape().total("bytefreezer_receiver_connections_closed_total", reason=reason)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("lines", [1, 50_000])
def test_a_batch_over_tls_is_stored_byte_for_byte(receiver, authority, version, lines):
    body, name = gzip_batch(lines=lines), batch_name("acme", "web")
    with Connection(receiver.port, client_context(authority, version=version)) as connection:
        for _ in range(3):
            assert connection.request("POST", "/acme/web", proxy_headers(name, body), body).status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body


@pytest.mark.parametrize("step", [1, 100, 16_000])
def test_records_of_any_size_make_the_same_body(receiver, context, step):
    body, name = gzip_batch(lines=20 if step == 1 else 2000), batch_name("acme", "web")
    with Connection(receiver.port, context) as connection:
        data = wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)) + body
        for start in range(0, len(data), step):
            connection.send(data[start:start + step])
        assert connection.read_reply().status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_older_protocols_are_refused_and_counted(receiver, authority):
    old = client_context(authority)
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        Connection(receiver.port, old)
    wait_until(lambda: refused(receiver, "tls_handshake") == 1, "the handshake counted")
    assert not receiver.logged("connection refused: TLS handshake failed", level="error")
    assert receiver.logged("connection refused: TLS handshake failed", level="info")


def test_100_continue_and_a_kept_connection_work(receiver, context):
    body = gzip_batch()
    with Connection(receiver.port, context) as connection:
        for _ in range(3):
            head = {**proxy_headers(batch_name("acme", "web"), body), "Expect": "100-continue"}
            connection.send(wire.head("POST", "/acme/web", head, len(body)))
            assert connection.read_interim() == 100
            connection.send(body)
            assert connection.read_reply().status == 200


def test_pipelined_bytes_are_not_served(receiver, context):
    body = gzip_batch()
    one = wire.head("POST", "/acme/web", proxy_headers(batch_name("acme", "web"), body), len(body)) + body
    with Connection(receiver.port, context) as connection:
        connection.send(one + wire.head("GET", "/health"))
        reply = connection.read_reply()
        assert reply.status == 200 and reply.header("connection") == "close"
        assert connection.at_end()


def test_the_end_of_the_clients_side_does_not_take_its_reply(receiver, context):
    """close_notify right behind the body."""
    body, name = gzip_batch(), batch_name("acme", "web")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as plain:

        def exchange(operation):
            while True:
                try:
                    return operation()
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    data = plain.recv(65536)
                    if not data:
                        incoming.write_eof()
                    incoming.write(data)

        exchange(tls.do_handshake)
        tls.write(wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)) + body)
        try:
            tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        plain.sendall(outgoing.read())  # the request and the farewell in one piece
        plain.shutdown(socket.SHUT_WR)
        # What the server sent comes as records that this session no longer reads: take that it is stored, and the end.
        while plain.recv(65536):
            pass
    assert receiver.wait_stored(f"acme/web/{name}") == body
    assert receiver.scrape().total("bytefreezer_receiver_requests_total", code="200") == 1


def test_a_connection_ends_with_a_farewell(receiver, context):
    closing = wire.head("GET", "/health", {"Connection": "close"})
    for data, status in ((closing, 200), (b"no request\r\n\r\n", 400)):
        with Connection(receiver.port, context) as connection:
            connection.socket.suppress_ragged_eofs = False
            connection.send(data)
            assert connection.read_reply().status == status
            assert connection.socket.recv(1) == b""  # an end without close_notify would raise


def test_plain_http_is_told_so_and_may_try_again(receiver):
    body = gzip_batch(lines=20_000)
    reply = wire.request(receiver.port, "POST", "/acme/web", proxy_headers(batch_name("acme", "web"), body), body)
    assert reply.status == 503 and "https://" in reply.text()
    assert refused(receiver, "plain_http") == 1


def test_who_never_finishes_the_handshake_is_closed(make_receiver, server_pair):
    receiver = make_receiver({"webhook": {"tls": tls_settings(server_pair), "head_timeout": "200ms"}}).start()
    with wire.Connection(receiver.port) as silent, wire.Connection(receiver.port) as slow:
        slow.send(b"\x16\x03\x01")
        assert silent.at_end() and slow.at_end()


@pytest.mark.parametrize("why", ["too large", "unauthorised"])
def test_a_refusal_reaches_python_at_full_speed(make_receiver, server_pair, authority, tmp_path, why):
    receiver = refusing(make_receiver, server_pair, tmp_path)
    status, size = (413, 8_000_000) if why == "too large" else (401, 3_000_000)
    body = gzip_batch() + b"\0" * size
    context = client_context(authority)
    for _ in range(100):
        connection = http.client.HTTPSConnection("127.0.0.1", receiver.port, context=context, timeout=60)
        try:
            connection.request("POST", "/acme/web", body, proxy_headers(batch_name("acme", "web"), body))
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            pass
        reply = connection.getresponse()
        assert reply.status == status and reply.read()
        connection.close()


def test_a_refusal_reaches_a_raw_client_at_full_speed(make_receiver, server_pair, context, tmp_path):
    receiver = refusing(make_receiver, server_pair, tmp_path)
    for size, status in ((8_000_000, 413), (3_000_000, 401)):
        body = gzip_batch() + b"\0" * size
        for _ in range(100):
            with Connection(receiver.port, context) as connection:
                try:
                    connection.send(wire.head("POST", "/acme/web", {}, len(body)) + body)
                except (ConnectionError, ssl.SSLError):
                    pass
                reply = connection.read_reply()
                assert reply.status == status and reply.body


def refusing(make_receiver, server_pair, tmp_path):
    (tmp_path / "tenants.yaml").write_text(
        "tenants: [{account: a, tenant: acme, datasets: '*', tokens: ['sha256:" + "0" * 64 + "']}]\n")
    return make_receiver(
        {"webhook": {"tls": tls_settings(server_pair), "max_payload_size": "4MiB"}},
        pipeline=[{"plugin": "auth", "mode": "tokens", "tenants_file": str(tmp_path / "tenants.yaml")},
                  {"plugin": "memory"}, {"plugin": "fs", "directory": str(tmp_path / "sink")}]).start()


@pytest.mark.parametrize("why", ["too large", "unauthorised"])
def test_a_refusal_reaches_curl_at_full_speed(make_receiver, server_pair, authority, tmp_path, why):
    receiver = refusing(make_receiver, server_pair, tmp_path)
    status, size = (413, 8_000_000) if why == "too large" else (401, 3_000_000)
    body = tmp_path / "body"
    body.write_bytes(gzip_batch() + b"\0" * size)
    for _ in range(100):
        result = subprocess.run(
            ["curl", "--silent", "--show-error", "--http1.1", "--cacert", authority.certificate, "--data-binary",
             f"@{body}", "--header", "Expect:", "--write-out", "%{http_code}", "--output", tmp_path / "reply",
             f"https://127.0.0.1:{receiver.port}/acme/web"], capture_output=True, text=True, timeout=60)
        assert result.stdout == str(status), result.stderr
        assert (tmp_path / "reply").read_text().strip()


def test_a_client_certificate_is_required_when_asked_for(make_receiver, authority, server_pair, tmp_path):
    stranger = Authority(tmp_path / "stranger").issue_pair("mallory")
    receiver = make_receiver({"webhook": {"tls": tls_settings(server_pair, authority.certificate)}}).start()
    body = gzip_batch()

    def post(client):
        with Connection(receiver.port, client_context(authority, client)) as connection:
            return connection.request("POST", "/acme/web", proxy_headers(batch_name("acme", "web"), body), body)

    assert post(authority.issue_pair("agent")).status == 200
    for client in (None, stranger):
        with pytest.raises((ssl.SSLError, wire.Closed, ConnectionError)):
            post(client)
    wait_until(lambda: refused(receiver, "tls_handshake") == 2, "two handshakes counted")
    receiver.wait_batches("stored", 1)


def test_sessions_are_resumed(receiver, context):
    with Connection(receiver.port, context) as connection:
        assert connection.request("GET", "/health").status == 200
        session = connection.socket.session
    plain = socket.create_connection(("127.0.0.1", receiver.port), timeout=60)
    with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as again:
        again.sendall(wire.head("GET", "/health"))
        assert again.recv(12) == b"HTTP/1.1 200" and again.session_reused


def serial(port, authority):
    with Connection(port, client_context(authority)) as connection:
        return connection.socket.getpeercert()["serialNumber"]


def test_a_hangup_exchanges_the_certificate_and_a_bad_file_changes_nothing(make_receiver, authority, tmp_path):
    first, second = authority.issue_pair("first"), authority.issue_pair("second")
    live = tmp_path / "live.pem", tmp_path / "live.key"

    def install(certificate, key):
        shutil.copy(certificate, live[0])
        shutil.copy(key, live[1])

    install(*first)
    settings = {"tls": tls_settings(live)}
    receiver = make_receiver({"webhook": settings, "server": settings})
    receiver.launch()
    port = receiver._listening_port("webhook listening")  # pylint: disable=protected-access
    api = receiver._listening_port("api listening")  # pylint: disable=protected-access
    before = serial(port, authority)
    assert serial(api, authority) == before
    with Connection(port, client_context(authority)) as old:
        assert old.request("GET", "/health").status == 200

        install(first[0], second[1])  # a key that belongs to another certificate
        receiver.signal(signal.SIGHUP)
        message = "finding in the configuration"
        line = wait_until(lambda: receiver.logged(message, level="error"), "the complaint")[0]
        assert "does not belong to the certificate" in line["finding"] and str(live[1]) in line["finding"]
        assert serial(port, authority) == before

        install(*second)
        receiver.signal(signal.SIGHUP)
        wait_until(lambda: serial(port, authority) != before, "the new certificate")
        wait_until(lambda: serial(api, authority) != before, "the new certificate of the API")
        assert old.request("GET", "/health").status == 200  # goes on with what it began with
    key_lines = [line for line in second[1].read_text().splitlines() if "-----" not in line]
    assert not any(line in receiver.log() for line in key_lines)


def test_the_api_speaks_tls(make_receiver, server_pair, authority):
    receiver = make_receiver({"server": {"tls": tls_settings(server_pair)}})
    receiver.launch()
    port = receiver._listening_port("api listening")  # pylint: disable=protected-access
    with Connection(port, client_context(authority)) as connection:
        for path in ("/livez", "/metrics", "/api/v1/health"):
            reply = connection.request("GET", path)
            assert reply.status == 200 and reply.body
    with wire.Connection(port) as plain:
        plain.send(wire.head("GET", "/livez"))
        assert plain.at_end() or plain.buffer[:1] == b"\x15"  # an alert at most, never a page
    with socket.create_connection(("127.0.0.1", port), timeout=60) as silent:
        silent.shutdown(socket.SHUT_WR)
        while silent.recv(4096):
            pass
    with pytest.raises(ssl.SSLError):  # it does not trust us
        Connection(port, ssl.create_default_context())
    with Connection(port, client_context(authority)) as connection:
        assert connection.request("GET", "/livez").status == 200
        failed = "\nbytefreezer_receiver_api_handshakes_failed_total 3\n"
        wait_until(lambda: failed in connection.request("GET", "/metrics").text(), "three failed handshakes")


# What `check` says.

def run_check(build, make_receiver, tls):
    receiver = make_receiver({"webhook": {"tls": tls}})
    return build.run("check", "--config", receiver.config_path)


def test_check_accepts_a_good_pair(build, make_receiver, server_pair):
    result = run_check(build, make_receiver, tls_settings(server_pair))
    assert result.returncode == 0 and "tls" not in result.stderr


def test_check_finds_what_is_wrong(build, make_receiver, authority, server_pair, tmp_path):
    other = authority.issue_pair("other")
    encrypted = tmp_path / "encrypted.key"
    subprocess.run(["openssl", "pkey", "-in", server_pair[1], "-aes256", "-passout", "pass:x", "-out", encrypted],
                   check=True, timeout=60)
    missing = tmp_path / "missing.pem"
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nothing\n")
    for tls, text in [
        ({"certificate": server_pair[0], "key": other[1]}, "does not belong to the certificate"),
        ({"certificate": missing, "key": server_pair[1]}, "No such file"),
        ({"certificate": garbage, "key": server_pair[1]}, "not a chain of certificates"),
        ({"certificate": server_pair[0], "key": garbage}, "no private key"),
        ({"certificate": server_pair[0], "key": encrypted}, "is encrypted"),
        ({"certificate": server_pair[0], "key": server_pair[1], "client_ca": garbage}, "no certificates of authorities"),
    ]:
        result = run_check(build, make_receiver, {key: str(path) for key, path in tls.items()})
        assert result.returncode == 78 and text in result.stderr, result.stderr
        assert re.search(r"receiver\.yaml:\d+:\d+: error: webhook\.tls: ", result.stderr)


def test_check_warns_of_what_will_hurt(build, make_receiver, authority):
    expired = authority.issue_pair("expired", days=-1)
    expired[1].chmod(0o644)
    result = run_check(build, make_receiver, tls_settings(expired))
    assert result.returncode == 0
    assert "has expired" in result.stderr and "chmod o=" in result.stderr
