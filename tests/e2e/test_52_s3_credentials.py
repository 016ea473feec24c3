# SPDX-License-Identifier: Apache-2.0
"""Where the S3 sink's keys come from, and what happens when they end. The services that give keys are doubles; the store
that judges them is real: a key that is taken away there is refused there."""
import threading
import uuid

import pytest

from support.outage import QUICK_RETRY
from support.s3_fixtures import *  # noqa: F401,F403
from support.s3_server import ACCESS_KEY, SECRET_KEY
from support.sender import Sender, gzip_batch
from support.token_endpoints import TokenEndpoints
from support.wait import wait_until

ATTEMPTS = "bytefreezer_receiver_sink_attempts_total"


@pytest.fixture
def make_key(s3_store):
    """make_key() -> (access key, secret key), known to the store until the test ends or drop_key."""
    made = []

    def make():
        keys = (f"TEMP{uuid.uuid4().hex[:16].upper()}", uuid.uuid4().hex)
        s3_store.admin("key", "create", "--uid", "test", "--access-key", keys[0], "--secret-key", keys[1])
        made.append(keys[0])
        return keys

    make.drop = lambda keys: (made.remove(keys[0]), s3_store.admin("key", "rm", "--uid", "test", "--access-key", keys[0]))
    yield make
    for access_key in made:
        s3_store.admin("key", "rm", "--uid", "test", "--access-key", access_key)


@pytest.fixture
def endpoints(make_key):
    made = TokenEndpoints(make_key())
    yield made
    made.close()


@pytest.fixture
def role_receiver(s3_receiver, tmp_path):
    """A receiver whose only keys are those it finds."""

    def make(config=None, **changes):
        nothing = {"use_iam_role": True, "access_key": "", "secret_key": "", "metadata_endpoint": "",
                   "credentials_file": str(tmp_path / "none")}
        if "credentials_file" not in changes:
            (tmp_path / "none").write_text("")
            nothing["profile"] = ""
            nothing.pop("credentials_file")
        return s3_receiver({"retry": QUICK_RETRY, **(config or {})}, **{**nothing, **changes})

    return make


def reason(receiver):
    return [entry for entry in receiver.health()["stages"] if entry["name"] == "s3"][0].get("reason", "")


def assert_stores(receiver, bucket, endpoints=None):
    body, name = gzip_batch(), f"{uuid.uuid4().hex}.gz"
    before = receiver.scrape().batches("stored")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("stored", before + 1)
    assert bucket.read(f"acme/web/{name}") == body
    if endpoints is not None:
        assert endpoints.complaints == []


def assert_no_secret(receiver, *secrets):
    page = receiver.log() + str(receiver.health())
    for secret in secrets:
        assert secret not in page


def failures(receiver):
    scrape = receiver.scrape()
    return {dict(labels)["outcome"]: count for labels, count in scrape.series(ATTEMPTS).items()
            if dict(labels)["outcome"] != "stored" and count}


def test_keys_of_a_profile_in_a_file(role_receiver, bucket, make_key, tmp_path):
    keys = make_key()
    file = tmp_path / "credentials"
    file.write_text(f"# comment\n[default]\naws_access_key_id = NOBODY\naws_secret_access_key=x\n\n[ intake ]\n"
                    f"  aws_access_key_id={keys[0]}\r\naws_secret_access_key =  {keys[1]} \n; more\n[other]\n")
    receiver = role_receiver(credentials_file=str(file), profile="intake")
    assert_stores(receiver, bucket)
    assert receiver.logged("got credentials")[0]["source"] == "credentials file"
    assert_no_secret(receiver, keys[1])


def test_a_file_that_changes_is_read_again_when_the_store_refuses(role_receiver, bucket, make_key, tmp_path):
    file, old, new = tmp_path / "credentials", make_key(), make_key()
    file.write_text(f"[default]\naws_access_key_id={old[0]}\naws_secret_access_key={old[1]}\n")
    receiver = role_receiver(credentials_file=str(file))
    assert_stores(receiver, bucket)
    file.write_text(f"[default]\naws_access_key_id={new[0]}\naws_secret_access_key={new[1]}\n")
    make_key.drop(old)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    assert_stores(receiver, bucket)
    assert len(receiver.logged("got credentials")) >= 2


def test_keys_for_a_web_identity(role_receiver, bucket, endpoints, tmp_path):
    token = tmp_path / "token"
    token.write_text("ey.J+/=.x\n")
    receiver = role_receiver(web_identity_token_file=str(token), role_arn="arn:aws:iam::1:role/r", sts_endpoint=endpoints.url)
    assert_stores(receiver, bucket, endpoints)
    assert receiver.logged("got credentials")[0]["source"] == "web identity"
    assert_no_secret(receiver, endpoints.keys[1], "ey.J")


def test_keys_of_a_container(role_receiver, bucket, endpoints, tmp_path):
    endpoints.authorization = "Bearer of-the-pod"
    token = tmp_path / "pod-token"
    token.write_text("Bearer of-the-pod\n")
    receiver = role_receiver(container_credentials_uri=f"{endpoints.url}/container",
                             container_authorization_token_file=str(token))
    assert_stores(receiver, bucket, endpoints)
    assert receiver.logged("got credentials")[0]["source"] == "container"
    assert_no_secret(receiver, endpoints.keys[1], "of-the-pod")


