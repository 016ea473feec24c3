# SPDX-License-Identifier: Apache-2.0
"""The API port for operators: who may use it, dead letters of a running daemon, and the commands that work through it."""
import hashlib
import json

import pytest

from support import wire
from support.api import Api
from support.letters import bury, clear_the_way, write_letters
from support.openings import Openings
from support.outage import QUICK_RETRY, Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.spool import drained
from support.wait import wait_until

TOKEN = "tell-nobody-5f1c"


def names_of(letters):
    return sorted(f"{letter['tenant_id']}/{letter['dataset_id']}/{letter['filename']}" for letter in letters)


# --- who may use it

GUARDED = [("GET", "/api/v1/tenants"), ("GET", "/api/v1/tenants/count"), ("GET", "/api/v1/tenants/acme"),
           ("GET", "/api/v1/config"), ("GET", "/api/v1/stats"), ("GET", "/api/v1/log-level"), ("PUT", "/api/v1/log-level"),
           ("GET", "/api/v1/dlq/stats"), ("GET", "/api/v1/dlq/files"), ("GET", "/api/v1/dlq/files/1"),
           ("POST", "/api/v1/dlq/retry"), ("POST", "/api/v1/dlq/purge"), ("POST", "/api/v1/tenants/acme/purge")]


def test_guarded_pages_want_the_token_and_open_ones_do_not(make_receiver):
    receiver = make_receiver({"server": {"admin_token": TOKEN}}).start()
    for method, path in GUARDED:
        for headers in ([], [("Authorization", "Bearer wrong")], [("Authorization", f"Basic {TOKEN}")],
                        [("Authorization", f"Bearer {TOKEN}x")], [("Authorization", f"Bearer {TOKEN[:-1]}")]):
            reply = wire.request(receiver.api_port, method, path, headers)
            assert reply.status == 401 and reply.header("www-authenticate") == "Bearer"
            assert reply.json()["status"] == 401 and TOKEN not in reply.text()
    for path in ("/livez", "/readyz", "/api/v1/health", "/metrics"):
        assert receiver.get(path).status == 200
    assert Api(receiver, TOKEN).get("/api/v1/dlq/files") == {"data": [], "next": None}
    assert TOKEN not in receiver.log()


