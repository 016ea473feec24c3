# SPDX-License-Identifier: Apache-2.0
"""What waits at start, however much, costs nothing but its place on the disk: the daemon is ready at once, its memory does not
grow with it, it drains, and new batches are not behind it."""
import time

import pytest

from support.sender import Sender, batch_name, gzip_batch
from support.spool import drained
from support.spool_reader import Spool
from support.spool_writer import BODY, write_backlog
from support.wait import wait_until

MIB = 1 << 20


LARGE = {"max_size_bytes": "16GiB", "segment_bytes": "64MiB"}


def memory_of(receiver, field="VmHWM"):
    """Bytes; VmHWM: the most that were ever resident."""
    with open(f"/proc/{receiver.process.pid}/status", encoding="ascii") as status:
        [line] = [line for line in status if line.startswith(field + ":")]
    return int(line.split()[1]) * 1024


def start_and_use(lives, quiet=10):
    """A life in which so many new batches of a quiet tenant are posted while the rest drains. Returns the daemon, and when it was
    ready, began to drain, and had stored the new ones, in seconds from its launch."""
    receiver = lives.make()
    began, times = time.monotonic(), {}
    receiver.launch()
    receiver.port = receiver._listening_port("webhook listening")
    receiver.api_port = receiver._listening_port("api listening")
    wait_until(lambda: receiver.get("/readyz").status == 200, "ready", limit=5)
    times["ready"] = time.monotonic() - began
    sender, names = Sender(receiver.port), []
    for _ in range(quiet):
        names.append(batch_name("quiet", "web"))
        assert sender.post("quiet", "web", gzip_batch(), names[-1]).status == 200
    return receiver, began, times, [lives.sink / "quiet/web" / name for name in names]


def start_under(lives, waiting):
    receiver, began, times, files = start_and_use(lives)
    wait_until(lambda: receiver.scrape().batches("stored") > len(files), "draining", limit=25)
    times["draining"] = time.monotonic() - began
    wait_until(lambda: all(file.exists() for file in files), "the new batches in the sink")
    times["new stored"] = time.monotonic() - began
    scrape = receiver.scrape()
    scrape.check_conservation()
    assert sum(1 for _ in lives.sink.glob("tenant*/web/old-*.gz")) < waiting, "the backlog was over first; make it larger"
    return receiver, times


@pytest.fixture
def empty_memory(make_lives):
    """What a daemon with an empty spool takes."""
    lives = make_lives(options=LARGE)
    receiver, _, _, files = start_and_use(lives)
    wait_until(lambda: all(file.exists() for file in files), "the new batches in the sink")
    memory = memory_of(receiver)
    receiver.stop()
    return memory


def check_memory(build, receiver, empty, times, what):
    wait_until(lambda: receiver.logged("the spool is counted"), "every segment counted")
    grown = memory_of(receiver) - empty
    print(f"{what}: " + ", ".join(f"{name} after {value:.2f} s" for name, value in times.items()) +
          f"; memory {empty / MIB:.0f} MiB with an empty spool, {grown / MIB:+.0f} MiB")
    if not build.sanitizer:  # which has its own ideas of memory
        assert grown < 64 * 1000 * 1000


def test_a_hundred_thousand_batches_that_wait_delay_nothing(make_lives, build, empty_memory):
    count = 100_000
    lives = make_lives(options=LARGE)
    write_backlog(lives.directory, count)
    receiver, times = start_under(lives, count)
    check_memory(build, receiver, empty_memory, times, f"{count} batches")
    receiver.kill()


def test_a_terabyte_that_waits_delays_nothing(make_lives, build, empty_memory, pytestconfig):
    """Sparse files of a gigabyte each, with records here and there, and an index as a sealed segment has it."""
    each = 98 if pytestconfig.getoption("--long") else 8
    lives = make_lives(options=LARGE)
    write_backlog(lives.directory, 1024 * each, per_segment=each, file_bytes=1 << 30, step=(1 << 30) // 128, indexed=True)
    assert sum(path.stat().st_size for path in lives.files("segments/*.seg")) == 1 << 40
    receiver, times = start_under(lives, 1024 * each)
    check_memory(build, receiver, empty_memory, times, f"1 TiB, {1024 * each} batches")
    receiver.kill()


def test_what_the_writer_of_these_tests_writes_is_what_the_reader_reads(make_lives):
    lives = make_lives()
    bodies = write_backlog(lives.directory, 300, per_segment=100, indexed=True)
    spool = Spool(lives.directory)
    spool.check()
    assert spool.held() == bodies and set(bodies.values()) == {BODY}
    receiver = lives.start()
    assert drained(receiver).batches("recovered") == 300
    assert receiver.stored(lives.sink) == bodies
