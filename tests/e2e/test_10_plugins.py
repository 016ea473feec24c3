# SPDX-License-Identifier: Apache-2.0
"""A stranger's plugin: built outside the tree from the installed SDK alone, loaded from a directory of its own."""
import os
import subprocess
import textwrap

import pytest

from support.sender import Sender, batch_name, gzip_batch

STRANGER = r"""
/* Keeps the length of every batch in a file: a sink nobody here has heard of. */
#include <bfr/plugin.h>
#include <bfr/blocking_sink.h>

#include <stdio.h>
#include <stdlib.h>

struct ledger {
    const char *path;
    struct bfr_blocking_sink *pool;
};

static void store(void *self, const struct bfr_batch *batch, struct bfr_result *out)
{
    struct ledger *me = self;
    FILE *file = fopen(me->path, "a");
    if (file == NULL) {
        bfr_result_outage(out, "cannot open %s", me->path);
        return;
    }
    fprintf(file, "%s/%s/%s %llu\n", batch->tenant, batch->dataset, batch->filename,
            (unsigned long long)batch->body_bytes);
    fclose(file);
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct ledger *me = calloc(1, sizeof *me);
    if (me == NULL)
        return BFR_ENOMEM;
    me->path = host->config_string(host, "path");
    me->pool = bfr_blocking_sink_new(host, 1, store, me, err);
    if (me->pool == NULL) {
        free(me);
        return BFR_ENOMEM;
    }
    *out_self = me;
    return BFR_OK;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    return bfr_blocking_sink_start(((struct ledger *)self)->pool, err);
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    return bfr_blocking_sink_put(((struct ledger *)self)->pool, deliveries, count);
}

static void drain(void *self, uint64_t deadline_ns)
{
    bfr_blocking_sink_drain(((struct ledger *)self)->pool, deadline_ns);
}

static void stop(void *self)
{
    bfr_blocking_sink_stop(((struct ledger *)self)->pool);
}

static void destroy(void *self)
{
    bfr_blocking_sink_free(((struct ledger *)self)->pool);
    free(self);
}

static const struct bfr_option options[] = {
    {"path", BFR_OPTION_PATH, BFR_OPTION_REQUIRED, NULL, NULL, NULL, NULL, NULL, "file to append to", NULL},
};
static const struct bfr_life life = {
    .size = sizeof life, .create = create, .start = start, .drain = drain, .stop = stop, .destroy = destroy};
static const struct bfr_sink_vtable vtable = {.size = sizeof vtable, .put = put};
static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, .kind = BFR_KIND_SINK, .name = "ledger", .version = "0.1",
    .summary = "appends names and lengths to a file", .options = options, .option_count = 1,
    .option_size = sizeof options[0], .life = &life, .vtable = &vtable};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
"""


@pytest.fixture(scope="module")
def sdk(build, tmp_path_factory):
    """An installation of this build, and the environment in which a stranger finds its SDK."""
    if build.sanitizer:
        pytest.skip("a stranger builds against a plain build")
    prefix = tmp_path_factory.mktemp("installed")
    subprocess.run(["cmake", "--install", str(build.directory), "--prefix", str(prefix)], check=True,
                   stdout=subprocess.DEVNULL)
    pkgconfig = [str(path.parent) for path in prefix.rglob("bytefreezer-receiver-sdk.pc")]
    assert len(pkgconfig) == 1, "one .pc file is installed"
    return prefix, {**os.environ, "PKG_CONFIG_PATH": pkgconfig[0]}


@pytest.fixture
def workshop(tmp_path):
    """A stranger's own folder with a source and a plugin directory."""
    (tmp_path / "plugins").mkdir(mode=0o755)
    (tmp_path / "ledger.c").write_text(STRANGER)
    return tmp_path


def try_it(make_receiver, workshop):
    """Loads `ledger` from the stranger's directory, which has no other plugin, and posts to it."""
    book = workshop / "book.txt"
    pipeline = [{"plugin": "ledger", "path": str(book)}]
    receiver = make_receiver({"ack": "sink", "plugin_dir": str(workshop / "plugins")}, pipeline=pipeline).start()
    body, name = gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    assert book.read_text() == f"acme/web/{name} {len(body)}\n"


def test_a_plugin_built_with_pkg_config(build, sdk, workshop, make_receiver):
    _, environment = sdk
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "bytefreezer-receiver-sdk"], env=environment, check=True,
                           capture_output=True, text=True).stdout.split()
    subprocess.run(
        ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", "plugins/ledger.so", "ledger.c",
         *flags], cwd=workshop, check=True)
    (workshop / "plugins/ledger.so").chmod(0o755)
    try_it(make_receiver, workshop)


def test_a_plugin_built_with_the_cmake_package(build, sdk, workshop, make_receiver):
    prefix, _ = sdk
    (workshop / "CMakeLists.txt").write_text(textwrap.dedent("""
        cmake_minimum_required(VERSION 3.22)
        project(ledger C)
        find_package(bytefreezer-receiver-sdk REQUIRED)
        add_library(ledger MODULE ledger.c)
        target_link_libraries(ledger PRIVATE bytefreezer-receiver::sdk)
        set_target_properties(ledger PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_SOURCE_DIR}/plugins)
    """))
    for command in (["-G", "Ninja", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}"], ["--build", "build"]):
        subprocess.run(["cmake", *command], cwd=workshop, check=True, stdout=subprocess.DEVNULL)
    (workshop / "plugins/ledger.so").chmod(0o755)
    try_it(make_receiver, workshop)


def test_an_installation_has_the_daemon_its_plugins_and_the_headers(build, sdk, tmp_path):
    prefix, _ = sdk
    binaries = list(prefix.rglob("bin/bytefreezer-receiver"))
    assert len(binaries) == 1
    plugins = {path.name for path in prefix.rglob("plugins/*.so")}
    assert {"auth.so", "memory.so", "fs.so", "discard.so"} <= plugins
    headers = {path.name for path in prefix.rglob("include/bfr/*.h")}
    assert {"plugin.h", "blocking_sink.h", "batch.h"} <= headers


def test_a_plugin_is_used_several_times_under_different_names(make_receiver, tmp_path):
    names = ["one", "two", "three"]
    stages = [{"plugin": "fs", "name": name, "directory": str(tmp_path / name)} for name in names]
    receiver = make_receiver(pipeline=[{"plugin": "memory"}, *stages]).start()
    body, name = gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    for directory in names:
        assert receiver.wait_stored(f"acme/web/{name}", tmp_path / directory) == body
    stages = [entry["name"] for entry in receiver.health()["stages"]]
    assert stages == ["memory", *names]
