# SPDX-License-Identifier: Apache-2.0
"""Reads the spool as plugins/spool/FORMAT.md describes it. Written from that page alone, in nothing but Python, so that
the page and the daemon check each other. Strict: what the page does not allow is an error."""
import dataclasses
import hashlib
import pathlib
import re
import struct

ALIGN = 64
EVERY = 0xFFFFFFFF
CONFIRMED, BURIED, PURGED, WANTED = 1, 2, 3, 4

_TABLE = []
for _byte in range(256):
    _crc = _byte
    for _ in range(8):
        _crc = _crc >> 1 ^ (0x82F63B78 if _crc & 1 else 0)
    _TABLE.append(_crc)


def crc32c(data, crc=0):
    state = crc ^ 0xFFFFFFFF
    for byte in data:
        state = state >> 8 ^ _TABLE[(state ^ byte) & 0xFF]
    return state ^ 0xFFFFFFFF


def seeded(nonce, *parts):
    crc = crc32c(struct.pack("<Q", nonce))
    for part in parts:
        crc = crc32c(part, crc)
    return crc


class Malformed(Exception):
    pass


def require(condition, text):
    if not condition:
        raise Malformed(text)


_TEXTS = {1: "account", 2: "tenant", 3: "dataset", 4: "filename", 5: "batch_id", 6: "data_hint", 7: "content_type"}
_NUMBERS = {8: "line_count", 9: "original_bytes", 10: "created_ns"}


def parse_envelope(data):
    """The envelope's fields by name. Everything the page says of them is checked."""
    require(len(data) <= 32768, "envelope too long")
    raw, at = {}, 0
    while at < len(data):
        require(at + 4 <= len(data), "half a field")
        tag, length = struct.unpack_from("<HH", data, at)
        value = data[at + 4:at + 4 + length]
        require(len(value) == length, f"field {tag} is longer than the envelope")
        require(tag not in raw, f"tag {tag} twice")
        raw[tag] = value
        at += 4 + length
    for tag in (2, 3, 4, 11, 14):
        require(tag in raw, f"tag {tag} is missing")
    fields = {}
    for tag, name in _TEXTS.items():
        text = raw.get(tag, b"")
        require(b"\0" not in text, f"NUL in {name}")
        fields[name] = text.decode("utf-8")
    for tag, name in _NUMBERS.items():
        require(len(raw.get(tag, bytes(8))) == 8, f"length of {name}")
        fields[name] = struct.unpack("<Q", raw.get(tag, bytes(8)))[0]
    require(len(raw[11]) == 32 and len(raw.get(12, raw[11])) == 32, "length of a hash")
    require(raw.get(12) != raw[11], "tag 12 equals tag 11")
    fields["stored_sha256"] = raw[11]
    fields["source_sha256"] = raw.get(12, raw[11])
    require(len(raw.get(13, bytes(4))) == 4, "length of flags")
    fields["flags"] = struct.unpack("<I", raw.get(13, bytes(4)))[0]
    require(raw[14].endswith(b"\0"), "the last consumer's NUL")
    require(len(raw.get(15, bytes(8))) == 8, "length of a letter's sequence")
    fields["letter"] = struct.unpack("<Q", raw.get(15, bytes(8)))[0]
    fields["consumers"] = [name.decode("utf-8") for name in raw[14][:-1].split(b"\0")]
    require(all(fields["consumers"]) and len(fields["consumers"]) <= 32, "consumers")
    return fields


@dataclasses.dataclass
class Record:
    offset: int
    sequence: int
    received_ns: int
    envelope: bytes
    fields: dict
    body: bytes
    end: int  # after the padding

    @property
    def key(self):
        return f"{self.fields['tenant']}/{self.fields['dataset']}/{self.fields['filename']}"


@dataclasses.dataclass
class Segment:
    """One file, its records in order, and the marks that check."""
    id: int
    nonce: int
    data: bytes
    records: list
    marks: list  # (sequence, consumer, state, burial)
    header_good: bool

    def progress(self, record):
        """What the marks say of each consumer: a list of states, None where there is none."""
        states = [None] * len(record.fields["consumers"])
        for sequence, consumer, state, _ in self.marks:
            if sequence != record.sequence:
                continue
            for i in range(len(states)) if consumer == EVERY else [consumer]:
                if i < len(states) and not (state == WANTED and states[i] != BURIED):
                    states[i] = None if state == WANTED else state
        return states

    def settled(self, record):
        return all(state in (CONFIRMED, PURGED) for state in self.progress(record))


