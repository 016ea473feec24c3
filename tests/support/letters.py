# SPDX-License-Identifier: Apache-2.0
"""Dead letters: a daemon's own, and files as FORMAT.md and the API have them: many of them, fast."""
import hashlib
import json
import pathlib
import random

from support.sender import Sender, batch_name, gzip_batch
from support.spool_reader import crc32c


def bury(receiver, count=5, tenant="acme", names=None, token=None):
    """So many dead letters of a running daemon, or with these names: its sink, a directory, has other bytes under them.
    "tenant/web/name" -> body."""
    sender, bodies, before = Sender(receiver.port, token), {}, receiver.scrape().batches("buried")
    place = receiver.sink / tenant / "web"
    place.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names or [batch_name(tenant, "web") for _ in range(count)]):
        body = gzip_batch(1, random.Random(number).randbytes(100 * number).hex())
        (place / name).write_bytes(b"other bytes")
        wire_name = name.encode().decode("latin-1")  # UTF-8 on the wire
        assert sender.post(tenant, "web", body, wire_name).status == 200
        bodies[f"{tenant}/web/{name}"] = body
    receiver.wait_batches("buried", before + len(bodies))
    return bodies


def clear_the_way(lives, bodies):
    """What was buried may be stored."""
    for name in bodies:
        (lives.sink / name).unlink(missing_ok=True)


def write_letters(directory, count, tenant="acme", dataset="web", first=1, sink="fs", reason="rejected"):
    """So many letters in the dlq/ of a spool, with rising ids; "tenant/dataset/name" -> body. They are given the segment id 1."""
    dlq = pathlib.Path(directory) / ".bfr/dlq"
    for path in (dlq.parent, dlq):
        path.mkdir(0o700, parents=True, exist_ok=True)
    body = gzip_batch()
    digest, crc, bodies = hashlib.sha256(body).hexdigest(), crc32c(body), {}
    for number in range(first, first + count):
        name, stem = f"{tenant}--{dataset}--{number:019}--ndjson.gz", f"{1 << 24 | number:016x}"
        (dlq / f"{stem}.batch").write_bytes(body)
        (dlq / f"{stem}.json").write_text(json.dumps({
            "id": stem, "tenant_id": tenant, "dataset_id": dataset, "filename": name, "size": len(body),
            "line_count": 3, "original_size": 100, "created_at": "2024-05-06T07:08:09.000000001Z", "last_retry": None,
            "retry_count": 4, "status": "dlq", "failure_reason": f"{reason}: http 400", "reason": reason, "attempts": 4,
            "first_error": "http 500", "first_error_at": None, "last_error": "http 400", "last_error_at": None,
            "stored_sha256": digest, "source_sha256": digest, "account_id": "", "batch_id": name,
            "data_hint": "ndjson", "content_type": "", "received_at": "2024-05-06T07:08:10.000000000Z",
            "buried_at": "2024-05-06T07:08:11.000000000Z", "crc32c": crc, "flags": 0, "consumers": [sink]}))
        bodies[f"{tenant}/{dataset}/{name}"] = body
    return bodies
