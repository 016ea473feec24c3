# SPDX-License-Identifier: Apache-2.0
"""The instrument of the tests that follow: the shim fails what it is told to, and a replayed loss of power keeps what was
synced, whatever else it drops."""
import errno
import os
import subprocess
import sys

import pytest

from support.io_shim import Shim

PROGRAM = """
import os, sys
os.chdir(sys.argv[1])
exec(sys.stdin.read())
"""


@pytest.fixture
def shim(build, tmp_path):
    directory = tmp_path / "watched"
    directory.mkdir()
    return Shim(build, tmp_path, directory)


def run(shim, text):
    """Run a few lines of Python in the watched directory; returns what they printed."""
    environment = {**os.environ, **shim.environment}
    if sanitizer := os.environ.get("LD_PRELOAD"):
        environment["LD_PRELOAD"] += f":{sanitizer}"
    return subprocess.run([sys.executable, "-B", "-c", PROGRAM, shim.directory], input=text, text=True, check=True,
                          capture_output=True, env=environment, timeout=60).stdout


ATTEMPTS = {
    "write": "os.pwrite(os.open('a', os.O_CREAT | os.O_WRONLY), b'x', 0)",
    "sync": "os.fdatasync(os.open('.', 0))",
    "rename": "open('r', 'w'); os.rename('r', 's')",
    "unlink": "open('a', 'w'); os.unlink('a')",
    "mkdir": "os.mkdir('d')",
    "fallocate": "import ctypes; libc = ctypes.CDLL(None, use_errno=True); fd = os.open('a', os.O_CREAT | os.O_RDWR)\n"
                 "    if libc.fallocate(fd, 0, ctypes.c_long(0), ctypes.c_long(10)): raise OSError(ctypes.get_errno(), '')",
    "create": "os.open('a', os.O_CREAT | os.O_WRONLY)",
    "truncate": "os.ftruncate(os.open('a', os.O_CREAT | os.O_WRONLY), 5)",
}


@pytest.mark.parametrize("call", ATTEMPTS)
def test_the_call_that_is_named_fails_as_told(shim, call):
    for error in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
        shim.fail(call, error)
        text = f"try:\n    {ATTEMPTS[call]}\n    print(0)\nexcept OSError as error: print(error.errno)"
        assert run(shim, text) == f"{error}\n"
        assert shim.hits() == 1


def test_what_is_not_named_goes_through(shim, tmp_path):
    shim.fail("write sync rename unlink mkdir create truncate", match="spool/")
    run(shim, "os.mkdir('d'); open('d/a', 'w').write('text'); os.rename('d/a', 'b')")
    assert (shim.directory / "b").read_text() == "text"
    assert shim.hits() == 0


def test_the_nth_call_fails_and_only_so_many(shim):
    shim.fail("mkdir", errno.ENOSPC, skip=2, times=3)
    assert run(shim, """
for number in range(7):
    try:
        os.mkdir(str(number))
        print('ok', end=' ')
    except OSError:
        print('no', end=' ')
""") == "ok ok no no no ok ok "


def test_writes_can_be_short(shim):
    shim.fail("write", short=3, times=1)
    assert run(shim, "fd = os.open('a', os.O_CREAT | os.O_WRONLY); print(os.writev(fd, [b'ab', b'cdef']))") == "3\n"
    assert (shim.directory / "a").read_bytes() == b"abc"


def test_the_time_of_day_jumps_and_the_monotonic_clock_does_not(shim):
    text = "import time; print(time.time() - time.monotonic())"
    shim.set_clock(-86_400)
    yesterday = float(run(shim, text))
    shim.set_clock(86_400)
    assert 172_700 < float(run(shim, text)) - yesterday < 172_900


LIFE = """
def sync(path):
    fd = os.open(path, os.O_RDONLY); os.fsync(fd); os.close(fd)
os.mkdir('d')
sync('.')
fd = os.open('d/a', os.O_CREAT | os.O_WRONLY)
os.pwrite(fd, b'1' * 4096, 0)
os.fdatasync(fd)
sync('d')
os.pwrite(fd, b'2' * 4096, 0)
other = os.open('d/b', os.O_CREAT | os.O_WRONLY)
os.write(other, b'3' * 10)
os.rename('d/a', 'd/c')
"""


def test_what_was_synced_survives_any_loss_of_power(shim, tmp_path):
    shim.record()
    run(shim, LIFE)
    total, torn, names = shim.log_bytes, 0, set()
    for seed in range(200):
        target = tmp_path / f"after{seed}"
        shim.power_loss(total, seed, target)
        present = sorted(os.listdir(target / "d"))
        names.add(tuple(present))
        data = (target / "d" / ("a" if "a" in present else "c")).read_bytes()
        assert len(data) == 4096 and set(data) <= set(b"12")
        for at in range(0, 4096, 512):
            assert len(set(data[at:at + 512])) == 1
        torn += len(set(data)) == 2
        if "b" in present:
            assert len((target / "d/b").read_bytes()) in (0, 10)
    assert torn > 0
    assert names == {("a",), ("a", "b"), ("b", "c")}  # in the order in which they were made


def test_what_was_not_synced_may_be_gone(shim, tmp_path):
    shim.record()
    run(shim, LIFE.replace("sync('d')", "").replace("os.fdatasync(fd)", ""))
    outcomes = set()
    for seed in range(200):
        target = tmp_path / f"after{seed}"
        shim.power_loss(shim.log_bytes, seed, target)
        outcomes.add((target / "d/a").exists() and (target / "d/a").read_bytes() != b"1" * 4096)
        outcomes.add("gone" if not os.listdir(target / "d") else "there")
    assert outcomes == {True, False, "gone", "there"}


def test_a_point_in_the_middle_knows_nothing_of_what_came_later(shim, tmp_path):
    shim.record()
    run(shim, LIFE)
    events = shim.events()
    made = next(event.end for event in events if event.op == "sync_end")
    shim.power_loss(made, 0, tmp_path / "early")
    assert os.listdir(tmp_path / "early") == ["d"] and os.listdir(tmp_path / "early/d") == []
    synced = [event.end for event in events if event.op == "sync_end"][2]
    for seed in range(50):
        shim.power_loss(synced, seed, tmp_path / f"synced{seed}")
        assert (tmp_path / f"synced{seed}/d/a").read_bytes() == b"1" * 4096