def test_keys_of_a_machine_by_version_2_only(role_receiver, bucket, endpoints):
    receiver = role_receiver(metadata_endpoint=endpoints.url)
    assert_stores(receiver, bucket, endpoints)
    assert receiver.logged("got credentials")[0]["source"] == "machine"
    assert_no_secret(receiver, endpoints.keys[1], "TOKEN-OF-IMDS")


def test_variables_of_the_platform_set_the_options(make_receiver, s3_store, bucket, endpoints):
    """As AWS's platforms set them, without a word in the file."""
    stage = s3_store.stage(bucket, use_iam_role=True, access_key="", secret_key="", metadata_endpoint="")
    receiver = make_receiver(pipeline=[{"plugin": "auth", "mode": "open"}, {"plugin": "memory"}, stage],
                             env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{endpoints.url}/container"}).start()
    assert_stores(receiver, bucket, endpoints)


def test_keys_of_the_environment_are_used_with_use_iam_role_alone(make_receiver, build, s3_store, bucket, tmp_path):
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    stage = s3_store.stage(bucket, use_iam_role=True, access_key="", secret_key="", metadata_endpoint="")
    pipeline = [{"plugin": "auth", "mode": "open"}, {"plugin": "memory"}, stage]
    receiver = make_receiver(pipeline=pipeline, env=keys).start()
    assert_stores(receiver, bucket)
    assert_no_secret(receiver, SECRET_KEY)
    stage["use_iam_role"] = False
    receiver.write_config({})
    result = build.run("check", "--config", receiver.config_path, env=keys)
    assert result.returncode == 78 and "use_iam_role" in result.stderr


def test_keys_are_not_fetched_in_the_clear_from_elsewhere(role_receiver):
    receiver = role_receiver(container_credentials_uri="http://192.0.2.1/container")
    wait_until(lambda: "in the clear" in reason(receiver), "the reason in health")


class Flow:
    """A sender that posts one batch after the other, at a pace that the store keeps, until it is ended."""

    def __init__(self, receiver):
        self.statuses, self.accepted = set(), []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(Sender(receiver.port),))
        self.thread.start()

    def run(self, sender):
        while not self.ending.wait(0.002):
            name = f"n{len(self.accepted)}.gz"
            self.statuses.add(sender.post("acme", "web", name=name).status)
            self.accepted.append(f"acme/web/{name}")

    def end(self):
        self.ending.set()
        self.thread.join()


def assert_nobody_noticed(receiver, bucket, flow):
    scrape = receiver.wait_batches("stored", len(flow.accepted))
    scrape.check_conservation()
    assert flow.statuses == {200}
    assert failures(receiver) == {}, "not even an attempt failed"
    assert sorted(bucket.keys()) == sorted(flow.accepted)


def test_keys_that_expire_under_load_are_seen_by_nobody(role_receiver, bucket, endpoints, make_key):
    endpoints.life_s = 4
    receiver = role_receiver({"logging": {"level": "info"}}, container_credentials_uri=f"{endpoints.url}/container")
    old, new = endpoints.keys, make_key()
    wait_until(lambda: endpoints.served == [old[0]], "the first keys")
    endpoints.keys, endpoints.life_s = new, 3600
    flow = Flow(receiver)
    wait_until(lambda: new[0] in endpoints.served, "a refresh")
    make_key.drop(old)
    more = len(flow.accepted) + 200
    wait_until(lambda: len(flow.accepted) > more, "a flow with the new keys")
    flow.end()
    assert_nobody_noticed(receiver, bucket, flow)
    assert endpoints.served == [old[0], new[0]], "one refresh"


def test_keys_that_are_taken_away_under_load_are_replaced_at_once(role_receiver, bucket, endpoints, make_key):
    receiver = role_receiver({"logging": {"level": "info"}}, container_credentials_uri=f"{endpoints.url}/container")
    old, new = endpoints.keys, make_key()
    flow = Flow(receiver)
    wait_until(lambda: len(flow.accepted) > 500, "a flow of batches")
    endpoints.keys = new
    make_key.drop(old)
    more = len(flow.accepted) + 200
    wait_until(lambda: len(flow.accepted) > more and new[0] in endpoints.served, "a flow with the new keys")
    flow.end()
    assert_nobody_noticed(receiver, bucket, flow)
    assert endpoints.served == [old[0], new[0]]


def test_old_keys_are_used_while_new_ones_cannot_be_had(role_receiver, bucket, endpoints):
    endpoints.life_s = 6
    receiver = role_receiver(container_credentials_uri=f"{endpoints.url}/container")
    assert_stores(receiver, bucket)
    endpoints.status = 500

    def warned():
        assert_stores(receiver, bucket)
        return receiver.logged("cannot refresh the credentials; the old ones are used while they last")

    wait_until(warned, "a refresh that failed, while batches are stored")
    assert failures(receiver) == {}
    assert "answered 500" in reason(receiver)


def test_without_any_keys_batches_are_held_and_the_reason_is_said(role_receiver, bucket, endpoints):
    endpoints.status = 503
    receiver = role_receiver(metadata_endpoint=endpoints.url)
    for _ in range(2):
        assert Sender(receiver.port).post("acme", "web").status == 200
    wait_until(lambda: "metadata service answered 503" in reason(receiver), "the reason in health")
    assert receiver.wait_batches("held", 2).batches("buried") == 0
    endpoints.status = 200
    receiver.wait_batches("stored", 2)
    assert len(bucket.keys()) == 2
