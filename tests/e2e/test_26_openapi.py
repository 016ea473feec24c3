# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document that the daemon serves is true: each page answers as documented, in each way that can be brought about."""
import hashlib
import json

import jsonschema
import pytest

from support import wire
from support.api import Api
from support.letters import bury
from support.openapi import Document
from support.outage import QUICK_RETRY, Obstacle
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

TOKEN, TENANT_TOKEN = "tell-nobody-77ab", "tenant-token-91"
ENDLESS = "/api/v1/tail"  # another file's subject: its answer has no end


def hold(receiver, count):
    """Held batches: another tenant's directory cannot be made."""
    Obstacle(receiver.sink, "globex")
    sender = Sender(receiver.port, token=TENANT_TOKEN)
    for _ in range(count):
        assert sender.post("globex", "web", gzip_batch(), batch_name("globex", "web")).status == 200
    receiver.wait_batches("held", count)


@pytest.fixture(scope="module")
def rich(build, tmp_path_factory):
    """A daemon with something of everything, guarded by a token."""
    from support.receiver import Receiver  # pylint: disable=import-outside-toplevel
    root = tmp_path_factory.mktemp("rich")
    tenants = root / "tenants.yaml"
    digest = hashlib.sha256(TENANT_TOKEN.encode()).hexdigest()
    tenants.write_text(json.dumps({"tenants": [
        {"account": "a1", "tenant": tenant, "datasets": datasets, "tokens": [f"sha256:{digest}"]}
        for tenant, datasets in (("acme", ["fw", "web"]), ("globex", "*"))]}))
    receiver = Receiver(build, root / "node", {
        "server": {"admin_token": TOKEN}, "ack": "disk", "retry": QUICK_RETRY}, pipeline=[
            {"plugin": "auth", "mode": "tokens", "tenants_file": str(tenants)},
            {"plugin": "memory"},
            {"plugin": "disk", "directory": str(root / "spool"), "max_size_bytes": "64MiB"},
            {"plugin": "fs", "directory": str(root / "sink")}])
    receiver.sink = root / "sink"
    receiver.start()
    bury(receiver, 6, token=TENANT_TOKEN)
    hold(receiver, 2)
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def document(rich):
    return Document(Api(rich).get("/v2/docs/openapi.json"))


@pytest.fixture
def ask(rich, document):
    """A request whose answer is held against the document; with the token unless told otherwise."""
    def request(method, path, body=None, headers=(), token=TOKEN):
        return document.check(method, path, Api(rich, token).request(method, path, body, headers))
    return request


def filled(rich, path):
    """A path with an id that exists."""
    if "{id}" not in path:
        return path
    letter = Api(rich, TOKEN).get("/api/v1/dlq/files?limit=1")["data"][0]["id"]
    return path.replace("{id}", letter if "/dlq/" in path else "acme")


def test_the_document_is_openapi_3_1(document):
    api = document.document
    assert api["openapi"] == "3.1.0" and api["info"]["version"] == "0.1.0"
    names = [operation["operationId"] for _, _, operation in document.operations()]
    assert len(names) == len(set(names)) > 15
    for _, path, operation in document.operations():
        declared = {document.resolve(item)["name"] for item in operation.get("parameters", []) if
                    document.resolve(item)["in"] == "path"}
        assert declared == {part.strip("{}") for part in path.split("/") if part.startswith("{")}
        for response in operation["responses"].values():
            for content in document.resolve(response)["content"].values():
                jsonschema.Draft202012Validator.check_schema(document.strictly(content["schema"]))


def test_each_page_answers_as_documented(rich, document, ask):
    for method, path, operation in document.operations():
        if method == "get" and path != ENDLESS:
            reply = ask(method.upper(), filled(rich, path))
            assert reply.status == 200
            head = Api(rich, TOKEN).request("HEAD", filled(rich, path))
            assert head.status == 200 and head.body == b"" and head.header("content-type") == reply.header("content-type")
        if operation.get("security") != []:
            assert ask(method.upper(), filled(rich, path), token=None).status == 401
            assert ask(method.upper(), filled(rich, path), token="wrong").status == 401
    tried = ask("GET", "/api/v1/dlq/files?status=retry").json()["data"]
    assert {one["tenant_id"] for one in tried} == {"globex"}
    select = {"tenant_id": "*", "dataset_id": "*", "dry_run": True}
    assert ask("POST", "/api/v1/dlq/retry", select).json()["count"] == 6
    assert ask("POST", "/api/v1/dlq/purge", select).json()["count"] == 6
    assert ask("POST", "/api/v1/tenants/acme/purge", {"dry_run": True}).json()["count"] == 6
    assert ask("POST", "/api/v1/tenants/initech/purge").json()["count"] == 0
    assert ask("PUT", "/api/v1/log-level", {"level": "debug"}).json() == {"level": "debug"}


