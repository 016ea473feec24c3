# SPDX-License-Identifier: Apache-2.0
"""What the previous product left in the spool's directory is adopted: every whole batch is stored once, every dead letter
stays one, nothing half-written is sent and nothing is lost, whenever the daemon is killed."""
import gzip
import hashlib
import json
import os
import random
import shutil

import pytest

from support.io_shim import Shim
from support.load import Load
from support.outage import Obstacle
from support.sender import Sender
from support.spool import Lives, drained
from support.wait import wait_until

ADOPTED = "files of the previous product are adopted"
BROKEN = "file of the previous product is broken; it is not adopted, and kept for a person to look at"
STAYS = "file of the previous product is not adopted; it stays where it is"


class OldSpool:
    """The previous product's tree; `expected` is what must be in the sink in the end."""

    def __init__(self, root):
        self.root = root
        self.expected = {}
        self.serial = 1700000000000000000

    def name(self, tenant, dataset, hint="ndjson"):
        self.serial += 1
        return f"{tenant}--{dataset}--{self.serial}--{hint}.gz"

    def put(self, part, body, name=None, meta=None, tenant="acme", dataset="web"):
        name = name or self.name(tenant, dataset)
        folder = self.root / tenant / dataset / part
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
        if meta is not None:
            text = meta if isinstance(meta, str) else json.dumps(meta)
            (folder / f"{name}.meta").write_text(text)
        return name

    def batch(self, part, meta=None, tenant="acme", dataset="web", lines=3):
        name = self.name(tenant, dataset)
        body = whole(name, lines)
        self.put(part, body, name, meta, tenant, dataset)
        if part != "dlq":
            self.expected[f"{tenant}/{dataset}/{name}"] = body
        return name

    def left(self):
        """Files, relative, that are still there; the new spool does not count."""
        found = []
        for folder, folders, files in os.walk(self.root):  # which directories may go meanwhile
            folders[:] = [name for name in folders if name != ".bfr"]
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            found += [os.path.relpath(os.path.join(folder, name), self.root) for name in files + links]
        return sorted(found)


def whole(name, lines=3):
    return gzip.compress(b"".join(b'{"n": "%s %d"}\n' % (name.encode(), line) for line in range(lines)), mtime=0)


def queue_meta(name="x", **changes):
    return {"line_count": 41, "original_bytes": 4242, "created_at": "2024-05-06T07:08:09+02:00", "data_hint": "csv",
            "batch_id": "the-id", "filename": name, **changes}


def retry_meta(name="x", **changes):
    return {"tenant_id": "acme", "dataset_id": "web", "filename": name, "file_path": f"/etc/{name}",
            "compressed_size": 10, "uncompressed_size": 0, "line_count": 7, "created_at": "2024-05-06T07:08:09.123456789Z",
            "status": "retry", "retry_count": 3, "last_retry": "0001-01-01T00:00:00Z", "failure_reason": "", **changes}


def dlq_meta(name="x", **changes):
    return {"id": "17", "tenant_id": "acme", "dataset_id": "web", "filename": name, "status": "dlq",
            "failure_reason": "max_retries_exceeded", "failed_at": "2024-06-07T08:09:10Z", "source": "queue",
            "retry_count": 5, **changes}


@pytest.fixture
def lives(build, tmp_path):
    made = Lives(build, tmp_path)
    yield made
    made.close()


@pytest.fixture
def old(lives):
    return OldSpool(lives.directory)


def summary(receiver, **expected):
    """Wait for the line at the end and compare its figures; those not given are 0."""
    wait_until(lambda: receiver.logged(ADOPTED), "the end of adoption")
    [line] = receiver.logged(ADOPTED)
    figures = ("adopted", "dead_letters", "set_aside", "known_before", "metas_removed", "left")
    assert {key: int(line[key]) for key in figures} == {**dict.fromkeys(figures, 0), **expected}


def letters(lives, spool=None):
    """The notes of all dead letters; each has its body beside it."""
    spool = spool or lives.directory
    notes = [(path, json.loads(path.read_text())) for path in sorted(spool.glob(".bfr/dlq/*.json"))]
    for path, note in notes:
        assert hashlib.sha256(path.with_suffix(".batch").read_bytes()).hexdigest() == note["stored_sha256"]
    assert len({note["filename"] for _, note in notes}) == len(notes)
    return {note["filename"]: note for _, note in notes}


def test_queue_and_retry_are_stored_with_and_without_metas(lives, old):
    old.batch("queue", queue_meta())
    old.batch("queue")
    old.batch("queue", '{"line_count": 3, "orig')  # torn
    old.batch("queue", "")
    old.batch("retry", retry_meta())
    old.batch("retry", tenant="other", dataset="fire.wall")
    name = old.batch("retry")
    old.put("queue", b"", f"{name}.meta", tenant="acme")  # a crash between its two renames
    receiver = lives.start()
    summary(receiver, adopted=7, metas_removed=1)
    scrape = drained(receiver)
    assert receiver.stored() == old.expected
    assert scrape.batches("recovered") == scrape.batches("stored") == 7
    assert old.left() == [] and [path.name for path in lives.directory.iterdir()] == [".bfr"]


