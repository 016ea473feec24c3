# SPDX-License-Identifier: Apache-2.0
"""System calls per request, counted by strace during a load of their own. strace slows a server down several times, so these
runs give no times, and groups are somewhat smaller in them than at full speed."""
import pathlib
import signal
import subprocess

from rig import client, process

SECONDS = 1.0
SHOWN = 8


def count(server, size, connections, options, directory):
    """{call: times per acknowledged request}, most frequent first, and `total`."""
    output = pathlib.Path(directory) / f"syscalls-{server.name}"
    pids = [f"--attach={pid}" for pid in sorted(process.family(server.pid))]
    tracer = subprocess.Popen(["strace", "-f", "-c", "-o", output, *pids], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
    try:
        tracer.stderr.readline()  # it says that it is attached
        load = client.drive(server.url, size, connections, SECONDS, options.client_threads, server.token)
        server.settle(options.drain)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=30)
    return _per_request(output.read_text(), load["acknowledged"])


def _per_request(table, acknowledged):
    found = {}
    for line in table.splitlines():
        fields = line.split()  # % time, seconds, usecs/call, calls, perhaps errors, name
        if len(fields) in (5, 6) and fields[3].isdigit():
            found[fields[-1]] = int(fields[3]) / max(acknowledged, 1)
    found["total"] = found.pop("total", sum(found.values()))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def text(calls):
    rest = [f"{name} {times:.2f}" for name, times in calls.items() if name != "total" and times >= 0.005]
    return f"{calls['total']:.1f} ({', '.join(rest[:SHOWN])})"
