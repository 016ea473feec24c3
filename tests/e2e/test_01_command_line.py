# SPDX-License-Identifier: Apache-2.0
"""The binary explains itself: every command that needs no running daemon."""
import hashlib
import json
import re
import shlex
import shutil
import subprocess

import pytest

from support.receiver import as_yaml
from support.wait import LIMIT


def good_config(build, tmp_path, **changes):
    path = tmp_path / "good.yaml"
    config = {
        "plugin_dir": str(build.plugins),
        "pipeline": [
            {"plugin": "auth", "mode": "open"},
            {"plugin": "memory", "max_bytes": "8MiB"},
            {"plugin": "fs", "directory": "data"},
        ],
        **changes,
    }
    path.write_text(as_yaml(config))
    return path


def test_version_is_one_line(build):
    result = build.run("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"bytefreezer-receiver \d+\.\d+\.\d+\S*\n", result.stdout)


@pytest.mark.parametrize("flag", ["--help", "-help"])
def test_help_names_every_command(build, flag):
    result = build.run(flag)
    assert result.returncode == 0 and result.stderr == ""
    for command in ("run", "check", "config show", "config schema", "plugins list", "plugins info", "plugins check",
                    "token hash"):
        assert f"  {command}" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [["frobnicate"], ["--frobnicate"], ["--config"], ["plugins", "info"], ["check", "extra"], ["config", "hide"]],
)
def test_wrong_usage_exits_2_and_points_to_help(build, arguments):
    result = build.run(*arguments)
    assert result.returncode == 2
    assert "--help" in result.stderr and result.stdout == ""


@pytest.mark.parametrize("group, words", [("config", "show, schema"), ("plugins", "list, info, check")])
def test_half_a_command_names_its_other_half(build, group, words):
    result = build.run(group)
    assert result.returncode == 2
    assert words in result.stderr


@pytest.mark.parametrize("stdout", ["full", "closed"])
@pytest.mark.parametrize("command", [["--version"], ["plugins", "list"], ["token", "hash"]])
def test_what_cannot_be_printed_is_a_failure(build, command, stdout):
    redirection = ">/dev/full" if stdout == "full" else ">&-"
    line = shlex.join(build.command(*command, "--plugin-dir", build.plugins))
    result = subprocess.run(["sh", "-c", f"{line} {redirection}"], input="a-token", text=True, stderr=subprocess.PIPE,
                            env=build.environment(), timeout=LIMIT, check=False)
    assert result.returncode == 1
    assert "standard output" in result.stderr


def test_check_of_a_good_configuration(build, tmp_path):
    path = good_config(build, tmp_path)
    result = build.run("check", "--config", path)
    assert result.returncode == 0, result.stderr
    assert str(path) in result.stdout
    assert not (tmp_path / "data").exists(), "check must not touch the sink"


def test_check_warns_that_memory_is_lost_with_the_process(build, tmp_path):
    result = build.run("check", "--config", good_config(build, tmp_path))
    assert re.search(r"good\.yaml\S*: warning: .*lost", result.stderr)


def test_config_show_prints_what_is_in_effect(build, tmp_path):
    path = good_config(build, tmp_path, ack="sink", webhook={"port": 9999})
    result = build.run("config", "show", "--config", path)
    assert result.returncode == 0, result.stderr
    assert re.search(r"port: 9999", result.stdout)
    assert re.search(r"ack: sink", result.stdout)
    assert re.search(r"idle_timeout_seconds: ", result.stdout), "defaults are shown too"
    assert str(tmp_path / "data") in result.stdout, "a relative path is relative to the file"


def test_config_show_prints_a_configuration_that_is_accepted(build, tmp_path):
    first = build.run("config", "show", "--config", good_config(build, tmp_path))
    again = tmp_path / "again.yaml"
    again.write_text(first.stdout)
    second = build.run("config", "show", "--config", again)
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout


def test_flags_win_over_the_file(build, tmp_path):
    path = good_config(build, tmp_path, plugin_dir="/nonexistent", logging={"level": "info"})
    result = build.run("config", "show", "--config", path, "--plugin-dir", build.plugins, "--log-level", "warn")
    assert result.returncode == 0, result.stderr
    assert "level: warn" in result.stdout and str(build.plugins) in result.stdout


