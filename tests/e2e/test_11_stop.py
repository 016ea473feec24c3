# SPDX-License-Identifier: Apache-2.0
"""The end of the daemon: what was acknowledged is stored, nobody is cut off, and it does end."""
import contextlib
import os
import signal
import socket
import subprocess

import pytest

from support import wire
from support.load import Load
from support.outage import QUICK_RETRY, Obstacle
from support.receiver import TSAN_OPTIONS
from support.sender import Sender, batch_name, gzip_batch, proxy_headers
from support.wait import LIMIT, wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_an_idle_daemon_ends_with_0(receiver, number):
    receiver.signal(number)
    assert receiver.wait() == 0
    assert receiver.logged("stopped")


def test_hup_never_ends_it(receiver, sender):
    receiver.signal(signal.SIGHUP)
    wait_until(lambda: any("read again" in line.get("msg", "") for line in receiver.log_lines()), "a word about HUP")
    assert sender.post().status == 200


def test_a_stop_under_load_stores_every_batch_that_was_acknowledged(make_receiver):
    receiver = make_receiver({"shutdown_delay": "100ms", "logging": {"level": "info"}}).start()
    load = Load(receiver.port, connections=20).start(seconds=600)
    wait_until(lambda: len(load.accepted) >= 500, "500 batches")
    receiver.signal()
    assert receiver.wait() == 0
    load.stopping = True
    load.join()
    stored = receiver.stored()
    missing = load.accepted.keys() - stored.keys()
    assert not missing, f"{len(missing)} of {len(load.accepted)} acknowledged batches are not in the sink"
    assert all(stored[name] == body for name, body in load.accepted.items())
    assert set(load.statuses) <= {200, 503}


def test_a_held_backlog_is_stored_at_the_stop(make_receiver):
    """The sink comes back only after the signal: draining waits for it."""
    receiver = make_receiver({"retry": QUICK_RETRY}).start()
    obstacle = Obstacle(receiver.sink)
    sender, bodies = Sender(receiver.port), {}
    for _ in range(50):
        body, name = gzip_batch(), batch_name("acme", "web")
        assert sender.post("acme", "web", body, name).status == 200
        bodies[f"acme/web/{name}"] = body
    receiver.signal()
    wait_until(lambda: receiver.logged("stopping"), "the stop")
    receiver.require_alive()
    obstacle.remove()
    assert receiver.wait() == 0
    assert receiver.stored() == bodies


def test_a_second_signal_ends_at_once(make_receiver):
    # An end in the middle of everything joins no thread, which is not the leak that TSan takes it for.
    patience = {"TSAN_OPTIONS": f"report_thread_leaks=0 {TSAN_OPTIONS}"}
    receiver = make_receiver({"retry": QUICK_RETRY}, env=patience).start()
    Obstacle(receiver.sink)
    assert Sender(receiver.port).post("acme", "web").status == 200
    receiver.signal()
    wait_until(lambda: receiver.logged("stopping"), "the stop")
    receiver.require_alive()
    insist(receiver)
    assert receiver.wait(limit=10) == 1, "well before the 25 s that draining may take"
    assert any("second signal" in line.get("msg", "") for line in receiver.log_lines())


def test_a_signal_said_twice_in_one_breath_is_one(make_receiver):
    """As timeout(1) does it. Two numbers, because one number twice may arrive as one signal."""
    receiver = make_receiver({"retry": QUICK_RETRY}).start()
    obstacle = Obstacle(receiver.sink)
    body, name = gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.signal(signal.SIGTERM)
    receiver.signal(signal.SIGINT)
    wait_until(lambda: receiver.logged("stopping"), "the stop")
    obstacle.remove()
    assert receiver.wait() == 0
    assert receiver.stored() == {f"acme/web/{name}": body}


