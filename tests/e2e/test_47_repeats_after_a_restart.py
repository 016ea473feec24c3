# SPDX-License-Identifier: Apache-2.0
"""With `ack: sink` a repeat of a batch that a former life took over and has not stored is not answered before it is stored."""
import pytest

from support.api import Api
from support.outage import Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.spool import Lives, drained
from support.wait import wait_until


@pytest.fixture
def lives(build, tmp_path):
    lives = Lives(build, tmp_path, ack="sink", config={"ack_timeout": "1s"})
    yield lives
    lives.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_repeat_of_what_is_still_held_waits_for_the_sink(lives, end):
    held, stored = (gzip_batch(1, word) for word in ("held", "stored"))
    names = {"held": batch_name("acme", "web"), "stored": batch_name("other", "web")}
    first = lives.start()
    obstacle = Obstacle(lives.sink)
    assert Sender(first.port).post("other", "web", stored, names["stored"]).status == 200
    assert Sender(first.port).post("acme", "web", held, names["held"]).status == 503, "the sink is away"
    getattr(first, end)()

    second = lives.start()
    repeat = Sender(second.port).post("acme", "web", held, names["held"])
    assert repeat.status == 503, "it is not stored, so nobody may be told so"
    second.scrape().check_conservation()
    other = Sender(second.port).post("acme", "web", stored, names["held"])
    assert other.status == 409, "other bytes under a name that is taken"

    obstacle.remove()
    scrape = drained(second)
    assert scrape.batches("accepted") == 0 and scrape.batches("recovered") == 1
    assert Sender(second.port).post("acme", "web", held, names["held"]).status == 200
    assert Sender(second.port).post("other", "web", stored, names["stored"]).status == 200
    assert drained(second).batches("accepted") == 0, "both were duplicates"
    second.stop()


@pytest.mark.parametrize("stopped", [False, True], ids=["api", "command"])
def test_a_repeat_of_a_letter_that_was_taken_back_waits_for_the_sink(lives, build, stopped):
    body, name = gzip_batch(), batch_name("acme", "web")
    place = lives.sink / "acme/web" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    first = lives.start()
    assert Sender(first.port).post("acme", "web", body, name).status == 409, "the sink has other bytes under its name"
    wait_until(lambda: lives.files("dlq/*.json"), "the letter's file")
    place.unlink()
    place.parent.rmdir()
    place.parent.parent.rmdir()
    obstacle = Obstacle(lives.sink, "acme")
    if not stopped:
        assert Api(first).post("/api/v1/dlq/retry", {"tenant_id": "acme", "dataset_id": "*"})["count"] == 1
        assert Sender(first.port).post("acme", "web", body, name).status == 503, "no letter any more, and not stored yet"
    first.kill()
    if stopped:
        result = build.run("dlq", "retry", "--dir", str(lives.directory), "--tenant", "*", "--plugin-dir", build.plugins)
        assert result.returncode == 0, result

    second = lives.start()
    assert Sender(second.port).post("acme", "web", body, name).status == 503, "the record it was is gone; the new one waits"
    obstacle.remove()
    drained(second)
    assert Sender(second.port).post("acme", "web", body, name).status == 200
    assert second.stored(lives.sink) == {f"acme/web/{name}": body}
    second.stop()
