# SPDX-License-Identifier: Apache-2.0
"""What a server and all its processes have used, from /proc. Reads only; the peak of memory is reset where that is
allowed, or else it is the peak since the server's start."""
import os
import pathlib
import re

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat after the command's name, which may itself hold spaces and parentheses."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def family(pid):
    """The process and all its descendants."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(entry.name)[1])
            except OSError:
                continue  # ended meanwhile
    found, fresh = {pid}, {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def _keyed(path):
    return dict(line.split(":", 1) for line in pathlib.Path(path).read_text().splitlines() if ":" in line)


def _switches(pid):
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        status = _keyed(task / "status")
        total += int(status["voluntary_ctxt_switches"]) + int(status["nonvoluntary_ctxt_switches"])
    return total


def _written(pid):
    """None where the process belongs to someone else, who alone may know."""
    try:
        return int(_keyed(f"/proc/{pid}/io")["write_bytes"])
    except PermissionError:
        return None


def usage(pid):
    """CPU seconds, bytes sent towards the disk and context switches of the whole family since it began. The CPU of
    children that have ended counts through the parent that waited for them."""
    cpu_ticks = switches = 0
    written = []
    for member in family(pid):
        try:
            fields = _stat(member)
            cpu_ticks += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
            switches += _switches(member)
            written.append(_written(member))
        except (FileNotFoundError, ProcessLookupError):
            if member == pid:
                raise
    return {"cpu_s": cpu_ticks / TICKS_PER_S, "switches": switches,
            "written_bytes": None if None in written else sum(written)}


def usage_by_thread(pid):
    """{name of a thread, without the number that tells it from its like: CPU seconds since it began}. Of the process alone."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name = re.sub(r"[-/]\d+$", "", (task / "comm").read_text().strip())
            fields = _stat(f"{pid}/task/{task.name}")
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        found[name] = found.get(name, 0) + sum(int(field) for field in fields[11:13]) / TICKS_PER_S
    return found


def reset_peak(pid):
    for member in family(pid):
        try:
            pathlib.Path(f"/proc/{member}/clear_refs").write_text("5")
        except OSError:
            continue  # not ours: its peak stays that of its whole life


def peak_rss(pid):
    """Bytes: the members' peaks added up. An upper bound, because pages they share are counted for each."""
    total = 0
    for member in family(pid):
        try:
            total += int(_keyed(f"/proc/{member}/status")["VmHWM"].split()[0]) * 1024
        except (OSError, KeyError):
            continue
    return total


def machine_busy():
    """CPU seconds that the whole machine has spent on anything, and those its host took away."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq) / TICKS_PER_S, steal / TICKS_PER_S
