# SPDX-License-Identifier: Apache-2.0
"""SIGKILL and loss of power, at any moment: with `ack: disk` whatever was answered 200 is stored afterwards, once, with
its bytes; with `ack: memory` no more is lost than what was exported as exposed."""
import random
import shutil

import pytest

from support.io_shim import Shim
from support.outage import Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.spool import check_sink, drained, finish, load
from support.wait import wait_until


@pytest.mark.parametrize("memory", [False, True], ids=["disk", "memory-disk"])
def test_ack_disk_survives_sigkill_at_any_moment(make_lives, pytestconfig, memory):
    rounds = 150 if pytestconfig.getoption("--long") else 5
    lives = make_lives(memory=memory)
    rng = random.Random(41 + memory)
    acknowledged, sent = {}, {}
    for number in range(rounds):
        receiver = lives.make()
        if rng.random() < 0.2:
            # In the middle of its start, wherever that is: after so many lines of log.
            lines = rng.randint(1, 8)
            receiver.launch()
            wait_until(lambda: len(receiver.log_lines()) >= lines or receiver.logged("started"), "a few lines of log")
            receiver.kill()
            continue
        receiver.start()
        receiver.scrape().check_conservation()
        running = load(receiver, rng.randint(1, 400), first=1_000_000 * number)
        receiver.scrape().check_conservation()
        receiver.kill()
        running.join()
        assert set(running.statuses) <= {200, 503}
        acknowledged.update(running.accepted)
        sent.update(running.sent)
    last = lives.start()
    drained(last)
    check_sink(last.stored(lives.sink), acknowledged, sent)
    assert last.scrape().batches("buried") == 0
    print(f"{rounds} rounds, {len(acknowledged)} acknowledged, {len(sent)} sent")


class Moments(dict):
    """Name -> body of what was acknowledged, and how much of the record was written by then."""

    def __init__(self, shim):
        super().__init__()
        self.shim = shim
        self.at = {}

    def __setitem__(self, name, body):
        super().__setitem__(name, body)
        self.at[name] = self.shim.log_bytes


@pytest.mark.parametrize("sink_away", [True, False], ids=["sink-away", "sink-working"])
def test_ack_disk_survives_loss_of_power_at_any_moment(make_lives, tmp_path, pytestconfig, sink_away):
    points = 150 if pytestconfig.getoption("--long") else 8
    lives = make_lives()
    node = lives.directory.parent
    if sink_away:
        for number in range(4):
            Obstacle(lives.sink, f"tenant{number}")
    shim = Shim(lives.build, tmp_path, node).record()
    receiver = lives.start(shim.environment)
    running = load(receiver, 1)
    running.accepted = moments = Moments(shim)
    wait_until(lambda: len(moments) >= 600, "600 batches accepted")
    finish(running)
    receiver.kill()
    rng = random.Random(5 + sink_away)
    for number in range(points):
        # Every other time exactly when somebody had just been answered.
        at = rng.choice(sorted(moments.at.values())) if number % 2 == 0 else rng.randint(1, shim.log_bytes)
        after = tmp_path / f"after{number}"
        shim.power_loss(at, number, after)
        if sink_away:
            shutil.rmtree(after / "sink")
        survivor = lives.start(node=after)
        drained(survivor)
        acknowledged = [name for name, moment in moments.at.items() if moment <= at]
        check_sink(survivor.stored(after / "sink"), acknowledged, running.sent)
        survivor.stop()
        shutil.rmtree(after)


def exposed(receiver):
    """Bytes that were answered 200 and are not on the disk: they are in the memory queue until they are."""
    return receiver.scrape().total("bytefreezer_receiver_unsynced_bytes")


def test_ack_memory_loses_no_more_than_what_it_said_was_exposed(make_lives):
    lives = make_lives(ack="memory", memory=True)
    receiver = lives.start()
    Obstacle(lives.sink)
    sender, safe = Sender(receiver.port), {}
    for _ in range(50):
        body, name = gzip_batch(), batch_name("acme", "web")
        assert sender.post("acme", "web", body, name).status == 200
        safe[f"acme/web/{name}"] = body
    wait_until(lambda: exposed(receiver) == 0, "no exposure")
    receiver.kill()
    (lives.sink / "acme").unlink()
    second = lives.start()
    drained(second)
    assert second.stored(lives.sink) == safe


def test_while_nothing_can_be_synced_the_exposure_is_exported(make_lives, tmp_path):
    lives = make_lives(ack="memory", memory=True)
    shim = Shim(lives.build, tmp_path, lives.directory)
    receiver = lives.start(shim.environment)
    Obstacle(lives.sink)
    shim.fail("sync write", match="segments/")
    sender, bodies = Sender(receiver.port), {}
    # Until the queue knows that its disk fails, and refuses.
    for _ in range(20):
        body, name = gzip_batch(), batch_name("acme", "web")
        status = sender.post("acme", "web", body, name).status
        if status != 200:
            assert status == 503
            break
        bodies[f"acme/web/{name}"] = body
    assert bodies
    assert exposed(receiver) == sum(map(len, bodies.values()))
    assert receiver.scrape().total("bytefreezer_receiver_unsynced_age_seconds") > 0
    shim.heal()
    wait_until(lambda: exposed(receiver) == 0, "no exposure")
    receiver.kill()
    (lives.sink / "acme").unlink()
    second = lives.start()
    drained(second)
    assert second.stored(lives.sink) == bodies