def parse_record(data, at, nonce, identity):
    """The record at `at`, or None when there is no good one."""
    head = data[at:at + 64]
    if len(head) < 64 or head[:8] != b"BFRR\1\0\0\0":
        return None
    nonce_here, identity_here, sequence, body_bytes, envelope_bytes, body_crc, received_ns, zero, crc = struct.unpack(
        "<QQQQIIqII", head[8:])
    envelope = data[at + 64:at + 64 + envelope_bytes]
    if (nonce_here, identity_here) != (nonce, identity) or len(envelope) != envelope_bytes:
        return None
    if seeded(nonce, head[:60], envelope) != crc:
        return None
    body = data[at + 64 + envelope_bytes:at + 64 + envelope_bytes + body_bytes]
    if len(body) != body_bytes or crc32c(body) != body_crc:
        return None
    require(zero == 0, "bytes 56 to 59 of a record header")
    end = at + 64 + envelope_bytes + body_bytes
    padding = data[end:end + -end % ALIGN]
    require(not any(padding), f"padding of the record at {at}")
    return Record(at, sequence, received_ns, envelope, parse_envelope(envelope), body, end + -end % ALIGN)


def _nonce_of(data, identity):
    """(nonce, whether the header checks); None when it cannot be told."""
    header = data[:64]
    magic, version, identity_here, nonce, _, file_bytes = struct.unpack_from("<4sIQQqQ", header)
    if magic == b"BFRS" and version == 1 and struct.unpack_from("<I", header, 60)[0] == crc32c(header[:60]):
        require(not any(header[40:60]), "bytes 40 to 59 of a segment header")
        require(file_bytes >= len(data), "the file is larger than its header says")
        return (nonce, True) if identity_here == identity else (None, True)
    if len(data) >= 128:
        guess = struct.unpack_from("<Q", data, 72)[0]
        head = data[64:128]
        envelope = data[128:128 + struct.unpack_from("<I", head, 40)[0]]
        if head[:4] == b"BFRR" and struct.unpack_from("<I", head, 60)[0] == seeded(guess, head[:60], envelope):
            return guess, False
    return (nonce, False) if magic == b"BFRS" and identity_here == identity else (None, False)


def read_marks(path, nonce):
    data = path.read_bytes() if path.exists() else b""
    marks = []
    for at in range(0, len(data) - len(data) % 24, 24):
        sequence, consumer, state, burial, crc = struct.unpack_from("<QIIII", data, at)
        if crc == seeded(nonce, data[at:at + 20]):
            require(state in (CONFIRMED, BURIED, PURGED, WANTED), f"mark state {state}")
            require(state == BURIED or burial == 0, "burial of a mark that is none")
            marks.append((sequence, consumer, state, burial))
    return marks


def read_segment(path):
    """A Segment, or None for a file that holds none (a recycled one between two lives)."""
    path = pathlib.Path(path)
    match = re.fullmatch(r"([0-9a-f]{16})\.seg", path.name)
    require(match, f"{path.name} is not a segment's name")
    identity, data = int(match.group(1), 16), path.read_bytes()
    if len(data) < 64:
        return None
    nonce, header_good = _nonce_of(data, identity)
    if nonce is None:
        return None
    needle = struct.pack("<QQ", nonce, identity)
    records, at = [], 64
    while True:
        found = data.find(needle, at + 8)  # every good record has it; a fast way over what is none
        if found < 0:
            break
        start = found - 8
        record = parse_record(data, start, nonce, identity) if start % ALIGN == 0 else None
        if record is not None:
            records.append(record)
        at = record.end if record is not None else found - 7
    return Segment(identity, nonce, data, records, read_marks(path.with_suffix(".done"), nonce), header_good)


def read_index(path):
    """The index's content as a dictionary; an error when it does not check."""
    data = pathlib.Path(path).read_bytes()
    require(len(data) >= 68 and data[:8] == b"BFRI\1\0\0\0", "magic of the index")
    require(crc32c(data[:-4]) == struct.unpack("<I", data[-4:])[0], "CRC of the index")
    identity, nonce, end, count, tenant_count, set_count, tables, zero = struct.unpack_from("<QQQQIIQQ", data, 8)
    require(zero == 0, "bytes 56 to 63 of an index")
    require(len(data) == 64 + tables + 56 * count + 4, "length of the index")
    at = 64

    def text():
        nonlocal at
        stop = data.index(b"\0", at)
        value, at = data[at:stop].decode("utf-8"), stop + 1
        return value

    tenants = [text() for _ in range(tenant_count)]
    sets = []
    for _ in range(set_count):
        names = struct.unpack_from("<I", data, at)[0]
        at += 4
        require(1 <= names <= 32, "names in a set")
        sets.append([text() for _ in range(names)])
    require(at == 64 + tables, "length of the tables")
    names = ("sequence", "offset", "body_bytes", "received_ns", "envelope_bytes", "body_crc32c", "tenant", "set",
             "confirmed", "buried")
    records = [dict(zip(names, values)) for values in struct.iter_unpack("<QQQqIIIIII", data[at:-4])]
    require(len(set(tenants)) == len(tenants) and len(set(map(tuple, sets))) == len(sets), "a name twice in the index")
    require(records == sorted(records, key=lambda record: record["offset"]), "order of the index")
    return {"id": identity, "nonce": nonce, "end": end, "tenants": tenants, "sets": sets, "records": records}


