# SPDX-License-Identifier: Apache-2.0
"""What happens behind the acknowledgement: several sinks, a sink that is away, ack levels, dead letters."""
import resource
import shutil

import pytest

from support import wire
from support.outage import QUICK_RETRY, Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

AUTH = {"plugin": "auth", "mode": "open"}
MEMORY = {"plugin": "memory"}


def stage(health, name):
    found = [entry for entry in health["stages"] if entry["name"] == name]
    assert len(found) == 1, health
    return found[0]


def test_two_sinks_both_get_every_batch(make_receiver, tmp_path):
    left, right = tmp_path / "left", tmp_path / "right"
    receiver = make_receiver(pipeline=[
        AUTH, MEMORY,
        {"plugin": "fs", "name": "left", "directory": str(left)},
        {"plugin": "fs", "name": "right", "directory": str(right)},
    ]).start()
    sender, bodies = Sender(receiver.port), {}
    for _ in range(20):
        body, name = gzip_batch(), batch_name("acme", "web")
        assert sender.post("acme", "web", body, name).status == 200
        bodies[f"acme/web/{name}"] = body
    scrape = receiver.wait_batches("stored", 20)
    assert receiver.stored(left) == receiver.stored(right) == bodies
    scrape.check_conservation()


def test_a_sink_that_is_away_does_not_hold_up_the_other(make_receiver, tmp_path):
    left, right = tmp_path / "left", tmp_path / "right"
    receiver = make_receiver({"retry": QUICK_RETRY}, pipeline=[
        AUTH, MEMORY,
        {"plugin": "fs", "name": "left", "directory": str(left)},
        {"plugin": "fs", "name": "right", "directory": str(right)},
    ]).start()
    obstacle = Obstacle(left)
    sender, names = Sender(receiver.port), [batch_name("acme", "web") for _ in range(5)]
    for name in names:
        assert sender.post("acme", "web", name=name).status == 200
    for name in names:
        receiver.wait_stored(f"acme/web/{name}", right)
    scrape = receiver.scrape()
    assert scrape.batches("held") == 5 and scrape.batches("stored") == 0, "stored means: in both"
    obstacle.remove()
    receiver.wait_batches("stored", 5).check_conservation()
    assert receiver.stored(left) == receiver.stored(right)


def test_an_outage_is_held_reported_and_healed(make_receiver):
    receiver = make_receiver({"retry": QUICK_RETRY}).start()
    obstacle = Obstacle(receiver.sink)
    sender, bodies = Sender(receiver.port), {}
    for _ in range(10):
        body, name = gzip_batch(), batch_name("acme", "web")
        assert sender.post("acme", "web", body, name).status == 200
        bodies[f"acme/web/{name}"] = body

    health = wait_until(lambda: (h := receiver.health())["status"] != "ok" and h, "degraded health")
    assert health["status"] == "degraded"
    assert stage(health, "fs")["status"] != "ok" and stage(health, "fs")["reason"]
    assert receiver.get("/readyz").status == 200, "a sink that is away is no reason to refuse batches"
    held = receiver.wait_batches("held", 10)
    held.check_conservation()
    assert held.batches("buried") == 0, "nothing is charged during an outage"
    assert wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_breaker_open", sink="fs") == 1, "breaker")

    obstacle.remove()
    receiver.wait_batches("stored", 10).check_conservation()
    assert receiver.stored() == bodies
    wait_until(lambda: receiver.health()["status"] == "ok", "good health")


def test_the_log_of_an_outage_names_the_cause_and_is_short(make_receiver):
    receiver = make_receiver({"retry": QUICK_RETRY, "logging": {"level": "info"}}).start()
    Obstacle(receiver.sink)
    sender = Sender(receiver.port)
    for _ in range(200):
        assert sender.post("acme", "web").status == 200
    wait_until(lambda: receiver.health()["status"] == "degraded", "degraded health")
    lines = [line for line in receiver.log_lines() if line.get("level") in ("warn", "error")]
    assert any("acme" in str(line) and ("Not a directory" in str(line) or "File exists" in str(line)) for line in lines)
    assert len(lines) < 50, "one outage must not write a line per batch"
    receiver.kill()


def test_a_conflict_in_the_sink_is_buried_not_overwritten(make_receiver):
    receiver = make_receiver().start()
    name = batch_name("acme", "web")
    there = receiver.sink / "acme" / "web" / name
    there.parent.mkdir(parents=True)
    there.write_bytes(b"somebody else's bytes")
    assert Sender(receiver.port).post("acme", "web", name=name).status == 200
    receiver.wait_batches("buried", 1).check_conservation()
    buried = "bytefreezer_receiver_buried_total"
    wait_until(lambda: receiver.scrape().total(buried, reason="conflict") == 1, "the reason's counter")
    assert receiver.scrape().total(buried) == 1
    assert there.read_bytes() == b"somebody else's bytes"
    receiver.stop(expect=1)  # a dead letter in memory is lost with the process, and said to be
    assert any(line.get("level") == "error" and name in str(line) for line in receiver.log_lines())


def test_equal_bytes_already_in_the_sink_are_stored(make_receiver):
    receiver = make_receiver().start()
    body, name = gzip_batch(), batch_name("acme", "web")
    there = receiver.sink / "acme" / "web" / name
    there.parent.mkdir(parents=True)
    there.write_bytes(body)
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("stored", 1).check_conservation()
    assert receiver.stored() == {f"acme/web/{name}": body}


