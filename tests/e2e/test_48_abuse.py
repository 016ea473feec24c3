# SPDX-License-Identifier: Apache-2.0
"""Several things at once, and people: calls that fail at random under load, sinks that come and go while daemons are killed, a
spool whose directory is deleted under the daemon, links and other people's files in it, logs and indexes that are not its own."""
import errno
import os
import random
import shutil
import signal
import threading

import pytest

from support.io_shim import CALLS, Shim
from support.outage import Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.spool import check_sink, drained, finish, load
from support.wait import wait_until


@pytest.mark.parametrize("memory", [False, True], ids=["disk", "memory and disk"])
def test_calls_that_fail_at_random_lose_nothing_and_double_nothing(make_lives, tmp_path, pytestconfig, memory):
    lives = make_lives(memory=memory)
    shim = Shim(lives.build, tmp_path, lives.directory)
    receiver = lives.start(env=shim.environment)
    running, rng, hits = load(receiver, 200), random.Random(4), 0
    kinds = [kind for kind in CALLS if kind != "truncate"]
    while hits < (3000 if pytestconfig.getoption("--long") else 150):
        for slot, kind in enumerate(kinds):
            shim.fail(kind, rng.choice([errno.EIO, errno.ENOSPC, errno.EDQUOT]), skip=rng.randrange(60), times=1, slot=slot)
        before = len(running.accepted)
        wait_until(lambda: len(running.accepted) > before + 20 or shim.hits(0) + shim.hits(1) > 0, "a fault, or progress")
        hits += sum(shim.hits(slot) for slot in range(len(kinds)))
        receiver.scrape().check_conservation()
    shim.heal()
    healed = len(running.accepted)
    wait_until(lambda: len(running.accepted) > healed + 100, "batches after it is healed")
    finish(running)
    drained(receiver)
    check_sink(receiver.stored(lives.sink), running.accepted, running.sent)
    stored = receiver.scrape().batches("stored")
    assert stored == len(receiver.stored(lives.sink)), "each is stored once"
    receiver.stop()


@pytest.mark.parametrize("ack", ["disk", "sink"])
def test_kills_while_the_sink_comes_and_goes_lose_nothing(make_lives, pytestconfig, ack):
    lives = make_lives(ack=ack)
    accepted, sent = {}, {}
    for number in range(40 if pytestconfig.getoption("--long") else 4):
        receiver = lives.start()
        running, stopping = load(receiver, 20, first=number * 1_000_000), threading.Event()

        def flap():
            while not stopping.wait(0.05):
                try:
                    (lives.sink / "tenant1").rename(lives.sink / "away")
                except OSError:
                    pass
                stopping.wait(0.05)
                try:
                    (lives.sink / "away").rename(lives.sink / "tenant1")
                except OSError:  # made anew meanwhile: what is there is moved in one by one
                    for path in (lives.sink / "away").rglob("*.gz"):
                        path.rename(lives.sink / "tenant1/web" / path.name)
                    shutil.rmtree(lives.sink / "away", ignore_errors=True)

        flapping = threading.Thread(target=flap)
        flapping.start()
        try:
            before = len(running.accepted)
            wait_until(lambda: len(running.accepted) > before + 200, "progress")
        finally:
            receiver.kill()
            finish(running)
            stopping.set()
            flapping.join()
        accepted.update(running.accepted)
        sent.update(running.sent)
    last = lives.start()
    drained(last)
    stored = last.stored(lives.sink)
    check_sink(stored, accepted, sent)


def test_nothing_is_acknowledged_into_a_spool_that_was_deleted(make_lives):
    lives = make_lives()
    receiver = lives.start()
    obstacle, sender = Obstacle(lives.sink), Sender(receiver.port)
    assert sender.post("acme", "web", gzip_batch(1, "before"), batch_name("acme", "web")).status == 200
    shutil.rmtree(lives.directory)
    for _ in range(20):
        assert sender.post("acme", "web", gzip_batch(1, "after"), batch_name("acme", "web")).status == 503
    receiver.require_alive()
    obstacle.remove()