def test_each_page_refuses_as_documented(rich, document, ask):
    for method, path, operation in document.operations():
        place = filled(rich, path)
        if "requestBody" in operation:
            assert ask(method.upper(), place, b'{"what": 1}').status == 400
            assert ask(method.upper(), place, b"{}", [("Content-Type", "text/plain")]).status == 415
            assert ask(method.upper(), place, b" " * 17000).status == 413
            assert ask(method.upper(), place, b"{}", [("Origin", "http://evil.example")]).status == 403
    for path in ("/api/v1/tenants/nobody", "/api/v1/dlq/files/ffffffffff"):
        assert ask("GET", path).status == 404
    assert ask("GET", "/api/v1/dlq/files?limit=x").status == 400
    assert ask("POST", "/api/v1/tenants/*/purge").status == 400
    assert ask("POST", "/api/v1/dlq/retry", {"tenant_id": "acme"}).status == 400


def test_what_is_not_documented_is_not_served(rich, document):
    api = Api(rich, TOKEN)
    for path in ("/api/v1", "/api/v1/", "/api/v1/dlq", "/v2", "/v2/docs/", "/api/v1/health/", "/index.html", "/api/v2/health"):
        reply = api.request("GET", path)
        assert reply.status == 404 and reply.json()["status"] == 404
    for path in document.document["paths"]:
        methods = {method.upper() for method in document.document["paths"][path]}
        methods |= {"HEAD"} if "GET" in methods else set()
        place = filled(rich, path)
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            if method not in methods:
                reply = api.request(method, place)
                served = set(reply.header("allow").split(", "))
                assert reply.status == 405 and methods <= served, (method, place)
                # Two paths of the document may fit the same place: /tenants/count is also an id.
                assert served == methods or path.count("/") == 5


def test_without_a_token_strangers_names_are_refused_as_documented(make_receiver, document):
    api = Api(make_receiver().start())
    for method, path, operation in document.operations():
        place, strange = path.replace("{id}", "1"), [("Host", "evil.example")]
        if operation.get("security") != []:
            reply = document.check(method, place, api.request(method.upper(), place, headers=strange))
            assert reply.status == 403


def test_a_busy_worker_says_so_as_documented(rich, document):
    """Its queue is 32 long; requests beyond it are refused while the first ones are done."""
    request = wire.head("GET", "/api/v1/dlq/stats", [("Host", "localhost"), ("Authorization", f"Bearer {TOKEN}")], 0)

    def refused():
        crowd = [wire.Connection(rich.api_port) for _ in range(120)]
        for connection in crowd:
            connection.send(request)
        replies = [document.check("GET", "/api/v1/dlq/stats", connection.read_reply()) for connection in crowd]
        for connection in crowd:
            connection.close()
        assert {reply.status for reply in replies} <= {200, 503}
        return any(reply.status == 503 for reply in replies)

    wait_until(refused, "a request too many")


def test_the_page_for_people_asks_for_nothing_from_elsewhere(rich):
    reply = Api(rich).request("GET", "/v2/docs")
    policy = reply.header("content-security-policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert policy.count("'sha256-") == 2
    assert reply.header("referrer-policy") == "no-referrer" and reply.header("x-content-type-options") == "nosniff"
    assert "//" not in reply.text().replace("// ", "").replace("http://", "!").split("<style>")[0].replace("<!--", "")
    assert " src=" not in reply.text() and "@STYLE@" not in reply.text() and "@SCRIPT@" not in reply.text()


@pytest.mark.long
def test_a_stranger_with_the_document_finds_no_untruth(rich, tmp_path):
    from support import schemathesis_tool  # pylint: disable=import-outside-toplevel
    found = schemathesis_tool.run(f"http://127.0.0.1:{rich.api_port}/v2/docs/openapi.json", TOKEN, tmp_path, "--exclude-path", ENDLESS,
                                  "--max-examples", "300", "--seed", "1")
    assert not found, found
    rich.scrape().check_conservation()
