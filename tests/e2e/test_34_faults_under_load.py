# SPDX-License-Identifier: Apache-2.0
"""Faults that are rare and do not end, dead letters that fill a disk or their share of it, very many very small batches, and a
tenant that floods beside one that does not: nothing acknowledged is lost, the others flow on, the limits hold."""
import errno
import gzip
import os
import time

import pytest

from support.api import Api
from support.io_shim import Shim
from support.outage import Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.spool import check_sink, drained, finish, load
from support.wait import wait_until

NEARLY = "dead letters have nearly filled their share of the spool; retry or purge some, or raise dlq_max_share"
FULL = ("dead letters have filled their share of the spool; further ones stay in their segments; retry or purge some, or "
        "raise dlq_max_share")


@pytest.mark.load
@pytest.mark.parametrize("ack", ["memory", pytest.param("disk", marks=pytest.mark.long)])
def test_calls_that_fail_now_and_then_under_load_cost_nothing(make_lives, tmp_path, pytestconfig, ack):
    lives = make_lives(ack=ack, memory=True)
    shim = Shim(lives.build, tmp_path, lives.directory)
    receiver = lives.start(shim.environment)
    long, errors = pytestconfig.getoption("--long"), (errno.EIO, errno.ENOSPC)
    running = load(receiver, 100, connections=16 if long else 2)  # few senders make small groups, so many calls
    calls, hits = ("write", "sync"), [0, 0]

    def arm(slot):
        shim.fail(calls[slot], errors[hits[slot] % 2], skip=99 if long else 19, times=1, match=".seg", slot=slot)

    arm(0)
    arm(1)
    end = time.monotonic() + (30 if long else 0)
    while min(hits) < 1 or time.monotonic() < end:
        slot = wait_until(lambda: [slot for slot in (0, 1) if shim.hits(slot)], "a fault")[0]
        hits[slot] += 1
        arm(slot)
        receiver.require_alive()
    shim.heal()
    enough = len(running.accepted) + 100
    wait_until(lambda: len(running.accepted) >= enough, "batches accepted again")
    finish(running)
    assert set(running.statuses) <= {200, 503}
    scrape = drained(receiver)
    stored = receiver.stored(lives.sink)
    check_sink(stored, running.accepted, running.sent)
    assert scrape.batches("stored") == len(stored), "each is stored once"
    print(f"{hits} faults, {len(running.accepted)} accepted, {running.statuses}")
    receiver.stop()


# Dead letters


def post_conflict(receiver, sink, size=30_000):
    """A batch that the sink will refuse, because it has other bytes under its name; the status."""
    name = batch_name("acme", "web")
    place = sink / "acme/web"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(b"")
    body = gzip.compress(os.urandom(size), mtime=0)
    return Sender(receiver.port).post("acme", "web", body, name).status


def purge(receiver, **selector):
    selector = {"tenant_id": "*", "dataset_id": "*", **selector}
    return Api(receiver).post("/api/v1/dlq/purge", selector)["count"]


def disk_reason(receiver):
    return next(stage["reason"] for stage in receiver.health()["stages"] if stage["name"] == "disk")


def test_dead_letters_that_fill_the_disk_are_kept_and_make_room_when_purged(make_lives, small_disk, tmp_path):
    lives = make_lives(options={"max_size_bytes": "64MiB", "segment_bytes": "256KiB", "min_free_bytes": "64KiB"})
    sink = tmp_path / "sink"  # it has room
    sink.mkdir()
    os.symlink(sink, small_disk / "sink")
    receiver, accepted, refused = lives.start(node=small_disk), 0, 0
    while refused < 10:
        status = post_conflict(receiver, sink)
        assert status in (200, 503)
        accepted += status == 200
        refused += status == 503
    assert accepted > 20
    receiver.wait_batches("buried", accepted)
    receiver.scrape().check_conservation()
    receiver.kill()
    second = lives.make(node=small_disk).launch()
    wait_until(lambda: second.logged("api listening"), "a start on a full disk")
    second.api_port = int(second.logged("api listening")[0]["port"])
    second.wait_batches("buried", accepted)
    assert purge(second, tenant_id="acme") == accepted
    wait_until(lambda: second.get("/readyz").status == 200, "room")
    second.port = int(second.logged("webhook listening")[0]["port"])
    name, body = batch_name("other", "web"), gzip_batch()
    assert Sender(second.port).post("other", "web", body, name).status == 200
    assert second.wait_stored(f"other/web/{name}") == body
    second.kill()