def test_the_envelope_is_what_the_meta_says(lives, old):
    Obstacle(lives.sink)
    old.batch("queue", queue_meta())
    plain_name = old.batch("queue", "{torn", lines=1)
    path = old.root / "acme/web/queue" / plain_name
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    moved = old.batch("retry")
    old.put("queue", json.dumps(queue_meta(data_hint="syslog")).encode(), f"{moved}.meta")
    receiver = lives.start()
    summary(receiver, adopted=3, metas_removed=1)
    receiver.kill()
    records = {record.fields["filename"]: record for segment in lives.spool().segments for record in segment.records}
    first, second, third = (records[name].fields for name in sorted(records))
    assert (first["line_count"], first["original_bytes"], first["data_hint"]) == (41, 4242, "csv")
    assert first["batch_id"] == "the-id" and first["created_ns"] == 1714972089_000000000
    assert (second["line_count"], second["data_hint"], second["batch_id"]) == (1, "ndjson", "unknown")
    assert second["created_ns"] == 1_600_000_000_123_456_789
    assert second["original_bytes"] == len(whole(plain_name, 1))
    assert third["data_hint"] == "syslog"


def test_names_are_completed_and_plain_bytes_compressed(lives, old):
    one, two, three = whole("1"), whole("2"), whole("3")
    old.put("queue", one, "acme--web--1700000000000000000--ndjson")
    old.put("queue", two, "batch-7.ndjson.gz")
    old.put("retry", three, "trailing.gz", dataset="web.")
    old.put("queue", b'{"plain": true}\n' * 100, "plain")
    receiver = lives.start()
    summary(receiver, adopted=4)
    drained(receiver)
    stored = receiver.stored()
    plain = stored.pop("acme/web/plain.gz")
    assert stored == {"acme/web/acme--web--1700000000000000000--ndjson.gz": one,
                      "acme/web/batch-7--ndjson.gz": two, "acme/web/trailing.gz": three}
    assert gzip.decompress(plain) == b'{"plain": true}\n' * 100 and old.left() == []


def test_dead_letters_stay_dead_letters_in_both_forms(lives, old):
    first = old.batch("dlq", retry_meta(status="dlq", retry_count=4, failure_reason="S3 upload failed",
                                        last_retry="2024-05-07T00:00:00Z"))
    second = old.batch("dlq", dlq_meta())
    third = old.batch("dlq", "{torn")
    receiver = lives.start()
    summary(receiver, dead_letters=3)
    found = letters(lives)
    assert set(found) == {first, second, third} and old.left() == [] and receiver.stored() == {}
    assert found[first]["failure_reason"] == "adopted: S3 upload failed" and found[first]["retry_count"] == 4
    assert found[second]["failure_reason"] == "adopted: max_retries_exceeded" and found[second]["retry_count"] == 5
    assert found[third]["failure_reason"] == "adopted" and found[third]["retry_count"] == 0
    scrape = receiver.scrape()
    scrape.check_conservation()
    assert scrape.batches("buried") == scrape.batches("recovered") == 3
    receiver.stop()
    again = lives.start()
    assert set(letters(lives)) == {first, second, third}
    assert again.stored() == {}


def test_broken_files_are_kept_and_never_sent(lives, old):
    good = old.batch("queue")
    body = whole("x", 200)
    cut = old.put("queue", body[:-5], meta=queue_meta())
    wrong = old.put("retry", body[:40] + bytes([body[40] ^ 1]) + body[41:], meta=retry_meta())
    tail = old.put("dlq", body + b"tail", meta=dlq_meta())
    empty, zeros = old.put("queue", b""), old.put("queue", bytes(4096))
    bad_name = old.put("queue", body, "a..b.gz")
    receiver = lives.start()
    summary(receiver, adopted=1, set_aside=6)
    drained(receiver)
    assert list(receiver.stored()) == [f"acme/web/{good}"] and letters(lives) == {} and old.left() == []
    kept = {path.name.split("-", 3)[3]: path.read_bytes() for path in lives.files("quarantine/leftover-*")}
    assert {name: len(data) for name, data in kept.items() if not name.endswith((".meta", ".txt"))} == {
        cut: len(body) - 5, wrong: len(body), tail: len(body) + 4, empty: 0, zeros: 4096, bad_name: len(body)}
    assert {name for name in kept if name.endswith(".meta")} == {f"{name}.meta" for name in (cut, wrong, tail)}
    assert {data.decode().splitlines()[0] for name, data in kept.items() if name.endswith(".txt")} == {
        f"acme/web/{path}" for path in (f"queue/{cut}", f"retry/{wrong}", f"dlq/{tail}", f"queue/{empty}",
                                        f"queue/{zeros}", f"queue/{bad_name}")}
    lines = receiver.logged(BROKEN)  # the first; what follows within a second is folded
    assert lines and all(os.path.exists(line["kept"]) and line["file"].startswith("acme/web/") for line in lines)


