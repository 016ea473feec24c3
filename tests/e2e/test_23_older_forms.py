# SPDX-License-Identifier: Apache-2.0
"""The previous product's configuration, in every shape in which it was shipped (tests/e2e/forms/): what it is translated
to, and that a daemon started with it moves a batch into the store."""
import pathlib

import pytest
import yaml

from support.api import Api
from support.control_stand_in import SERVICE_KEY
from support.receiver import Receiver
from support.s3_fixtures import *  # noqa: F401,F403
from support.s3_server import ACCESS_KEY, SECRET_KEY
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

FORMS = pathlib.Path(__file__).with_name("forms")
FILES = ["compose", "helm", "ansible", "small"]

# What each deployment passes beside the file.
URL = {"RECEIVER_CONTROL_SERVICE_URL": "http://control:8082"}
KEYS = {"RECEIVER_S3_ACCESS_KEY": "AK", "RECEIVER_S3_SECRET_KEY": "SK"}
# ECS, GCP and Azure have no file at all.
ALONE = {"RECEIVER_S3_BUCKET_NAME": "intake", "RECEIVER_S3_REGION": "eu-west-1", "RECEIVER_S3_ENDPOINT": "minio:9000",
         "RECEIVER_S3_SSL": "false"}


@pytest.fixture
def show(build, tmp_path):
    """show(form or None, environment) -> what `config show` prints. Without a file it runs where there is none."""

    def run(form, env, expect=0):
        named = ["--config", FORMS / f"{form}.yaml"] if form else []
        result = build.run("config", "show", *named, "--plugin-dir", build.plugins, env=env, cwd=tmp_path)
        assert result.returncode == expect, result.stderr
        return result

    return run


@pytest.mark.parametrize("form", FILES)
def test_a_shipped_file_means_its_native_twin(show, form):
    older = show(form, {**KEYS, **URL})
    assert older.stdout == show(f"{form}.native", {}).stdout


def test_the_environment_alone_means_its_native_twin(show):
    older = show(None, {**KEYS, **URL, **ALONE})
    assert older.stdout == show("environment.native", {}).stdout
    assert older.stderr == ""


@pytest.mark.parametrize("form", FILES)
def test_what_is_shown_is_a_configuration(build, show, tmp_path, form):
    shown = show(form, {**KEYS, **URL})
    (tmp_path / "native.yaml").write_text(shown.stdout)
    again = build.run("config", "show", "--config", tmp_path / "native.yaml")
    assert again.returncode == 0, again.stderr
    assert again.stdout == shown.stdout
    good = build.run("check", "--config", tmp_path / "native.yaml")
    assert good.returncode == 0, good.stderr
    refused = build.run("run", "--config", tmp_path / "native.yaml")
    assert refused.returncode == 78 and "'***' is how a secret is shown" in refused.stderr
    assert "AK" not in shown.stdout and "SK" not in shown.stdout and 'access_key: "***"' in shown.stdout


def deployed(root, name):
    """The configuration that is deployed from here."""
    if name == "compose":
        return (root / "deploy" / "compose" / "config.yaml").read_text()
    return yaml.safe_dump(yaml.safe_load((root / "deploy" / "helm" / "values.yaml").read_text())["config"])


@pytest.mark.parametrize("name", ["compose", "helm"])
@pytest.mark.parametrize("env", [URL, {}])
def test_what_is_deployed_from_here_is_accepted(build, root, tmp_path, name, env):
    path = tmp_path / "config.yaml"
    path.write_text(deployed(root, name))
    result = build.run("check", "--config", path, "--plugin-dir", build.plugins, env={**KEYS, **env})
    assert result.returncode == 0, result.stderr


def test_keys_that_both_forms_give_are_warned_about(show):
    warned = show("helm", {**KEYS, **URL}).stderr
    for pair in (("dlq.retry_attempts", "spooling.retry_attempts"), ("bytefreezer.spool_path", "spooling.directory")):
        assert [line for line in warned.splitlines() if pair[0] in line and pair[1] in line]
    assert show("compose", {**KEYS, **URL}).stderr == ""


def test_a_file_that_is_named_and_missing_is_an_error(build, tmp_path):
    for arguments, env in ((["--config", tmp_path / "no.yaml"], {}), ([], {"CONFIG_FILE": str(tmp_path / "no.yaml")})):
        result = build.run("run", *arguments, env=env, cwd=tmp_path)
        assert result.returncode == 78 and "no.yaml" in result.stderr


def test_flags_with_one_dash_are_taken(build, tmp_path):
    assert build.run("-version").stdout == build.run("--version").stdout
    result = build.run("-config", tmp_path / "no.yaml")
    assert result.returncode == 78 and "no.yaml" in result.stderr


@pytest.mark.parametrize("bucket_name, word", [("", "no bucket"), ("projects/x/buckets/y", "holds a '/'")])
def test_a_bucket_that_is_none_is_a_clear_error(show, bucket_name, word):
    result = show(None, {**KEYS, "RECEIVER_S3_BUCKET_NAME": bucket_name}, expect=78)
    assert word in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.fixture
