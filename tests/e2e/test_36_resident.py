# SPDX-License-Identifier: Apache-2.0
"""Resident memory over a long run of everything at once: bodies of 1 KB to 1 MB from 256 connections, a sink that is slower
than they are, a spool that fills up. It stays under the budget and 32 MB, and does not creep up."""
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from support.wait import wait_until

MIB = 1 << 20
BUDGET = 256 * MIB  # the default
ABOVE_MAX = 32_000_000
CREEP_MAX = 16 * MIB  # in a long run some 60 bytes for each request of a third
CONNECTIONS = 256
SAMPLE_S = 0.25
# BFR_RESIDENT_SECONDS for a shorter look, or a longer one. With a sanitizer the figure says nothing, and only the rest counts.
SECONDS, SECONDS_WITH_SANITIZER = float(os.environ.get("BFR_RESIDENT_SECONDS", "600")), 30


def resident_bytes(receiver, field="VmRSS"):
    status = pathlib.Path(f"/proc/{receiver.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(field + ":")).split()[1]) * 1024


def remove_stored(directory):
    for folder in directory.glob("*/*"):
        for entry in os.scandir(folder):
            if not entry.name.startswith(".bfr-"):
                os.unlink(entry.path)


class Remover(threading.Thread):
    """What has been stored is not needed, and ten minutes of it would fill a disk."""

    def __init__(self, directory):
        super().__init__()
        self.directory, self.ended = directory, threading.Event()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def run(self):
        while not self.ended.wait(SAMPLE_S):
            remove_stored(self.directory)


def watch(receiver, load):
    """Samples of the resident memory until the load ends, and the replies that it had."""
    samples, told = [], None
    while told is None:
        receiver.require_alive()
        samples.append(resident_bytes(receiver))
        try:
            told, _ = load.communicate(timeout=SAMPLE_S)
        except subprocess.TimeoutExpired:
            pass
    return samples, json.loads(told)


def thirds(samples):
    count = len(samples)
    return [max(samples[count * i // 3:count * (i + 1) // 3]) for i in range(3)]


@pytest.mark.long
@pytest.mark.parametrize("ack", ["memory", "disk"])
def test_resident_memory_stays_under_the_budget_and_flat(make_receiver, ack):
    receiver = make_receiver({"ack": ack, "logging": {"level": "info"}}, name="resident", pipeline=[
        {"plugin": "auth", "mode": "open"}, {"plugin": "memory"},
        {"plugin": "disk", "directory": "spool", "max_size_bytes": "1GiB"}, {"plugin": "fs", "directory": "sink"}]).start()
    seconds = SECONDS_WITH_SANITIZER if receiver.build.sanitizer else SECONDS
    command = [sys.executable, "-B", "-m", "support.mixed_load", str(receiver.port), str(CONNECTIONS), str(seconds)]
    began, tests = time.monotonic(), pathlib.Path(__file__).resolve().parents[1]
    with Remover(receiver.sink), subprocess.Popen(command, cwd=tests, stdout=subprocess.PIPE, text=True) as load:
        samples, replies = watch(receiver, load)
    most, peaks = resident_bytes(receiver, "VmHWM"), thirds(samples)
    print(f"ack {ack}, {time.monotonic() - began:.0f} s: at most {most / MIB:.0f} MiB resident, in {len(samples)} samples by "
          f"thirds {', '.join(f'{peak / MIB:.0f}' for peak in peaks)}; replies {replies}")
    assert replies["200"] >= CONNECTIONS and set(replies) <= {"200", "503", "closed"}
    if not receiver.build.sanitizer:
        assert most <= BUDGET + ABOVE_MAX
        assert peaks[2] <= peaks[1] + CREEP_MAX

    with Remover(receiver.sink):
        wait_until(lambda: receiver.scrape().batches("held") == 0, "everything stored", 300)
    receiver.scrape().check_conservation()
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_memory_used_bytes") == 0, "all memory given back")
