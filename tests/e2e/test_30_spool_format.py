# SPDX-License-Identifier: Apache-2.0
"""What the daemon writes is what FORMAT.md says, byte by byte, as an independent reader finds it."""
import gzip
import hashlib
import os
import random
import stat

import pytest

from support.outage import Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.spool import Lives, drained
from support.spool_reader import Spool, read_index, read_recent


@pytest.fixture
def lives(build, tmp_path):
    made = Lives(build, tmp_path)
    yield made
    made.close()


def post_many(sender, count, tenant="acme"):
    bodies = {}
    for number in range(count):
        body = gzip_batch(1, filler=random.Random(number).randbytes(number * 37).hex())
        name = batch_name(tenant, "web")
        assert sender.post(tenant, "web", body, name).status == 200
        bodies[f"{tenant}/web/{name}"] = body
    return bodies


def test_segments_hold_what_was_posted_and_nothing_else(lives):
    receiver = lives.start()
    Obstacle(lives.sink)
    bodies = post_many(Sender(receiver.port), 60)
    receiver.kill()  # acknowledged, so it is all there now
    spool = lives.spool()
    spool.check()
    assert spool.held() == bodies
    records = [record for segment in spool.segments for record in segment.records]
    assert [record.sequence for record in records] == sorted(record.sequence for record in records)
    for segment in spool.segments:
        assert segment.header_good and segment.marks == []
        assert all(record.sequence >> 24 == segment.id for record in segment.records)


def test_the_envelope_has_what_the_sender_said(lives):
    receiver = lives.start()
    Obstacle(lives.sink)
    sender, body, name = Sender(receiver.port), gzip_batch(), batch_name("acme", "web")
    headers = {"X-Proxy-Batch-ID": "the-id", "X-Proxy-Line-Count": "41", "X-Proxy-Original-Bytes": "4242",
               "X-Proxy-Created-At": "2024-05-06T07:08:09Z", "X-Proxy-Data-Hint": "csv", "Content-Type": "text/x"}
    assert sender.post("acme", "web", body, name, headers=headers).status == 200
    receiver.kill()
    [record] = lives.spool().segments[0].records
    fields = record.fields
    assert record.key == f"acme/web/{name}" and record.body == body
    assert (fields["batch_id"], fields["line_count"], fields["original_bytes"]) == ("the-id", 41, 4242)
    assert (fields["data_hint"], fields["content_type"]) == ("csv", "text/x")
    assert fields["created_ns"] == 1_714_979_289 * 10**9
    assert fields["stored_sha256"] == fields["source_sha256"] == hashlib.sha256(body).digest()
    assert fields["flags"] == 0 and fields["consumers"] == ["fs"]
    assert record.received_ns > fields["created_ns"]


def test_a_body_compressed_here_is_known_by_both_hashes(lives):
    receiver = lives.start()
    Obstacle(lives.sink)
    plain = b'{"a": 1}\n' * 50
    reply = Sender(receiver.port).post("acme", "web", plain, headers={"Content-Encoding": None, "X-Proxy-Filename": None})
    assert reply.status == 200
    receiver.kill()
    [record] = lives.spool().segments[0].records
    assert gzip.decompress(record.body) == plain
    assert record.fields["source_sha256"] == hashlib.sha256(plain).digest()
    assert record.fields["stored_sha256"] == hashlib.sha256(record.body).digest()
    assert record.fields["flags"] == 3  # compressed here, and named here


def test_marks_and_index_agree_with_the_records(lives):
    receiver = lives.start()
    obstacle = Obstacle(lives.sink)
    sender = Sender(receiver.port)
    stuck = post_many(sender, 150)
    stored = post_many(sender, 40, tenant="other")
    receiver.wait_batches("stored", len(stored))
    receiver.stop()  # marks are on the disk then
    spool = lives.spool()
    spool.check()
    assert spool.held() == stuck
    indexes = [read_index(path) for path in lives.files("segments/*.idx")]
    assert indexes, "no segment was sealed"
    listed = [entry["sequence"] for index in indexes for entry in index["records"]]
    assert len(set(listed)) == len(listed)

    obstacle.remove()
    second = lives.start()
    drained(second)
    assert second.stored(lives.sink) == {**stuck, **stored}
    second.stop()
    assert Spool(lives.directory).held() == {}


def test_the_duplicate_memory_is_on_the_disk(lives):
    receiver = lives.start()
    bodies = post_many(Sender(receiver.port), 10)
    drained(receiver)
    receiver.stop()
    entries = read_recent(lives.directory / ".bfr")
    assert {key: digest for key, _, _, digest in entries} == {
        key: hashlib.sha256(body).digest() for key, body in bodies.items()}
    assert {key: size for key, size, _, _ in entries} == {key: len(body) for key, body in bodies.items()}


def test_nobody_else_can_read_the_spool(lives):
    old = os.umask(0)
    try:
        receiver = lives.start()
    finally:
        os.umask(old)
    post_many(Sender(receiver.port), 3)
    receiver.stop()
    for path in [lives.directory / ".bfr", *lives.files("**/*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path}: {mode:o}"
