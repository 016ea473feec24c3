# SPDX-License-Identifier: Apache-2.0
"""A batch posted as a Proxy posts it appears in the sink, byte for byte, and its sender is told so."""
import datetime
import gzip
import json
import random

import pytest

from support import wire
from support.sender import Sender, batch_name, gzip_batch, ndjson, proxy_headers


def test_a_posted_batch_appears_byte_for_byte(receiver, sender):
    body = gzip_batch(lines=5)
    name = batch_name("acme", "web")
    reply = sender.post("acme", "web", body, name)
    assert reply.status == 200, reply
    assert receiver.wait_stored(f"acme/web/{name}") == body
    assert receiver.stored() == {f"acme/web/{name}": body}


def test_the_reply_has_every_field_of_the_protocol(receiver, sender):
    body = gzip_batch(lines=5)
    name = batch_name("acme", "web")
    before = datetime.datetime.now(datetime.timezone.utc)
    reply = sender.post("acme", "web", body, name, lines=5)
    assert reply.status == 200 and reply.header("content-type") == "application/json"
    fields = reply.json()
    assert isinstance(fields["processing_time_ms"], int) and fields["processing_time_ms"] >= 0
    created = datetime.datetime.fromisoformat(fields["created_at"].replace("Z", "+00:00"))
    assert abs((created - before).total_seconds()) < 3600
    assert isinstance(fields["message"], str) and fields["message"]
    expected = {
        "status": "success",
        "tenant_id": "acme",
        "dataset_id": "web",
        "bytes_received": len(body) * 7,
        "bytes_processed": len(body),
        "storage_mode": "queue",
        "queue_file": name,
        "file_id": name,
        "lines_original": 5,
        "lines_processed": 5,
        "format_detected": "ndjson",
        "content_type": "application/octet-stream",
        "batch_id": name.removesuffix(".gz"),
        "filename_source": "proxy",
    }
    assert {key: fields.get(key) for key in expected} == expected


def test_the_same_post_again_is_a_duplicate_and_stored_once(receiver, sender):
    body, name = gzip_batch(), batch_name("acme", "web")
    first = sender.post("acme", "web", body, name)
    assert first.status == 200 and not first.json().get("duplicate")
    receiver.wait_stored(f"acme/web/{name}")
    again = sender.post("acme", "web", body, name)
    assert again.status == 200 and again.json()["duplicate"] is True
    assert again.json()["status"] == "success"
    scrape = receiver.wait_batches("stored", 1)
    assert scrape.batches("accepted") == 1
    assert scrape.total("bytefreezer_receiver_duplicates_total") == 1
    assert receiver.stored() == {f"acme/web/{name}": body}


def test_other_bytes_under_the_same_name_are_a_conflict(receiver, sender):
    body, name = gzip_batch(), batch_name("acme", "web")
    assert sender.post("acme", "web", body, name).status == 200
    reply = sender.post("acme", "web", gzip_batch(), name)
    assert reply.status == 409
    assert receiver.wait_stored(f"acme/web/{name}") == body
    receiver.wait_batches("stored", 1).check_conservation()


def test_one_name_in_two_datasets_is_two_batches(receiver, sender):
    name = "plain-name.gz"
    bodies = {dataset: gzip_batch() for dataset in ("web", "fw")}
    for dataset, body in bodies.items():
        assert sender.post("acme", dataset, body, name).status == 200
    for dataset, body in bodies.items():
        assert receiver.wait_stored(f"acme/{dataset}/{name}") == body


def test_one_name_on_two_connections_at_once_is_stored_once(receiver):
    body, name = gzip_batch(), batch_name("acme", "web")
    request = wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)) + body
    with wire.Connection(receiver.port) as one, wire.Connection(receiver.port) as two:
        for connection in (one, two):
            connection.send(request[:-1])
        for connection in (one, two):
            connection.send(request[-1:])
        replies = [one.read_reply(), two.read_reply()]
    assert [reply.status for reply in replies] == [200, 200]
    assert sorted(bool(reply.json().get("duplicate")) for reply in replies) == [False, True]
    assert receiver.wait_batches("stored", 1).batches("accepted") == 1


@pytest.mark.parametrize("size", [1 << 10, 1 << 16, 1 << 20, 9 << 20])
def test_bodies_of_all_sizes_arrive_whole(receiver, sender, size):
    noise = random.Random(size).randbytes(size)
    body = gzip.compress(noise, compresslevel=0, mtime=0)
    name = batch_name("acme", "web")
    reply = sender.post("acme", "web", body, name)
    assert reply.status == 200, reply
    assert receiver.wait_stored(f"acme/web/{name}") == body


