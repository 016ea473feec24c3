# SPDX-License-Identifier: Apache-2.0
"""Reading the configuration again: what changes, what waits for a restart, and that a bad file changes nothing and nobody who
sends notices anything."""
import concurrent.futures
import hashlib
import os
import pathlib
import shutil
import signal
import ssl
import subprocess

import pytest

from support import wire
from support.api import Api
from support.certificates import Authority
from support.keepalive import Keepalive
from support.metrics import PREFIX
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until


def generation(receiver):
    return receiver.scrape().total(f"{PREFIX}config_generation")


@pytest.fixture(name="api")
def fixture_api(receiver):
    return Api(receiver)


def test_limits_quotas_and_the_level_of_the_log_change_live_and_the_rest_is_named(receiver, api):
    sender = Sender(receiver.port)
    large = os.urandom(4000)
    assert sender.post(body=large, headers={"Content-Encoding": None}).status == 200
    receiver.write_config({
        "logging": {"level": "warn"},
        "webhook": {"max_payload_size": 3000, "port": 1, "threads": 3},
        "quotas": {"tenants": {"slow": {"requests_per_second": 1}}},
        "pipeline": [{"plugin": "memory", "max_bytes": "1MiB"}, {"plugin": "fs", "directory": str(receiver.sink)}],
    })
    reply = api.post("/api/v1/reload")
    assert reply["generation"] == 2
    assert set(reply["restart_needed"]) == {"webhook.port", "webhook.threads", "pipeline", "stage 'memory': max_bytes"}
    named = receiver.logged("changed keys that need a restart; the daemon goes on with what it has")
    assert len(named) == 1 and named[0]["keys"] == ", ".join(reply["restart_needed"])
    assert sender.post(body=large, headers={"Content-Encoding": None}).status == 413
    assert api.get("/api/v1/log-level") == {"level": "warn"}
    assert [sender.post(tenant="slow").status for _ in range(4)].count(429) >= 2
    assert sender.post().status == 200
    assert generation(receiver) == 2
    assert api.get("/api/v1/config")["webhook"]["max_payload_size"] == 3000

    receiver.write_config({})
    assert api.post("/api/v1/reload") == {"generation": 3, "restart_needed": []}
    assert sender.post(body=os.urandom(4000), headers={"Content-Encoding": None}).status == 200
    assert [sender.post(tenant="slow").status for _ in range(4)] == [200] * 4


def replace_by(path, make):
    path.unlink()
    make(path)


def make_large(path):
    with open(path, "wb") as file:
        file.truncate(100 << 20)


# What may stand where the configuration was, and what is said of it.
BAD_FILES = {
    "syntax": (lambda path: path.write_text("webhook: {port: [\n"), ""),
    "two mistakes": (lambda path: path.write_text("webhook: {port: x}\npipeline: [{plugin: memry}, {plugin: fs}]\n"),
                     "webhook.port"),
    "empty": (lambda path: path.write_text(""), ""),
    "removed": (lambda path: None, "cannot read the configuration"),
    "a directory": (lambda path: path.mkdir(), "not a regular file"),
    "a FIFO": (os.mkfifo, "not a regular file"),
    "100 MB": (make_large, ""),
    "a loop of links": (lambda path: path.symlink_to(path), "cannot read the configuration"),
    "a sink is missing": (lambda path: path.write_text("pipeline: [{plugin: memory}]\n"), ""),
}