def test_links_and_strangers_are_left_alone(lives, old, tmp_path):
    outside = tmp_path / "outside"
    (outside / "web/queue").mkdir(parents=True)
    (outside / "web/queue/a.gz").write_bytes(whole("a"))
    old.batch("queue")
    folder = old.root / "acme/web/queue"
    (folder / "link.gz").symlink_to(outside / "web/queue/a.gz")
    (folder / "hidden.gz.meta").symlink_to(outside / "web/queue/a.gz")
    os.mkfifo(folder / "pipe.gz")
    (old.root / "evil").symlink_to(outside)
    (old.root / "acme/evil").symlink_to(outside / "web")
    (old.root / "acme/web/retry").symlink_to(outside / "web/queue")
    (old.root / "malformed_proxy").mkdir()
    (old.root / "malformed_proxy/malformed_1_x").write_bytes(b"x")
    (old.root / "acme/notes").mkdir()
    (old.root / "acme/notes/readme").write_text("mine")
    (old.root / "stray").write_text("mine")
    receiver = lives.start()
    summary(receiver, adopted=1, left=2, metas_removed=1)
    drained(receiver)
    assert receiver.stored() == old.expected
    assert (outside / "web/queue/a.gz").read_bytes() == whole("a")
    stays = {line["file"] for line in receiver.logged(STAYS)}
    assert stays and stays <= {"acme/web/queue/link.gz", "acme/web/queue/pipe.gz"}
    assert old.left() == ["acme/evil", "acme/notes/readme", "acme/web/queue/link.gz", "acme/web/queue/pipe.gz",
                          "acme/web/retry", "evil", "malformed_proxy/malformed_1_x", "stray"]


def test_thousands_of_orphan_metas_go(lives, old):
    for number in range(5000):
        old.put("queue", b"{}", f"gone-{number}.gz.meta", tenant=f"t{number % 7}")
    old.batch("queue", queue_meta(), tenant="t3")
    receiver = lives.start()
    summary(receiver, adopted=1, metas_removed=5000)
    drained(receiver)
    assert old.left() == [] and receiver.stored() == old.expected


def test_one_name_with_the_same_bytes_is_stored_once(lives, old):
    name = old.batch("queue")
    body = old.expected[f"acme/web/{name}"]
    old.put("retry", body, name, retry_meta())
    old.put("queue", body, name.removesuffix(".gz"))
    receiver = lives.start()
    summary(receiver, adopted=1, known_before=2)
    assert drained(receiver).batches("stored") == 1
    assert receiver.stored() == old.expected and old.left() == []


def test_what_was_adopted_is_not_adopted_again_when_its_file_comes_back(lives, old):
    """As after a loss of power between the record and the removal of the file."""
    name, letter = old.batch("queue"), old.batch("dlq", dlq_meta())
    saved = (old.root / "acme/web/dlq" / letter).read_bytes()
    receiver = lives.start()
    summary(receiver, adopted=1, dead_letters=1)
    drained(receiver)
    receiver.stop()
    (lives.sink / "acme/web" / name).unlink()  # consumed
    old.put("queue", old.expected[f"acme/web/{name}"], name)
    old.put("dlq", saved, letter)
    receiver = lives.start()
    summary(receiver, known_before=2)
    assert drained(receiver).batches("stored") == 0 and receiver.stored() == {} and old.left() == []
    assert list(letters(lives)) == [letter]


def test_an_adopted_batch_is_known_to_its_sender_at_once(lives, old):
    Obstacle(lives.sink)
    queued, dead = old.batch("queue", queue_meta()), old.batch("dlq", dlq_meta())
    receiver = lives.start()
    summary(receiver, adopted=1, dead_letters=1)
    for name in (queued, dead):
        again = Sender(receiver.port).post("acme", "web", whole(name), name)
        assert again.status == 200 and again.json()["duplicate"] is True
        assert Sender(receiver.port).post("acme", "web", whole("other"), name).status == 409
    scrape = receiver.scrape()
    scrape.check_conservation()
    assert (scrape.batches("recovered"), scrape.batches("accepted")) == (2, 0)