@pytest.mark.parametrize("encoding", ["gzip", "identity", None])
def test_a_plain_body_is_stored_as_one_gzip_member(receiver, sender, encoding):
    plain, name = ndjson(lines=20), batch_name("acme", "web")
    reply = sender.post("acme", "web", plain, name, headers={"Content-Encoding": encoding})
    assert reply.status == 200, reply
    stored = receiver.wait_stored(f"acme/web/{name}")
    assert stored[:3] == b"\x1f\x8b\x08"
    assert gzip.decompress(stored) == plain
    assert reply.json()["bytes_processed"] == len(stored)


def test_a_plain_body_again_is_a_duplicate(sender):
    plain, name = ndjson(lines=20), batch_name("acme", "web")
    assert sender.post("acme", "web", plain, name).status == 200
    assert sender.post("acme", "web", plain, name).json()["duplicate"] is True
    assert sender.post("acme", "web", plain + b"{}\n", name).status == 409


def test_a_gzip_body_without_a_label_is_kept_as_it_is(receiver, sender):
    body, name = gzip_batch(), batch_name("acme", "web")
    assert sender.post("acme", "web", body, name, headers={"Content-Encoding": None}).status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body


BAD_GZIP = {
    "shorter than a gzip member": gzip.compress(b"x", mtime=0)[:17],
    "another method": b"\x1f\x8b\x07" + gzip_batch()[3:],
    "reserved flags": b"\x1f\x8b\x08\xe0" + gzip_batch()[4:],
}


@pytest.mark.parametrize("body", BAD_GZIP.values(), ids=BAD_GZIP.keys())
def test_a_bad_gzip_header_is_400(receiver, sender, body):
    assert sender.post(body=body).status == 400
    assert receiver.scrape().batches("accepted") == 0


def test_an_empty_body_is_400(sender):
    assert sender.post(body=b"").status == 400


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip"])
def test_another_content_encoding_is_415(sender, encoding):
    assert sender.post(headers={"Content-Encoding": encoding}).status == 415


def test_a_body_over_the_limit_is_413(make_receiver):
    receiver = make_receiver({"webhook": {"max_payload_size": "64KiB"}}).start()
    sender = Sender(receiver.port)
    body = gzip.compress(b"x" * 65_000, compresslevel=0, mtime=0)
    assert len(body) < 65_536 and sender.post(body=body).status == 200
    assert sender.post(body=body + b"\0" * 65_536).status == 413
    assert receiver.wait_batches("stored", 1).batches("accepted") == 1


# P19: informational headers never make a batch fail.
FALLBACKS = [
    ({"X-Proxy-Batch-ID": None}, {"batch_id": "unknown"}),
    ({"X-Proxy-Data-Hint": ""}, {"format_detected": "unknown"}),
    ({"X-Proxy-Data-Hint": None}, {"format_detected": "unknown"}),
    ({"X-Proxy-Line-Count": None}, {"lines_original": 1, "lines_processed": 1}),
    ({"X-Proxy-Line-Count": "many"}, {"lines_original": 1}),
    ({"X-Proxy-Line-Count": "-3"}, {"lines_original": 1}),
    ({"X-Proxy-Line-Count": "99999999999999999999999"}, {"lines_original": 1}),
    ({"X-Proxy-Original-Bytes": None}, {"bytes_received": "length"}),
    ({"X-Proxy-Original-Bytes": "-1"}, {"bytes_received": "length"}),
    ({"X-Proxy-Original-Bytes": "1e3"}, {"bytes_received": "length"}),
    ({"X-Proxy-Original-Bytes": str(1 << 50)}, {"bytes_received": 1 << 50}),
    ({"X-Proxy-Created-At": "yesterday"}, {}),
    ({"X-Proxy-Created-At": None}, {}),
    ({"Content-Type": None}, {"content_type": ""}),
    ({"X-Something-Else": "ignored"}, {}),
]


@pytest.mark.parametrize("headers, expected", FALLBACKS, ids=[json.dumps(case[0])[1:-1] for case in FALLBACKS])
def test_metadata_headers_fall_back(sender, headers, expected):
    body = gzip_batch()
    reply = sender.post(body=body, headers=headers)
    assert reply.status == 200, reply
    fields = reply.json()
    for key, value in expected.items():
        assert fields[key] == (len(body) if value == "length" else value)
    datetime.datetime.fromisoformat(fields["created_at"].replace("Z", "+00:00"))
