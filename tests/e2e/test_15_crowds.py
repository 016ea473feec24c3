# SPDX-License-Identifier: Apache-2.0
"""Slow clients by the hundred beside normal ones."""
import json
import pathlib
import random
import statistics
import subprocess
import sys
import time

import pytest

from support import wire
from support.load import Load
from support.sender import batch_name, proxy_headers

AUTH = {"plugin": "auth", "mode": "open"}
TO_NOTHING = [AUTH, {"plugin": "memory"}, {"plugin": "discard"}]


class SlowCrowd:
    """1,000 slow clients and 100 that only declare, as a process of its own."""

    def __init__(self, port):
        tests = pathlib.Path(__file__).resolve().parents[1]
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-m", "support.slow_crowd", str(port), "500", "500", "100"], cwd=tests, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "connected\n"

    def leave(self):
        out, _ = self.process.communicate("")
        return json.loads(out)


@pytest.mark.load
def test_normal_clients_see_no_errors_beside_a_slow_crowd(make_receiver, pytestconfig):
    seconds = 60 if pytestconfig.getoption("--long") else 10
    receiver = make_receiver(pipeline=TO_NOTHING).start()
    crowd = SlowCrowd(receiver.port)
    load = Load(receiver.port, connections=20).start(seconds).join()
    told = crowd.leave()
    scrape = receiver.scrape()
    closed = {key: scrape.total("bytefreezer_receiver_connections_closed_total", reason=key)
              for key in ("body_rate", "head_timeout")}
    print(f"{load.statuses[200]} batches beside the crowd, whose ends were {told}, closed by reason {closed}")
    assert set(load.statuses) == {200} and load.unanswered == 0 and load.refused == 0
    assert told["statuses"] == {}, "slow clients are closed without a word"
    assert closed["body_rate"] >= 500  # those of a body at 10 bytes a second, and who sends nothing
    scrape.check_conservation()


def p99_ms(port, count):
    """Of posts one after the other on one connection."""
    body, times = random.Random(2).randbytes(10_000), []
    body = b"\x1f\x8b\x08\x00" + body
    with wire.Connection(port) as connection:
        for _ in range(count):
            headers = proxy_headers(batch_name("acme", "web"), body)
            begun = time.monotonic()
            assert connection.request("POST", "/acme/web", headers, body).status == 200
            times.append(time.monotonic() - begun)
    return sorted(times)[count * 99 // 100] * 1000


@pytest.mark.long
def test_a_slow_crowd_at_most_doubles_the_p99_of_normal_clients(make_receiver):
    """Pairs of runs, one without and one with the crowd; the median of the ratios counts."""
    receiver = make_receiver(pipeline=TO_NOTHING).start()
    ratios = []
    for _ in range(7):
        alone = p99_ms(receiver.port, 3000)
        crowd = SlowCrowd(receiver.port)
        beside = p99_ms(receiver.port, 3000)
        crowd.leave()
        ratios.append(beside / alone)
        print(f"p99 {alone:.2f} ms alone, {beside:.2f} ms beside the crowd")
    print(f"median ratio {statistics.median(ratios):.2f}")
    assert statistics.median(ratios) <= 2
