# SPDX-License-Identifier: Apache-2.0
"""Steers tests/fault/io_shim.so in a running daemon: which calls on files fail, and what is recorded. From a record it
builds the directory as a loss of power at any point might leave it."""
import dataclasses
import errno
import mmap
import os
import pathlib
import random
import re
import struct

_MAGIC = 0x4D494853
_PATH = 512
_RULES = 8
_RULE = struct.Struct("<8I64s")
_LOG_BYTES_AT = 8
_CLOCK_AT = 16
_DIRECTORY_AT = 24
_LOG_PATH_AT = _DIRECTORY_AT + _PATH
_RULES_AT = _LOG_PATH_AT + _PATH
_SIZE = _RULES_AT + _RULES * _RULE.size

CALLS = {"write": 1, "sync": 2, "rename": 4, "unlink": 8, "mkdir": 16, "fallocate": 32, "create": 64, "truncate": 128}
EVER = 0xFFFFFFFF


class Shim:
    """`directory` is watched. `environment` goes into the daemon's."""

    def __init__(self, build, root, directory):
        self.library = build.directory / "tests/fault/io_shim.so"
        assert self.library.exists(), f"{self.library} is missing; build it first"
        self.directory = pathlib.Path(directory).resolve()
        self.log_path = pathlib.Path(root) / "io_shim.log"
        self._path = pathlib.Path(root) / "io_shim.control"
        self._path.write_bytes(bytes(_SIZE))
        with open(self._path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)
        struct.pack_into("<I", self._map, 0, _MAGIC)
        self._text(_DIRECTORY_AT, self.directory)
        self._text(_LOG_PATH_AT, self.log_path)
        self.environment = {"LD_PRELOAD": str(self.library), "BFR_IO_SHIM": str(self._path)}
        if build.sanitizer == "address":
            self.environment["ASAN_OPTIONS"] = build.environment()["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
        if build.sanitizer == "thread":
            self._leave_out_reused_numbers(build, pathlib.Path(root))

    def _leave_out_reused_numbers(self, build, root):
        """ThreadSanitizer does not see openat, and behind the shim not open either. So a file under the number of a
        socket that another thread has closed looks to it like that socket, closed by the wrong thread."""
        options = build.environment()["TSAN_OPTIONS"]
        shared = pathlib.Path(re.search(r"suppressions=(\S+)", options).group(1))
        own = root / "tsan.supp"
        own.write_text(shared.read_text() + "race_top:^close$\n")
        self.environment["TSAN_OPTIONS"] = options.replace(str(shared), str(own))

    def _text(self, at, text):
        data = str(text).encode()
        assert len(data) < _PATH
        self._map[at:at + len(data) + 1] = data + b"\0"

    # Faults

    def fail(self, calls, error=errno.EIO, skip=0, times=EVER, match="", short=None, slot=0):
        """After `skip` calls on paths that contain `match`, the next `times` fail. `short`: writes stop after so many
        bytes instead. The kinds of calls are written last: with them the rule begins to count."""
        kinds = sum(CALLS[name] for name in calls.split())
        self.heal(slot)
        _RULE.pack_into(self._map, _RULES_AT + slot * _RULE.size, 0, 0 if short is not None else error, skip, times,
                        short or 0, 0, 0, 0, match.encode())
        struct.pack_into("<I", self._map, _RULES_AT + slot * _RULE.size, kinds)

    def heal(self, slot=None):
        for number in range(_RULES) if slot is None else [slot]:
            struct.pack_into("<I", self._map, _RULES_AT + number * _RULE.size, 0)

    def hits(self, slot=0):
        """How many calls have failed by that rule."""
        return _RULE.unpack_from(self._map, _RULES_AT + slot * _RULE.size)[6]

    def set_clock(self, seconds):
        """How far the time of day is off from now on; the monotonic clock goes on as it is."""
        struct.pack_into("<q", self._map, _CLOCK_AT, int(seconds * 1_000_000_000))

    # Recording

    def record(self):
        """From now on. What is below the directory before counts as safe."""
        self._before = Tree.of(self.directory)
        struct.pack_into("<I", self._map, 4, 1)
        return self

    @property
    def log_bytes(self):
        """How much has been recorded so far; what is acknowledged after this was read needs nothing beyond it."""
        assert struct.unpack_from("<I", self._map, 0)[0] == _MAGIC, "the record could not be written"
        return struct.unpack_from("<Q", self._map, _LOG_BYTES_AT)[0]

    def events(self):
        return read_log(self.log_path, self.log_bytes)

    def power_loss(self, at, seed, target):
        """Build in `target` what may be on the disk when the power goes after `at` bytes of the record."""
        tree = self._before.copy()
        for event in read_log(self.log_path, at):
            tree.apply(event)
        tree.lose_power(random.Random(seed), pathlib.Path(target))


@dataclasses.dataclass
class Event:
    op: str
    number: int
    value: int
    path: str
    data: bytes
    end: int  # of the record up to here


_OPS = ("", "create", "write", "size", "grow", "punch", "sync_begin", "sync_end", "rename", "unlink", "mkdir", "rmdir")
_HEAD = struct.Struct("<IIQQQ")


def read_log(path, limit):
    """The events of the first `limit` bytes; an event that is cut off there did not begin."""
    data = pathlib.Path(path).read_bytes()[:limit] if limit else b""
    events, at = [], 0
    while at + _HEAD.size <= len(data):
        op, path_bytes, data_bytes, number, value = _HEAD.unpack_from(data, at)
        start, at = at + _HEAD.size, at + _HEAD.size + path_bytes + data_bytes
        if at > len(data):
            break
        events.append(Event(_OPS[op], number, value, data[start:start + path_bytes].decode(),
                            data[start + path_bytes:at], at))
    return events


class _File:
    """What is safe, and what has been done since the last sync that covers it."""

    def __init__(self, data=b""):
        self.data = bytearray(data)
        self.pending = []  # events
        self.begun = {}  # serial of a sync -> how many of `pending` it covers

    def sync_begin(self, serial):
        self.begun[serial] = len(self.pending)

    def sync_end(self, serial):
        count = self.begun.pop(serial, 0)
        for event in self.pending[:count]:
            change(self.data, event)
        del self.pending[:count]
        self.begun = {other: max(0, covered - count) for other, covered in self.begun.items()}

    def after_loss(self, rng):
        """Any of the pending changes may have reached the disk: as a whole, not at all, or in some of its sectors."""
        data = bytearray(self.data)
        mode = rng.choice(("none", "all", "some", "some"))
        for event in self.pending:
            fate = mode if mode != "some" else rng.choice(("none", "all", "torn"))
            if fate == "all":
                change(data, event)
            elif fate == "torn":
                tear(data, event, rng)
        return bytes(data)


def extend(data, size):
    if len(data) < size:
        data.extend(bytes(size - len(data)))


def change(data, event):
    if event.op == "write":
        extend(data, event.value)
        data[event.value:event.value + len(event.data)] = event.data
    elif event.op == "size":
        del data[event.value:]
        extend(data, event.value)
    elif event.op == "grow":
        extend(data, event.value)
    elif event.op == "punch":
        stop = min(event.value + struct.unpack("<Q", event.data)[0], len(data))
        if stop > event.value:
            data[event.value:stop] = bytes(stop - event.value)


SECTOR = 512


def tear(data, event, rng):
    """Some sectors of a write, in whichever order: each by itself."""
    if event.op != "write":
        return
    stop = event.value + len(event.data)
    at = event.value
    while at < stop:
        end = min(stop, (at // SECTOR + 1) * SECTOR)
        if rng.random() < 0.5:
            extend(data, end)
            data[at:end] = event.data[at - event.value:end - event.value]
        at = end


class _Directory:
    """Names that are safe, and changes since the last sync of the directory, in order."""

    def __init__(self):
        self.names = {}  # name -> _File or _Directory
        self.pending = []  # (name, object or None), or a list of such that happen together
        self.begun = {}
        self.now = {}

    def change(self, *steps):
        self.pending.append(steps)
        perform(self.now, steps)

    def sync_begin(self, serial):
        self.begun[serial] = len(self.pending)

    def sync_end(self, serial):
        count = self.begun.pop(serial, 0)
        for steps in self.pending[:count]:
            perform(self.names, steps)
        del self.pending[:count]
        self.begun = {other: max(0, covered - count) for other, covered in self.begun.items()}

    def after_loss(self, rng):
        """A journal keeps the order of names: some first part of the changes has got to the disk."""
        names = dict(self.names)
        for steps in self.pending[:rng.choice((0, len(self.pending), rng.randint(0, len(self.pending))))]:
            perform(names, steps)
        return names


def perform(names, steps):
    for name, thing in steps:
        if thing is None:
            names.pop(name, None)
        else:
            names[name] = thing


class Tree:
    """A directory with everything below it, as the record tells of it."""

    def __init__(self):
        self.root = _Directory()
        self.by_inode = {}
        self.unplaced = []  # (path, thing): made in a directory of which the record has not told yet

    @classmethod
    def of(cls, path):
        tree = cls()
        tree._read(pathlib.Path(path), tree.root)
        return tree

    def _read(self, path, directory):
        self.by_inode[path.stat().st_ino] = directory
        for child in path.iterdir():
            if child.is_dir():
                thing = _Directory()
                self._read(child, thing)
            else:
                thing = _File(child.read_bytes())
                self.by_inode[child.stat().st_ino] = thing
            directory.names[child.name] = directory.now[child.name] = thing

    def copy(self):
        """Of a tree without pending changes."""
        other = Tree()
        where = {id(thing): inode for inode, thing in self.by_inode.items()}

        def clone(thing):
            if isinstance(thing, _File):
                made = _File(thing.data)
            else:
                made = _Directory() if thing is not self.root else other.root
                made.names = {name: clone(child) for name, child in thing.names.items()}
                made.now = dict(made.names)
            other.by_inode[where[id(thing)]] = made
            return made

        clone(self.root)
        return other

    def _parent(self, path):
        """(directory, name); None when the directory is not there any more in the record."""
        directory, parts = self.root, path.split("/")
        for part in parts[:-1]:
            directory = directory.now.get(part)
            if not isinstance(directory, _Directory):
                return None, parts[-1]
        return directory, parts[-1]

    def apply(self, event):
        if event.op in ("create", "mkdir"):
            thing = _File() if event.op == "create" else _Directory()
            self.by_inode[event.number] = thing
            self.unplaced.append((event.path, thing))
            self._place()
        elif event.op in ("unlink", "rmdir"):
            directory, name = self._parent(event.path)
            directory.change((name, None))
        elif event.op == "rename":
            self._rename(event.path, event.data.decode())
        else:
            self._touch(event)

    def _place(self):
        """A call is recorded when it has returned, so a quicker thread may record what it made in a directory before the
        thread that made the directory does; it waits here for that."""
        waiting, self.unplaced = self.unplaced, []
        for path, thing in waiting:
            directory, name = self._parent(path)
            if directory is None:
                self.unplaced.append((path, thing))
            else:
                directory.change((name, thing))
        if len(self.unplaced) < len(waiting) and self.unplaced:
            self._place()

    def _rename(self, source, target):
        from_directory, from_name = self._parent(source)
        to_directory, to_name = self._parent(target)
        thing = from_directory.now[from_name]
        if from_directory is to_directory:
            from_directory.change((from_name, None), (to_name, thing))
        else:
            to_directory.change((to_name, thing))
            from_directory.change((from_name, None))

    def _touch(self, event):
        thing = self.by_inode.get(event.number)
        if thing is None:
            return  # opened before the record began, and since removed
        if event.op in ("sync_begin", "sync_end"):
            getattr(thing, event.op)(event.value)
        elif isinstance(thing, _File):
            thing.pending.append(event)

    def lose_power(self, rng, target):
        self._write(self.root, rng, target)

    def _write(self, directory, rng, path):
        path.mkdir(mode=0o700, exist_ok=True)
        for name, thing in directory.after_loss(rng).items():
            if isinstance(thing, _Directory):
                self._write(thing, rng, path / name)
            else:
                with open(os.open(path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    write_sparse(file, thing.after_loss(rng))


def write_sparse(file, data):
    """Preallocated files are mostly zeros."""
    block = 65536
    for at in range(0, len(data), block):
        part = data[at:at + block]
        if any(part):
            file.seek(at)
            file.write(part)
    file.truncate(len(data))