@pytest.mark.parametrize("part", ["", "segments", "dlq", "quarantine", "lock", "recent.log", "checkpoint"])
def test_a_link_in_the_spool_is_not_followed(make_lives, tmp_path, part):
    lives = make_lives()
    receiver = lives.start()
    obstacle, sender = Obstacle(lives.sink), Sender(receiver.port)
    name, body = batch_name("acme", "web"), gzip_batch(1, "here")
    assert sender.post("acme", "web", body, name).status == 200
    receiver.kill()
    obstacle.remove()
    place, elsewhere = lives.directory / ".bfr" / part, tmp_path / "elsewhere"
    if place.exists():
        place.rename(elsewhere)
    else:
        elsewhere.write_bytes(b"")
    place.symlink_to(elsewhere)
    before = {path: path.read_bytes() for path in [elsewhere, *elsewhere.rglob("*")] if path.is_file()}
    if part in ("recent.log", "checkpoint"):  # it can do without
        second = lives.start()
        drained(second)
        assert second.stored(lives.sink) == {f"acme/web/{name}": body}
    else:
        second = lives.make()
        second.launch()
        assert second.wait() == 1 and str(lives.directory) in second.log()
    assert {path: path.read_bytes() for path in [elsewhere, *elsewhere.rglob("*")] if path.is_file()} == before


def test_segments_that_are_links_or_someone_elses_index_cost_no_other_batch(make_lives, tmp_path):
    lives = make_lives()
    receiver = lives.start()
    obstacle, sender, bodies = Obstacle(lives.sink), Sender(receiver.port), {}
    for _ in range(40):  # a few segments
        body, name = gzip_batch(1, random.randbytes(20_000).hex()), batch_name("acme", "web")
        assert sender.post("acme", "web", body, name).status == 200
        bodies[f"acme/web/{name}"] = body
    wait_until(lambda: len(lives.files("segments/*.idx")) >= 2, "two indexes")
    receiver.kill()
    indexes = lives.files("segments/*.idx")
    indexes[0].write_bytes(indexes[1].read_bytes())
    segments = lives.directory / ".bfr/segments"
    os.link(lives.files("segments/*.seg")[0], segments / f"{99:016x}.seg")
    (segments / f"{98:016x}.seg").symlink_to("/etc/passwd")
    (segments / f"{97:016x}.seg").mkdir()
    (segments / "no segment at all").write_text("")
    for recent in ("recent.log", "recent.old"):
        (lives.directory / ".bfr" / recent).write_bytes(random.randbytes(100_000))
    obstacle.remove()
    second = lives.start()
    wait_until(lambda: second.stored(lives.sink) == bodies, "all that was accepted")
    second.scrape().check_conservation()
    name = next(iter(bodies))
    assert Sender(second.port).post("acme", "web", bodies[name], name.rsplit("/", 1)[1]).status == 200
    second.stop()


@pytest.mark.parametrize("options", [{"commit_interval_ms": 0}, {"commit_interval_ms": 1000},
                                     {"segment_bytes": "64KiB"}, {"segment_bytes": "1GiB", "max_size_bytes": "64MiB"}],
                         ids=lambda options: " ".join(f"{key}={value}" for key, value in options.items()))
@pytest.mark.parametrize("ack", ["memory", "disk", "sink"])
def test_extreme_settings_lose_nothing(make_lives, options, ack):
    lives = make_lives(ack=ack, memory=ack == "memory", options=options)
    receiver = lives.start()
    running = load(receiver, 300)
    receiver.signal(signal.SIGSTOP)
    receiver.signal(signal.SIGCONT)
    finish(running)
    drained(receiver)
    check_sink(receiver.stored(lives.sink), running.accepted, running.sent)
    receiver.stop()