def test_config_path_comes_from_the_environment(build, tmp_path):
    path = good_config(build, tmp_path)
    result = build.run("check", env={"CONFIG_FILE": str(path)})
    assert result.returncode == 0 and str(path) in result.stdout


@pytest.mark.parametrize(
    "name, value, shown",
    [
        ("RECEIVER_WEBHOOK_PORT", "9191", "port: 9191"),
        ("RECEIVER_API_PORT", "9292", "api_port: 9292"),
        ("LOG_LEVEL", "warn", "level: warn"),
        ("BYTEFREEZER_RECEIVER_ACK", "sink", "ack: sink"),
        ("BYTEFREEZER_RECEIVER_WEBHOOK_IDLE_TIMEOUT_SECONDS", "77", "idle_timeout_seconds: 77"),
    ],
)
def test_the_environment_wins_over_the_file(build, tmp_path, name, value, shown):
    path = good_config(build, tmp_path, webhook={"port": 1111, "idle_timeout_seconds": 99})
    result = build.run("config", "show", "--config", path, env={name: value})
    assert result.returncode == 0, result.stderr
    assert shown in result.stdout
    unset = build.run("config", "show", "--config", path, env={name: ""})
    assert "port: 1111" in unset.stdout and shown not in unset.stdout, "an empty variable is an unset one"


def test_config_schema_is_a_json_schema_with_the_plugins(build, tmp_path):
    result = build.run("config", "schema", "--config", good_config(build, tmp_path))
    assert result.returncode == 0, result.stderr
    schema = json.loads(result.stdout)
    assert "json-schema.org" in schema["$schema"]
    assert {"webhook", "server", "ack", "pipeline"} <= schema["properties"].keys()
    for word in ("tenants_file", "max_bytes", "sidecar"):
        assert f'"{word}"' in result.stdout


def test_plugins_list_names_the_shipped_ones_with_their_kind(build):
    result = build.run("plugins", "list", "--plugin-dir", build.plugins)
    assert result.returncode == 0, result.stderr
    kinds = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines()}
    assert {"auth": "auth", "memory": "queue", "fs": "sink", "discard": "sink"}.items() <= kinds.items()


@pytest.mark.parametrize("variable", ["CONFIG_FILE", "BYTEFREEZER_RECEIVER_PLUGIN_DIR"])
def test_plugins_are_those_of_the_daemon_that_would_run(build, tmp_path, variable):
    value = good_config(build, tmp_path) if variable == "CONFIG_FILE" else build.plugins
    result = build.run("plugins", "list", env={variable: str(value)}, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "\nfs " in result.stdout


def test_plugins_info_describes_each_option(build):
    result = build.run("plugins", "info", "fs", "--plugin-dir", build.plugins)
    assert result.returncode == 0, result.stderr
    assert "directory" in result.stdout and "sidecar" in result.stdout


def test_plugins_check_tells_good_from_bad(build, tmp_path):
    good = build.run("plugins", "check", build.plugins / "fs.so")
    assert good.returncode == 0 and "fs" in good.stdout
    bad = tmp_path / "bad.so"
    bad.write_bytes(b"not an object file")
    bad.chmod(0o644)
    result = build.run("plugins", "check", bad)
    assert result.returncode == 78
    assert str(bad) in result.stderr and len(result.stderr.splitlines()) == 1


def test_plugins_list_goes_on_after_a_bad_one(build, tmp_path):
    shutil.copy(build.plugins / "fs.so", tmp_path)
    (tmp_path / "broken.so").write_bytes(b"")
    (tmp_path / "broken.so").chmod(0o644)
    result = build.run("plugins", "list", "--plugin-dir", tmp_path)
    assert result.returncode == 78
    assert result.stdout.startswith("fs ") and "broken.so" in result.stderr


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_token_hash_is_the_sha256_of_the_token_alone(build, ending):
    result = build.run("token", "hash", stdin="s3cret-Token" + ending)
    assert result.returncode == 0
    assert result.stdout == f"sha256:{hashlib.sha256(b's3cret-Token').hexdigest()}\n"


@pytest.mark.parametrize("text", ["", "\n", "two words\n", "line\nline\n", "x" * 9000])
def test_token_hash_refuses_what_is_no_token(build, text):
    result = build.run("token", "hash", stdin=text)
    assert result.returncode != 0 and result.stdout == ""
    assert text.strip()[:20] == "" or text.strip()[:20] not in result.stderr
