# SPDX-License-Identifier: Apache-2.0
"""A client that sends at full speed what will be refused gets the whole refusal, 100 times of 100, and a client that goes
away leaves nothing behind."""
import http.client
import os
import subprocess

import pytest
import requests

from support import wire
from support.sender import batch_name, gzip_batch, proxy_headers
from support.wait import wait_until

TRIES = 100
TOO_LARGE = 4 << 20  # accepted are 1 MiB


@pytest.fixture
def guarded(make_receiver, tmp_path):
    tenants = tmp_path / "tenants.yaml"
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    tenants.write_text(f'tenants: [{{account: a1, tenant: acme, datasets: "*", tokens: ["sha256:{digest}"]}}]\n')
    return make_receiver({"webhook": {"max_payload_size": "1MiB"}}, pipeline=[
        {"plugin": "auth", "mode": "tokens", "tenants_file": str(tenants)},
        {"plugin": "memory"},
        {"plugin": "fs", "directory": str(tmp_path / "sink")},
    ]).start()


# What is sent, and what must come back in full.
REFUSALS = {
    "too large": (os.urandom(TOO_LARGE), {"Authorization": "Bearer abc"}, 413, b"the body is larger than this receiver accepts\n"),
    "unauthorised": (os.urandom(900_000), {"Authorization": "Bearer wrong"}, 401, b"a valid bearer token is required\n"),
}


def by_raw_socket(port, body, headers):
    with wire.Connection(port) as connection:
        connection.send(wire.head("POST", "/acme/web", headers, len(body)) + body)
        reply = connection.read_reply()
        assert connection.at_end()
    return reply.status, reply.body


def by_http_client(port, body, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/acme/web", body, headers)
    response = connection.getresponse()
    status, text = response.status, response.read()
    connection.close()
    return status, text


def by_requests(port, body, headers):
    response = requests.post(f"http://127.0.0.1:{port}/acme/web", data=body, headers=headers, timeout=60)
    return response.status_code, response.content


def by_curl(port, body, headers):
    options = [word for name, value in {**headers, "Expect": ""}.items() for word in ("-H", f"{name}: {value}")]
    result = subprocess.run(
        ["curl", "-sS", "--max-time", "60", "-w", "%{http_code}", "--data-binary", "@-", *options,
         f"http://127.0.0.1:{port}/acme/web"], input=body, capture_output=True, check=True)
    return int(result.stdout[-3:]), result.stdout[:-3]


@pytest.mark.parametrize("client", [by_raw_socket, by_http_client, by_requests, by_curl])
@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_seen_whole_by_who_sends_at_full_speed(guarded, client, kind):
    body, headers, status, text = REFUSALS[kind]
    seen = [client(guarded.port, body, headers) for _ in range(TRIES)]
    assert seen == [(status, text)] * TRIES
    assert guarded.scrape().batches("accepted") == 0


def test_clients_that_go_away_leave_no_memory_and_no_batch(receiver):
    body = gzip_batch() + os.urandom(300_000)
    connections = [wire.Connection(receiver.port) for _ in range(20)]
    for at, connection in enumerate(connections):
        name = batch_name("acme", "web")
        headers = proxy_headers(name, body)
        if at % 2:
            headers["Transfer-Encoding"] = "chunked"
            connection.send(wire.head("POST", "/acme/web", headers) + wire.chunk(body[:200_000]) + b"fffff\r\n" + body[200_000:])
        else:
            connection.send(wire.head("POST", "/acme/web", headers, len(body)) + body[:-1])
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_memory_used_bytes") >= 20 * 100_000, "bodies in memory")
    for connection in connections:
        connection.close()
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_memory_used_bytes") == 0, "memory given back")
    assert receiver.scrape().batches("accepted") == 0
    assert receiver.stored() == {}
