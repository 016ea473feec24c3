# SPDX-License-Identifier: Apache-2.0
"""`dlq ls|show|retry|purge` on a stopped daemon's directory, and redriving itself: whatever stops it, a batch is dead or held,
never both and never neither."""
import collections
import json
import os
import random
import signal
import subprocess

import pytest

from support.io_shim import Shim
from support.letters import bury, clear_the_way, write_letters
from support.receiver import assert_no_report
from support.sender import Sender, gzip_batch
from support.spool import drained
from support.spool_reader import Spool
from support.wait import wait_until


@pytest.fixture
def dlq(build):
    """dlq(command, ...) runs it; the result has returncode, stdout, stderr."""
    return lambda *arguments, **more: build.run("dlq", *arguments, "--plugin-dir", build.plugins, **more)


def conflicts(lives, count=5, tenant="acme"):
    """A stopped daemon with so many dead letters: the sink has other bytes under their names. name -> body."""
    receiver = lives.start()
    bodies = bury(receiver, count, tenant)
    if lives.options.get("dlq_max_share") != "0":
        wait_until(lambda: len(lives.files("dlq/*.json")) == count, "their files")
    receiver.stop()
    return bodies


def listed(result):
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def names_of(letters):
    return [f"{letter['tenant_id']}/{letter['dataset_id']}/{letter['filename']}" for letter in letters]


@pytest.mark.parametrize("share", ["0.25", "0"], ids=["filed", "in-segments"])
def test_letters_are_listed_and_shown_with_the_fields_of_the_api(make_lives, dlq, share):
    lives = make_lives(options={"dlq_max_share": share})
    bodies = conflicts(lives)
    assert len(lives.files("dlq/*.json")) == (5 if share != "0" else 0)
    letters = listed(dlq("ls", "--dir", lives.directory, "--json"))
    assert sorted(names_of(letters)) == sorted(bodies)
    assert [letter["id"] for letter in letters] == sorted(letter["id"] for letter in letters)
    for letter in letters:
        assert letter["size"] == len(bodies[names_of([letter])[0]])
        assert letter["status"] == "dlq" and letter["reason"] == "conflict"
        assert letter["failure_reason"].startswith("conflict")
        assert {"id", "line_count", "original_size", "created_at", "last_retry", "retry_count", "attempts", "first_error",
                "first_error_at", "last_error", "last_error_at", "stored_sha256", "source_sha256"} <= letter.keys()
        assert [letter] == listed(dlq("show", letter["id"], "--dir", lives.directory, "--json"))
    table = dlq("ls", "--dir", lives.directory)
    assert table.returncode == 0 and table.stderr == ""
    for letter in letters:
        assert any(line.startswith(letter["id"]) and letter["filename"] in line for line in table.stdout.splitlines())
    assert f"5 dead letters, {sum(map(len, bodies.values()))} bytes\n" in table.stdout
    shown = dlq("show", letters[0]["id"], "--dir", lives.directory)
    assert shown.returncode == 0 and f"filename         {letters[0]['filename']}\n" in shown.stdout


def test_letters_are_selected_by_tenant_dataset_file_and_id(make_lives, dlq):
    lives = make_lives()
    one = write_letters(lives.directory, 3, tenant="one")
    two = write_letters(lives.directory, 2, tenant="two", dataset="fw", first=10)
    ls = lambda *selectors: names_of(listed(dlq("ls", "--dir", lives.directory, "--json", *selectors)))  # noqa: E731
    assert sorted(ls()) == sorted([*one, *two])
    assert sorted(ls("--tenant", "one")) == sorted(one) and sorted(ls("--dataset=fw")) == sorted(two)
    name = sorted(two)[1].rsplit("/", 1)[1]
    assert ls("--tenant", "*", "--file", name) == [sorted(two)[1]]
    assert ls("--id", f"{1 << 24 | 2:016x}") == [sorted(one)[1]]
    assert ls("--tenant", "three") == []


