# SPDX-License-Identifier: Apache-2.0
"""What happens around the uploads: the daemon is killed in the middle of them, the bucket goes away under them, the store
stands still while the daemon is to stop, one upload at a time or 256; and nowhere is a secret."""
import pathlib
import random

import pytest

from support import faulty_proxy
from support.load import Load
from support.outage import QUICK_RETRY
from support.s3_fixtures import *  # noqa: F401,F403
from support.s3_server import SECRET_KEY
from support.sender import Sender, batch_name, gzip_batch
from support.spool import drained, finish, load
from support.wait import wait_until

AUTH = {"plugin": "auth", "mode": "open"}


@pytest.fixture
def s3_lives(make_receiver, s3_store, bucket, tmp_path):
    """s3_lives(config, **options of the stage): a daemon that can be started again and again, with a spool on disk."""

    def make(config=None, through=None, **changes):
        if through is not None:
            changes["endpoint"] = through.endpoint
        return make_receiver({"retry": QUICK_RETRY, "ack": "disk", **(config or {})}, pipeline=[
            AUTH, {"plugin": "disk", "directory": str(tmp_path / "spool")}, s3_store.stage(bucket, **changes)])

    return make


def assert_exactly(bucket, accepted, sent):
    """Each that was accepted is one object with its bytes; what else is there was sent, and its answer lost."""
    keys = set(bucket.keys())
    assert set(accepted) <= keys <= set(sent)
    assert all(bucket.read(key) == sent[key] for key in sorted(keys)[::max(1, len(keys) // 300)])
    assert bucket.parts() == []


@pytest.mark.parametrize("keeps", [True, False], ids=["conditions kept", "conditions ignored"])
def test_killed_in_the_middle_of_uploads_each_batch_is_one_object(s3_lives, bucket, proxy, pytestconfig, keeps):
    """Without conditions the bucket has versions, and a put too many would show as a second one."""
    if not keeps:
        bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    rng = random.Random(56)
    accepted, sent = {}, {}
    receiver = s3_lives({"logging": {"level": "info"}}, through=proxy)
    for number in range(20 if pytestconfig.getoption("--long") else 4):
        receiver.start()
        proxy.fault(faulty_proxy.lose_reply, rb"PUT /[^/]+/tenant", times=3)
        running = load(receiver, rng.randint(30, 150), connections=4, first=1_000_000 * number)
        wait_until(lambda: receiver.scrape().batches("stored") >= 10, "uploads")
        receiver.kill()
        running.join()
        accepted.update(running.accepted)
        sent.update(running.sent)
    proxy.heal()
    receiver.start()
    drained(receiver)
    assert receiver.scrape().batches("buried") == 0
    assert_exactly(bucket, accepted, sent)
    if not keeps:
        versions = [entry["Key"] for page in bucket.client.get_paginator("list_object_versions").paginate(
            Bucket=bucket.name, Prefix="tenant") for entry in page.get("Versions", [])]
        assert len(versions) == len(set(versions))


@pytest.mark.long
def test_a_bucket_that_is_deleted_under_load_is_made_again_and_gets_the_rest(s3_lives, bucket):
    receiver = s3_lives({"logging": {"level": "info"}}, create_bucket=True).start()
    running = load(receiver, 50, connections=2)
    wait_until(lambda: receiver.scrape().batches("stored") >= 20, "uploads")

    def delete():
        bucket.empty()
        bucket.client.delete_objects(Bucket=bucket.name, Delete={"Objects": [{"Key": ".bfr-probe/x"}], "Quiet": True})
        try:
            bucket.client.delete_bucket(Bucket=bucket.name)
            return True
        except bucket.client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "BucketNotEmpty"
            return False

    wait_until(delete, "a moment in which the bucket is empty")
    wait_until(lambda: receiver.logged("created the bucket"), "the bucket made again")
    more = len(running.accepted) + 50
    wait_until(lambda: len(running.accepted) >= more, "more batches")
    finish(running)
    scrape = drained(receiver) or receiver.scrape()
    assert scrape.check_conservation()["accepted"] == len(running.accepted) and scrape.batches("buried") == 0
    left = set(bucket.keys())
    assert left and left <= set(running.sent) and all(bucket.read(key) == running.sent[key] for key in left)


def test_a_store_that_stands_still_does_not_hold_up_the_stop(s3_lives, bucket, proxy):
    receiver = s3_lives(through=proxy, upload_worker_count=8).start()
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    proxy.fault(faulty_proxy.stall, pattern=rb"", times=1000)
    expected = {}
    for _ in range(20):
        body, name = gzip_batch(), batch_name("acme", "web")
        assert Sender(receiver.port).post("acme", "web", body, name).status == 200
        expected[f"acme/web/{name}"] = body
    wait_until(lambda: proxy.hits >= 1, "an upload that stands still")
    receiver.signal()
    assert receiver.wait(limit=30) == 0, "all is on disk: supervisors kill after 30 s"
    proxy.refuse()
    proxy.heal()
    proxy.open()
    receiver.start()
    receiver.wait_batches("stored", 20).check_conservation()
    assert bucket.objects() == expected


@pytest.mark.parametrize("workers", [1, 256])
def test_one_upload_at_a_time_or_very_many(s3_receiver, bucket, proxy, workers):
    receiver = s3_receiver(through=proxy, upload_worker_count=workers)
    expected = {}
    sender = Sender(receiver.port)
    for _ in range(300):
        body, name = gzip_batch(), batch_name("acme", "web")
        assert sender.post("acme", "web", body, name).status == 200
        expected[f"acme/web/{name}"] = body
    receiver.wait_batches("stored", 300).check_conservation()
    assert bucket.objects() == expected
    assert len(proxy.connections) <= 2 * workers + 1, "connections are used again and again"


def test_slow_down_halves_what_runs_at_once_and_a_probe_comes_before_the_ramp(s3_receiver, bucket, proxy):
    """What the store sees: after it was down one put alone, and the others only when that one has been answered."""
    receiver = s3_receiver({"retry": QUICK_RETRY, "ack_timeout": "5s"}, through=proxy,
                           queue={"plugin": "memory", "max_bytes": "128KiB"}, upload_worker_count=32)
    running = Load(receiver.port, connections=4, tenants=4).start(600)
    wait_until(lambda: receiver.scrape().batches("stored") >= 200, "a flow")
    proxy.fault(faulty_proxy.error(503, "SlowDown"), pattern=rb"PUT /[^/]+/tenant", times=1_000_000)
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_breaker_open", sink="s3") == 1, "the breaker")
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_sink_in_flight", sink="s3") <= 1, "one at a time")
    opened, hits = len(proxy.connections), proxy.hits
    wait_until(lambda: proxy.hits >= hits + 5, "probes")
    assert len(proxy.connections) == opened, "a probe needs no connection of its own"
    puts = []  # seen by the time at which the store answered one

    def count(head, _reply):
        if b"/tenant" in head.split(b"\r\n", 1)[0]:
            puts.append(len(proxy.requests("PUT", "/tenant")))

    proxy.when_replied = count
    before = len(proxy.requests("PUT", "/tenant"))
    proxy.heal()
    wait_until(lambda: receiver.logged("sink is reachable again"), "the end of it")
    wait_until(lambda: receiver.scrape().batches("stored") >= 400, "the flow again")
    finish(running)
    wait_until(lambda: receiver.scrape().batches("held") == 0, "an empty queue")
    assert puts[0] - before <= 2, "the probe, and perhaps one that was on its way"
    assert receiver.scrape().batches("buried") == 0 and set(running.accepted) == set(bucket.keys())


def test_no_secret_is_anywhere_but_in_the_file(s3_receiver, bucket):
    token, password = "T0ken" * 8, "pr0xy-p4ssword"
    receiver = s3_receiver({"logging": {"level": "debug"}, "retry": QUICK_RETRY}, session_token=token,
                           proxy=f"http://me:{password}@127.0.0.1:1")
    assert Sender(receiver.port).post("acme", "web").status == 200
    wait_until(lambda: len(receiver.logged("batch failed and will be tried again")) >= 1 or
               [stage for stage in receiver.health()["stages"] if stage.get("reason")], "a failure")
    shown = receiver.log() + receiver.get("/metrics").text() + str(receiver.health())
    for path in ("/api/v1/config", "/api/v1/stats", "/api/v1/dlq"):
        shown += receiver.get(path).text()
    process = pathlib.Path(f"/proc/{receiver.process.pid}")
    shown += (process / "cmdline").read_text() + "".join(
        (task / "comm").read_text() for task in (process / "task").iterdir())
    for secret in (SECRET_KEY, token, password):
        assert secret not in shown and secret[:8] not in shown
    assert bucket.objects() == {}
    receiver.kill()
