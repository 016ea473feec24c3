# SPDX-License-Identifier: Apache-2.0
"""The options that both benchmarks share, the build they measure, and a description of the machine they ran on."""
import argparse
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20}
SECONDS_MAX, ALTERNATIONS_MAX, CONNECTIONS_MAX, SIZE_MAX = 60, 50, 4096, 10 << 20


def sizes(text):
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)\s*(B|KB|MB|)", part.strip(), re.I)
        size = int(match.group(1)) * UNITS[match.group(2).upper()] if match else 0
        if not 64 <= size <= SIZE_MAX:
            raise argparse.ArgumentTypeError(f"'{part}' is no size from 64B to 10MB; a list is written 1KB,100KB")
        found.append(size)
    return found


def counts(text):
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = [0]
    if not all(1 <= count <= CONNECTIONS_MAX for count in found):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers from 1 to {CONNECTIONS_MAX}, such as 1,32,256")
    return found


def bounded(kind, low, high):
    def parse(text):
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not from {low} to {high}")
        return value

    parse.__name__ = kind.__name__
    return parse


def parser(description, default_sizes, default_connections):
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--sizes", type=sizes, default=sizes(default_sizes), help=f"({default_sizes}) 1KB is 1024 bytes")
    made.add_argument("--connections", type=counts, default=counts(default_connections),
                      help=f"({default_connections})")
    made.add_argument("--seconds", type=bounded(float, 0.1, SECONDS_MAX), default=3.0, help="per measurement (3)")
    made.add_argument("--alternations", type=bounded(int, 1, ALTERNATIONS_MAX), default=5,
                      help="times that all are measured in turn (5)")
    made.add_argument("--client-threads", type=bounded(int, 1, 64), default=max(1, (os.cpu_count() or 1) // 2),
                      help="threads of wrk (half the cores)")
    made.add_argument("--drain", type=bounded(float, 0, 120), default=10.0,
                      help="seconds to wait for what was acknowledged to reach the sink (10)")
    made.add_argument("--build", type=pathlib.Path,
                      help="build tree to measure as it is (build/release, which is brought up to date first)")
    made.add_argument("--dir", type=pathlib.Path, default=ROOT / "build/bench/work",
                      help="where spools, sinks and temporary files go; decides which disk is measured")
    made.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench", help="where results go (build/bench)")
    return made


def end_on_sigterm():
    """As on Ctrl-C: what was started ends, and what was written is removed."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def require_programs(*names):
    missing = [name for name in names if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        raise SystemExit(f"bench: {', '.join(missing)}: not installed. Run scripts/setup bench")


def build_tree(options):
    """The directory of the build; the release preset is built first unless another tree was named."""
    if options.build is not None:
        if not (options.build / "bytefreezer-receiver").exists():
            raise SystemExit(f"bench: {options.build} has no bytefreezer-receiver; build there first")
        return options.build
    result = subprocess.run([ROOT / "scripts/build", "release"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(f"bench: scripts/build release failed:\n{result.stdout[-4000:]}")
    return ROOT / "build/release"


def work_directory(options):
    """A fresh one for this run. Only it is removed afterwards, never what was in --dir before."""
    path = options.dir.resolve() / f"run-{os.getpid()}"
    path.mkdir(parents=True)
    return path


def _file_system(path):
    best = ("", "unknown", "unknown")
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        device, point, kind = line.split()[:3]
        if path.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind, device)
    return {"type": best[1], "device": best[2]}


def _first_line(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return result.stdout.split("\n", 1)[0].strip()


def machine(directory):
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", cpuinfo, re.M)
    return {"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kernel": platform.release(),
            "cpu": model.group(1) if model else platform.machine(), "cores": os.cpu_count(),
            "load_before": os.getloadavg(), "disk": _file_system(directory),
            "revision": _first_line("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
            "command": " ".join(sys.argv)}


def heading(title, facts, options):
    disk = facts["disk"]
    lines = [f"# {title}", "",
             f"{facts['when']}, revision {facts['revision']}, {facts['cores']} cores of {facts['cpu']}, kernel "
             f"{facts['kernel']}, disk {disk['device']} ({disk['type']}), load average before "
             f"{facts['load_before'][0]:.1f}.",
             f"{options.alternations} alternations of {options.seconds:g} s; cells are median (lowest-highest).", "",
             f"    {facts['command']}"]
    if disk["type"] in ("tmpfs", "ramfs", "overlay"):
        lines += ["", f"WARNING: {disk['type']} is no disk: a sync costs nothing here, and nothing below tells of disks."]
    return "\n".join(lines)