@pytest.mark.parametrize("share", ["0.25", "0"], ids=["filed", "in-segments"])
def test_retried_letters_are_stored(make_lives, dlq, share):
    lives = make_lives(options={"dlq_max_share": share})
    bodies = conflicts(lives)
    dry = dlq("retry", "--dir", lives.directory, "--tenant", "*", "--dry-run")
    assert dry.returncode == 0 and dry.stdout == "5 dead letters would be taken back\n"
    assert lives.spool().held() == {} if share != "0" else True
    result = dlq("retry", "--dir", lives.directory, "--tenant", "*")
    assert result.returncode == 0 and result.stdout == "5 dead letters taken back\n"
    assert dlq("ls", "--dir", lives.directory).stdout == "0 dead letters, 0 bytes\n"
    lives.spool().check()
    assert lives.spool().held() == bodies
    clear_the_way(lives, bodies)
    receiver = lives.start()
    scrape = drained(receiver)
    assert receiver.stored(lives.sink) == bodies
    assert scrape.batches("recovered") == 5 and scrape.batches("buried") == 0


@pytest.mark.parametrize("share", ["0.25", "0"], ids=["filed", "in-segments"])
def test_purged_letters_are_gone_and_no_others(make_lives, dlq, share):
    lives = make_lives(options={"dlq_max_share": share})
    bodies = conflicts(lives)
    victim = sorted(bodies)[2]
    result = dlq("purge", "--dir", lives.directory, "--tenant", "acme", "--file", victim.rsplit("/", 1)[1])
    assert result.returncode == 0 and result.stdout == "1 dead letters purged\n"
    left = names_of(listed(dlq("ls", "--dir", lives.directory, "--json")))
    assert sorted(left) == sorted(set(bodies) - {victim})
    receiver = lives.start()
    wait_until(lambda: receiver.scrape().batches("buried") == 4, "four letters")
    assert drained(receiver).batches("recovered") == 4


@pytest.mark.parametrize("share", ["0.25", "0"], ids=["filed", "in-segments"])
def test_the_name_of_a_purged_letter_is_free(make_lives, dlq, share):
    lives = make_lives(options={"dlq_max_share": share})
    victim, other = conflicts(lives, 2)
    assert dlq("purge", "--dir", lives.directory, "--tenant", "*", "--file",
               victim.rsplit("/", 1)[1]).stdout == "1 dead letters purged\n"
    (lives.sink / victim).unlink()
    receiver = lives.start()
    drained(receiver)
    body, sender = gzip_batch(1, "new"), Sender(receiver.port)
    assert sender.post("acme", "web", body, victim.rsplit("/", 1)[1]).status == 200
    assert sender.post("acme", "web", body, other.rsplit("/", 1)[1]).status == 409, "the other letter is still there"
    wait_until(lambda: receiver.stored(lives.sink).get(victim) == body, "the new batch under the old name")
    receiver.stop()
    third = lives.start()  # and it is known from now on
    drained(third)
    assert Sender(third.port).post("acme", "web", gzip_batch(1, "third"), victim.rsplit("/", 1)[1]).status == 409


def test_a_letter_that_names_no_sink_is_taken_back_by_either_way(make_lives, dlq, build):
    lives = make_lives()
    bodies = write_letters(lives.directory, 4)
    for path in lives.files("dlq/*.json"):
        path.write_text(path.read_text().replace('"consumers": ["fs"]', '"consumers": []'))
    first = f"{1 << 24 | 1:016x}"
    refused = dlq("retry", "--dir", lives.directory, "--id", first)
    assert refused.returncode == 1 and "--sink" in refused.stderr and refused.stdout == "0 dead letters taken back\n"
    dry = dlq("retry", "--dir", lives.directory, "--id", first, "--dry-run")
    assert dry.returncode == 1 and dry.stdout == "0 dead letters would be taken back\n"
    taken = dlq("retry", "--dir", lives.directory, "--id", first, "--sink", "fs")
    assert taken.returncode == 0 and taken.stdout == "1 dead letters taken back\n"
    assert dlq("purge", "--dir", lives.directory, "--id", first, "--sink", "fs").returncode == 2
    in_the_queue(build, lives.directory, None)  # the other three
    receiver = lives.start()
    drained(receiver)
    assert receiver.stored(lives.sink) == bodies


def test_a_running_daemon_is_left_alone_and_the_api_named(make_lives, dlq):
    lives = make_lives()
    lives.start()
    for command in (["ls"], ["show", "1"], ["retry", "--tenant", "*"], ["purge", "--tenant", "*"]):
        result = dlq(*command, "--dir", lives.directory)
        assert result.returncode == 1 and str(lives.directory) in result.stderr
        assert "in use by another process" in result.stderr and "API" in result.stderr


