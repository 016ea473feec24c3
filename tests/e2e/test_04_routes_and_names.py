# SPDX-License-Identifier: Apache-2.0
"""Which path and which name a batch goes under, and what is refused because of them (P1, P6, P17, P18)."""
import re

import pytest

from support import wire
from support.sender import Sender, batch_name, gzip_batch, proxy_headers


@pytest.mark.parametrize("prefix", ["", "/webhook", "/api/v1/ingest", "/data", "/a/b/c/d"])
def test_any_prefix_leads_to_the_same_place(receiver, sender, prefix):
    body, name = gzip_batch(), batch_name("acme", "web")
    reply = sender.post("acme", "web", body, name, prefix=prefix)
    assert reply.status == 200, reply
    assert receiver.wait_stored(f"acme/web/{name}") == body


def test_health_of_the_webhook_port(receiver):
    reply = wire.request(receiver.port, "GET", "/health")
    assert reply.status == 200
    assert reply.json() == {"status": "ok", "service": "webhook"}


@pytest.mark.parametrize("target", ["/", "/acme"])
def test_too_few_segments_are_404(receiver, target):
    assert wire.request(receiver.port, "POST", target, body=gzip_batch()).status == 404


def test_an_unknown_path_is_404(receiver):
    assert wire.request(receiver.port, "GET", "/nowhere").status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
def test_another_method_is_405_with_allow(receiver, method):
    reply = wire.request(receiver.port, method, "/acme/web")
    assert reply.status == 405
    assert reply.header("allow") == "POST"


def test_posting_to_health_is_405_or_a_missing_segment(receiver):
    reply = wire.request(receiver.port, "POST", "/health", body=gzip_batch())
    assert reply.status == 405 and reply.header("allow") == "GET"


def test_a_query_is_ignored(receiver):
    body, name = gzip_batch(), batch_name("acme", "web")
    reply = wire.request(receiver.port, "POST", "/acme/web?debug=1&x=/y", proxy_headers(name, body), body)
    assert reply.status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body


@pytest.mark.parametrize("target", ["/acme/w%65b", "//web", "/acme//web", "/acme/web/", "acme/web", "http://h/acme/web"])
def test_a_path_that_could_be_read_in_two_ways_is_400(receiver, target):
    body, name = gzip_batch(), "plain.gz"
    assert wire.request(receiver.port, "POST", target, proxy_headers(name, body), body).status == 400


# P18
GOOD_IDS = ["a", "A-b_c.d", "x" * 64, "with--dashes", "1", "admin", "-", "_"]
BAD_IDS = [".hidden", "x" * 65, "sp~ace", "ten:ant", "a+b", "..", "a,b", "a;b", "\xe4"]


@pytest.mark.parametrize("tenant", GOOD_IDS)
def test_a_good_id_is_taken_as_it_is(receiver, sender, tenant):
    body = gzip_batch()
    reply = sender.post(tenant, "web", body, "plain.gz")
    assert reply.status == 200, reply
    assert reply.json()["tenant_id"] == tenant
    assert receiver.wait_stored(f"{tenant}/web/plain.gz") == body


@pytest.mark.parametrize("bad", BAD_IDS)
def test_a_bad_id_is_400_in_either_place(receiver, sender, bad):
    assert sender.post(bad, "web", name="plain.gz").status == 400
    assert sender.post("acme", bad, name="plain.gz").status == 400
    assert receiver.scrape().batches("accepted") == 0


def test_one_trailing_dot_is_stripped(receiver, sender):
    body = gzip_batch()
    reply = sender.post("acme", "web.", body, "plain.gz")
    assert reply.status == 200 and reply.json()["dataset_id"] == "web"
    assert receiver.wait_stored("acme/web/plain.gz") == body


def test_ids_with_dashes_match_the_name_as_a_prefix(receiver, sender):
    body, name = gzip_batch(), batch_name("a--b", "c--d")
    assert sender.post("a--b", "c--d", body, name).status == 200
    assert receiver.wait_stored(f"a--b/c--d/{name}") == body


