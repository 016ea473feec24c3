# SPDX-License-Identifier: Apache-2.0
"""One bounded load from wrk on a loopback address, and what it counted. wrk knows whole seconds only, so it is given a
few too many and ended by the signal on which it prints its result."""
import ipaddress
import json
import os
import pathlib
import resource
import signal
import subprocess
import time
import urllib.parse

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "post.lua"
SPARE_S = 20  # wrk ends by itself so long after we should have ended it, should we die
REPLY_S = 30  # a reply that takes longer counts as a time-out


def require_loopback(url):
    host = urllib.parse.urlsplit(url).hostname or ""
    if host != "localhost" and not _is_loopback(host):
        raise SystemExit(f"bench: {url}: loads go to loopback addresses only (127.0.0.0/8, ::1, localhost)")


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _run_until(command, environment, seconds):
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=SPARE_S)
        except BaseException:
            process.kill()
            raise
    return output


def cpu_s():
    """CPU seconds of the clients that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def drive(url, size, connections, seconds, threads, token=""):
    """A dictionary: what post.lua prints, and `acknowledged`, `seconds`, `client_cpu_s`."""
    require_loopback(url)
    threads = min(threads, connections)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{int(seconds) + SPARE_S}s", f"--timeout={REPLY_S}s",
               "-s", str(SCRIPT), url]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "BENCH_SIZE": str(size), "BENCH_TOKEN": token,
                   "BENCH_RUN": str(time.time_ns())}
    before = cpu_s()
    output = _run_until(command, environment, seconds)
    used = cpu_s() - before
    lines = [line[6:] for line in output.splitlines() if line.startswith("BENCH ")]
    if not lines:
        raise SystemExit(f"bench: wrk gave no result; it said:\n{output}")
    load = json.loads(lines[0])
    load["acknowledged"] = load["requests"] - load["refused"]
    load["seconds"] = load.pop("duration_us") / 1e6
    load["client_cpu_s"] = used
    return load