@pytest.mark.parametrize("headers", [
    [("Origin", "http://evil.example")], [("Origin", "null")], [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")], [("Host", "evil.example:8081")], [("Host", "localhost.evil.example")]])
def test_pages_of_other_sites_change_nothing(receiver, headers):
    body = {"tenant_id": "*", "dataset_id": "*"}
    reply = Api(receiver).request("POST", "/api/v1/dlq/purge", body, headers)
    assert reply.status == 403 and reply.json()["status"] == 403


def test_names_that_anybody_can_point_here_read_nothing_without_a_token(receiver):
    api = Api(receiver)
    assert api.request("GET", "/api/v1/dlq/files", headers=[("Host", "evil.example")]).status == 403
    for host in ("localhost", "127.0.0.1:1", "[::1]:8081", "LOCALHOST:80"):
        assert api.request("GET", "/api/v1/dlq/files", headers=[("Host", host)]).status == 200


def test_the_own_page_may_change_things(receiver):
    api = Api(receiver)
    reply = api.request("POST", "/api/v1/dlq/retry", {"tenant_id": "a", "dataset_id": "b"}, [
        ("Origin", f"http://{api.host}"), ("Sec-Fetch-Site", "same-origin")])
    assert reply.status == 200 and reply.json()["count"] == 0


@pytest.mark.parametrize("body, status", [
    (b"{", 400), (b"[]", 400), (b"null", 400), (b"{}", 400), (b"", 400), (b'{"tenant_id": ""}', 400),
    (b'{"tenant_id": "*"}', 400), (b'{"tenant_id": "*", "dataset_id": ""}', 400), (b'{"dataset_id": "*"}', 400),
    (b'{"tenant_id": 1, "dataset_id": "*"}', 400), (b'{"tenant_id": "a", "dataset_id": "*", "more": 1}', 400),
    (b'{"tenant_id": "a", "tenant_id": "b", "dataset_id": "*"}', 400), (b'\xff\xfe', 400),
    (b'{"tenant_id": "a", "dataset_id": "*", "dry_run": "yes"}', 400), (b'{"a\\u0000b": 1}', 400),
    (b'{"tenant_id": "' + b"a" * 300 + b'", "dataset_id": "*"}', 400), (b'{"\xc3\xa9' + b"\xc3\xa9" * 70 + b'": 1}', 400),
    (b'{"tenant_id": "a", "dataset_id": "*"}' + b" " * 17000, 413)])
def test_bodies_are_checked_strictly(receiver, body, status):
    reply = Api(receiver).request("POST", "/api/v1/dlq/purge", body)
    assert reply.status == status
    if status == 400:
        assert reply.json()["status"] == 400 and len(reply.json()["error"]) > 10


def test_a_form_is_no_json(receiver):
    reply = Api(receiver).request("POST", "/api/v1/dlq/purge", b'{"tenant_id":"*","dataset_id":"*"}',
                                  [("Content-Type", "text/plain")])
    assert reply.status == 415


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "limit=-1", "cursor=", "cursor=../x",
                                   "status=queue", "what=1", "tenant_id=" + "a" * 300, "limit=1&limit=2",
                                   "limit=5%00", "tenant_id=a%00b", "tenant_id=" + "%C3%A9" * 65])
def test_queries_are_checked_strictly(receiver, query):
    reply = Api(receiver).request("GET", f"/api/v1/dlq/files?{query}")
    assert reply.status == 400 and reply.json()["status"] == 400


# --- tenants, configuration, figures, the log's level

SECRETS = ["planted-admin-token", "planted-tenant-token", "planted-access-key", "planted-secret-key"]


@pytest.fixture
def secretive(make_receiver, tmp_path):
    """A daemon that has been given a secret in every place that takes one."""
    tenants = tmp_path / "tenants.yaml"
    digest = hashlib.sha256(SECRETS[1].encode()).hexdigest()
    tenants.write_text(json.dumps({"tenants": [
        {"account": "a1", "tenant": "acme", "datasets": ["fw", "web"], "tokens": [f"sha256:{digest}"]},
        {"account": "a1", "tenant": "globex", "datasets": "*", "tokens": [f"sha256:{digest}"]}]}))
    return make_receiver({"server": {"admin_token": SECRETS[0]}}, pipeline=[
        {"plugin": "auth", "mode": "tokens", "tenants_file": str(tenants)},
        {"plugin": "memory", "max_bytes": "64MiB"},
        {"plugin": "s3", "name": "main", "bucket_name": "intake", "endpoint": "127.0.0.1:1", "ssl": False,
         "access_key": SECRETS[2], "secret_key": SECRETS[3]}]).start()


def test_tenants_are_shown_without_their_tokens(secretive):
    api = Api(secretive, SECRETS[0])
    listed = api.get("/api/v1/tenants")
    assert listed["count"] == 2 and [tenant["id"] for tenant in listed["tenants"]] == ["acme", "globex"]
    assert api.get("/api/v1/tenants/count") == {"count": 2}
    tenant = api.get("/api/v1/tenants/acme")["tenant"]
    assert tenant == listed["tenants"][0]
    assert tenant["bearer_token"] == "***" and tenant["account_id"] == "a1" and not tenant["all_datasets"]
    assert tenant["datasets"][1] == {
        "id": "web", "name": "web", "tenant_id": "acme", "data_hint": "",
        "processing_config": {"enable_raw_storage": True, "partitioning_scheme": "date"}}
    assert listed["tenants"][1]["all_datasets"] and listed["tenants"][1]["datasets"] == []
    assert api.get("/api/v1/tenants/nobody", 404)["status"] == 404
    health = secretive.health()
    assert list(health)[:4] == ["status", "version", "tenant_count", "database_healthy"]
    assert health["tenant_count"] == 2 and health["database_healthy"] is True


def test_a_directory_that_has_not_come_yet_is_not_healthy(make_receiver):
    receiver = make_receiver(pipeline=[
        {"plugin": "auth", "mode": "control", "control_url": "http://127.0.0.1:1"}, {"plugin": "memory"},
        {"plugin": "discard"}]).start()
    health, api = receiver.health(), Api(receiver)
    assert (health["status"], health["tenant_count"], health["database_healthy"]) == ("degraded", 0, False)
    assert api.get("/api/v1/tenants") == {"tenants": [], "count": 0}
    assert api.get("/api/v1/tenants/acme", 503)["status"] == 503


def test_the_configuration_has_the_old_shape_and_no_secret(secretive):
    config = Api(secretive, SECRETS[0]).get("/api/v1/config")
    assert config["app"]["name"] == "bytefreezer-receiver" and config["app"]["version"]
    assert config["webhook"] == {"port": 0, "max_payload_size": 10485760}
    assert config["bytefreezer"] == {"upload_worker_count": 10}
    assert config["s3_destination"] == {
        "bucket_name": "intake", "region": "us-east-1", "access_key": "***", "secret_key": "***", "secret_name": "",
        "endpoint": "127.0.0.1:1", "ssl": False}
    assert config["control_service"]["enabled"] is False and config["control_service"]["api_key"] == ""
    assert set(config["component_status"]) == {
        "tenant_database", "soc_alert_client", "s3_destination", "upload_worker_pool"}
    assert config["component_status"]["tenant_database"] == "ok" and config["component_status"]["soc_alert_client"] == "absent"
    assert set(config) >= {"server", "soc", "housekeeping", "dev"}


def test_figures_agree_with_the_metrics(secretive):
    api, sender = Api(secretive, SECRETS[0]), Sender(secretive.port, token=SECRETS[1])
    for _ in range(3):
        assert sender.post("acme", "web", gzip_batch(), batch_name("acme", "web")).status == 200
    stats = api.get("/api/v1/stats")
    assert stats["totals"]["accepted"]["batches"] == stats["totals"]["held"]["batches"] == 3
    assert stats["unaccounted_batches"] == 0
    (queue,), (sink,) = stats["queues"], stats["sinks"]
    assert queue["name"] == "memory" and queue["volatile"] and queue["limit_bytes"] == 64 << 20
    assert queue["held"] == stats["totals"]["held"] and (sink["name"], sink["plugin"]) == ("main", "s3")
    assert stats["requests"] == {"200": 3} and stats["refused"] == {} and stats["duplicates"] == 0
    assert stats["memory"]["used_bytes"] <= stats["memory"]["budget_bytes"] and stats["spool"] == {}
    (tenant,) = stats["tenants"]
    assert tenant["tenant_id"] == "acme" and tenant["accepted"] == stats["totals"]["accepted"] and stats["tenants_complete"]
    secretive.kill()  # what is in memory would be lost at a stop, and that is another test's subject


def test_the_level_of_the_log_is_changed_while_it_runs(receiver):
    api = Api(receiver)
    assert api.get("/api/v1/log-level") == {"level": "debug"}
    assert api.put("/api/v1/log-level", {"level": "error"}) == {"level": "error"}
    quiet = len(receiver.log_lines())
    assert Sender(receiver.port).post("acme", "web", b"", "x.gz").status == 400
    assert len(receiver.log_lines()) == quiet
    assert api.put("/api/v1/log-level", {"level": "info"}) == api.get("/api/v1/log-level") == {"level": "info"}
    assert Sender(receiver.port).post("acme", "web", b"", "x.gz").status == 400
    wait_until(lambda: receiver.logged("request refused", status="400"), "a line again")
    for body in ({"level": "loud"}, {"level": 1}, {}, {"level": "info", "more": 1}):
        assert api.put("/api/v1/log-level", body, 400)["status"] == 400


def test_planted_secrets_are_seen_nowhere(secretive, build):
    api = Api(secretive, SECRETS[0])
    assert Sender(secretive.port, token=SECRETS[1]).post(
        "acme", "web", gzip_batch(), batch_name("acme", "web")).status == 200
    assert Sender(secretive.port, token="wrong").post("acme", "web", gzip_batch()).status == 401
    pages = [secretive.get(path).text() for path in ("/metrics", "/api/v1/health")]
    pages += [api.request(method, path).text() for method, path in GUARDED if method == "GET"]
    pages += [wire.request(secretive.api_port, method, path).text() for method, path in GUARDED]
    pages.append(build.run("config", "show", "--config", secretive.config_path).stdout)
    secretive.kill()
    pages.append(secretive.log())
    digest = hashlib.sha256(SECRETS[1].encode()).hexdigest()
    for secret in [*SECRETS, digest]:
        assert not [page for page in pages if secret in page]
    assert 'access_key: "***"' in pages[-2] and 'secret_key: "***"' in pages[-2] and 'admin_token: "***"' in pages[-2]


# --- dead letters

@pytest.mark.parametrize("memory", [True, False], ids=["behind-memory", "disk-alone"])
def test_letters_are_listed_shown_counted_and_retried(make_lives, memory):
    lives = make_lives(ack="memory" if memory else "disk", memory=memory)
    receiver = lives.start()
    bodies, api = bury(receiver), Api(receiver)
    letters = api.letters(limit=2)
    assert names_of(letters) == sorted(bodies) and names_of(api.letters()) == sorted(bodies)
    for letter in letters:
        key = f"{letter['tenant_id']}/{letter['dataset_id']}/{letter['filename']}"
        assert letter["size"] == len(bodies[key]) and letter["s3_key"] == key
        assert letter["status"] == "dlq" and letter["reason"] == "conflict"
        assert letter["failure_reason"].startswith("conflict")
        assert letter["line_count"] == 3 and letter["created_at"].endswith("Z")
        assert api.get(f"/api/v1/dlq/files/{letter['id']}") == letter
    assert api.get("/api/v1/dlq/files/ffffffffff", 404)["status"] == 404
    stats = api.get("/api/v1/dlq/stats")["data"]
    size = sum(map(len, bodies.values()))
    assert (stats["dlq_files"], stats["dlq_bytes"], stats["queue_files"], stats["total_bytes"]) == (5, size, 0, size)
    assert stats["by_tenant"] == {"acme": {"queue_files": 0, "queue_bytes": 0, "dlq_files": 5, "dlq_bytes": size}}
    assert stats["by_dataset"] == {"acme/web": {"dlq_files": 5, "dlq_bytes": size}} and stats["by_dataset_complete"]
    assert stats["oldest_dlq_file"] == letters[0]["created_at"] and "oldest_queue_file" not in stats

    select = {"tenant_id": "*", "dataset_id": "web"}
    assert api.post("/api/v1/dlq/retry", {**select, "dry_run": True})["count"] == 5
    assert api.post("/api/v1/dlq/retry", {**select, "tenant_id": "other"})["count"] == 0
    assert names_of(api.letters()) == sorted(bodies)
    clear_the_way(lives, bodies)
    assert api.post("/api/v1/dlq/retry", {"id": letters[0]["id"]})["count"] == 1
    assert api.post("/api/v1/dlq/retry", select)["count"] == 4
    receiver.wait_batches("stored", 5).check_conservation()
    assert receiver.stored(lives.sink) == bodies and api.letters() == []


@pytest.mark.parametrize("stable", [True, False], ids=["disk", "memory"])
def test_batches_that_are_tried_again_are_listed_page_by_page(make_lives, make_receiver, stable):
    receiver = make_lives().start() if stable else make_receiver({"retry": QUICK_RETRY}).start()
    api, sender = Api(receiver), Sender(receiver.port)
    obstacles = [Obstacle(receiver.sink, tenant) for tenant in ("acme", "globex")]
    bodies = {}
    for number in range(7):
        tenant = ("acme", "globex")[number % 2]
        body, name = gzip_batch(), batch_name(tenant, "web")
        assert sender.post(tenant, "web", body, name).status == 200
        bodies[f"{tenant}/web/{name}"] = body
    tried = wait_until(lambda: (found := api.letters("&status=retry", limit=2)) and len(found) == 7 and found,
                       "each batch tried: probes rotate")
    assert names_of(tried) == sorted(bodies) and [one["id"] for one in tried] == sorted(one["id"] for one in tried)
    for one in tried:
        assert (one["status"], one["reason"]) == ("retry", "") and one["failure_reason"] == one["last_error"] != ""
        assert one["first_error_at"] and one["size"] == len(bodies[one["s3_key"]])
    assert len(api.letters("&status=retry&tenant_id=globex", limit=2)) == 3
    assert api.letters("&status=retry&tenant_id=nobody") == api.letters() == []
    for obstacle in obstacles:
        obstacle.remove()
    receiver.wait_batches("stored", 7).check_conservation()
    assert api.letters("&status=retry") == []


def test_letters_of_a_memory_queue_are_reached_too(make_receiver):
    receiver = make_receiver().start()
    api, sender = Api(receiver), Sender(receiver.port)
    body, name = gzip_batch(), batch_name("acme", "web")
    place = receiver.sink / "acme/web" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(b"other bytes")
    assert sender.post("acme", "web", body, name).status == 200
    receiver.wait_batches("buried", 1)
    (letter,) = api.letters()
    assert letter["filename"] == name and api.get(f"/api/v1/dlq/files/{letter['id']}") == letter
    place.unlink()
    assert api.post("/api/v1/dlq/retry", {"tenant_id": "acme", "dataset_id": "web", "filename": name})["count"] == 1
    assert receiver.wait_stored(f"acme/web/{name}") == body
    receiver.wait_batches("stored", 1).check_conservation()


def test_purged_letters_are_gone_and_their_keys_free(make_lives):
    lives = make_lives()
    receiver = lives.start()
    bodies, api = bury(receiver), Api(receiver)
    victim = sorted(bodies)[2]
    name = victim.rsplit("/", 1)[1]
    assert Sender(receiver.port).post("acme", "web", bodies[victim], name).json()["duplicate"]
    select = {"tenant_id": "acme", "dataset_id": "*", "filename": name}
    assert api.post("/api/v1/dlq/purge", {**select, "dry_run": True})["count"] == 1
    assert api.post("/api/v1/dlq/purge", select)["count"] == 1
    assert names_of(api.letters()) == sorted(set(bodies) - {victim})
    scrape = receiver.scrape()
    assert (scrape.batches("purged"), scrape.batches("buried")) == (1, 4)
    scrape.check_conservation()
    clear_the_way(lives, bodies)
    assert not Sender(receiver.port).post("acme", "web", bodies[victim], name).json().get("duplicate")
    receiver.wait_batches("stored", 1).check_conservation()
    assert receiver.stored(lives.sink)[victim] == bodies[victim]


@pytest.mark.parametrize("memory", [True, False], ids=["behind-memory", "disk-alone"])
def test_a_tenant_is_erased_held_and_dead_and_nobody_else(make_lives, memory):
    lives = make_lives(ack="memory" if memory else "disk", memory=memory)
    receiver = lives.start()
    api, sender = Api(receiver), Sender(receiver.port)
    bury(receiver, 2)
    lives.sink.rename(lives.sink.with_name("away"))
    lives.sink.write_text("no directory: the sink is out")
    for tenant, count in (("acme", 3), ("other", 2)):
        for _ in range(count):
            assert sender.post(tenant, "web", gzip_batch(), batch_name(tenant, "web")).status == 200

    def erased():
        api.post("/api/v1/tenants/acme/purge")
        scrape = receiver.scrape()
        return scrape if scrape.batches("purged") == 5 else None

    scrape = wait_until(erased, "five batches purged; one may be with the sink for a moment")
    scrape.check_conservation()
    assert (scrape.batches("held"), scrape.batches("buried")) == (2, 0)
    lives.sink.unlink()
    lives.sink.with_name("away").rename(lives.sink)
    receiver.wait_batches("stored", 2).check_conservation()
    stored = receiver.stored(lives.sink)
    assert len([name for name in stored if name.startswith("other/")]) == 2
    assert {body for name, body in stored.items() if name.startswith("acme/")} == {b"other bytes"}
    assert api.post("/api/v1/tenants/*/purge", status=400)["status"] == 400


def test_many_letters_are_paged_while_batches_flow(make_lives):
    lives = make_lives(options={"max_size_bytes": "1GiB", "dlq_max_share": "0.9"})
    bodies = write_letters(lives.directory, 2000)
    receiver = lives.start()
    drained(receiver)
    wait_until(lambda: receiver.scrape().batches("buried") == 2000, "letters")
    api, sender = Api(receiver), Sender(receiver.port)
    letters = api.letters(limit=300)
    assert names_of(letters) == sorted(bodies)
    assert sender.post("acme", "web", gzip_batch(), batch_name("acme", "web")).status == 200
    assert api.post("/api/v1/dlq/retry", {"tenant_id": "*", "dataset_id": "*"})["count"] == 2000
    receiver.wait_batches("stored", 2001).check_conservation()


def test_a_page_of_letters_looks_at_their_directory_a_few_times_however_long_it_is(make_lives):
    lives = make_lives(options={"max_size_bytes": "1GiB", "dlq_max_share": "0.9"})
    bodies = write_letters(lives.directory, 1000)
    receiver = lives.start()
    wait_until(lambda: receiver.scrape().batches("buried") == 1000, "letters")
    with Openings(lives.directory / ".bfr/dlq") as openings:
        assert names_of(Api(receiver).letters(limit=1000)) == sorted(bodies)
        assert openings.count() <= 5


def test_clients_that_leave_or_send_on_harm_nobody(make_lives):
    lives = make_lives(options={"max_size_bytes": "1GiB", "dlq_max_share": "0.9"})
    write_letters(lives.directory, 500)
    receiver = lives.start()
    wait_until(lambda: receiver.scrape().batches("buried") == 500, "letters")
    request = wire.head("GET", "/api/v1/dlq/stats", [("Host", "localhost")], 0)
    for _ in range(20):
        gone = wire.Connection(receiver.api_port)
        gone.send(request)
        gone.close()
    crowd = [wire.Connection(receiver.api_port) for _ in range(10)]
    for connection in crowd:
        connection.send(request * 3)
    answers = [connection.read_reply().status for connection in crowd for _ in range(3)]
    assert set(answers) <= {200, 503} and 200 in answers
    for connection in crowd:
        connection.close()
    assert Api(receiver).get("/api/v1/dlq/stats")["data"]["dlq_files"] == 500


def test_a_daemon_stops_while_requests_wait(make_lives):
    lives = make_lives(options={"max_size_bytes": "1GiB", "dlq_max_share": "0.9"})
    write_letters(lives.directory, 3000)
    receiver = lives.start()
    wait_until(lambda: receiver.scrape().batches("buried") == 3000, "letters")
    crowd = [wire.Connection(receiver.api_port) for _ in range(20)]
    for connection in crowd:
        connection.send(wire.head("GET", "/api/v1/dlq/stats", [("Host", "localhost")], 0))
    receiver.stop()
    for connection in crowd:
        connection.close()


# --- the commands

@pytest.fixture
def dlq(build):
    return lambda *arguments, **more: build.run("dlq", *arguments, **more)


def test_the_commands_work_on_a_running_daemon(make_lives, dlq):
    lives = make_lives(config={"server": {"admin_token": TOKEN}})
    receiver = lives.start()
    bodies = bury(receiver)
    at = ("--api", f"http://127.0.0.1:{receiver.api_port}/")
    env = {"RECEIVER_ADMIN_TOKEN": TOKEN}
    listed = [json.loads(line) for line in dlq("ls", *at, "--json", env=env).stdout.splitlines()]
    assert names_of(listed) == sorted(bodies)
    table = dlq("ls", *at, "--tenant", "acme", env=env)
    assert table.returncode == 0 and all(letter["id"] in table.stdout for letter in listed)
    assert f"5 dead letters, {sum(map(len, bodies.values()))} bytes\n" in table.stdout
    assert dlq("ls", *at, "--tenant", "nobody", env=env).stdout == "0 dead letters, 0 bytes\n"
    assert json.loads(dlq("show", listed[1]["id"], *at, "--json", env=env).stdout) == listed[1]
    assert f"filename         {listed[1]['filename']}\n" in dlq("show", listed[1]["id"], *at, env=env).stdout
    assert len(dlq("ls", *at, "--json", "--id", listed[0]["id"], env=env).stdout.splitlines()) == 1
    dry = dlq("retry", *at, "--tenant", "*", "--dry-run", env=env)
    assert dry.returncode == 0 and dry.stdout == "5 dead letters would be offered to their sinks again\n"
    purged = dlq("purge", *at, "--id", listed[0]["id"], env=env)
    assert purged.returncode == 0 and purged.stdout == "1 dead letters were purged\n"
    clear_the_way(lives, bodies)
    retried = dlq("retry", *at, "--tenant", "acme", "--dataset", "web", env=env)
    assert retried.stdout == "4 dead letters are offered to their sinks again\n"
    receiver.wait_batches("stored", 4).check_conservation()


def test_the_configuration_says_where_the_api_is_and_its_token(make_receiver, dlq, build, tmp_path):
    receiver = make_receiver({"server": {"admin_token": TOKEN}}).start()
    config = tmp_path / "client.yaml"
    config.write_text(receiver.config_path.read_text().replace('"api_port": 0', f'"api_port": {receiver.api_port}'))
    result = dlq("ls", "--config", config)
    assert result.returncode == 0 and result.stdout == "0 dead letters, 0 bytes\n"
    assert build.run("--config", config, "dlq", "ls").returncode == 0
    wrong = dlq("ls", "--config", config, env={"RECEIVER_ADMIN_TOKEN": "wrong-token"})
    assert wrong.returncode == 1 and "401" in wrong.stderr
    assert TOKEN not in wrong.stderr and "wrong-token" not in wrong.stderr
    unknown = dlq("ls", "--config", receiver.config_path)
    assert unknown.returncode == 1 and "--api" in unknown.stderr


@pytest.mark.parametrize("arguments, code, word", [
    ((), 2, "followed by"), (("wipe",), 2, "followed by"), (("show",), 2, "ID"), (("retry",), 2, "--tenant"),
    (("purge", "--dry-run"), 2, "--tenant"), (("ls", "--api"), 2, "value"), (("ls", "--what"), 2, "unknown"),
    (("ls", "--api", "http://127.0.0.1:1"), 1, "127.0.0.1:1"), (("ls", "--api", "file:///etc/passwd"), 1, "file:"),
    (("ls", "--api", f"http://me:{TOKEN}@127.0.0.1:1"), 2, "RECEIVER_ADMIN_TOKEN"),
    (("show", "a", "b", "--api", "http://127.0.0.1:1"), 2, "ID")])
def test_wrong_use_of_the_commands_says_what_is_wrong(dlq, arguments, code, word):
    result = dlq(*arguments)
    assert result.returncode == code and word in result.stderr and result.stdout == "" and TOKEN not in result.stderr
