# SPDX-License-Identifier: Apache-2.0
"""A bad configuration or plugin ends the start with 78 and says where, why, and what to do; a bad environment with 1.
The table of single mistakes is in the unit tests; here is what a person at the terminal sees."""
import re
import shutil
import socket

import pytest


def run_text(build, tmp_path, text, command=("run",)):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    return build.run(*command, "--config", path, "--plugin-dir", build.plugins)


PIPELINE = "pipeline: [{plugin: memory}, {plugin: discard}]\n"

MISTAKES = [
    ("unknown key", "webhook: {prot: 8080}\n" + PIPELINE, "1:11", "port"),
    ("unknown top-level key", PIPELINE + "webhok: {}\n", "2:1", "webhook"),
    ("wrong type", "webhook: {port: eighty}\n" + PIPELINE, "1:17", "eighty"),
    ("out of range", "webhook: {port: 65536}\n" + PIPELINE, "1:17", "65535"),
    ("duplicate key", "ack: memory\nack: sink\n" + PIPELINE, "2:1", "ack"),
    ("bad enumeration", "ack: never\n" + PIPELINE, "1:6", "sink"),
    ("not YAML", "webhook: {port: 8080\n" + PIPELINE, "2:", ""),
    ("unset variable", "webhook: {port: \"${NO_SUCH_VARIABLE}\"}\n" + PIPELINE, "1:17", "NO_SUCH_VARIABLE"),
    ("unknown option of a plugin", "pipeline:\n  - {plugin: memory, max_byte: 1MiB}\n  - {plugin: discard}\n", "2:22",
     "max_bytes"),
    ("unknown plugin", "pipeline:\n  - {plugin: memory}\n  - {plugin: disk-of-gold}\n", "3:", "disk-of-gold.so"),
    ("missing required option", "pipeline:\n  - {plugin: memory}\n  - {plugin: fs}\n", "3:", "directory"),
    ("sink before a queue", "pipeline: [{plugin: discard}, {plugin: memory}]\n", "1:", "queue"),
    ("no sink", "pipeline: [{plugin: memory}]\n", "", "sink"),
    ("ack: disk without a stable queue", "ack: disk\n" + PIPELINE, "", "disk"),
]


@pytest.mark.parametrize("command", [("run",), ("check",)], ids=["run", "check"])
@pytest.mark.parametrize("text, place, word", [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_named_with_its_place(build, tmp_path, text, place, word, command):
    result = run_text(build, tmp_path, text, command)
    assert result.returncode == 78, result.stderr
    errors = [line for line in result.stderr.splitlines() if "error:" in line]
    assert len(errors) == 1, result.stderr
    assert re.search(rf"bad\.yaml:{place}", errors[0]), errors[0]
    assert word in errors[0]


def test_all_mistakes_in_one_run(build, tmp_path):
    text = "webhook: {prot: 1}\nack: never\npipeline:\n  - {plugin: memory, max_bytes: -1}\n  - {plugin: discard, x: 1}\n"
    result = run_text(build, tmp_path, text, ("check",))
    assert result.returncode == 78
    places = re.findall(r"bad\.yaml:(\d+):\d+: error:", result.stderr)
    assert places == ["1", "2", "4", "5"], result.stderr


def test_a_named_file_that_is_missing(build, tmp_path):
    result = build.run("run", "--config", tmp_path / "absent.yaml")
    assert result.returncode == 78
    assert "absent.yaml" in result.stderr and "No such file" in result.stderr


def test_a_secret_in_a_bad_file_is_not_printed(build, tmp_path):
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text("tenants: [{account: a, tenant: acme, datasets: [web], tokens: [hunter2-in-clear]}]\n")
    text = "pipeline:\n  - {plugin: auth, mode: tokens, tenants_file: tenants.yaml}\n  - {plugin: memory}\n" \
           "  - {plugin: discard}\n"
    result = run_text(build, tmp_path, text)
    assert result.returncode in (1, 78) and "tenants.yaml" in result.stderr
    assert "hunter2" not in result.stdout + result.stderr


def test_a_bad_plugin_stops_the_start_with_one_line(build, tmp_path):
    plugins = tmp_path / "plugins"
    shutil.copytree(build.plugins, plugins)
    (plugins / "broken.so").write_bytes(b"\x7fELF, or so it says")
    (plugins / "broken.so").chmod(0o644)
    path = tmp_path / "bad.yaml"
    path.write_text(f"plugin_dir: {plugins}\npipeline:\n  - {{plugin: memory}}\n  - {{plugin: broken}}\n")
    result = build.run("run", "--config", path)
    assert result.returncode == 78
    errors = [line for line in result.stderr.splitlines() if "error:" in line]
    assert len(errors) == 1 and errors[0].startswith(f"{path}:4:") and "broken.so" in errors[0], result.stderr


def test_a_plugin_that_anybody_may_write_is_refused(build, tmp_path):
    plugins = tmp_path / "plugins"
    shutil.copytree(build.plugins, plugins)
    (plugins / "discard.so").chmod(0o666)
    path = tmp_path / "bad.yaml"
    path.write_text(f"plugin_dir: {plugins}\n{PIPELINE}")
    result = build.run("run", "--config", path)
    assert result.returncode == 78
    assert "discard.so" in result.stderr and "chmod" in result.stderr


@pytest.mark.parametrize("section, key", [("webhook", "port"), ("server", "api_port")])
def test_a_port_in_use_exits_1_and_names_it(make_receiver, section, key):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        receiver = make_receiver({section: {key: port}}).launch()
        assert receiver.wait() == 1
    errors = [line for line in receiver.log_lines() if line.get("level") == "error"]
    assert len(errors) == 1, receiver.log()
    assert str(port) in errors[0]["error"] and "in use" in errors[0]["error"]


def test_a_second_daemon_does_not_share_the_port(make_receiver):
    first = make_receiver().start()
    second = make_receiver({"webhook": {"port": first.port}}).launch()
    assert second.wait() == 1
    assert f"{first.port}" in second.log() and "in use" in second.log()
