# SPDX-License-Identifier: Apache-2.0
"""Posts batches as a Proxy does: same names, same headers, gzip bodies."""
import datetime
import gzip
import itertools
import json
import time

from support import wire

_ordinal = itertools.count()


def batch_name(tenant, dataset, hint="ndjson"):
    """A name no other call gives: the nanoseconds of the clock plus a counter, 19 digits as the Proxy's."""
    return f"{tenant}--{dataset}--{time.time_ns() + next(_ordinal)}--{hint}.gz"


def ndjson(lines=3, filler=""):
    """`lines` records, each with a value of its own, so that no two calls give equal bytes."""
    rows = ({"BfTs": time.time_ns() // 1_000_000, "n": next(_ordinal), "filler": filler} for _ in range(lines))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def gzip_batch(lines=3, filler=""):
    return gzip.compress(ndjson(lines, filler), mtime=0)


def proxy_headers(name, body, lines=3, hint="ndjson", token=None):
    headers = {
        "User-Agent": "bytefreezer-proxy/1.2.3",
        "Content-Encoding": "gzip",
        "Content-Type": "application/octet-stream",
        "X-Proxy-Batch-ID": name.removesuffix(".gz"),
        "X-Proxy-Line-Count": str(lines),
        "X-Proxy-Original-Bytes": str(len(body) * 7),
        "X-Proxy-Created-At": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "X-Proxy-Data-Hint": hint,
        "X-Proxy-Filename": name,
        "Accept-Encoding": "gzip",
    }
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def changed(headers, changes):
    """`headers` with `changes` applied; None removes one."""
    merged = {**headers, **changes}
    return {name: value for name, value in merged.items() if value is not None}


class Sender:
    """One Proxy, on one connection after the other."""

    def __init__(self, port, token=None):
        self.port = port
        self.token = token

    def post(self, tenant="acme", dataset="web", body=None, name=None, prefix="", headers=None, lines=3):
        """The reply to one batch. `headers` changes the Proxy's; None as a value leaves one out."""
        body = gzip_batch(lines) if body is None else body
        name = batch_name(tenant, dataset) if name is None else name
        sent = changed(proxy_headers(name, body, lines=lines, token=self.token), headers or {})
        return wire.request(self.port, "POST", f"{prefix}/{tenant}/{dataset}", sent, body)

    def connectivity_test(self, tenant="acme", dataset="unknown"):
        line = json.dumps({"test": "connectivity_check", "timestamp": "2026-01-02T03:04:05Z", "plugin": "udp"})
        headers = {
            "User-Agent": "bytefreezer-proxy/1.2.3-connectivity-test",
            "Content-Encoding": "gzip",
            "Content-Type": "application/octet-stream",
            "X-Proxy-Test": "connectivity-check",
            "X-Proxy-Plugin": "udp",
        }
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return wire.request(self.port, "POST", f"/{tenant}/{dataset}", headers, gzip.compress(line.encode()))