@pytest.mark.long
def test_what_cannot_be_stored_in_time_is_counted_and_exits_1(make_receiver):
    receiver = make_receiver({"retry": QUICK_RETRY}).start()
    Obstacle(receiver.sink)
    sender, names = Sender(receiver.port), [batch_name("acme", "web") for _ in range(7)]
    for name in names:
        assert sender.post("acme", "web", name=name).status == 200
    receiver.signal()
    assert receiver.wait(limit=30) == 1
    assert any(line.get("batches") == "7" and "lost" in line["msg"] for line in receiver.log_lines())
    assert all(name in receiver.log() for name in names)


@pytest.mark.long
def test_a_client_that_never_ends_its_body_leaves_time_to_store_the_others(make_receiver):
    """The sink comes back only when the client was cut off: the pipeline must still have time then."""
    receiver = make_receiver({"retry": QUICK_RETRY, "webhook": {"read_timeout_seconds": 60}}).start()
    obstacle = Obstacle(receiver.sink)
    body, name = gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    with wire.Connection(receiver.port) as slow:
        slow.send(wire.head("POST", "/acme/web", [("Expect", "100-continue")], 1 << 20))
        assert slow.read_interim() == 100
        receiver.signal()
        slow.socket.settimeout(0.2)
        with pytest.raises(ConnectionError):
            while True:
                slow.send(b"x")
                with contextlib.suppress(TimeoutError):
                    if not slow.socket.recv(1):
                        raise ConnectionError
    obstacle.remove()
    assert receiver.wait() == 0
    assert receiver.stored() == {f"acme/web/{name}": body}


STUCK = r"""
#include <bfr/plugin.h>
#include <bfr/sink.h>

#include <stdio.h>
#include <unistd.h>

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)err;
    *out_self = (void *)host;
    return BFR_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static void get_stuck(const struct bfr_host *host)
{
    host->log(host, BFR_LOG_INFO, "stuck", NULL);
    for (;;)
        pause();
}

static uint32_t start(void *self, struct bfr_err *err)
{
    (void)err;
    const struct bfr_host *host = self;
    if (host->config_bool(host, "at_start"))
        get_stuck(host);
    return BFR_OK;
}

static void stop(void *self)
{
    get_stuck(self);
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    (void)self, (void)deliveries, (void)count;
    return 0;
}

static const struct bfr_option options[] = {
    {"at_start", BFR_OPTION_BOOL, 0, "false", NULL, NULL, NULL, NULL, "where it gets stuck"},
};
static const struct bfr_life life = {
    .size = sizeof life, .create = create, .start = start, .stop = stop, .destroy = destroy};
static const struct bfr_sink_vtable vtable = {.size = sizeof vtable, .put = put};
static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, .kind = BFR_KIND_SINK, .name = "stuck", .version = "1", .summary = "never returns",
    .options = options, .option_count = 1, .option_size = sizeof options[0], .life = &life, .vtable = &vtable};

BFR_EXPORT const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
"""


@pytest.fixture
def stuck(make_receiver, root, tmp_path):
    """stuck(changes, at_start=...): a daemon, not started, with a sink that does not return."""
    source, directory = tmp_path / "stuck.c", tmp_path / "plugins"
    source.write_text(STUCK)
    directory.mkdir(mode=0o755)
    subprocess.run(["cc", "-fPIC", "-shared", "-I", root / "sdk/include", "-o", directory / "stuck.so", source],
                   check=True)
    (directory / "stuck.so").chmod(0o755)

    def make(changes, at_start):
        patience = {"TSAN_OPTIONS": f"report_thread_leaks=0 {TSAN_OPTIONS}"}
        config = {"ack": "sink", "plugin_dir": str(directory), **changes}
        return make_receiver(config, pipeline=[{"plugin": "stuck", "at_start": at_start}], env=patience)

    return make


@pytest.mark.long
def test_a_stage_that_does_not_return_from_its_start_cannot_stop_a_stop(stuck):
    receiver = stuck({}, at_start=True).launch()
    wait_until(lambda: receiver.logged("stuck"), "the start")
    receiver.signal()
    assert receiver.wait() == 1
    assert any("does not return" in line.get("msg", "") for line in receiver.log_lines())