def start(make_receiver, build, s3_store, bucket, tmp_path):
    """start(form or None, environment) -> a daemon with that form, on free ports, with its spool in the test's directory."""
    made = []

    def run(form, env):
        receiver = Receiver(build, tmp_path / "daemon", env={
            "RECEIVER_WEBHOOK_PORT": "0", "RECEIVER_API_PORT": "0",
            "BYTEFREEZER_RECEIVER_METRICS_PORT": "0",
            "BYTEFREEZER_RECEIVER_LOGGING_FORMAT": "logfmt",
            "BYTEFREEZER_RECEIVER_SHUTDOWN_DELAY": "0s",
            "BYTEFREEZER_RECEIVER_PLUGIN_DIR": str(build.plugins),
            "BYTEFREEZER_RECEIVER_SPOOLING_DIRECTORY": str(tmp_path / "spool"),
            "RECEIVER_S3_BUCKET_NAME": bucket.name, "RECEIVER_S3_ENDPOINT": s3_store.endpoint,
            "RECEIVER_S3_ACCESS_KEY": ACCESS_KEY, "RECEIVER_S3_SECRET_KEY": SECRET_KEY, **env})
        made.append(receiver)
        if form is not None:
            receiver.config_path.write_text((FORMS / f"{form}.yaml").read_text())
        else:
            receiver.config_path.write_text("")
        receiver.launch()
        receiver.port = receiver._listening_port("webhook listening")
        receiver.api_port = receiver._listening_port("api listening")
        return receiver

    yield run
    for receiver in made:
        receiver.close()


@pytest.mark.parametrize("form", [*FILES, None])
def test_a_shipped_form_moves_a_batch_to_the_store(start, control, bucket, form):
    control.account("a1", key="account-key")
    control.tenant("acme", "a1", datasets=["web"])
    env = {"RECEIVER_CONTROL_SERVICE_URL": control.url, "RECEIVER_CONTROL_SERVICE_API_KEY": SERVICE_KEY}
    receiver = start(form, env)
    body, name = gzip_batch(), batch_name("acme", "web")
    wait_until(lambda: Sender(receiver.port).post(body=body, name=name).status == 200, "the batch is taken")
    wait_until(lambda: f"acme/web/{name}" in bucket.keys(), "the object")
    assert bucket.read(f"acme/web/{name}") == body
    assert Sender(receiver.port).post("nobody", "web").status == 410
    receiver.stop()
    assert SECRET_KEY not in receiver.log() and SERVICE_KEY not in receiver.log()
    assert control.violations == []


def test_an_older_file_is_read_again_with_the_environment_of_the_start(start, control, bucket):
    control.account("a1", key="account-key")
    control.tenant("acme", "a1", datasets=["web"])
    env = {"RECEIVER_CONTROL_SERVICE_URL": control.url, "RECEIVER_CONTROL_SERVICE_API_KEY": SERVICE_KEY}
    receiver = start("compose", env)
    api = Api(receiver)
    text = receiver.config_path.read_text()
    wait_until(lambda: api.get("/api/v1/config")["component_status"]["tenant_database"] == "ok", "the first directory")
    before = api.get("/api/v1/config")

    assert api.post("/api/v1/reload") == {"generation": 2, "restart_needed": []}
    overruled = text.replace('"intake"', '"elsewhere"').replace("port: 8080", "port: 8090")
    receiver.config_path.write_text(overruled.replace('level: "info"', 'level: "debug"'))
    assert api.post("/api/v1/reload") == {"generation": 3, "restart_needed": []}
    assert api.get("/api/v1/log-level") == {"level": "debug"}
    receiver.config_path.write_text(text.replace("us-east-1", "eu-west-1").replace("1073741824", "2147483648"))
    assert set(api.post("/api/v1/reload")["restart_needed"]) == {"stage 's3': region", "stage 'disk': max_size_bytes"}
    receiver.config_path.write_text(text.replace("s3:", "s3: ["))
    assert api.request("POST", "/api/v1/reload").status == 422
    assert api.get("/api/v1/config") == before

    name = batch_name("acme", "web")
    assert Sender(receiver.port).post(body=gzip_batch(), name=name).status == 200
    wait_until(lambda: f"acme/web/{name}" in bucket.keys(), "the object")
    receiver.stop()
    assert SECRET_KEY not in receiver.log() and SERVICE_KEY not in receiver.log()


@pytest.mark.parametrize("form", FILES)
def test_without_the_url_it_starts_degraded_and_answers_503(start, bucket, form):
    receiver = start(form, {})
    reply = Sender(receiver.port).post()
    assert reply.status == 503
    health = receiver.health()
    assert health["status"] == "degraded"
    told = [line for line in receiver.log_lines()
            if line.get("level") == "warn" and "RECEIVER_CONTROL_SERVICE_URL" in str(line)]
    assert len(told) == 1
    receiver.stop()
    assert bucket.keys() == []
