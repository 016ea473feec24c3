# SPDX-License-Identifier: Apache-2.0
"""Daemons that follow one another on one spool and one sink: what one of them leaves behind, the next must find."""
import pathlib

from support.load import Load
from support.outage import QUICK_RETRY
from support.receiver import Receiver
from support.spool_reader import Spool
from support.wait import wait_until

# Small segments, so that a short test makes, seals, removes and recycles many.
SMALL = {"max_size_bytes": "16MiB", "segment_bytes": "256KiB", "min_free_bytes": "1MiB"}


class Lives:
    """`directory` is the spool's, `sink` the sink's; every life has a folder of its own for its log."""

    def __init__(self, build, root, ack="disk", memory=False, config=None, options=None):
        self.build = build
        self.root = pathlib.Path(root)
        self.directory = self.root / "node/spool"
        self.sink = self.root / "node/sink"
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.config = {"ack": ack, "retry": QUICK_RETRY, "logging": {"level": "info"}, **(config or {})}
        self.memory = memory
        self.options = {**SMALL, **(options or {})}
        self.receivers = []

    def make(self, env=None, node=None):
        """The next daemon, not yet started; `node` has other spool and sink directories below it."""
        node = pathlib.Path(node or self.directory.parent)
        receiver = Receiver(self.build, self.root / f"life{len(self.receivers)}", self.config, env=env, pipeline=[
            {"plugin": "auth", "mode": "open"},
            *([{"plugin": "memory"}] if self.memory else []),
            {"plugin": "disk", "directory": str(node / "spool"), **self.options},
            {"plugin": "fs", "directory": str(node / "sink")},
        ])
        receiver.sink = node / "sink"
        self.receivers.append(receiver)
        return receiver

    def start(self, env=None, node=None):
        return self.make(env, node).start()

    def close(self):
        for receiver in self.receivers:
            receiver.close()

    def spool(self):
        return Spool(self.directory)

    def files(self, pattern):
        return sorted((self.directory / ".bfr").glob(pattern))


def drained(receiver):
    """Wait until all that was there at the start is counted and nothing is held any more; the books must be right then.
    Returns the scrape."""

    def empty():
        receiver.require_alive()
        counted = receiver.logged("the spool is counted")
        scrape = receiver.scrape()
        return scrape if counted and scrape.batches("held") == 0 else None

    scrape = wait_until(empty, "an empty queue")
    scrape.check_conservation()
    return scrape


def load(receiver, accepted, connections=16, first=0):
    """Post until so many are accepted, and go on until the daemon ends or `finish` is called."""
    running = Load(receiver.port, connections=connections, first=first).start(600)
    wait_until(lambda: len(running.accepted) >= accepted, f"{accepted} batches accepted")
    return running


def finish(running):
    running.stopping = True
    return running.join()


def check_sink(stored, acknowledged, sent):
    """Nothing acknowledged is missing, and nothing is there under its name with other bytes."""
    missing = [name for name in acknowledged if name not in stored]
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged batches are lost, e.g. {missing[:5]}"
    wrong = [name for name, body in stored.items() if sent[name] != body]
    assert not wrong, f"{len(wrong)} have other bytes, e.g. {wrong[:5]}"
