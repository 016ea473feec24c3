# SPDX-License-Identifier: Apache-2.0
"""Many connections at once: no report of a sanitizer, and every batch accounted for."""
import pytest

from support.load import Load


@pytest.mark.load
def test_200_connections_lose_nothing(make_receiver, pytestconfig):
    seconds = 60 if pytestconfig.getoption("--long") else 10
    receiver = make_receiver({"logging": {"level": "info"}, "shutdown_delay": "100ms"}, pipeline=[
        {"plugin": "auth", "mode": "open"},
        # Small, so that the queue is full now and then, and a stop has not minutes of work before it.
        {"plugin": "memory", "max_bytes": "2MiB"},
        {"plugin": "fs", "directory": "sink"},
    ]).start()
    load = Load(receiver.port, connections=200).start(seconds).join()

    assert load.refused == 0 and load.unanswered == 0 and load.connects >= 200
    assert set(load.statuses) <= {200, 503}
    assert load.statuses[200] == len(load.accepted) > 0
    scrape = receiver.scrape()
    assert scrape.check_conservation()["accepted"] == len(load.accepted)
    for code, count in load.statuses.items():
        assert scrape.total("bytefreezer_receiver_requests_total", code=str(code)) == count

    receiver.stop()
    stored = receiver.stored()
    assert stored.keys() == load.accepted.keys()
    assert all(stored[name] == body for name, body in load.accepted.items())
    print(f"{len(stored)} batches in {seconds} s, replies {dict(load.statuses)}")