def test_letters_beyond_their_share_stay_in_their_segments_until_there_is_room(make_lives):
    count = 20
    lives = make_lives(options={"dlq_max_share": "0.02"})  # of 16 MiB: nine of them
    receiver = lives.start()
    for _ in range(count):
        assert post_conflict(receiver, lives.sink) == 200
    receiver.wait_batches("buried", count)
    wait_until(lambda: receiver.logged(FULL), "the end of the share")
    wait_until(lambda: receiver.logged(NEARLY), "the alarm before")
    assert "no room for files" in disk_reason(receiver)
    filed = len(lives.files("dlq/*.json"))
    assert 0 < filed < count
    name, body = batch_name("other", "web"), gzip_batch()
    assert Sender(receiver.port).post("other", "web", body, name).status == 200
    assert receiver.wait_stored(f"other/web/{name}", lives.sink) == body
    receiver.kill()
    second = lives.start()  # marked, not only remembered
    scrape = second.wait_batches("buried", count)
    assert scrape.batches("stored") <= 1  # the other one, if the mark of it was not synced yet
    for path in lives.files("dlq/*.json")[:filed]:
        assert purge(second, id=path.stem) == 1
    left = count - filed
    wait_until(lambda: len(lives.files("dlq/*.json")) == min(left, filed), "files of those that had to wait")
    assert second.scrape().batches("buried") == left
    assert purge(second, tenant_id="acme") == left
    wait_until(lambda: disk_reason(second) == "", "nothing to be told any more")
    second.kill()


# Limits


def disk_bytes(directory):
    """As `du` counts; files may go meanwhile."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in (".", *names):
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def test_very_many_very_small_batches_stay_below_the_limit(make_lives, pytestconfig):
    long = pytestconfig.getoption("--long")
    limit, count = (160 << 20, 100_000) if long else (4 << 20, None)
    lives = make_lives(options={"max_size_bytes": limit, "segment_bytes": "256KiB"})
    receiver = lives.start()
    for tenant in range(4):
        Obstacle(lives.sink, f"tenant{tenant}")
    running = load(receiver, 1)
    running._bodies[:] = [gzip.compress(b"x", mtime=0)] * len(running._bodies)  # pylint: disable=protected-access
    most = 0

    def done():
        nonlocal most
        most = max(most, disk_bytes(lives.directory))
        return len(running.accepted) >= count if count else running.statuses[503] >= 200

    wait_until(done, "enough of them, or a full spool", limit=600)
    finish(running)
    most = max(most, disk_bytes(lives.directory))
    print(f"{len(running.accepted)} accepted, {most} bytes on the disk")
    assert most <= limit
    assert len(running.accepted) >= (count or 1000)
    receiver.kill()
    for tenant in range(4):
        (lives.sink / f"tenant{tenant}").unlink()
    second = lives.start()
    drained(second)
    check_sink(second.stored(lives.sink), running.accepted, running.sent)
    assert disk_bytes(lives.directory) <= limit


def test_a_tenant_that_floods_is_stopped_at_its_share_and_holds_up_nobody(make_lives):
    lives = make_lives(options={"tenant_share": "0.25"})
    receiver = lives.start()
    sender, flood, quiet = Sender(receiver.port), {}, {}
    obstacles = [Obstacle(lives.sink, tenant) for tenant in ("flood", "quiet")]
    for kept, tenant, size in ((flood, "flood", 60_000), (quiet, "quiet", 100)):
        for _ in range(100):
            body, name = gzip.compress(os.urandom(size), mtime=0), batch_name(tenant, "web")
            reply = sender.post(tenant, "web", body, name)
            if reply.status != 200:
                assert (tenant, reply.status) == ("flood", 429) and int(reply.header("retry-after")) > 0
                break
            kept[f"{tenant}/web/{name}"] = body
            if tenant == "quiet" and len(kept) == 10:
                break
    assert len(flood) < 100 and len(quiet) == 10
    receiver.kill()
    for obstacle in obstacles:
        obstacle.remove()
    second = lives.start()
    drained(second)
    assert second.stored(lives.sink) == {**flood, **quiet}
    latest = {tenant: max((lives.sink / name).stat().st_mtime_ns for name in names)
              for tenant, names in (("flood", flood), ("quiet", quiet))}
    assert latest["quiet"] < latest["flood"]