def test_a_bad_file_changes_nothing_and_says_why(receiver, api):
    good = receiver.config_path.read_text()
    sender = Sender(receiver.port)
    for name, (make, word) in BAD_FILES.items():
        replace_by(receiver.config_path, make)
        reply = api.request("POST", "/api/v1/reload")
        assert reply.status == 422, (name, reply)
        errors = reply.json()["errors"]
        assert errors and all(error.startswith(str(receiver.config_path)) for error in errors), (name, errors)
        assert any(word in error for error in errors), (name, errors)
        for error in errors:
            place, finding = error.split(": ", 1)
            assert any(line.get("at") == place and finding[:20] in line["finding"].replace("\\", "") for line in
                       receiver.log_lines() if line.get("msg") == "finding in the configuration"), (name, error)
        assert sender.post().status == 200
        if receiver.config_path.is_dir():
            receiver.config_path.rmdir()
        else:
            receiver.config_path.unlink(missing_ok=True)
        receiver.config_path.touch()
    assert generation(receiver) == 1
    state = api.get("/api/v1/stats")["reload"]
    assert state["generation"] == 1 and not state["ok"] and state["errors"] == errors
    assert receiver.health()["reload"] == {key: state[key] for key in ("generation", "ok", "at", "error_count")}
    scrape = receiver.scrape()
    assert scrape.total(f"{PREFIX}config_last_reload_successful") == 0
    assert scrape.total(f"{PREFIX}config_reload_failures_total") == len(BAD_FILES)

    receiver.config_path.write_text(good)
    assert api.post("/api/v1/reload")["generation"] == 2
    assert api.get("/api/v1/stats")["reload"]["ok"]


def token_line(token):
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def write_tenants(path, token):
    path.write_text(f"tenants:\n  - {{account: a, tenant: acme, datasets: [web], tokens: ['{token_line(token)}']}}\n")


def test_a_broken_tenants_file_alone_keeps_all_as_it_was(make_receiver, tmp_path):
    tenants = tmp_path / "tenants.yaml"
    write_tenants(tenants, "first")
    pipeline = [{"plugin": "auth", "mode": "tokens", "tenants_file": str(tenants)}, {"plugin": "memory"},
                {"plugin": "fs", "directory": str(tmp_path / "sink")}]
    receiver = make_receiver({"ack_timeout": "20s"}, pipeline=pipeline).start()
    api = Api(receiver)

    tenants.write_text("tenants: [\n")
    receiver.write_config({"ack_timeout": "21s", "webhook": {"max_payload_size": 10}})
    reply = api.request("POST", "/api/v1/reload")
    assert reply.status == 422 and str(tenants) in reply.json()["errors"][0]
    assert Sender(receiver.port, "first").post("acme", "web").status == 200  # neither the limit nor the tokens

    opened = [{"plugin": "auth", "mode": "open"}, *pipeline[1:]]
    receiver.write_config({"pipeline": opened})  # the mode needs a restart, so there must still be a file
    errors = api.request("POST", "/api/v1/reload").json()["errors"]
    assert "needs tenants_file" in errors[0]
    assert errors[1:] == ["keys that need a restart kept their values, which may be why: stage 'auth': mode"]
    assert Sender(receiver.port).post("acme", "web").status == 401

    other = tmp_path / "others.yaml"
    write_tenants(other, "second")
    pipeline[0]["tenants_file"] = str(other)
    receiver.write_config({})
    assert api.post("/api/v1/reload") == {"generation": 2, "restart_needed": []}
    assert Sender(receiver.port, "first").post("acme", "web").status == 401
    assert Sender(receiver.port, "second").post("acme", "web").status == 200


MOODY = r"""
/* A service that refuses a reload when it is told to. */
#include <bfr/plugin.h>

#include <string.h>

static const struct bfr_host *host;

static uint32_t create(const struct bfr_host *own, void **out_self, struct bfr_err *err)
{
    (void)err;
    host = own;
    *out_self = &host;
    return BFR_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static uint32_t reload(void *self, struct bfr_err *err)
{
    (void)self;
    if (strcmp(host->config_string(host, "mood"), "bad") != 0)
        return BFR_OK;
    strcpy(err->text, "not today");
    return BFR_EINVAL;
}

static const struct bfr_option options[] = {
    {.name = "mood", .type = BFR_OPTION_STRING, .flags = BFR_OPTION_LIVE, .fallback = "good", .help = "good or bad"}};
static const struct bfr_life life = {.size = sizeof life, .create = create, .destroy = destroy, .reload = reload};
static const struct bfr_service_vtable vtable = {.size = sizeof vtable};
static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, .kind = BFR_KIND_SERVICE, .name = "moody", .version = "1", .summary = "refuses reloads",
    .options = options, .option_count = 1, .option_size = sizeof options[0], .life = &life, .vtable = &vtable};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
"""


