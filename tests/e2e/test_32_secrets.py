# SPDX-License-Identifier: Apache-2.0
"""A secret stands in its file or its variable and nowhere else: one is planted in every place that takes one, and then
everything the daemon says is looked through, also while all goes wrong."""
import hashlib
import json
import pathlib
import re
import signal

import pytest

from support import wire
from support.api import Api
from support.control_stand_in import ControlStandIn
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

# Not one shares eight characters with another, or with a word of any message.
PLANTED = {
    "server admin_token": "Zq4admVt9wX2kLm8",
    "auth api_key": "Hy7ctlBn3eRj5uQd",
    "control api_key": "Wk2svcMp6aTz8oFs",
    "s3 access_key": "Iu2akidMw7sEk5yL",
    "s3 secret_key": "Gx5skyDc1vNh4iYb",
    "s3 session_token": "Ju8sesKf7lPw3mEr",
    "s3 aws_access_key_id": "Pz1rolKf5bNt6cXe",
    "s3 aws_secret_access_key": "Ot6awsXg9qCz2nHa",
    "s3 aws_session_token": "Lb3awtVj5rSy7dUk",
    "s3 container_authorization": "Qm1ctnAe8xWf6pZo",
    "s3 proxy": "Rv9prxTd4hGc2bJn",
}
TENANT_TOKEN, WRONG_TOKEN, ACCOUNT_KEY = "Dn4tntPq8gVx1cZr", "Fa6wrgLy3jBt9kHm", "Xe5accSo2wUd7iNv"
EVERYTHING = {**PLANTED, "the tenant's token": TENANT_TOKEN, "a wrong token": WRONG_TOKEN, "the account's key": ACCOUNT_KEY}

PAGES = ["/", "/livez", "/readyz", "/metrics", "/v2/docs", "/v2/docs/openapi.json", "/api/v1/health", "/api/v1/config",
         "/api/v1/stats", "/api/v1/tenants", "/api/v1/tenants/count", "/api/v1/tenants/acme", "/api/v1/dlq/stats",
         "/api/v1/dlq/files", "/api/v1/dlq/files?status=retry", "/api/v1/log-level", "/api/v1/nothing"]


@pytest.fixture
def control():
    stand_in = ControlStandIn(key=PLANTED["auth api_key"])
    stand_in.account("a1", ACCOUNT_KEY)
    stand_in.tenant("acme", "a1", ["web"], token=TENANT_TOKEN)
    yield stand_in
    stand_in.close()


def configuration(control):
    return {
        "server": {"bind": ["127.0.0.1"], "api_port": 0, "admin_token": PLANTED["server admin_token"]},
        "retry": {"initial": "20ms", "max": "100ms", "probe_interval": "50ms"},
        "services": [{"plugin": "control", "control_url": control.url, "api_key": PLANTED["control api_key"], "account_id": "a1",
                      "report_interval": "200ms", "telemetry_interval": "200ms"},
                     {"plugin": "soc", "endpoint": control.url}, {"plugin": "otlp", "endpoint": control.url, "push_interval": "200ms"}],
    }


def stages(control, tmp_path):
    """Two stores, both behind a proxy that is not there: one with the keys of its options, one with those of the environment."""
    proxy = f"http://me:{PLANTED['s3 proxy']}@127.0.0.1:1"
    store = {"plugin": "s3", "bucket_name": "intake", "endpoint": "http://127.0.0.1:1", "proxy": proxy}
    return [
        {"plugin": "auth", "mode": "control", "control_url": control.url, "api_key": PLANTED["auth api_key"],
         "refresh_interval": "200ms", "cache_file": "directory.cache"},
        {"plugin": "memory"},
        {"plugin": "disk", "directory": str(tmp_path / "spool"), "min_free_bytes": 0},
        {**store, "name": "keys", "access_key": PLANTED["s3 access_key"], "secret_key": PLANTED["s3 secret_key"],
         "session_token": PLANTED["s3 session_token"]},
        {**store, "name": "role", "use_iam_role": True, "aws_access_key_id": PLANTED["s3 aws_access_key_id"],
         "aws_secret_access_key": PLANTED["s3 aws_secret_access_key"], "aws_session_token": PLANTED["s3 aws_session_token"],
         "container_authorization": PLANTED["s3 container_authorization"]},
    ]


def secret_options(node, found):
    """The names of everything that the daemon's own schema marks as a secret."""
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            if isinstance(value, dict) and value.get("writeOnly"):
                found.add(name)
        for value in node.values():
            secret_options(value, found)
    elif isinstance(node, list):
        for value in node:
            secret_options(value, found)
    return found


def assert_silent(text, where):
    for name, secret in EVERYTHING.items():
        for part in (secret, secret[:8], secret[8:]):
            assert part not in text, f"{name} is in {where}: {text[max(0, text.index(part) - 300):][:600]}"


def every_page(receiver):
    """What an administrator, somebody with a wrong token and somebody without one are shown."""
    for token in (PLANTED["server admin_token"], WRONG_TOKEN, None):
        api = Api(receiver, token)
        for page in PAGES:
            yield page, api.request("GET", page)
        for path, body in (("/api/v1/dlq/retry", {"tenant_id": "*", "dataset_id": "*"}), ("/api/v1/dlq/purge", {"tenant_id": 7}),
                           ("/api/v1/log-level", b"{"), ("/api/v1/dlq/retry", {"tenant_id": WRONG_TOKEN[::-1], "dataset_id": "*"})):
            yield path, api.request("POST", path, body)


