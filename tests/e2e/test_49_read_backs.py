# SPDX-License-Identifier: Apache-2.0
"""Bodies that the disk queue reads back for a sink are in memory.budget, and leave senders their part of it."""
import gzip
import os
import socket

import pytest

from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

MIB = 1 << 20
BUDGET, BODY = 32 * MIB, 3 * MIB


@pytest.fixture
def silent_store():
    """Takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def used(receiver):
    return receiver.scrape().total("bytefreezer_receiver_memory_used_bytes")


def test_what_is_read_back_counts_and_leaves_room(make_receiver, tmp_path, silent_store):
    receiver = make_receiver(
        {"ack": "disk", "memory": {"budget": BUDGET}},
        pipeline=[{"plugin": "auth", "mode": "open"},
                  {"plugin": "disk", "directory": str(tmp_path / "spool"), "max_size_bytes": "256MiB",
                   "ram_copies_bytes": 0, "min_free_bytes": "1MiB"},
                  {"plugin": "s3", "bucket_name": "intake", "endpoint": silent_store, "ssl": False, "region": "r",
                   "access_key": "a", "secret_key": "s", "path_style": True}])
    receiver.start()
    sender = Sender(receiver.port)
    for _ in range(6):
        body = gzip.compress(os.urandom(BODY), compresslevel=1, mtime=0)
        assert sender.post("acme", "web", body, batch_name("acme", "web")).status == 200
    receiver.kill()
    receiver.start()  # nothing is in RAM any more
    wait_until(lambda: BODY <= used(receiver) <= BUDGET // 4 + BODY + MIB, "as much as a link may have in flight")
    assert Sender(receiver.port).post("acme", "web", gzip_batch(), batch_name("acme", "web")).status == 200
    scrape = receiver.scrape()
    scrape.check_conservation()
    assert scrape.batches("held") == 7
    receiver.kill()
