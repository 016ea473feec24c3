# SPDX-License-Identifier: Apache-2.0
"""`check --live`: the far ends are asked before anything depends on them, and what is missing is said by its name."""
import json
import uuid

import pytest

from support.receiver import as_yaml
from support.s3_fixtures import *  # noqa: F401,F403
from support.s3_server import ACCESS_KEY, SECRET_KEY, free_ports


@pytest.fixture
def check(build, tmp_path):
    """check(*sinks) runs the command and returns its result; nothing but the sinks may be touched."""

    def run(*sinks, more=(), **config):
        path = tmp_path / "live.yaml"
        path.write_text(as_yaml({
            "plugin_dir": str(build.plugins),
            "webhook": {"port": 1}, "server": {"api_port": 2},  # would need root, and are not opened
            "pipeline": [{"plugin": "auth", "mode": "open"}, {"plugin": "memory"},
                         {"plugin": "disk", "directory": str(tmp_path / "spool")}, *sinks],
            **config}))
        result = build.run("check", "--live", *more, "--config", path)
        assert not (tmp_path / "spool").exists(), "the spool is not touched"
        assert SECRET_KEY not in result.stdout + result.stderr
        return result

    return run


def verdict(result, stage="s3"):
    """The line of one stage; there is exactly one."""
    lines = [line for line in result.stdout.splitlines() if line.startswith(f"{stage} (")]
    assert len(lines) == 1, result.stdout + result.stderr
    return lines[0]


def test_a_store_that_can_be_used_is_good(check, s3_store, bucket, tmp_path):
    result = check(s3_store.stage(bucket), {"plugin": "fs", "name": "files", "directory": str(tmp_path / "files")})
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines() == ["auth (auth): good", "s3 (s3): good", "files (fs): good"]
    left = bucket.client.list_objects_v2(Bucket=bucket.name).get("Contents", [])
    assert left == [], "the probe object is gone again"


@pytest.mark.parametrize("changes, word", [
    ({"access_key": "NOBODY"}, "InvalidAccessKeyId"),
    ({"secret_key": "wrong" * 8}, "SignatureDoesNotMatch"),
    ({"bucket_name": "there-is-no-such-bucket"}, "bucket does not exist"),
    ({"sse": "aws:kms", "kms_key_id": "no-such-key"}, "no-such-key"),
])
def test_what_the_store_refuses_is_said(check, s3_store, bucket, changes, word):
    result = check(s3_store.stage(bucket, **changes))
    assert result.returncode == 1
    assert word in verdict(result)


def test_an_endpoint_that_is_down_is_said(check, s3_store, bucket):
    port = free_ports(1)[0]
    result = check(s3_store.stage(bucket, endpoint=f"http://127.0.0.1:{port}"))
    assert result.returncode == 1
    assert str(port) in verdict(result) or "connect" in verdict(result).lower()


@pytest.fixture
def reader(s3_store, bucket):
    """Keys of a user who may do with the bucket what its policy says, and nothing else."""
    name = f"u{uuid.uuid4().hex[:8]}"
    s3_store.admin("user", "create", "--uid", name, "--display-name", name, "--access-key", f"KEY{name}",
                   "--secret-key", f"secret-{name}")

    def statement(effect, actions):
        return {"Effect": effect, "Principal": {"AWS": [f"arn:aws:iam:::user/{name}"]},
                "Action": [f"s3:{action}" for action in actions],
                "Resource": [f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{bucket.name}/*"]}

    def allow(*actions):
        """The rest is denied expressly, because who puts an object may read it anyway."""
        rest = {"ListBucket", "PutObject", "GetObject", "DeleteObject"} - set(actions)
        statements = [statement("Allow", actions)] + ([statement("Deny", sorted(rest))] if rest else [])
        bucket.client.put_bucket_policy(
            Bucket=bucket.name, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        return {"access_key": f"KEY{name}", "secret_key": f"secret-{name}"}

    yield allow
    s3_store.admin("user", "rm", "--uid", name)


@pytest.mark.parametrize("allowed, code, word", [
    (["ListBucket", "GetObject"], 1, "s3:PutObject"),
    (["ListBucket", "PutObject"], 1, "s3:GetObject"),
    (["ListBucket", "PutObject", "GetObject", "DeleteObject"], 0, "good"),
])
def test_a_missing_permission_is_named(check, s3_store, bucket, reader, allowed, code, word):
    result = check(s3_store.stage(bucket, **reader(*allowed)))
    assert result.returncode == code, result.stdout + result.stderr
    assert word in verdict(result)


def test_a_probe_that_cannot_be_removed_is_told_and_harmless(check, s3_store, bucket, reader):
    result = check(s3_store.stage(bucket, **reader("ListBucket", "PutObject", "GetObject")))
    assert result.returncode == 0 and verdict(result).endswith(": good")
    assert "s3:DeleteObject" in result.stderr


def test_every_sink_has_its_own_line(check, s3_store, bucket):
    result = check(s3_store.stage(bucket), s3_store.stage(bucket, name="other", bucket_name="no-such-bucket-here"))
    assert result.returncode == 1
    assert verdict(result).endswith(": good") and "does not exist" in verdict(result, "other")


def test_a_masked_secret_cannot_be_tried(check, s3_store, bucket):
    result = check(s3_store.stage(bucket, secret_key="***"))
    assert result.returncode == 78
    assert "secret_key" in result.stderr and result.stdout == ""


def test_a_wrong_configuration_is_not_tried(check, s3_store, bucket):
    result = check(s3_store.stage(bucket), ack="nothing")
    assert result.returncode == 78 and result.stdout == ""


def test_live_is_for_check_alone(build):
    result = build.run("config", "show", "--live")
    assert result.returncode == 2 and "check" in result.stderr
    assert ACCESS_KEY not in result.stderr
