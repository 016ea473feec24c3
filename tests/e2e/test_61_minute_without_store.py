# SPDX-License-Identifier: Apache-2.0
"""The store is away for a minute, in the long suite for ten, while batches come: they are taken, and whoever looks is told."""
import random
import threading
import time

from support.browser import Dashboard, browser  # noqa: F401
from support.s3_fixtures import *  # noqa: F401,F403
from support.sender import Sender, gzip_batch

BEGINS_EARLY = True  # it only waits
SOON = 5 * 5  # seconds; "within 5 s", five times over
PACE = 0.05  # seconds between two batches, so that ten minutes of them fit into the store's memory


def test_a_minute_without_the_store_is_told_and_costs_only_room(make_receiver, browser, tmp_path, s3_store, bucket, pytestconfig):
    """Ready stays true, health has the reason and the forecast, and the page shows it soon."""
    away = 600 if pytestconfig.getoption("--long") else 60
    receiver = make_receiver({"ack": "disk"}, pipeline=[
        {"plugin": "auth", "mode": "open"}, {"plugin": "memory"},
        {"plugin": "disk", "directory": str(tmp_path / "spool"), "max_size_bytes": "64MiB", "min_free_bytes": "1MiB"},
        s3_store.stage(bucket, connect_timeout="1s", stall_timeout="2s")]).start()
    page, pause, sent = Dashboard(browser, receiver, tmp_path).open(), threading.Event(), 0

    def post():
        nonlocal sent
        sent += 1
        assert Sender(receiver.port).post(body=gzip_batch(1, random.randbytes(1000).hex())).status == 200
        pause.wait(PACE)

    page.wait_text("verdict-title", "Idle")
    post()
    page.wait_text("verdict-title", "Data is flowing")
    s3_store.stop_gateway()
    down, health = time.monotonic(), {}
    while "Held up: s3 cannot be reached" not in page.text("verdict-title"):
        assert time.monotonic() < down + SOON, page.text("verdict-title")
        post()
    print(f"shown after {time.monotonic() - down:.1f} s")
    while time.monotonic() < down + away:
        post()
        assert receiver.get("/readyz").status == 200
        health = receiver.health()
        sink = [stage for stage in health["stages"] if stage["name"] == "s3"][0]
        assert health["status"] == sink["status"] == "degraded" and sink["reason"] != ""
    queue = [queue for queue in health["queues"] if queue["name"] == "disk"][0]
    assert queue["full_in_seconds"] > 0 and "Held up" in page.text("verdict-title") and "will be full" in page.text("advice")
    s3_store.start_gateway()
    page.wait_text("advice-empty", "Nothing", 300)
    receiver.wait_batches("held", 0).check_conservation()
    assert receiver.scrape().batches("stored") == sent == len(bucket.keys())
    page.check()
