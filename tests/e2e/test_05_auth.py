# SPDX-License-Identifier: Apache-2.0
"""Tokens: who may post what, and that nothing about them leaks."""
import json
import signal

import pytest

from support import wire
from support.sender import Sender, batch_name, gzip_batch, proxy_headers
from support.wait import wait_until

ACME, ACME_OLD, GLOBEX = "acme-token-0123456789", "acme-older-token", "globex-token"


@pytest.fixture
def tokens(build, make_receiver, tmp_path):
    """A receiver with two tenants: acme with datasets web and fw and two tokens, globex with any dataset."""

    def hashed(token):
        return build.run("token", "hash", stdin=token).stdout.strip()

    tenants = [
        {"account": "a1", "tenant": "acme", "datasets": ["web", "fw"], "tokens": [hashed(ACME), hashed(ACME_OLD)]},
        {"account": "a2", "tenant": "globex", "datasets": "*", "tokens": [hashed(GLOBEX)]},
    ]
    receiver = make_receiver(pipeline=[
        {"plugin": "auth", "mode": "tokens", "tenants_file": "tenants.yaml"},
        {"plugin": "memory"},
        {"plugin": "fs", "directory": "sink"},
    ])
    (receiver.root / "tenants.yaml").write_text(f"tenants: {json.dumps(tenants)}\n")
    return receiver.start()


@pytest.mark.parametrize("token", [ACME, ACME_OLD])
def test_each_token_of_a_tenant_opens_it(tokens, token):
    body, name = gzip_batch(), batch_name("acme", "web")
    reply = Sender(tokens.port, token).post("acme", "web", body, name)
    assert reply.status == 200, reply
    assert tokens.wait_stored(f"acme/web/{name}") == body


def test_any_dataset_where_the_file_says_so(tokens):
    assert Sender(tokens.port, GLOBEX).post("globex", "whatever").status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer " + ACME[:-1],
        "Bearer " + ACME + "x",
        "Bearer " + ACME.upper(),
        "Basic " + ACME,
        ACME,
        "Bearer " + ACME + " more",
        "Bearer " + "x" * 5000,
    ],
)
def test_no_or_a_wrong_token_is_401(tokens, authorization):
    reply = Sender(tokens.port).post("acme", "web", headers={"Authorization": authorization})
    assert reply.status == 401
    assert reply.header("www-authenticate").startswith("Bearer")
    assert tokens.scrape().batches("accepted") == 0


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_is_case_insensitive(tokens, scheme):
    assert Sender(tokens.port).post("acme", "web", headers={"Authorization": f"{scheme} {ACME}"}).status == 200


def test_another_tenants_token_is_403(tokens):
    assert Sender(tokens.port, GLOBEX).post("acme", "web").status == 403
    assert Sender(tokens.port, ACME).post("globex", "web").status == 403


def test_an_unknown_tenant_looks_like_a_wrong_token(tokens):
    unknown = Sender(tokens.port, "no-such-token").post("initech", "web")
    wrong = Sender(tokens.port, "no-such-token").post("acme", "web")
    assert unknown.status == wrong.status == 401
    assert unknown.text() == wrong.text()


def test_an_unknown_dataset_is_404_for_its_own_tenant_only(tokens):
    assert Sender(tokens.port, ACME).post("acme", "nosuch").status == 404
    assert Sender(tokens.port, "wrong").post("acme", "nosuch").status == 401


def test_a_connectivity_test_checks_the_token_and_only_the_tenant(tokens):
    assert Sender(tokens.port, ACME).connectivity_test("acme", "unknown").status == 200
    assert Sender(tokens.port, "wrong").connectivity_test("acme", "unknown").status == 401
    assert Sender(tokens.port).connectivity_test("acme", "unknown").status == 401


def test_the_token_is_judged_before_the_body_is_read(tokens):
    body, name = gzip_batch(), batch_name("acme", "web")
    with wire.Connection(tokens.port) as connection:
        connection.send(wire.head("POST", "/acme/web", proxy_headers(name, body, token="wrong"), 5_000_000))
        assert connection.read_reply().status == 401


def test_no_token_is_ever_logged_or_shown(tokens):
    for token in (ACME, GLOBEX, "wrong-token-777"):
        Sender(tokens.port, token).post("acme", "web")
    seen = tokens.log() + tokens.get("/metrics").text() + tokens.get("/api/v1/health").text()
    for token in (ACME, GLOBEX, "wrong-token-777"):
        assert token not in seen


def test_failures_are_counted(tokens):
    Sender(tokens.port, "wrong").post("acme", "web")
    Sender(tokens.port, GLOBEX).post("acme", "web")
    scrape = tokens.scrape()
    assert scrape.total("bytefreezer_receiver_requests_total", code="401") == 1
    assert scrape.total("bytefreezer_receiver_requests_total", code="403") == 1


def heard(receiver, text):
    return lambda: any(text in line.get("msg", "") for line in receiver.log_lines())


def test_a_hangup_reads_the_tenants_again_and_a_broken_file_changes_nothing(build, tokens):
    path = tokens.root / "tenants.yaml"
    fresh = build.run("token", "hash", stdin="a-new-token").stdout.strip()
    path.write_text(f'tenants: [{{tenant: acme, datasets: "*", tokens: ["{fresh}"]}}]\n')
    tokens.signal(signal.SIGHUP)
    wait_until(heard(tokens, "read again"), "the reload")
    assert Sender(tokens.port, "a-new-token").post("acme", "anything").status == 200
    assert Sender(tokens.port, ACME).post("acme", "web").status == 401
    path.write_text("tenants: [{tenant: acme, tokns: []}]\n")
    tokens.signal(signal.SIGHUP)
    wait_until(heard(tokens, "reload failed"), "the refusal of the broken file")
    assert Sender(tokens.port, "a-new-token").post("acme", "anything").status == 200
