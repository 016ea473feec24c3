# SPDX-License-Identifier: Apache-2.0
"""The books, looked at all the time while everything goes wrong at once: the store is down, the spool full, the daemon killed,
its configuration read again. They agree on every page; and with `ack: disk` every batch that was acknowledged is in the
end in the store, a dead letter, or purged on request."""
import signal
import threading

from support.api import Api
from support.load import Load
from support.outage import QUICK_RETRY
from support.receiver import Receiver
from support.s3_fixtures import *  # noqa: F401,F403
from support.sender import Sender, gzip_batch
from support.wait import wait_until

SPOOL = {"max_size_bytes": "4MiB", "segment_bytes": "256KiB", "min_free_bytes": "1MiB"}
QUICK_TIMEOUTS = {"connect_timeout": "1s", "stall_timeout": "2s", "request_timeout": "3s"}
BEGINS_EARLY = True
PURGED = "tenant3"
BREAKER = "bytefreezer_receiver_breaker_open"


class Watch:
    """Scrapes whichever daemon lives, again and again, and checks each page. A daemon that is just being killed or started
    gives none."""

    def __init__(self, every):
        self.every = every
        self.receiver = None
        self.pages = 0
        self.errors = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self._thread.start()

    def _run(self):
        while not self._stop.wait(self.every):
            receiver = self.receiver
            if receiver is None:
                continue
            try:
                page = receiver.scrape()
            except (OSError, EOFError, ValueError, IndexError, AssertionError) as error:
                if receiver is self.receiver and receiver.process.poll() is None:
                    self.errors.append(error)
                continue
            try:
                page.check_conservation()
                self.pages += 1
            except AssertionError as error:
                self.errors.append(error)

    def close(self):
        self._stop.set()
        self._thread.join()
        assert not self.errors, self.errors[:3]


class Run:
    """Daemons that follow one another on one spool and one bucket, under one watch and with one memory of what was
    acknowledged."""

    def __init__(self, build, root, store, bucket, every):
        self.build, self.root, self.store, self.bucket = build, root, store, bucket
        self.watch = Watch(every)
        self.receiver = None
        self.lives = 0
        self.loads = []
        self.acknowledged, self.sent, self.statuses = {}, {}, set()

    def start(self):
        receiver = Receiver(self.build, self.root / f"life{self.lives}", {
            "ack": "disk", "retry": QUICK_RETRY, "logging": {"level": "info"}}, pipeline=[
                {"plugin": "auth", "mode": "open"}, {"plugin": "memory"},
                {"plugin": "disk", "directory": str(self.root / "spool"), **SPOOL},
                self.store.stage(self.bucket, **QUICK_TIMEOUTS)])
        self.receiver = receiver.listen()
        self.watch.receiver = self.receiver
        self.lives += 1
        return self.receiver

    def end(self, how):
        """Without a page in the middle of its end."""
        self.watch.receiver = None
        how()

    def load(self, until, what):
        """Post from many connections until the condition holds. The load is to be remembered when its daemon has ended,
        or at once: it ends with what it has out."""
        load = Load(self.receiver.port, 8, first=1_000_000 * self.lives + len(self.sent)).start(600)
        self.loads.append(load)
        wait_until(until, what)
        return load

    def remember(self, load):
        load.stopping = True
        load.join()
        self.acknowledged.update(load.accepted)
        self.sent.update(load.sent)
        self.statuses |= set(load.statuses)

    def count(self, word):
        return self.receiver.scrape().batches(word)


def reload_under_load(run, times):
    """SIGHUP again and again, every other time with a file that cannot be used."""
    good = run.receiver.config_path.read_text()
    for number in range(times):
        run.receiver.config_path.write_text("pipeline: [\n" if number % 2 else good)
        before = run.receiver.log()
        run.receiver.signal(signal.SIGHUP)
        wait_until(lambda: run.receiver.log() != before, "an answer to SIGHUP in the log")
    run.receiver.config_path.write_text(good)


