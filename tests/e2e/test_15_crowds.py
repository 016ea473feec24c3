# SPDX-License-Identifier: Apache-2.0
"""Crowds: large bodies in little memory, and slow clients beside normal ones."""
import json
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from support import wire
from support.load import Load
from support.sender import batch_name, proxy_headers
from support.wait import wait_until

MIB = 1 << 20
AUTH = {"plugin": "auth", "mode": "open"}
TO_NOTHING = [AUTH, {"plugin": "memory"}, {"plugin": "discard"}]


def peak_resident_bytes(receiver):
    status = pathlib.Path(f"/proc/{receiver.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def post_until(port, body, end, statuses):
    """One client after the other on a connection of its own, at least one; a refusal is no reason to stop."""
    more = True
    while more:
        name = batch_name("acme", "web")
        try:
            reply = wire.request(port, "POST", "/acme/web", proxy_headers(name, body), body)
        except (ConnectionError, wire.Closed):  # it was refused, and too slow to read that
            statuses["closed"] += 1
        else:
            statuses[reply.status] += 1
        more = time.monotonic() < end


@pytest.mark.load
@pytest.mark.parametrize("budget", [32 * MIB, 256 * MIB])
def test_resident_memory_stays_near_the_budget(make_receiver, pytestconfig, budget):
    """64 clients that post 10 MB at once: never more than the budget and 48 MB."""
    seconds = 60 if pytestconfig.getoption("--long") else 4
    receiver = make_receiver({"memory": {"budget": budget, "wait": "30s"}, "ack_timeout": "2m",
                              "webhook": {"max_payload_size": 10_000_000}},
                             pipeline=[AUTH, {"plugin": "memory", "max_bytes": "1GiB"}, {"plugin": "discard"}]).start()
    body = b"\x1f\x8b\x08\x00" + random.Random(1).randbytes(10_000_000 - 4)
    statuses, end = Counter(), time.monotonic() + seconds
    clients = [threading.Thread(target=post_until, args=(receiver.port, body, end, statuses)) for _ in range(64)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    peak = peak_resident_bytes(receiver)
    print(f"{budget >> 20} MiB budget: {peak / MIB:.0f} MiB resident at most, replies {dict(statuses)}")
    assert statuses[200] >= 64 and set(statuses) <= {200, 503, "closed"}
    if not receiver.build.sanitizer:  # whose own memory is several times the program's
        assert peak < budget + 48_000_000
    receiver.wait_batches("held", 0).check_conservation()
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_memory_used_bytes") == 0, "all memory given back")


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