@pytest.fixture(name="plugins")
def fixture_plugins(build, root, tmp_path):
    """A directory with the plugins of the build and `moody`."""
    directory = tmp_path / "plugins"
    directory.mkdir(mode=0o755)
    for name in ("auth", "memory", "fs"):
        shutil.copy(build.plugins / f"{name}.so", directory)
    (tmp_path / "moody.c").write_text(MOODY)
    subprocess.run(["gcc", "-fPIC", "-shared", f"-I{root / 'sdk' / 'include'}", "-o", directory / "moody.so",
                    tmp_path / "moody.c"], check=True)
    return directory


def test_what_one_stage_refuses_changes_no_other(make_receiver, plugins, tmp_path):
    tenants = tmp_path / "tenants.yaml"
    write_tenants(tenants, "first")
    pipeline = [{"plugin": "auth", "mode": "tokens", "tenants_file": str(tenants)}, {"plugin": "memory"},
                {"plugin": "fs", "directory": str(tmp_path / "sink")}]

    def config(mood):
        return {"plugin_dir": str(plugins), "services": [{"plugin": "moody", "mood": mood}]}

    receiver = make_receiver(config("good"), pipeline=pipeline).start()
    api = Api(receiver)
    write_tenants(tenants, "second")
    receiver.write_config(config("bad"))
    for _ in range(2):  # it goes on with what it had, and refuses once more
        reply = api.request("POST", "/api/v1/reload")
        assert reply.status == 422 and "not today" in reply.json()["errors"][0]
        assert Sender(receiver.port, "first").post("acme", "web").status == 200
        assert Sender(receiver.port, "second").post("acme", "web").status == 401
    receiver.write_config(config("good"))
    assert api.post("/api/v1/reload")["generation"] == 2
    assert Sender(receiver.port, "second").post("acme", "web").status == 200


def test_a_mounted_configuration_is_exchanged_by_its_link(make_receiver, tmp_path):
    """As Kubernetes does: the file is a link through ..data, which is renamed over."""
    receiver = make_receiver()
    text = receiver.config_path.read_text()
    mount = pathlib.Path(receiver.root)
    for version, level in (("v1", "info"), ("v2", "error")):
        (mount / version).mkdir()
        (mount / version / "receiver.yaml").write_text(text + f"logging: {{level: {level}}}\n" if "logging:" not in text
                                                       else text.replace('"debug"', f'"{level}"'))
    receiver.config_path.unlink()
    (mount / "..data").symlink_to("v1")
    receiver.config_path.symlink_to("..data/receiver.yaml")
    receiver.start()
    api = Api(receiver)
    assert api.get("/api/v1/log-level") == {"level": "info"}
    (mount / "..next").symlink_to("v2")
    (mount / "..next").rename(mount / "..data")
    receiver.signal(signal.SIGHUP)
    wait_until(lambda: api.get("/api/v1/log-level") == {"level": "error"}, "the new version")


def test_a_new_admin_token_counts_at_once_and_neither_is_told(make_receiver):
    old, new = "the-old-admin-token", "the-new-admin-token"
    receiver = make_receiver({"server": {"admin_token": old}}).start()
    receiver.write_config({"server": {"admin_token": new}})
    reply = Api(receiver, old).request("POST", "/api/v1/reload")
    assert reply.status == 200
    assert Api(receiver, old).request("GET", "/api/v1/stats").status == 401
    assert Api(receiver, new).request("GET", "/api/v1/stats").status == 200
    assert old not in receiver.log() + reply.text() and new not in receiver.log() + reply.text()


def test_reloads_at_one_time_are_done_one_after_another(receiver, api):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: api.post("/api/v1/reload"), range(24)))
    generations = [reply["generation"] for reply in replies]
    assert min(generations) == 2 and len(set(generations)) == max(generations) - 1
    assert generation(receiver) == max(generations)


