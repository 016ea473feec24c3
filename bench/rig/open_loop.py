# SPDX-License-Identifier: Apache-2.0
"""One load at a fixed rate from bench/open_loop.c, and what it counted; latencies are from when a request was due."""
import json
import os
import subprocess
import time
import urllib.parse

from rig import client

SPARE_S = 60


def drive(build, url, size, connections, rate, seconds, token=""):
    client.require_loopback(url)
    parts = urllib.parse.urlsplit(url)
    command = [build.directory / "bench/open_loop", str(parts.port), parts.path, str(size), str(connections), str(rate),
               str(seconds), str(time.time_ns())]
    before = client.cpu_s()
    result = subprocess.run(command, env={"PATH": os.environ["PATH"], "BENCH_TOKEN": token}, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, check=False, timeout=seconds + SPARE_S)
    if result.returncode != 0:
        raise SystemExit(f"bench: open_loop ended with {result.returncode}: {result.stderr.strip()}")
    return {**json.loads(result.stdout), "rate": rate, "seconds": seconds, "client_cpu_s": client.cpu_s() - before}