def test_the_books_agree_on_every_page_through_everything(build, tmp_path, s3_store, bucket, pytestconfig):
    long = pytestconfig.getoption("--long")
    run = Run(build, tmp_path, s3_store, bucket, every=1.0 if long else 0.1)
    try:
        for _ in range(10 if long else 1):
            outage_kill_and_recovery(run, reloads=50 if long else 6)
        check_the_end(run)
    finally:
        for load in run.loads:
            load.stopping = True
        s3_store.start_gateway()
        run.watch.receiver = None
        if run.receiver.process.poll() is None:
            run.receiver.close()
        run.watch.close()
    assert run.watch.pages > 20
    print(f"{run.watch.pages} pages, {run.lives} lives, {len(run.acknowledged)} acknowledged, {len(run.sent)} sent")


def outage_kill_and_recovery(run, reloads):
    run.start()
    load = run.load(lambda: run.count("stored") > 100, "a flow of batches")
    bury_one(run)
    run.remember(load)

    run.store.stop_gateway()
    load = run.load(lambda: run.receiver.scrape().total(BREAKER, sink="s3") == 1, "the breaker")
    reload_under_load(run, reloads)
    wait_until(lambda: run.receiver.get("/readyz").status == 503, "a full spool")
    run.end(run.receiver.kill)
    run.remember(load)

    run.start()
    purge_one_tenant(run)
    run.store.start_gateway()
    wait_until(lambda: run.receiver.get("/readyz").status == 200, "room")
    load = run.load(lambda: run.count("stored") > 50, "a flow of batches")
    run.end(run.receiver.kill)
    run.remember(load)

    run.start()
    wait_until(lambda: run.receiver.logged("the spool is counted") and run.count("held") == 0, "an empty queue")
    left = run.receiver.scrape().check_conservation()
    run.end(run.receiver.stop)
    run.start()
    wait_until(lambda: run.receiver.logged("the spool is counted"), "a counted spool")
    assert run.count("recovered") == left["held"] + left["buried"]
    run.end(run.receiver.stop)


def bury_one(run):
    """A name that the store has with other bytes already."""
    name, body = f"acme--web--{1_800_000_000_000_000_000 + run.lives}--ndjson.gz", gzip_batch()
    run.bucket.put(f"acme/web/{name}", b"somebody else's")
    buried = run.count("buried")
    assert Sender(run.receiver.port).post("acme", "web", body, name).status == 200
    run.acknowledged[f"acme/web/{name}"] = run.sent[f"acme/web/{name}"] = body
    run.receiver.wait_batches("buried", buried + 1)


def purge_one_tenant(run):
    """While the store is away, so that all that is held of it goes. It was acknowledged, and is excused from now on."""
    wait_until(lambda: run.receiver.logged("the spool is counted"), "a counted spool")
    api, gone = Api(run.receiver), 0

    def purged():
        nonlocal gone
        count = api.post(f"/api/v1/tenants/{PURGED}/purge")["count"]
        gone += count
        return count == 0

    wait_until(purged, f"nothing of {PURGED} left")
    assert gone > 0 and run.count("purged") == gone
    run.acknowledged = {name: body for name, body in run.acknowledged.items() if not name.startswith(f"{PURGED}/")}


def check_the_end(run):
    """Exactly once, with its bytes: in the store or among the letters."""
    run.start()
    letters = {f"{letter['tenant_id']}/{letter['dataset_id']}/{letter['filename']}" for letter in Api(run.receiver).letters()}
    keys = run.bucket.keys()
    stored = set(keys) - letters
    missing = [name for name in run.acknowledged if name not in stored and name not in letters]
    assert not missing, f"{len(missing)} of {len(run.acknowledged)} acknowledged are gone, e.g. {missing[:5]}"
    assert stored <= set(run.sent), "in the store, and never sent"
    sample = sorted(stored)[::max(1, len(stored) // 300)]
    assert all(run.bucket.read(name) == run.sent[name] for name in sample)
    assert len(letters) == run.count("buried") >= 1 and run.statuses <= {200, 503}
    run.end(run.receiver.stop)