def test_a_hangup_during_the_start_is_served_behind_it(make_receiver):
    receiver = make_receiver().launch()

    def blocks_hangup():
        receiver.require_alive()
        status = pathlib.Path(f"/proc/{receiver.process.pid}/status").read_text()
        mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk")), 16)
        return mask >> (signal.SIGHUP - 1) & 1

    wait_until(blocks_hangup, "signals are taken care of")
    receiver.signal(signal.SIGHUP)
    wait_until(lambda: receiver.logged("configuration read again", generation="2"), "the reload")
    assert receiver.process.poll() is None


def test_who_asks_while_the_daemon_stops_is_told_so(make_receiver):
    receiver = make_receiver({"shutdown_delay": "2s"}).start()
    receiver.signal()
    wait_until(lambda: receiver.get("/readyz").status == 503, "draining")
    reply = Api(receiver).request("POST", "/api/v1/reload")
    assert reply.status == 503 and "stopping" in reply.text()
    receiver.signal(signal.SIGHUP)
    assert Sender(receiver.port).post().status == 200
    assert receiver.wait() == 0
    assert not receiver.logged("configuration read again")


def test_what_was_accepted_around_a_reload_survives_a_kill(make_lives):
    lives = make_lives()
    receiver = lives.start()
    names = []
    for n in range(12):
        name, body = batch_name("acme", "web"), gzip_batch()
        assert Sender(receiver.port).post(name=name, body=body).status == 200
        names.append(name)
        if n % 3 == 0:
            assert Api(receiver).request("POST", "/api/v1/reload").status == 200
    receiver.signal(signal.SIGHUP)
    receiver.kill()
    receiver = lives.start()
    assert generation(receiver) == 1
    for name in names:
        wait_until(lambda name=name: any(path.endswith(name) for path in receiver.stored()), name)


@pytest.fixture(scope="module", name="authority")
def fixture_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("reload"))


def tls_connection(port, context):
    connection = wire.Connection(port)
    connection.raw = connection.socket
    connection.socket = context.wrap_socket(connection.socket, server_hostname="127.0.0.1")
    return connection


def reload_under_load(receiver, connect, config, times):
    """Every second file is broken, every other one changes limits; each sender goes on all the time."""
    api = Api(receiver)
    with Keepalive(connect) as senders:
        for n in range(times):
            before = sum(senders.counts)
            if n % 2 == 0:
                receiver.write_config({**config, "ack_timeout": f"{20 + n % 7}s",
                                       "quotas": {"default": {"bytes_per_second": f"{100 + n}MiB"}},
                                       "retry": {"max": f"{30 + n}s"}})
            else:
                receiver.config_path.write_text("webhook: {port: [\n")
            reply = api.request("POST", "/api/v1/reload")
            assert reply.status == (200 if n % 2 == 0 else 422), reply
            wait_until(lambda before=before: sum(senders.counts) > before or senders.failures, "requests go on")
    assert not senders.failures, senders.failures[:5]
    assert all(senders.counts)
    assert generation(receiver) == 1 + (times + 1) // 2
    receiver.scrape().check_conservation()


@pytest.mark.parametrize("times", [20, pytest.param(100, marks=pytest.mark.long)])
def test_no_request_fails_however_often_the_configuration_is_reloaded(make_receiver, times):
    receiver = make_receiver().start()
    reload_under_load(receiver, lambda: wire.Connection(receiver.port), {}, times)


@pytest.mark.parametrize("times", [20, pytest.param(100, marks=pytest.mark.long)])
def test_no_request_over_tls_fails_either(make_receiver, authority, times):
    certificate, key = authority.issue_pair(f"server{times}")
    config = {"webhook": {"tls": {"certificate": str(certificate), "key": str(key)}}}
    receiver = make_receiver(config).start()
    context = ssl.create_default_context(cafile=authority.certificate)
    reload_under_load(receiver, lambda: tls_connection(receiver.port, context), config, times)