# P6
BAD_NAMES = ["a/b.gz", "a\\b.gz", "..", "a..b.gz", "a\x01b.gz", "a\x7fb.gz", "x" * 238 + ".gz"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=[ascii(name[:12]) for name in BAD_NAMES])
def test_a_bad_name_is_400_and_nothing_is_kept(receiver, sender, name):
    assert sender.post("acme", "web", name=name).status == 400
    assert receiver.scrape().batches("accepted") == 0
    assert receiver.stored() == {}


@pytest.mark.parametrize(
    "name, status",
    [
        ("other--web--1700000000000000000--ndjson.gz", 400),
        ("acme--other--1700000000000000000--ndjson.gz", 400),
        ("acme--webby--1700000000000000000--ndjson.gz", 400),
        ("acme--web--1700000000000000000--.gz", 200),
        ("other--web--3parts.gz", 200),
        ("no-parts-at-all.gz", 200),
    ],
)
def test_a_name_of_four_parts_must_belong_to_the_url(sender, name, status):
    assert sender.post("acme", "web", name=name).status == status


@pytest.mark.parametrize(
    "given, stored",
    [
        ("batch7", "batch7.gz"),
        ("batch7.csv", "batch7.csv.gz"),
        ("batch7.ndjson.gz", "batch7--ndjson.gz"),
        ("batch7.ndjson", "batch7--ndjson.gz"),
        ("x" * 237 + ".gz", "x" * 237 + ".gz"),
    ],
    ids=["no extension", "other extension", "ndjson.gz", "ndjson", "240 bytes"],
)
def test_a_name_gets_the_ending_that_the_reader_needs(receiver, sender, given, stored):
    body = gzip_batch()
    reply = sender.post("acme", "web", body, given)
    assert reply.status == 200, reply
    assert reply.json()["file_id"] == reply.json()["queue_file"] == stored
    assert receiver.wait_stored(f"acme/web/{stored}") == body


@pytest.mark.parametrize("hint, part", [("ndjson", "ndjson"), (None, "unknown"), ("", "unknown")])
def test_without_a_name_one_is_generated(receiver, sender, hint, part):
    body = gzip_batch()
    reply = sender.post("acme", "web", body, headers={"X-Proxy-Filename": None, "X-Proxy-Data-Hint": hint})
    assert reply.status == 200, reply
    fields = reply.json()
    assert fields["filename_source"] == "generated"
    assert re.fullmatch(rf"acme--web--\d{{19}}--{part}\.gz", fields["file_id"])
    assert receiver.wait_stored(f"acme/web/{fields['file_id']}") == body


def test_generated_names_differ(receiver, sender):
    body = gzip_batch()
    names = {sender.post(body=body, headers={"X-Proxy-Filename": None}).json()["file_id"] for _ in range(20)}
    assert len(names) == 20
    receiver.wait_batches("stored", 20)


def test_a_connectivity_test_is_200_and_stores_nothing(receiver, sender):
    for dataset in ("unknown", "web"):
        reply = sender.connectivity_test("acme", dataset)
        assert reply.status == 200, reply
    assert receiver.scrape().batches("accepted") == 0
    assert receiver.stored() == {}


# P17
def test_an_error_is_one_short_line_of_text(sender):
    reply = sender.post("acme", "web", name="a/b")
    assert reply.status == 400
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert reply.header("x-content-type-options") == "nosniff"
    text = reply.text()
    assert text.endswith("\n") and text.count("\n") == 1 and 5 < len(text) < 300


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
def test_an_error_is_problem_json_for_who_accepts_only_that(sender, accept):
    reply = sender.post("acme", "web", name="a/b", headers={"Accept": accept})
    assert reply.status == 400
    assert reply.header("content-type") == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == 400 and problem["title"] and problem["detail"]


@pytest.mark.parametrize("accept", ["*/*", "text/html, application/json", "text/plain"])
def test_who_accepts_text_too_gets_text(sender, accept):
    reply = sender.post("acme", "web", name="a/b", headers={"Accept": accept})
    assert reply.header("content-type").startswith("text/plain")


def test_an_error_does_not_repeat_what_was_sent(receiver):
    sender = Sender(receiver.port, token="sup3rs3cret")
    reply = sender.post("acme", "web", name="evil<script>/x.gz")
    assert reply.status == 400
    assert "<script>" not in reply.text() and "sup3rs3cret" not in reply.text() + receiver.log()