def test_wrong_usage_is_2_and_says_how(make_lives, dlq, tmp_path):
    lives = make_lives()
    write_letters(lives.directory, 1)
    place = ["--dir", lives.directory]
    for arguments in ([], ["burn", *place], ["show", *place], ["show", "a", "b", *place], ["ls", "a", *place],
                      ["retry", *place], ["purge", *place], ["retry", *place, "--tenant", ""], ["ls", *place, "--tenant="],
                      ["purge", *place, "--tenant", "*", "--json"], ["ls", *place, "--dry-run"], ["ls", "--dir"],
                      ["retry", *place, "--tenant", "a", "--tenant", "b"], ["ls", *place, "--colour", "red"]):
        result = dlq(*arguments)
        assert result.returncode == 2, arguments
        assert "dlq" in result.stderr
    assert "--tenant '*' is all of them" in dlq("retry", *place).stderr
    assert dlq("--help").returncode == 0 and "dlq retry" in dlq("--help").stdout
    assert "Usage: bytefreezer-receiver dlq purge" in dlq("purge", "--help").stdout
    assert dlq("show", "ffff", *place).returncode == 1
    assert len(listed(dlq("ls", *place, "--json"))) == 1
    assert dlq("ls", "--dir", tmp_path / "nothing").returncode == 1


def test_a_damaged_letter_is_told_of_and_holds_up_nobody(make_lives, dlq):
    lives = make_lives()
    bodies = write_letters(lives.directory, 4)
    stems = [f"{1 << 24 | number:016x}" for number in range(1, 5)]
    (lives.directory / f".bfr/dlq/{stems[0]}.json").write_text("{")
    (lives.directory / f".bfr/dlq/{stems[1]}.batch").write_bytes(b"damaged")
    result = dlq("ls", "--dir", lives.directory)
    assert result.returncode == 1 and stems[0] in result.stderr and "3 dead letters" in result.stdout
    result = dlq("retry", "--dir", lives.directory, "--tenant", "*")
    assert result.returncode == 1 and result.stdout == "2 dead letters taken back\n"
    assert stems[0] in result.stderr and f"{stems[1]} is not taken back: its .batch is damaged" in result.stderr
    assert sorted(lives.spool().held()) == sorted(bodies)[2:]


def test_what_a_letter_says_does_not_move_the_cursor(make_lives, dlq):
    lives = make_lives()
    write_letters(lives.directory, 1)
    [path] = lives.files("dlq/*.json")
    path.write_text(path.read_text().replace("http 400", "\\u001b[2J\\n"))
    for arguments in (["ls"], ["show", path.stem]):
        output = dlq(*arguments, "--dir", lives.directory).stdout
        assert "\x1b" not in output and "?[2J?" in output


# Redriving, in the running queue and by the command, and what may stop it.


def in_the_queue(build, directory, shim):
    """All letters by a life of the disk queue; its standard output."""
    environment = {**build.environment(), **(shim.environment if shim else {})}
    result = subprocess.run([build.directory / "tests/fault/letter_life", directory], env=environment, text=True,
                            capture_output=True, timeout=120, check=False)
    assert_no_report(result.stderr)
    assert result.returncode == 0, result.stderr
    return result.stdout


def by_the_command(build, directory, shim):
    result = build.run("dlq", "retry", "--dir", directory, "--tenant", "*", "--plugin-dir", build.plugins,
                       env=shim.environment if shim else None)
    assert result.returncode == 0, result.stderr
    return result.stdout


WAYS = {"queue": in_the_queue, "command": by_the_command}


def dead_or_held(directory, bodies):
    """Each of the batches is one or the other, once. Returns the number of dead ones."""
    spool = Spool(directory)
    dead = {json.loads(path.read_text())["filename"] for path in (spool.root / "dlq").glob("*.json")}
    held = collections.Counter(record.fields["filename"] for record in spool.unsettled())
    assert not dead & held.keys(), "dead and held"
    assert {name.rsplit("/", 1)[1] for name in bodies} == dead | held.keys()
    assert set(held.values()) <= {1}, "held twice"
    return len(dead)