def read_recent(root):
    """The entries of recent.old and recent.log that check: (key, body_bytes, received_ns, sha256)."""
    paths = [pathlib.Path(root) / name for name in ("recent.old", "recent.log")]
    return [entry for path in paths if path.exists() for entry in read_recent_file(path)]


def read_recent_file(path):
    data, at, entries = path.read_bytes(), 0, []
    while (at := data.find(b"BFRK", at)) >= 0 and at + 68 <= len(data):
        length, body_bytes, received_ns = struct.unpack_from("<IQq", data, at + 4)
        end = at + 64 + length
        if end + 4 <= len(data) and struct.unpack_from("<I", data, end)[0] == crc32c(data[at:end]):
            names = data[at + 64:end].split(b"\0")
            require(len(names) == 4 and names[3] == b"", "names of a recent entry")
            entry = (b"/".join(names[:3]).decode(), body_bytes, received_ns, data[at + 24:at + 56])
            if struct.unpack_from("<Q", data, at + 56)[0] != 0:
                entries.append(entry)
            else:  # purged
                entries = [other for other in entries if other[0] != entry[0] or other[2] > received_ns]
            at = end + 4
        else:
            at += 1
    return entries


class Spool:
    """All of {directory}/.bfr."""

    def __init__(self, directory):
        self.root = pathlib.Path(directory) / ".bfr"
        paths = sorted((self.root / "segments").glob("*.seg"))
        self.segments = [segment for segment in map(read_segment, paths) if segment is not None]

    def letters(self):
        """The sequences of dead letters that have files."""
        return {int(path.stem, 16) for path in (self.root / "dlq").glob("*.json")}

    def unsettled(self):
        """Every record that counts: not settled, no copy, and neither made from a dead letter with files nor for one."""
        letters = self.letters()
        return [record for segment in self.segments for record in segment.records
                if not segment.settled(record) and not self._is_copy(segment, record) and
                not {record.sequence, record.fields["letter"]} & letters]

    def held(self):
        """key -> body of every record that is not settled."""
        return {record.key: record.body for record in self.unsettled()}

    def _emptying(self, segment):
        return (self.root / "segments" / f"{segment.id:016x}.move").exists()

    def _is_copy(self, segment, record):
        """Of a record that still stands in a segment from which it was being moved?"""
        return not self._emptying(segment) and any(
            other.sequence == record.sequence and not origin.settled(other)
            for origin in self.segments if self._emptying(origin) for other in origin.records)

    def check(self):
        """What must hold in any spool, whatever happened: bodies have their hashes, no sequence waits twice, records do not
        overlap, each index agrees with its segment."""
        seen = set()
        for segment in self.segments:
            at = 64
            for record in segment.records:
                require(record.offset >= at, "records overlap")
                at = record.end
                require(hashlib.sha256(record.body).digest() == record.fields["stored_sha256"], f"hash of {record.key}")
                if segment.settled(record) or self._is_copy(segment, record):
                    continue
                require(record.sequence not in seen, f"sequence {record.sequence} twice")
                seen.add(record.sequence)
            index = self.root / "segments" / f"{segment.id:016x}.idx"
            if index.exists():
                self._check_index(segment, read_index(index))

    @staticmethod
    def _check_index(segment, index):
        if index["nonce"] != segment.nonce:
            return  # of another life
        require(index["id"] == segment.id, "id of the index")
        by_sequence = {record.sequence: record for record in segment.records}
        listed = set()
        for entry in index["records"]:
            listed.add(entry["sequence"])
            record = by_sequence.get(entry["sequence"])
            if record is None:
                continue  # settled since, and its place given back
            require(entry["offset"] == record.offset and entry["body_bytes"] == len(record.body), "index: place")
            require(entry["envelope_bytes"] == len(record.envelope), "index: envelope")
            require(entry["body_crc32c"] == crc32c(record.body), "index: CRC")
            require(entry["received_ns"] == record.received_ns, "index: time")
            require(index["tenants"][entry["tenant"]] == record.fields["tenant"], "index: tenant")
            require(index["sets"][entry["set"]] == record.fields["consumers"], "index: consumers")
        for record in segment.records:
            require(record.sequence in listed or segment.settled(record), f"{record.key} is not in the index")
