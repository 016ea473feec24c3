# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, broken, read-only or damaged, clocks that jump, and a second daemon: the process stays or says why
it does not start, nothing acknowledged is lost, and it works again when the cause is gone."""
import errno
import os
import random

import pytest

from support.io_shim import Shim
from support.outage import Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.spool import check_sink, drained, finish, load
from support.wait import wait_until

ERRORS = {"ENOSPC": errno.ENOSPC, "EDQUOT": errno.EDQUOT, "EIO": errno.EIO}


def post(sender, tenant="acme", size=100):
    body, name = gzip_batch(1, random.randbytes(size).hex()), batch_name(tenant, "web")
    return sender.post(tenant, "web", body, name).status, f"{tenant}/web/{name}", body


def post_until_accepted(receiver):
    """The one that is accepted, as (name, body)."""
    sender = Sender(receiver.port)

    def accepted():
        receiver.require_alive()
        status, name, body = post(sender)
        assert status in (200, 503), status
        return (name, body) if status == 200 else None

    return wait_until(accepted, "a batch accepted again")


# unlink and truncate may happen or not: what is to be deleted can wait.
@pytest.mark.parametrize("memory", [False, True], ids=["disk", "memory-disk"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", ["write", "sync", "create", "fallocate", "rename", "unlink", "truncate"])
def test_a_call_that_fails_for_a_while_loses_nothing(make_lives, tmp_path, call, error, memory):
    lives = make_lives(memory=memory, config={"ack_timeout": "1s"})
    shim = Shim(lives.build, tmp_path, lives.directory)
    receiver = lives.start(shim.environment)
    running = load(receiver, 100)
    shim.fail(call, ERRORS[error])
    tried = len(running.sent)
    # Without a memory queue refusals wait for nothing; with one the senders wait for ack_timeout while the disk is tried.
    wait_until(lambda: len(running.sent) >= tried + 1500 or (memory and shim.hits() >= 20), "a load under the fault")
    receiver.require_alive()
    receiver.scrape().check_conservation()
    hits = shim.hits()
    shim.heal()
    enough = len(running.accepted) + 100
    wait_until(lambda: len(running.accepted) >= enough, "batches accepted again")
    finish(running)
    assert set(running.statuses) <= {200, 503}
    assert hits > 0 or call in ("rename", "unlink", "truncate"), "the fault was never met"
    receiver.kill()
    second = lives.start()
    drained(second)
    check_sink(second.stored(lives.sink), running.accepted, running.sent)


@pytest.mark.parametrize("call", ["write", "sync", "create", "fallocate", "rename", "mkdir", "unlink"])
def test_a_start_on_a_broken_disk_says_so_or_goes_on(make_lives, tmp_path, call):
    """And with the disk back nothing is missing."""
    lives = make_lives()
    first = lives.start()
    obstacles = [Obstacle(lives.sink, f"tenant{number}") for number in range(4)]
    running = finish(load(first, 200))
    first.kill()
    for obstacle in obstacles:
        obstacle.remove()
    shim = Shim(lives.build, tmp_path, lives.directory)
    shim.fail(call, errno.EIO)
    second = lives.make(shim.environment).launch()
    started = wait_until(lambda: second.logged("api listening") or second.process.poll() is not None, "a start or an end")
    if started is True:
        assert second.wait() == 1
        assert any(str(lives.directory) in str(line) for line in second.log_lines() if line.get("level") == "error")
    else:
        second.kill()
    third = lives.start()
    drained(third)
    check_sink(third.stored(lives.sink), running.accepted, running.sent)


@pytest.mark.parametrize("call", ["create", "write", "rename"])
def test_an_index_that_cannot_be_written_costs_nothing(make_lives, tmp_path, call):
    lives = make_lives()
    bodies = stuck_batches(lives, 30)
    shim = Shim(lives.build, tmp_path, lives.directory)
    shim.fail(call, errno.ENOSPC, match=".idx" if call == "rename" else ".tmp")
    second = lives.start(shim.environment)
    drained(second)
    assert shim.hits() > 0
    assert second.stored(lives.sink) == bodies


def test_short_writes_are_finished(make_lives, tmp_path):
    lives = make_lives()
    shim = Shim(lives.build, tmp_path, lives.directory)
    receiver = lives.start(shim.environment)
    Obstacle(lives.sink)
    shim.fail("write", short=77, match="segments/")
    bodies = {}
    for _ in range(10):
        status, name, body = post(Sender(receiver.port), size=500)
        assert status == 200
        bodies[name] = body
    assert shim.hits() > 10
    receiver.kill()
    spool = lives.spool()
    spool.check()
    assert spool.held() == bodies


def test_after_a_failed_sync_nothing_in_doubt_is_trusted(make_lives, tmp_path):
    """The kernel may drop what it could not write and call the next sync good. So, with everything gone that was written
    before a failed sync, what was acknowledged is still there."""
    lives = make_lives()
    node = lives.directory.parent
    shim = Shim(lives.build, tmp_path, node).record()
    receiver = lives.start(shim.environment)
    running = load(receiver, 50)
    for number in range(5):
        shim.fail("sync", errno.EIO, times=1, match=".seg")
        wait_until(shim.hits, "a failed sync")
        enough = len(running.accepted) + 50
        wait_until(lambda: len(running.accepted) >= enough, f"batches accepted after failed sync {number}")
    finish(running)
    receiver.kill()
    assert set(running.statuses) <= {200, 503}
    for seed in range(4):
        after = tmp_path / f"after{seed}"
        shim.power_loss(shim.log_bytes, seed, after)
        survivor = lives.start(node=after)
        drained(survivor)
        check_sink(survivor.stored(after / "sink"), running.accepted, running.sent)


def test_a_second_daemon_is_refused_and_told_why(make_lives):
    lives = make_lives()
    first = lives.start()
    second = lives.make().launch()
    assert second.wait() == 1
    errors = [line for line in second.log_lines() if line.get("level") == "error"]
    assert len(errors) == 1 and str(lives.directory) in str(errors[0]), errors
    name, body = post_until_accepted(first)
    drained(first)
    assert first.stored(lives.sink) == {name: body}
    first.kill()
    third = lives.start()  # a lock dies with its holder
    drained(third)


def test_a_directory_made_read_only_refuses_and_comes_back(make_lives, tmp_path):
    lives = make_lives()
    shim = Shim(lives.build, tmp_path, lives.directory)
    receiver = lives.start(shim.environment)
    running = load(receiver, 50)
    shim.fail("write sync create fallocate rename unlink mkdir truncate", errno.EROFS)
    refused = running.statuses[503]
    wait_until(lambda: running.statuses[503] >= refused + 100, "refusals")
    shim.heal()
    enough = len(running.accepted) + 50
    wait_until(lambda: len(running.accepted) >= enough, "batches accepted again")
    finish(running)
    drained(receiver)
    check_sink(receiver.stored(lives.sink), running.accepted, running.sent)
    receiver.stop()


def test_a_full_disk_at_start_is_survived_and_drained(make_lives, small_disk):
    lives = make_lives(options={"max_size_bytes": "64MiB", "segment_bytes": "256KiB", "min_free_bytes": "64KiB"})
    first = lives.start(node=small_disk)
    # The sink is on the same disk; it is away, and gets a place of its own later.
    obstacles = [Obstacle(small_disk / "sink", f"tenant{number}") for number in range(4)]
    running = load(first, 50)
    wait_until(lambda: running.statuses[503] >= 50, "a full disk")
    finish(running)
    first.kill()
    with open(small_disk / "filler", "wb", buffering=0) as filler:
        with pytest.raises(OSError):
            while True:
                filler.write(bytes(4096))
    for obstacle in obstacles:
        obstacle.remove()
    lives.sink.mkdir(parents=True)
    os.rmdir(small_disk / "sink")
    os.symlink(lives.sink, small_disk / "sink")
    second = lives.make(node=small_disk).launch()
    wait_until(lambda: second.logged("api listening"), "a start")
    second.api_port = int(second.logged("api listening")[0]["port"])
    drained(second)  # deleting needs no space
    check_sink(second.stored(lives.sink), running.accepted, running.sent)
    os.unlink(small_disk / "filler")
    wait_until(lambda: second.get("/readyz").status == 200, "room")
    second.stop()


@pytest.mark.parametrize("seconds", [-400 * 86_400, -3_600, 3_600, 400 * 86_400])
def test_a_clock_that_jumps_loses_nothing_and_stops_nothing(make_lives, tmp_path, seconds):
    lives = make_lives()
    shim = Shim(lives.build, tmp_path, lives.directory)
    receiver = lives.start(shim.environment)
    running = load(receiver, 50)
    shim.set_clock(seconds)
    enough = len(running.accepted) + 200
    wait_until(lambda: len(running.accepted) >= enough, "batches accepted after the jump")
    finish(running)
    receiver.kill()
    shim.set_clock(-seconds)  # the next life begins at yet another time
    second = lives.start(shim.environment)
    drained(second)
    check_sink(second.stored(lives.sink), running.accepted, running.sent)
    assert second.scrape().batches("purged") == second.scrape().batches("buried") == 0


def stuck_batches(lives, count):
    """A spool with so many batches of tenant acme, and the daemon gone. name -> body."""
    receiver = lives.start()
    obstacle = Obstacle(lives.sink)
    sender, bodies = Sender(receiver.port), {}
    for number in range(count):
        status, name, body = post(sender, size=50 * number)
        assert status == 200
        bodies[name] = body
    receiver.kill()
    obstacle.remove()
    return bodies


def newest(lives):
    """The newest segment with records in it: its path and what the reader found."""
    segment = [segment for segment in lives.spool().segments if segment.records][-1]
    return lives.directory / f".bfr/segments/{segment.id:016x}.seg", segment


def test_a_flipped_bit_costs_the_record_it_is_in_and_is_told_of(make_lives, pytestconfig):
    for seed in range(40 if pytestconfig.getoption("--long") else 4):
        lives = make_lives()
        bodies = stuck_batches(lives, 12)
        path, segment = newest(lives)
        rng = random.Random(seed)
        record = rng.choice(segment.records)
        at = record.offset + rng.randrange(64 + len(record.envelope) + len(record.body))
        data = bytearray(segment.data)
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        receiver = lives.start()
        drained(receiver)
        wanted = {name: body for name, body in bodies.items() if name != record.key}
        assert receiver.stored(lives.sink) == wanted
        assert lives.files("quarantine/*"), "nothing was set aside"
        kept = b"".join(file.read_bytes() for file in lives.files("quarantine/*"))
        assert data[at - at % 64:at - at % 64 + 64] in kept or data[record.offset:record.offset + 64] in kept
        named = lives.files("quarantine/*")[0].name
        assert named in receiver.log(), "the log does not name what was set aside"
        receiver.stop()


def test_a_truncated_newest_segment_keeps_every_earlier_record(make_lives, pytestconfig):
    for seed in range(40 if pytestconfig.getoption("--long") else 4):
        lives = make_lives()
        bodies = stuck_batches(lives, 12)
        path, segment = newest(lives)
        cut = random.Random(seed).randrange(segment.records[0].offset, segment.records[-1].end)
        os.truncate(path, cut)
        lost = {record.key for record in segment.records
                if record.offset + 64 + len(record.envelope) + len(record.body) > cut}
        receiver = lives.start()
        drained(receiver)
        assert receiver.stored(lives.sink) == {name: body for name, body in bodies.items() if name not in lost}
        receiver.stop()


def test_lost_marks_mean_to_store_again_and_nothing_else(make_lives):
    lives = make_lives()
    receiver = lives.start()
    obstacle = Obstacle(lives.sink, "tenant0")
    running = load(receiver, 300)
    sender = Sender(receiver.port)
    others = dict(post(sender, tenant="other")[1:] for _ in range(100))  # settled among those that are stuck
    finish(running)
    receiver.wait_batches("stored", len(others) + sum(not name.startswith("tenant0/") for name in running.accepted))
    receiver.stop()
    marks = lives.files("segments/*.done")
    assert any(path.stat().st_size for path in marks), "no mark was written"
    for path in marks:
        path.unlink()
    obstacle.remove()
    second = lives.start()
    drained(second)
    check_sink(second.stored(lives.sink), {**running.accepted, **others}, {**running.sent, **others})
    assert second.scrape().batches("buried") == 0


def test_a_damaged_index_is_built_again(make_lives):
    lives = make_lives()
    receiver = lives.start()
    obstacle = Obstacle(lives.sink)
    sender, bodies = Sender(receiver.port), {}
    while not lives.files("segments/*.idx"):
        status, name, body = post(sender, size=20_000)
        assert status == 200
        bodies[name] = body
    receiver.kill()
    for path in lives.files("segments/*.idx"):
        data = bytearray(path.read_bytes())
        data[random.Random(1).randrange(len(data))] ^= 0x10
        path.write_bytes(data)
    obstacle.remove()
    second = lives.start()
    drained(second)
    assert second.stored(lives.sink) == bodies
