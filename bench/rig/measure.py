# SPDX-License-Identifier: Apache-2.0
"""One measurement: a server under one load, charged with all the CPU it used until what it acknowledged was delivered."""
import time

from rig import client, process

WARM_UP_S = 0.5


def once(server, size, connections, options):
    """A dictionary of figures. A server that did not deliver in time is started anew on empty directories, so that
    its backlog does not weigh on the next measurement."""
    counted = server.counters()
    process.reset_peak(server.pid)
    busy, steal = process.machine_busy()
    used, threads, beside, began = process.usage(server.pid), _by_thread(server), _far_end_cpu(server), time.monotonic()
    load = client.drive(server.url, size, connections, options.seconds, options.client_threads, server.token)
    left = server.settle(options.drain)
    after, elapsed = process.usage(server.pid), time.monotonic() - began
    busy_after, steal_after = process.machine_busy()
    threads_after, far_end_cpu = _by_thread(server), _far_end_cpu(server) - beside

    figures = {**load, "left": left, "peak_rss": process.peak_rss(server.pid), "elapsed": elapsed}
    figures.update({key: None if None in (after[key], used[key]) else after[key] - used[key] for key in used})
    figures["threads"] = {name: cpu_s - threads.get(name, 0) for name, cpu_s in threads_after.items()}
    figures["far_end_cpu_s"] = far_end_cpu
    figures["other_cores"] = max(
        0.0, (busy_after - busy - figures["cpu_s"] - load["client_cpu_s"] - far_end_cpu) / elapsed)
    figures["stolen_cores"] = (steal_after - steal) / elapsed
    figures.update(_per_request(figures, size))
    figures.update(_ledger(server, counted, figures["acknowledged"]))
    figures["stored_per_s"] = figures["stored"] / elapsed if "stored" in figures else None
    if left > 0 and server.restarts:
        server.stop()
        server.start()
    return figures


def _by_thread(server):
    return process.usage_by_thread(server.pid) if server.has_stages else {}


def _far_end_cpu(server):
    return process.usage(server.far_end.pid)["cpu_s"] if server.far_end is not None else 0.0


def _per_request(figures, size):
    acknowledged, written = figures["acknowledged"], figures["written_bytes"]
    if acknowledged == 0:
        return {"ack_per_s": 0.0, "cpu_us": None, "cpu_s_per_gb": None, "switches_per_ack": None, "write_ratio": None}
    return {"ack_per_s": acknowledged / figures["seconds"],
            "cpu_us": figures["cpu_s"] / acknowledged * 1e6,
            "cpu_s_per_gb": figures["cpu_s"] / (acknowledged * size) * 1e9,
            "switches_per_ack": figures["switches"] / acknowledged,
            "write_ratio": None if written is None else written / (acknowledged * size)}


def _ledger(server, before, acknowledged):
    """The daemon's own counts over the measurement. What a client saw acknowledged must have been accepted: names are
    never repeated, so a smaller number would mean that something is measured which does not do the work."""
    after = server.counters()
    delta = {word: after[word] - before[word] for word in after}
    if delta and delta["accepted"] < acknowledged:
        raise SystemExit(f"bench: {server.name}: {acknowledged} requests were acknowledged, but the daemon accepted "
                         f"{delta['accepted']:.0f} batches; the figures would mean nothing")
    return delta


def warm_up(server, size, connections, options):
    client.drive(server.url, size, connections, min(options.seconds, WARM_UP_S), options.client_threads, server.token)
    if server.settle(options.drain) > 0 and server.restarts:
        server.stop()
        server.start()