@pytest.mark.parametrize("way", WAYS)
def test_a_redrive_is_all_or_nothing_for_each_letter_after_loss_of_power(make_lives, build, dlq, tmp_path, way, pytestconfig):
    lives = make_lives()
    bodies = write_letters(lives.directory, 40)
    shim = Shim(build, tmp_path, lives.directory).record()
    WAYS[way](build, lives.directory, shim)
    assert dead_or_held(lives.directory, bodies) == 0
    # Right after each change of a name, and here and there.
    rng = random.Random(7)
    ends = [event.end for event in shim.events() if event.op in ("unlink", "sync_end", "create", "rename")]
    points = 200 if pytestconfig.getoption("--long") else 16
    seen = set()
    for number in range(points):
        at = rng.choice(ends) if number % 4 else rng.randint(1, shim.log_bytes)
        at = shim.log_bytes if number == points - 1 else at
        after = tmp_path / f"after{number}"
        shim.power_loss(at, number, after)
        dead = dead_or_held(after, bodies)
        seen.add("all" if dead == 0 else "none" if dead == 40 else "some")
        assert len(listed(dlq("ls", "--dir", after, "--json"))) == dead
        if number % 4 == 0:
            survivor = lives.make(node=after.parent / f"node{number}")
            (after.parent / f"node{number}").mkdir()
            after.rename(after.parent / f"node{number}/spool")
            survivor.start()
            scrape = drained(survivor)
            assert (scrape.batches("recovered"), scrape.batches("buried")) == (40, dead)
            assert len(survivor.stored()) == 40 - dead
            survivor.stop()
    assert {"all", "none"} <= seen


@pytest.mark.parametrize("way", WAYS)
def test_a_redrive_is_all_or_nothing_for_each_letter_after_sigkill(make_lives, build, way, pytestconfig):
    rng, cut, count = random.Random(8), 0, 600
    for number in range(40 if pytestconfig.getoption("--long") else 3):
        lives = make_lives()
        bodies = write_letters(lives.directory, count)
        command = ([build.directory / "tests/fault/letter_life", lives.directory] if way == "queue" else
                   build.command("dlq", "retry", "--dir", lives.directory, "--tenant", "*", "--plugin-dir", build.plugins))
        left = rng.randint(1, count - 1)  # when so many letters are left
        process = subprocess.Popen(command, env=build.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        dlq = lives.directory / ".bfr/dlq"
        wait_until(lambda: process.poll() is not None or len(os.listdir(dlq)) <= 2 * left, "a part of the redrive")
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert_no_report(errors.decode())
        assert process.returncode in (0, -signal.SIGKILL)
        dead = dead_or_held(lives.directory, bodies)
        cut += 0 < dead < count
        survivor = lives.start()
        scrape = drained(survivor)
        assert (scrape.batches("recovered"), scrape.batches("buried")) == (count, dead)
        assert len(survivor.stored(lives.sink)) == count - dead
        survivor.stop()
    assert cut > 0 or way == "command"  # the command removes all of them in one go, too fast to be met for sure


@pytest.mark.parametrize("way", WAYS)
def test_many_letters_are_taken_back_in_few_groups(make_lives, build, tmp_path, way, pytestconfig):
    count = 10_000 if pytestconfig.getoption("--long") else 2_000
    lives = make_lives()
    bodies = write_letters(lives.directory, count)
    shim = Shim(build, tmp_path, lives.directory).record()
    WAYS[way](build, lives.directory, shim)
    syncs = sum(event.op == "sync_end" for event in shim.events())
    print(f"{way}: {count} letters, {syncs} syncs")
    assert syncs < count / 10
    assert dead_or_held(lives.directory, bodies) == 0


def test_a_record_made_for_a_letter_that_is_still_there_counts_for_nothing(make_lives, build, dlq):
    """As a crash leaves it between the record and the removal. Neither reader nor command nor daemon takes it for held."""
    lives = make_lives()
    bodies = write_letters(lives.directory, 6)
    kept = {path.name: path.read_bytes() for path in lives.files("dlq/*")}
    by_the_command(build, lives.directory, None)
    assert lives.spool().held() == bodies
    for name, data in kept.items():
        (lives.directory / ".bfr/dlq" / name).write_bytes(data)
    assert lives.spool().held() == {}
    result = build.run("spool", "ls", lives.directory, "--plugin-dir", build.plugins)
    assert "total: 0 held" in result.stdout and "6 in files" in result.stdout
    # Purged, the letters take nothing back to life with them.
    assert dlq("purge", "--dir", lives.directory, "--id", f"{1 << 24 | 1:016x}").returncode == 0
    receiver = lives.start()
    scrape = drained(receiver)
    assert (scrape.batches("recovered"), scrape.batches("buried"), scrape.batches("stored")) == (5, 5, 0)
    receiver.stop()
    assert dlq("retry", "--dir", lives.directory, "--tenant", "*").returncode == 0
    last = lives.start()
    drained(last)
    assert sorted(last.stored(lives.sink)) == sorted(bodies)[1:]