@pytest.mark.long
def test_a_failed_start_ends_although_a_stage_does_not_stop(stuck):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        receiver = stuck({"webhook": {"port": taken.getsockname()[1]}}, at_start=False).launch()
        assert receiver.wait() == 1
    assert receiver.logged("cannot start") and receiver.logged("stuck")


def test_without_standard_streams_their_numbers_are_given_to_nothing_else(build, make_receiver):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    receiver = make_receiver({"webhook": {"port": port}})
    command = build.command("run", "--config", receiver.config_path)
    with subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], env=build.environment()) as process:
        try:
            wait_until(lambda: not refused(port), "the port")
            streams = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
            assert streams == ["/dev/null"] * 3
            assert Sender(port).post().status == 200
        finally:
            process.terminate()
        assert process.wait(timeout=LIMIT) == 0
    assert len(receiver.stored()) == 1


def test_during_the_delay_everything_is_served_and_readiness_is_gone(make_receiver):
    patience = {"TSAN_OPTIONS": f"report_thread_leaks=0 {TSAN_OPTIONS}"}  # the second signal joins no thread
    receiver = make_receiver({"shutdown_delay": "600s"}, env=patience).start()
    receiver.signal()
    wait_until(lambda: receiver.get("/readyz").status == 503, "unready")
    assert "draining" in receiver.get("/readyz").text()
    reply = Sender(receiver.port).post()
    assert reply.status == 200 and reply.header("connection").lower() == "close"
    receiver.wait_batches("stored", 1)
    insist(receiver)
    receiver.wait()


@pytest.mark.long
def test_a_long_delay_leaves_time_to_save_what_is_accepted_in_it(make_receiver):
    receiver = make_receiver({"shutdown_delay": "27s"}).start()
    receiver.signal()
    wait_until(lambda: receiver.get("/readyz").status == 503, "unready")
    assert Sender(receiver.port).post().status == 200
    assert receiver.wait() == 0
    assert receiver.logged("stopped") and len(receiver.stored()) == 1


def test_a_request_in_flight_is_finished(make_receiver):
    receiver = make_receiver().start()
    body, name = gzip_batch(lines=100), batch_name("acme", "web")
    with wire.Connection(receiver.port) as connection:
        connection.send(wire.head("POST", "/acme/web", proxy_headers(name, body), len(body)) + body[:50])
        wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_connections") == 1, "the request")
        receiver.signal()
        wait_until(lambda: refused(receiver.port), "closed listeners")
        receiver.require_alive()
        connection.send(body[50:])
        reply = connection.read_reply()
        assert reply.status == 200 and reply.header("connection").lower() == "close"
    assert receiver.wait() == 0
    assert receiver.stored() == {f"acme/web/{name}": body}


def test_an_idle_connection_does_not_delay_the_end(make_receiver):
    receiver = make_receiver().start()
    with wire.Connection(receiver.port) as silent, wire.Connection(receiver.port) as kept:
        assert kept.request("GET", "/health").status == 200
        receiver.signal()
        assert receiver.wait(limit=15) == 0, "well before the 25 s that requests in flight may take"
        assert kept.at_end() and silent.at_end()


def test_the_port_is_free_for_the_next_one(make_receiver):
    first = make_receiver().start()
    port, api_port = first.port, first.api_port
    assert Sender(port).post().status == 200
    first.stop()
    second = make_receiver({"webhook": {"port": port}, "server": {"api_port": api_port}}).start()
    assert second.port == port and Sender(port).post().status == 200


def insist(receiver):
    """Ask to stop until it does: a signal right behind the first is taken for its echo."""
    wait_until(lambda: receiver.process.poll() is not None or receiver.signal(), "the end", limit=10)


def refused(port):
    try:
        wire.Connection(port).close()
    except ConnectionRefusedError:
        return True
    return False