def test_a_file_whose_batch_was_posted_before_its_turn_is_a_double(lives, old, tmp_path):
    Obstacle(lives.sink)
    name = old.batch("queue")
    shim = Shim(lives.build, tmp_path, lives.directory)
    shim.fail("write sync create fallocate", match="segments/")  # nothing can be adopted yet
    receiver = lives.make(shim.environment).launch()
    wait_until(lambda: any(line["msg"].startswith("some files of the previous product cannot be adopted now")
                           for line in receiver.log_lines()), "a file that has to wait")
    assert old.left() == [f"acme/web/queue/{name}"]
    shim.heal()
    wait_until(lambda: receiver.logged("api listening"), "open ports")
    port = int(receiver.logged("webhook listening")[0]["port"])
    wait_until(lambda: Sender(port).post("acme", "web", whole(name), name).status == 200, "it is posted, or adopted and known")
    wait_until(lambda: old.left() == [] and receiver.logged(ADOPTED), "the end of adoption")
    receiver.api_port = int(receiver.logged("api listening")[0]["port"])
    scrape = receiver.scrape()
    scrape.check_conservation()
    assert scrape.batches("held") == 1


def test_a_spool_without_room_adopts_as_room_comes(lives, old):
    # Twice what the spool may hold, while the sink is away.
    for number in range(64):
        name = old.name("acme", "web")
        body = gzip.compress(random.Random(number).randbytes(500_000), mtime=0)
        old.put("queue", body, name, queue_meta())
        old.expected[f"acme/web/{name}"] = body
    obstacle = Obstacle(lives.sink)
    receiver = lives.start()
    wait_until(lambda: any(line["msg"].startswith("some files of the previous product cannot be adopted now")
                           for line in receiver.log_lines()), "a full spool")
    assert old.left() != []
    receiver.scrape().check_conservation()
    obstacle.remove()
    summary(receiver, adopted=64)
    drained(receiver)
    assert receiver.stored() == old.expected and old.left() == []


def test_adoption_does_not_hold_up_start_nor_traffic_nor_stop(lives, old):
    for number in range(1500):
        old.batch("queue", queue_meta(), tenant=f"t{number % 5}")
    receiver = lives.start()
    running = Load(receiver.port, connections=4).start(600)
    wait_until(lambda: len(running.accepted) >= 20, "20 batches accepted")
    running.stopping = True
    running.join()
    receiver.scrape().check_conservation()
    receiver.stop()
    last = lives.start()
    wait_until(lambda: old.left() == [], "all adopted")
    drained(last)
    stored = last.stored()
    assert {**old.expected, **{name: running.sent[name] for name in running.accepted}}.items() <= stored.items()


def test_a_kill_in_the_middle_loses_nothing_and_doubles_nothing(lives, old, pytestconfig):
    rounds = 40 if pytestconfig.getoption("--long") else 6
    lives.options["max_size_bytes"] = "64MiB"  # the share of dead letters is to hold all of them
    rng, dead = random.Random(35), set()
    for _ in range(rounds):
        for number in range(60):
            part = rng.choice(["queue", "retry", "dlq"])
            name = old.batch(part, rng.choice([None, "{", queue_meta()]), tenant=f"t{number % 3}")
            if part == "dlq":
                dead.add(name)
        receiver = lives.make().launch()
        before, target = len(old.left()), rng.random()
        wait_until(lambda: len(old.left()) <= before * target or receiver.logged(ADOPTED), "some adopted")
        receiver.kill()
    last = lives.start()
    wait_until(lambda: old.left() == [], "all adopted")
    drained(last)
    assert last.stored() == old.expected
    assert set(letters(lives)) == dead
    last.scrape().check_conservation()


def test_loss_of_power_at_any_moment_loses_nothing_and_doubles_nothing(lives, old, tmp_path, pytestconfig):
    points = 100 if pytestconfig.getoption("--long") else 8
    for tenant in ("acme", "other"):
        Obstacle(lives.sink, tenant)
    dead = {old.batch("dlq", dlq_meta()) for _ in range(10)}
    for number in range(60):
        old.batch(("queue", "retry")[number % 2], queue_meta(), tenant=("acme", "other")[number % 3 % 2])
    shim = Shim(lives.build, tmp_path, lives.directory.parent).record()
    receiver = lives.start(shim.environment)
    wait_until(lambda: receiver.logged(ADOPTED), "the end of adoption")
    receiver.kill()
    rng = random.Random(35)
    for number in range(points):
        after = tmp_path / f"after{number}"
        shim.power_loss(rng.randint(1, shim.log_bytes), number, after)
        shutil.rmtree(after / "sink")
        survivor = lives.start(node=after)
        there = OldSpool(after / "spool")
        wait_until(lambda: there.left() == [], "all adopted")  # pylint: disable=cell-var-from-loop
        scrape = drained(survivor)
        assert scrape.batches("stored") == len(old.expected)  # none of them twice
        assert survivor.stored(after / "sink") == old.expected
        assert set(letters(lives, after / "spool")) == dead
        survivor.stop()
        shutil.rmtree(after)
