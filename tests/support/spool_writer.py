# SPDX-License-Identifier: Apache-2.0
"""Writes segments as plugins/spool/FORMAT.md describes them, from that page alone: many batches that wait, without a daemon to
have taken them."""
import gzip
import hashlib
import os
import pathlib
import struct

from support.spool_reader import ALIGN, crc32c, seeded

BODY = gzip.compress(b'{"n": 1}\n', mtime=0)
_DIGEST, _CRC = hashlib.sha256(BODY).digest(), crc32c(BODY)


def _field(tag, value):
    return struct.pack("<HH", tag, len(value)) + value


def envelope(tenant, dataset, name, sinks=("fs",)):
    return (_field(2, tenant.encode()) + _field(3, dataset.encode()) + _field(4, name.encode()) + _field(11, _DIGEST) +
            _field(14, b"".join(sink.encode() + b"\0" for sink in sinks)))


def record(nonce, identity, sequence, head, received_ns=1_700_000_000_000_000_000):
    """A record with BODY, padding included."""
    fixed = b"BFRR" + struct.pack("<IQQQQIIqI", 1, nonce, identity, sequence, len(BODY), len(head), _CRC, received_ns, 0)
    whole = fixed + struct.pack("<I", seeded(nonce, fixed, head)) + head + BODY
    return whole + bytes(-len(whole) % ALIGN)


def header(identity, nonce, file_bytes):
    fixed = b"BFRS" + struct.pack("<IQQqQ", 1, identity, nonce, 1_700_000_000_000_000_000, file_bytes) + bytes(20)
    return fixed + struct.pack("<I", crc32c(fixed))


def index(identity, nonce, end, tenants, entries, sinks=("fs",)):
    """`entries`: (sequence, offset, envelope bytes, place of the tenant)."""
    tables = b"".join(tenant.encode() + b"\0" for tenant in tenants)
    tables += struct.pack("<I", len(sinks)) + b"".join(sink.encode() + b"\0" for sink in sinks)
    data = b"BFRI\1\0\0\0" + struct.pack("<QQQQIIQQ", identity, nonce, end, len(entries), len(tenants), 1, len(tables), 0)
    data += tables + b"".join(
        struct.pack("<QQQqIIIIII", sequence, offset, len(BODY), 1_700_000_000_000_000_000, length, _CRC, tenant, 0, 0, 0)
        for sequence, offset, length, tenant in entries)
    return data + struct.pack("<I", crc32c(data))


def write_segment(directory, identity, names, file_bytes=None, step=None, indexed=False,
                  sequences_of=None, sinks=("fs",)):
    """A segment with a batch for each of the (tenant, dataset, file name). `file_bytes`: its size, sparse; `step`: how far from one
    record to the next, a multiple of 64; `sequences_of`: another segment, from which they moved; `sinks`: whom they wait for.
    Returns its path."""
    segments = pathlib.Path(directory) / ".bfr/segments"
    for path in (segments.parent, segments):
        path.mkdir(0o700, parents=True, exist_ok=True)
    nonce, at, entries, tenants = int.from_bytes(os.urandom(8), "little"), 64, [], {}
    path = segments / f"{identity:016x}.seg"
    with open(path, "wb") as file:
        for number, (tenant, dataset, name) in enumerate(names, 1):
            head, sequence = envelope(tenant, dataset, name, sinks), (sequences_of or identity) << 24 | number
            data = record(nonce, identity, sequence, head)
            file.seek(at)
            file.write(data)
            entries.append((sequence, at, len(head), tenants.setdefault(tenant, len(tenants))))
            end, at = at + len(data), at + (step or len(data))
        file_bytes = file_bytes or end + -end % 4096
        file.truncate(file_bytes)
        file.seek(0)
        file.write(header(identity, nonce, file_bytes))
    if indexed:
        path.with_suffix(".idx").write_bytes(index(identity, nonce, end, list(tenants), entries, sinks))
    return path


def write_backlog(directory, count, tenants=4, per_segment=2000, **options):
    """So many batches of tenant0, tenant1, ... that wait. "tenant/dataset/name" -> BODY."""
    names = [(f"tenant{number % tenants}", "web", f"old-{number:07}.gz") for number in range(count)]
    for identity, first in enumerate(range(0, count, per_segment), 1):
        write_segment(directory, identity, names[first:first + per_segment], **options)
    return {"/".join(name): BODY for name in names}
