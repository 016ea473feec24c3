# SPDX-License-Identifier: Apache-2.0
"""deploy/: what is in it can be read by what it is meant for, and the daemon accepts every configuration in it."""
import json
import re
import shutil
import subprocess

import pytest
import yaml

SECRETS = {"RECEIVER_S3_ACCESS_KEY": "AK", "RECEIVER_S3_SECRET_KEY": "SK"}


@pytest.fixture
def deploy(root):
    return root / "deploy"


@pytest.fixture
def compose(deploy):
    return yaml.safe_load((deploy / "compose" / "docker-compose.yml").read_text())


def test_the_native_configuration_of_compose_is_accepted(build, deploy):
    result = build.run("check", "--config", deploy / "compose" / "native.yaml", "--plugin-dir", build.plugins, env=SECRETS)
    assert result.returncode == 0, result.stderr


def test_compose_passes_every_variable_that_its_example_sets(deploy, compose):
    example = (deploy / "compose" / "env.example").read_text()
    named = set(re.findall(r"^([A-Z0-9_]+)=", example, re.M))
    passed = compose["services"]["receiver"]["environment"]
    assert named == {name for name in passed if name != "HOST_HOSTNAME"}
    for name, value in passed.items():
        assert name == "HOST_HOSTNAME" or value.startswith(f"${{{name}:"), "no secret stands in the file"


def test_compose_mounts_what_is_there_and_keeps_the_spool(deploy, compose):
    receiver = compose["services"]["receiver"]
    mounts = dict(volume.split(":")[:2] for volume in receiver["volumes"])
    for source, target in mounts.items():
        if source.startswith("./"):
            assert (deploy / "compose" / source).exists()
            assert target == "/etc/bytefreezer-receiver/config.yaml"
        else:
            assert source in compose["volumes"]
    config = yaml.safe_load((deploy / "compose" / "config.yaml").read_text())
    assert config["spooling"]["directory"] in mounts.values()
    assert (deploy / "compose" / receiver["build"]["context"]).resolve() == deploy.parent
    assert (deploy.parent / receiver["build"]["dockerfile"]).exists()


def test_the_chart_uses_values_that_are_there_and_the_others_are_used(deploy):
    values = yaml.safe_load((deploy / "helm" / "values.yaml").read_text())
    used = set()
    for template in (deploy / "helm" / "templates").iterdir():
        for path in re.findall(r"\.Values\.([A-Za-z.]+)", template.read_text()):
            node = values
            for part in path.split("."):
                assert part in node, f"{template.name}: .Values.{path}"
                node = node[part]
            used.add(path.split(".")[0])
        opened = re.findall(r"\{\{-? *(if|with|range|end)\b", template.read_text())
        assert opened.count("end") == len(opened) - opened.count("end"), template.name
    assert used == set(values)


def instructions(dockerfile):
    """(word, rest) of each instruction, continuation lines joined."""
    text = re.sub(r"^#.*\n", "", dockerfile, flags=re.M).replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]


@pytest.fixture
def image(deploy):
    """The instructions of the image itself, without those of the stage that builds."""
    lines = instructions((deploy / "container" / "Dockerfile").read_text())
    last = max(i for i, line in enumerate(lines) if line[0] == "FROM")
    return lines[last:]


def test_the_image_starts_the_program_with_or_without_arguments(image):
    words = dict(image)
    assert json.loads(words["ENTRYPOINT"]) == ["/bytefreezer-receiver"]
    assert "CMD" not in words
    assert words["USER"].split(":")[0] == "1000"
    assert "curl" in words["RUN"].split()
    assert json.loads(words["HEALTHCHECK"].split("CMD ")[1])[-1] == "http://localhost:8081/api/v1/health"


def test_the_image_has_nothing_where_configurations_are_mounted(image):
    for word, rest in image:
        if word in ("COPY", "ADD"):
            assert not rest.split()[-1].startswith("/etc/bytefreezer")


def test_the_image_has_every_library_that_is_linked(build, image):
    """By the names of Debian's packages, as this machine knows them; with sanitizers more are linked than are shipped."""
    installed = set(" ".join(rest for word, rest in image if word == "RUN").split())
    for file in [build.binary, *build.plugins.glob("*.so")]:
        listed = subprocess.run(["readelf", "-d", file], check=True, capture_output=True, text=True).stdout
        for library in re.findall(r"NEEDED.*\[(.*)\]", listed):
            if re.match(r"(lib(c|m|asan|tsan|ubsan|gcc_s|stdc\+\+|pthread|dl)\.|ld-linux)", library):
                continue
            owner = subprocess.run(["dpkg", "-S", f"*/{library}"], check=True, capture_output=True, text=True).stdout
            packages = {line.split(":")[0] for line in owner.splitlines()}
            assert packages & installed, f"{file.name} needs {library} of {packages}"


def test_the_unit_starts_the_program_that_is_installed(build, deploy, tmp_path):
    unit = (deploy / "systemd" / "bytefreezer-receiver.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.M))
    program, *arguments = settings["ExecStart"].split()
    assert program == "/usr/bin/bytefreezer-receiver" and arguments[0] == "--config"
    refused = build.run(*[str(tmp_path / "none") if word.startswith("/") else word for word in arguments])
    assert refused.returncode == 78, "its options are known; the file is missing"
    assert str(refused.returncode) in settings["RestartPreventExitStatus"].split()
    assert int(settings["TimeoutStopSec"]) > 25, "longer than the daemon takes at most"
    assert settings["ReadWritePaths"] == "/var/spool/bytefreezer-receiver"
    for hardening in ("NoNewPrivileges", "ProtectSystem", "PrivateTmp", "MemoryDenyWriteExecute", "SystemCallFilter"):
        assert hardening in settings
    if shutil.which("systemd-analyze"):
        said = subprocess.run(["systemd-analyze", "verify", deploy / "systemd" / "bytefreezer-receiver.service"],
                              capture_output=True, text=True, check=False)
        complaints = [line for line in said.stderr.splitlines() if "bytefreezer-receiver" in line]
        assert [line for line in complaints if "is not executable" not in line] == []
