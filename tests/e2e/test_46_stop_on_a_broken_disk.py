# SPDX-License-Identifier: Apache-2.0
"""The disk refuses everything when the daemon is told to stop: what is in memory goes straight into the sinks; what these do
not take either is counted, and the exit status says so."""
import errno
import random

import pytest

from support.io_shim import Shim
from support.outage import Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.spool import Lives, check_sink
from support.wait import wait_until

BATCHES = 20


@pytest.fixture
def lives(build, tmp_path):
    lives = Lives(build, tmp_path, ack="memory", memory=True)
    yield lives
    lives.close()


def break_disk(lives, tmp_path, how):
    """A started daemon whose disk takes nothing any more."""
    shim = Shim(lives.build, tmp_path, lives.directory)
    receiver = lives.start(shim.environment)
    if how == "read-only":
        for call in ("write", "create", "rename", "sync"):
            shim.fail(call, errno.EROFS, slot=("write", "create", "rename", "sync").index(call))
    else:
        shim.fail("write", errno.EIO)
    return receiver


def post_until(receiver, count):
    """So many accepted, as name -> body. The disk is asked now and then, and refuses some at the door."""
    sender, accepted = Sender(receiver.port), {}

    def enough():
        receiver.require_alive()
        body, name = gzip_batch(1, random.randbytes(50).hex()), batch_name("acme", "web")
        status = sender.post("acme", "web", body, name).status
        assert status in (200, 503), status
        if status == 200:
            accepted[f"acme/web/{name}"] = body
        return len(accepted) >= count

    wait_until(enough, f"{count} batches accepted")
    return accepted


@pytest.mark.parametrize("how", ["EIO", "read-only"])
def test_what_is_in_memory_goes_into_the_sink_when_the_disk_fails_at_the_stop(lives, tmp_path, how):
    receiver = break_disk(lives, tmp_path, how)
    accepted = post_until(receiver, BATCHES)
    scrape = receiver.scrape()
    scrape.check_conservation()
    assert scrape.batches("stored") < BATCHES, "the disk was to refuse them"
    receiver.stop()
    check_sink(receiver.stored(lives.sink), accepted, accepted)
    assert receiver.logged("the stable queue failed; batches went straight into the sinks")


def test_what_neither_disk_nor_sink_takes_is_counted_and_exits_1(lives, tmp_path):
    receiver = break_disk(lives, tmp_path, "EIO")
    Obstacle(lives.sink)
    accepted = post_until(receiver, 5)
    receiver.stop(expect=1)
    lost = [line for line in receiver.log_lines() if line["msg"] == "accepted batches were lost at the end"]
    assert [int(line["count"]) for line in lost] == [len(accepted)]
