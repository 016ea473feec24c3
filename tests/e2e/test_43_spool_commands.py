# SPDX-License-Identifier: Apache-2.0
"""`spool ls|verify|export|import|waive`: a stopped daemon's spool can be looked at, checked, emptied into plain files, filled
from them, and freed from a sink that is gone."""
import os
import random
import subprocess

import pytest

from support.outage import Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.letters import write_letters
from support.spool import drained
from support.spool_writer import write_segment
from support.wait import wait_until


@pytest.fixture
def spool(build):
    """spool(command, ...) runs it; the result has returncode, stdout, stderr."""
    return lambda *arguments: build.run("spool", *arguments, "--plugin-dir", build.plugins)


def stuck(lives, count=20, tenant="acme"):
    """A stopped daemon with so many batches that wait. name -> body."""
    receiver = lives.start()
    obstacle = Obstacle(lives.sink, tenant)
    bodies = {}
    for number in range(count):
        body, name = gzip_batch(1, random.Random(number).randbytes(200 * number).hex()), batch_name(tenant, "web")
        assert Sender(receiver.port).post(tenant, "web", body, name).status == 200
        bodies[f"{tenant}/web/{name}"] = body
    receiver.stop()
    obstacle.remove()
    return bodies


def files_below(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_ls_says_what_waits_and_for_whom(make_lives, spool):
    lives = make_lives()
    bodies = stuck(lives)
    size = sum(map(len, bodies.values()))
    result = spool("ls", lives.directory)
    assert result.returncode == 0 and result.stderr == ""
    assert f"tenant acme: 20 held ({size} bytes)\n" in result.stdout
    assert f"total: 20 held ({size} bytes), 0 dead letters" in result.stdout
    assert f"segment {1:016x}: " in result.stdout


def test_a_spool_in_use_is_left_alone(make_lives, spool, tmp_path):
    lives = make_lives()
    lives.start()
    for command in (["ls"], ["verify"], ["export", tmp_path / "out"], ["import", tmp_path], ["waive", "--sink", "fs"]):
        result = spool(command[0], lives.directory, *command[1:])
        assert result.returncode == 1
        assert "in use by another process" in result.stderr and str(lives.directory) in result.stderr
    assert not (tmp_path / "out").exists()


def test_wrong_usage_is_2_and_says_how(spool, tmp_path):
    for arguments in ([], ["ls"], ["ls", "a", "b"], ["export", "a"], ["waive", "a"], ["waive", "--sink", "fs"], ["burn", "a"],
                      ["import", "a", "b", "--sink"], ["verify", "--all"]):
        result = spool(*arguments)
        assert result.returncode == 2, arguments
        assert "spool " in result.stderr
    assert spool("--help").returncode == 0
    assert "Usage: bytefreezer-receiver spool ls DIR" in spool("ls", "--help").stdout
    result = spool("ls", tmp_path)
    assert result.returncode == 1 and str(tmp_path) in result.stderr
    assert os.listdir(tmp_path) == []  # looking makes nothing


def test_verify_finds_every_flipped_bit_of_what_waits(make_lives, spool):
    lives = make_lives()
    stuck(lives)
    result = spool("verify", lives.directory)
    assert result.returncode == 0 and "20 records good, 0 damages found" in result.stdout
    [segment] = [segment for segment in lives.spool().segments if segment.records][:1]
    path = lives.directory / f".bfr/segments/{segment.id:016x}.seg"
    rng = random.Random(3)
    for _ in range(20):
        record = rng.choice(segment.records)
        data = bytearray(segment.data)
        at = record.offset + rng.randrange(64 + len(record.envelope) + len(record.body))
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        result = spool("verify", lives.directory)
        assert result.returncode == 1, f"bit at {at} of the record at {record.offset}"
        assert f"segment {segment.id:016x}: " in result.stdout and "19 records good" in result.stdout
    path.write_bytes(segment.data)
    assert spool("verify", lives.directory).returncode == 0


def test_export_lays_files_out_as_the_sink_does(make_lives, spool, tmp_path):
    lives = make_lives()
    bodies = stuck(lives)
    out = tmp_path / "out"
    result = spool("export", lives.directory, out)
    assert result.returncode == 0 and "20 files written, 0 were there already, 0 not written" in result.stdout
    assert files_below(out) == bodies
    result = spool("export", lives.directory, out)
    assert result.returncode == 0 and "0 files written, 20 were there already" in result.stdout
    # Nothing has left the spool.
    receiver = lives.start()
    drained(receiver)
    assert receiver.stored(lives.sink) == bodies


def test_export_never_writes_over_or_outside(make_lives, spool, tmp_path):
    lives = make_lives()
    bodies = stuck(lives)
    out, outside = tmp_path / "out", tmp_path / "outside"
    name = sorted(bodies)[3]
    (out / name).parent.mkdir(parents=True)
    (out / name).write_bytes(b"other bytes")
    result = spool("export", lives.directory, out)
    assert result.returncode == 1 and f"'{name}' is not written: a file of that name with other bytes" in result.stderr
    assert files_below(out) == {**bodies, name: b"other bytes"}

    outside.mkdir()
    (tmp_path / "second").mkdir()
    os.symlink(outside, tmp_path / "second/acme")
    result = spool("export", lives.directory, tmp_path / "second")
    assert result.returncode == 1 and "20 not written" in result.stdout
    assert os.listdir(outside) == []


def test_import_is_stored_as_if_it_had_been_posted(make_lives, spool, tmp_path):
    first, second = make_lives(), make_lives()
    bodies = stuck(first)
    out = tmp_path / "out"
    assert spool("export", first.directory, out).returncode == 0
    second.directory.mkdir(parents=True)
    result = spool("import", second.directory, out)
    assert result.returncode == 1 and "--sink" in result.stderr  # an empty spool knows no sinks
    result = spool("import", second.directory, out, "--sink", "fs")
    size = sum(map(len, bodies.values()))
    assert result.returncode == 0 and f"20 files imported, {size} bytes" in result.stdout
    second.spool().check()
    assert second.spool().held() == bodies
    assert spool("verify", second.directory).returncode == 0
    receiver = second.start()
    assert drained(receiver).batches("recovered") == 20
    assert receiver.stored(second.sink) == bodies


def test_import_goes_where_the_others_go_and_leaves_out_what_is_no_batch(make_lives, spool, tmp_path):
    lives = make_lives()
    bodies = stuck(lives)
    extra = tmp_path / "extra"
    (extra / "acme/web").mkdir(parents=True)
    (extra / "acme/web/more.gz").write_bytes(b"more")
    (extra / "acme/web/empty.gz").write_bytes(b"")
    os.symlink("/etc/passwd", extra / "acme/web/link.gz")
    os.symlink("/etc", extra / "acme/linked")
    (extra / "bad tenant").mkdir()
    result = spool("import", lives.directory, extra)
    assert result.returncode == 1 and "1 files imported, 4 bytes" in result.stdout
    for name in ("acme/web/empty.gz", "acme/web/link.gz", "acme/linked", "bad tenant"):
        assert name in result.stderr
    receiver = lives.start()
    drained(receiver)
    assert receiver.stored(lives.sink) == {**bodies, "acme/web/more.gz": b"more"}


def test_a_sink_that_is_gone_is_waited_for_until_it_is_waived(make_lives, spool):
    lives = make_lives()
    bodies = stuck(lives)
    assert "0 batches no longer wait for sink 'other'" in spool("waive", lives.directory, "--sink", "other").stdout
    assert lives.spool().held() == bodies
    result = spool("waive", lives.directory, "--sink", "fs")
    assert result.returncode == 0 and "20 batches no longer wait for sink 'fs'" in result.stdout
    assert lives.spool().held() == {}
    assert "total: 0 held" in spool("ls", lives.directory).stdout
    receiver = lives.start()
    drained(receiver)
    assert receiver.stored(lives.sink) == {}
    # Nobody has them: who sends one again, or others under its name, is not told that they are known.
    (one, body), (other, _) = list(bodies.items())[:2]
    new = gzip_batch(1, "new")
    for name, sent in ((one, body), (other, new)):
        reply = Sender(receiver.port).post("acme", "web", sent, name.rsplit("/", 1)[1])
        assert reply.status == 200 and "duplicate" not in reply.text()
    wait_until(lambda: receiver.stored(lives.sink) == {one: body, other: new}, "both stored")


# A disk that cannot be written: read-only, and of a dead node.


@pytest.fixture
def read_only(tmp_path):
    """read_only(directory) mounts it once more, read-only, and gives that place."""
    mounted = []

    def mount(directory):
        place = tmp_path / f"read-only{len(mounted)}"
        place.mkdir()
        subprocess.run(["mount", "--bind", directory, place], check=True)
        mounted.append(place)
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        with pytest.raises(OSError):
            (place / "probe").touch()
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


def tree_of(directory):
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*")}


def test_a_disk_that_cannot_be_written_is_read_all_the_same(make_lives, build, spool, read_only, tmp_path):
    lives = make_lives()
    bodies = stuck(lives)
    write_letters(lives.directory, 2, first=100)  # not those of a batch that waits
    place, out = read_only(lives.directory), tmp_path / "out"
    before = tree_of(lives.directory)
    result = spool("export", place, out)
    assert (result.returncode, result.stderr) == (0, "") and "20 files written" in result.stdout
    assert files_below(out) == bodies
    assert "total: 20 held" in spool("ls", place).stdout and spool("verify", place).returncode == 0
    letters = build.run("dlq", "ls", "--dir", place, "--plugin-dir", build.plugins)
    assert letters.returncode == 0 and "2 dead letters" in letters.stdout
    assert tree_of(lives.directory) == before
    for command in (["import", place, out], ["waive", place, "--sink", "fs"]):
        result = spool(*command)
        assert result.returncode == 1 and str(place) in result.stderr
    result = build.run("dlq", "retry", "--dir", place, "--tenant", "*", "--plugin-dir", build.plugins)
    assert result.returncode == 1 and str(place) in result.stderr
    assert len(lives.files("dlq/*.json")) == 2


@pytest.mark.parametrize("lost", ["lock", "*.done", "*.idx", "dlq", "quarantine"])
def test_a_part_that_is_missing_there_is_missed_by_nobody(make_lives, spool, read_only, tmp_path, lost):
    lives = make_lives()
    bodies = stuck(lives)
    for path in lives.files(lost if "*" not in lost else f"segments/{lost}"):
        path.rmdir() if path.is_dir() else path.unlink()
    place = read_only(lives.directory)
    result = spool("export", place, tmp_path / "out")
    assert result.returncode == 0 and files_below(tmp_path / "out") == bodies
    assert ("make sure that no daemon works there" in result.stderr) == (lost == "lock")
    assert "total: 20 held" in spool("ls", place).stdout and spool("verify", place).returncode == 0
    assert len(lives.files(lost if "*" not in lost else f"segments/{lost}")) == 0


def test_a_daemon_keeps_readers_out_also_where_they_see_its_disk_read_only(make_lives, spool, read_only, tmp_path):
    lives = make_lives()
    receiver = lives.start()
    place = read_only(lives.directory)
    for command in (["ls", place], ["verify", place], ["export", place, tmp_path / "out"]):
        result = spool(*command)
        assert result.returncode == 1 and "in use by another process" in result.stderr
    receiver.stop()
    assert spool("ls", place).returncode == 0


def test_a_copy_of_a_record_on_the_move_counts_once(make_lives, spool, tmp_path):
    """As a crash leaves it: the same sequences in a segment that was being emptied and in the one that they move to."""
    lives = make_lives()
    names = [("acme", "web", f"{number}.gz") for number in range(5)]
    origin = write_segment(lives.directory, 1, names)
    write_segment(lives.directory, 2, names, sequences_of=1)
    assert len(lives.spool().unsettled()) == 10
    origin.with_suffix(".move").touch()
    assert len(lives.spool().unsettled()) == 5
    assert "total: 5 held" in spool("ls", lives.directory).stdout
    assert "5 files written, 0 were there already" in spool("export", lives.directory, tmp_path / "out").stdout
    receiver = lives.start()
    assert drained(receiver).batches("recovered") == 5