def proc(receiver):
    process = pathlib.Path(f"/proc/{receiver.process.pid}")
    names = "".join((task / "comm").read_text() for task in (process / "task").iterdir())
    assert re.search(r"Max core file size\s+0\s+0\s", (process / "limits").read_text()), "a core would hold them all"
    return (process / "cmdline").read_text() + names


def post_with_everything(receiver):
    """Right, wrong and odd credentials, in the right header and in others."""
    body, name = gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port, TENANT_TOKEN).post("acme", "web", body, name).status == 200
    assert Sender(receiver.port, ACCOUNT_KEY).post("acme", "web").status == 200
    replies = [Sender(receiver.port, WRONG_TOKEN).post("acme", "web"), Sender(receiver.port, TENANT_TOKEN).post("acme", "gone")]
    for headers in ([("Authorization", WRONG_TOKEN)], [("Authorization", f"Basic {WRONG_TOKEN}")],
                    [("Authorization", f"Bearer {TENANT_TOKEN}"), ("Authorization", f"Bearer {WRONG_TOKEN}")],
                    [("Authorization", f"Bearer {TENANT_TOKEN} {WRONG_TOKEN}")], [("Authorization", f"Bearer {WRONG_TOKEN}\x01")],
                    [(f"Authorization {WRONG_TOKEN}", "x")]):
        replies.append(wire.request(receiver.port, "POST", "/acme/web", [("Content-Length", "20"), *headers], b"x" * 20))
    assert {reply.status for reply in replies} <= {400, 401, 403, 404, 503}
    for reply in replies:
        assert_silent(repr(reply.headers) + reply.text(), "a reply to a sender")


def test_a_secret_appears_nowhere(build, make_receiver, control, tmp_path):
    receiver = make_receiver(configuration(control), pipeline=stages(control, tmp_path)).start()
    schema = json.loads(build.run("config", "schema", "--config", receiver.config_path).stdout)
    assert secret_options(schema, set()) == {name.split()[1] for name in PLANTED}, "one is planted in every place that takes one"
    wait_until(lambda: receiver.logged("directory refreshed"), "the directory")
    post_with_everything(receiver)
    cache = receiver.root / "directory.cache"
    digest = hashlib.sha256(ACCOUNT_KEY.encode()).hexdigest()
    wait_until(lambda: cache.exists() and digest in cache.read_text(), "the accepted key's hash on disk")
    assert_silent(cache.read_text(), "the directory on disk")
    wait_until(lambda: all(stage["status"] != "ok" for stage in receiver.health()["stages"] if stage["plugin"] == "s3"), "an outage")
    for page, reply in every_page(receiver):
        assert reply.status < 500 or page == "/readyz", (page, reply)
        assert_silent(repr(reply.headers) + reply.text(), page)

    control.key = "another key"  # from now on everything of ours is refused
    control.rotate("acme", "another-token-entirely")
    refused = len(receiver.log())
    wait_until(lambda: "401" in receiver.log()[refused:], "a refusal by the control service in the log")
    Sender(receiver.port, TENANT_TOKEN).post("acme", "web")
    receiver.signal(signal.SIGHUP)
    for page, reply in every_page(receiver):
        assert_silent(repr(reply.headers) + reply.text(), page)
    assert_silent(proc(receiver), "/proc")
    receiver.kill()
    assert_silent(receiver.log(), "the log")
    for call in control.calls:
        assert_silent(str(call.body), f"what {call.path} was sent")


def test_the_commands_do_not_show_one(build, make_receiver, control, tmp_path):
    receiver = make_receiver(configuration(control), pipeline=stages(control, tmp_path))
    for command in (["config", "show"], ["config", "schema"], ["check"]):
        result = build.run(*command, "--config", receiver.config_path)
        assert result.returncode == 0, result.stderr
        assert_silent(result.stdout + result.stderr, " ".join(command))


@pytest.mark.parametrize("spoil", [
    lambda text: text.replace('"secret_key": ', '"secret_kee": '),
    lambda text: text.replace(f'"{PLANTED["s3 secret_key"]}"', f'["{PLANTED["s3 secret_key"]}"]'),
    lambda text: text.replace(f'"{PLANTED["auth api_key"]}"', f'{{"{PLANTED["auth api_key"]}": 1}}'),
    lambda text: text.replace(f'"{PLANTED["server admin_token"]}"', f'"{PLANTED["server admin_token"]}\\u0001"'),
    lambda text: text.replace(f'"{PLANTED["s3 session_token"]}"', f'"{PLANTED["s3 session_token"]}'),
    lambda text: text.replace("me:", "me me:"),
    lambda text: text.replace('"control_url": ', f'"api_key": "{WRONG_TOKEN}", "control_url": '),
    lambda text: text.replace(f'"{PLANTED["control api_key"]}"', f'"${{{PLANTED["control api_key"]}"'),
    lambda text: text + f"admin_token: {WRONG_TOKEN}\n",
], ids=["misspelt key", "list", "mapping", "control character", "quote missing", "proxy's login", "twice", "open variable", "wrong place"])
def test_a_wrong_configuration_is_explained_without_it(build, make_receiver, control, tmp_path, spoil):
    receiver = make_receiver(configuration(control), pipeline=stages(control, tmp_path))
    text = receiver.config_path.read_text()
    receiver.config_path.write_text(spoil(text))
    assert spoil(text) != text
    for command in ("check", "run"):
        result = build.run(command, "--config", receiver.config_path)
        assert result.returncode == 78 and f"{receiver.config_path}:" in result.stderr
        assert_silent(result.stdout + result.stderr, command)