def test_no_symbolic_link_leads_out_of_the_sink(make_receiver, tmp_path):
    receiver = make_receiver({"retry": QUICK_RETRY}).start()
    outside = tmp_path / "outside"
    outside.mkdir()
    receiver.sink.mkdir(exist_ok=True)
    (receiver.sink / "acme").symlink_to(outside)
    assert Sender(receiver.port).post("acme", "web").status == 200
    wait_until(lambda: receiver.health()["status"] == "degraded", "degraded health")
    assert list(outside.rglob("*")) == []
    (receiver.sink / "acme").unlink()
    receiver.wait_batches("stored", 1)


@pytest.mark.parametrize("queue", [[MEMORY], []], ids=["with a queue", "without a queue"])
def test_ack_sink_answers_when_it_is_stored(make_receiver, queue):
    receiver = make_receiver({"ack": "sink"})
    receiver.write_config({"ack": "sink", "pipeline": [AUTH, *queue, {"plugin": "fs", "directory": "sink"}]})
    receiver.start()
    sender = Sender(receiver.port)
    for _ in range(10):
        body, name = gzip_batch(), batch_name("acme", "web")
        assert sender.post("acme", "web", body, name).status == 200
        assert (receiver.sink / "acme" / "web" / name).read_bytes() == body, "stored before it was acknowledged"
    assert sender.post("acme", "web", body, name).json()["duplicate"] is True
    receiver.wait_batches("stored", 10).check_conservation()


def test_ack_sink_in_an_outage_is_503_and_the_retry_a_duplicate(make_receiver):
    receiver = make_receiver({"ack": "sink", "ack_timeout": "300ms", "retry": QUICK_RETRY}).start()
    obstacle = Obstacle(receiver.sink)
    sender, body, name = Sender(receiver.port), gzip_batch(), batch_name("acme", "web")
    reply = sender.post("acme", "web", body, name)
    assert reply.status == 503 and int(reply.header("retry-after")) >= 1
    assert receiver.scrape().batches("held") == 1, "accepted, though not acknowledged"
    obstacle.remove()
    receiver.wait_batches("stored", 1)
    again = sender.post("acme", "web", body, name)
    assert again.status == 200 and again.json()["duplicate"] is True
    assert receiver.stored() == {f"acme/web/{name}": body}


def test_ack_sink_answers_409_for_a_conflict(make_receiver):
    receiver = make_receiver({"ack": "sink"}, pipeline=[AUTH, {"plugin": "fs", "directory": "sink"}]).start()
    name = batch_name("acme", "web")
    there = receiver.sink / "acme" / "web" / name
    there.parent.mkdir(parents=True)
    there.write_bytes(b"other")
    assert Sender(receiver.port).post("acme", "web", name=name).status == 409
    assert receiver.scrape().batches("buried") == 0, "without a queue nothing is kept"


def test_the_sidecar_describes_the_batch(make_receiver):
    receiver = make_receiver(pipeline=[
        AUTH, MEMORY, {"plugin": "fs", "directory": "sink", "sidecar": True},
    ]).start()
    body, name = gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("stored", 1)
    files = receiver.stored()
    assert files[f"acme/web/{name}"] == body
    sidecars = [path for path in files if path.endswith(".json")]
    assert len(files) == 2 and len(sidecars) == 1


def test_discard_confirms_and_forgets(make_receiver):
    receiver = make_receiver(pipeline=[AUTH, MEMORY, {"plugin": "discard"}]).start()
    for _ in range(5):
        assert Sender(receiver.port).post().status == 200
    receiver.wait_batches("stored", 5).check_conservation()


def test_a_sink_directory_that_is_removed_is_made_again(make_receiver):
    receiver = make_receiver({"retry": QUICK_RETRY}).start()
    sender = Sender(receiver.port)
    assert sender.post("acme", "web").status == 200
    receiver.wait_batches("stored", 1)
    shutil.rmtree(receiver.sink / "acme")
    body, name = gzip_batch(), batch_name("acme", "web")
    assert sender.post("acme", "web", body, name).status == 200
    assert receiver.wait_stored(f"acme/web/{name}") == body


def test_a_limit_of_file_sizes_is_an_outage_and_not_the_end(make_receiver):
    """LimitFSIZE= stops the log as well, when that is a file: no write may end the process."""
    receiver = make_receiver({"retry": QUICK_RETRY}).start()
    process, hard = receiver.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process, resource.RLIMIT_FSIZE, (1, hard))
    body, name = gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    wait_until(lambda: "LimitFSIZE" in stage(receiver.health(), "fs")["reason"], "the reason")
    receiver.require_alive()
    resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
    assert receiver.wait_stored(f"acme/web/{name}") == body


def test_health_lists_the_stages_in_the_datas_order(receiver):
    health = receiver.health()
    assert list(health)[:4] == ["status", "version", "tenant_count", "database_healthy"]
    assert health["status"] == "ok" and health["tenant_count"] == 0 and health["database_healthy"] is True
    assert [(entry["name"], entry["kind"]) for entry in health["stages"]] == [
        ("auth", "auth"), ("memory", "queue"), ("fs", "sink")]
    assert {entry["status"] for entry in health["stages"]} == {"ok"}


def test_livez_and_an_unknown_admin_path(receiver):
    assert receiver.get("/livez").status == 200
    assert receiver.get("/nowhere").status == 404
    assert wire.request(receiver.api_port, "POST", "/metrics", body=b"x").status == 405
