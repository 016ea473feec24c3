# SPDX-License-Identifier: Apache-2.0
"""A store that goes away and comes back: under load, with one fault after the other on the way to it, with an answer that
only a store that is somebody else's would give. Each time: one right object for each batch, or a hold with its reason."""
import datetime
import email.utils
import threading
import time

import pytest

from support import faulty_proxy
from support.load import Load
from support.outage import QUICK_RETRY
from support.s3_fixtures import *  # noqa: F401,F403
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

SHORT = {"connect_timeout": "1s", "stall_timeout": "2s", "request_timeout": "3s"}
PUTS = r"PUT /[^/]+/acme/"

S3_STORES = ("ceph", "minio")


def reason(receiver):
    return [entry for entry in receiver.health()["stages"] if entry["name"] == "s3"][0].get("reason", "")


def post(receiver, name=None, body=None):
    body, name = body or gzip_batch(), name or batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    return {f"acme/web/{name}": body}


def retry_counts(bucket):
    return {bucket.head(key)["Metadata"]["retry-count"] for key in bucket.keys()}


@pytest.mark.load
def test_a_store_that_is_down_under_load_loses_and_charges_nothing(s3_receiver, s3_store, bucket, pytestconfig):
    seconds = 60 if pytestconfig.getoption("--long") else 15
    receiver = s3_receiver({"logging": {"level": "info"}, "ack_timeout": "5s", "shutdown_delay": "100ms"},
                           queue={"plugin": "memory", "max_bytes": "512KiB"}, upload_worker_count=16, **SHORT)
    load = Load(receiver.port, connections=2, tenants=4).start(seconds + 4)
    wait_until(lambda: receiver.scrape().batches("stored") > 50, "a flow of batches")
    s3_store.stop_gateway()
    down = time.monotonic()
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_breaker_open", sink="s3") == 1, "the breaker")
    outage = receiver.scrape()
    attempts = outage.total("bytefreezer_receiver_sink_attempts_total", sink="s3")
    wait_until(lambda: time.monotonic() > down + seconds, "the end of the outage")
    during = receiver.scrape()
    assert during.total("bytefreezer_receiver_sink_attempts_total", sink="s3") - attempts <= 3 * seconds + 20, "one probe a second"
    during.check_conservation()
    stored = during.batches("stored")
    s3_store.start_gateway()
    back = time.monotonic()
    wait_until(lambda: receiver.scrape().batches("stored") > stored, "the drain to begin within 2 s, five times over", 10)
    print(f"drain began after {time.monotonic() - back:.2f} s")
    load.join()
    scrape = wait_until(lambda: (s := receiver.scrape()).batches("held") == 0 and s, "an empty queue")
    assert scrape.check_conservation()["accepted"] == len(load.accepted) and scrape.batches("buried") == 0
    assert set(load.statuses) <= {200, 503} and load.unanswered == 0
    assert {key: None for key in bucket.keys()} == {key: None for key in load.accepted}
    assert all(bucket.read(key) == body for key, body in list(load.accepted.items())[::max(1, len(load.accepted) // 500)])
    assert len(receiver.logged("sink is reachable again")) == 1
    assert {bucket.head(key)["Metadata"]["retry-count"] for key in bucket.keys()[::20]} == {"0"}, "nothing was charged"


def refuse_for_a_while(receiver, proxy):
    proxy.refuse()
    wait_until(lambda: "connect" in reason(receiver).lower(), "the cause in health")
    proxy.open()


@pytest.mark.parametrize("fault", [
    faulty_proxy.cut_mid_body, faulty_proxy.lose_reply, faulty_proxy.stall, faulty_proxy.drip,
    faulty_proxy.error(500, "InternalError"), faulty_proxy.error(503, "SlowDown"), faulty_proxy.answer(502),
    faulty_proxy.error(403, "AccessDenied"), faulty_proxy.answer(403), faulty_proxy.error(400, "ExpiredToken"),
    faulty_proxy.error(301, "PermanentRedirect"), faulty_proxy.error(400, "RequestTimeout"), faulty_proxy.answer(200),
    faulty_proxy.answer(429, headers=["Retry-After: 1"]), faulty_proxy.error(404, "NoSuchBucket"),
], ids=["cut in the body", "reply lost", "stalled", "one byte a second", "500", "503 SlowDown", "502", "403 AccessDenied",
        "403 of a proxy", "400 ExpiredToken", "301", "400 RequestTimeout", "200 of a stranger", "429", "404 NoSuchBucket"])
def test_a_fault_ends_in_one_right_object_and_charges_nothing(s3_receiver, bucket, proxy, fault):
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy, **SHORT)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    proxy.fault(fault, times=2)
    expected = {**post(receiver, body=gzip_batch(filler="x" * 5000)), **post(receiver)}
    receiver.wait_batches("stored", 2).check_conservation()
    assert proxy.hits == 2
    assert bucket.objects() == expected and bucket.parts() == []
    assert retry_counts(bucket) == {"0"}, "an outage is not the batch's fault"
    assert receiver.scrape().batches("buried") == 0
    wait_until(lambda: receiver.health()["status"] == "ok", "good health")


def test_a_store_that_refuses_connections_is_an_outage(s3_receiver, bucket, proxy):
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy, **SHORT)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    proxy.refuse()
    expected = {**post(receiver), **post(receiver)}
    wait_until(lambda: "connect" in reason(receiver).lower(), "the cause in health")
    assert receiver.get("/readyz").status == 200
    proxy.open()
    receiver.wait_batches("stored", 2).check_conservation()
    assert bucket.objects() == expected and retry_counts(bucket) == {"0"}


def test_a_store_that_swallows_everything_is_an_outage(s3_receiver, bucket, proxy):
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy, **SHORT)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    proxy.fault(faulty_proxy.stall, pattern=rb"", times=1000)
    expected = {**post(receiver), **post(receiver)}
    wait_until(lambda: "too slow" in reason(receiver) or "no byte" in reason(receiver), "the cause in health")
    proxy.heal()
    receiver.wait_batches("stored", 2).check_conservation()
    assert bucket.objects() == expected and retry_counts(bucket) == {"0"}


@pytest.mark.parametrize("fault, code", [
    (faulty_proxy.error(403, "AccessDenied"), "AccessDenied"), (faulty_proxy.error(503, "SlowDown"), "SlowDown"),
    (faulty_proxy.error(500, "InternalError"), "InternalError"), (faulty_proxy.error(400, "ExpiredToken"), "ExpiredToken"),
    (faulty_proxy.error(301, "PermanentRedirect"), "PermanentRedirect"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_lasting_refusal_of_everyone_is_a_hold_with_its_reason(s3_receiver, proxy, bucket, fault, code):
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    proxy.fault(fault, times=10000)
    expected = {**post(receiver), **post(receiver)}
    wait_until(lambda: code in reason(receiver), "the reason in health")
    assert reason(receiver).count(";") >= 1, "with a way out"
    held = receiver.wait_batches("held", 2)
    assert held.batches("buried") == 0
    proxy.heal()
    receiver.wait_batches("stored", 2)
    assert bucket.objects() == expected


def test_a_refusal_of_one_batch_for_good_buries_it_alone(s3_receiver, proxy, bucket):
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy)
    proxy.fault(faulty_proxy.error(400, "EntityTooLarge"), pattern=rb"PUT /[^/]+/acme/web/big")
    expected = post(receiver)
    post(receiver, name="big.gz")
    receiver.wait_batches("buried", 1)
    receiver.wait_batches("stored", 1)
    assert bucket.objects() == expected
    assert receiver.scrape().total("bytefreezer_receiver_buried_total", reason="rejected") == 1
    assert "EntityTooLarge" in receiver.logged("batch is a dead letter now")[0]["cause"]
    receiver.stop(expect=1)


def test_letters_of_a_time_when_nothing_was_stored_come_back_by_themselves_and_one_at_fault_does_not(s3_receiver, proxy, bucket,
                                                                                                      tmp_path):
    receiver = s3_receiver({"retry": {**QUICK_RETRY, "attempts": 2}}, through=proxy,
                           queue={"plugin": "disk", "directory": str(tmp_path / "spool")})
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    refusal = faulty_proxy.error(400, "InvalidRequest")
    expected = {}
    for count in range(1, 11):  # several at once are allowed by and by
        expected.update(post(receiver))
        receiver.wait_batches("stored", count)

    # One that is refused while others are stored: its second attempt is answered only when another is there.
    asked_again, go_on = threading.Event(), threading.Event()

    def refuse_late(connection, head):
        asked_again.set()
        assert go_on.wait(60)
        refusal(connection, head)

    proxy.fault(refusal, pattern=rb"PUT /[^/]+/acme/web/poison")
    proxy.fault(refuse_late, pattern=rb"PUT /[^/]+/acme/web/poison", times=1000)
    post(receiver, name="poison.gz")
    assert asked_again.wait(60)
    expected.update(post(receiver))
    receiver.wait_batches("stored", 11)
    go_on.set()
    receiver.wait_batches("buried", 1)

    # All are refused, each for itself.
    proxy.fault(refusal, times=10000)
    for _ in range(5):
        expected.update(post(receiver))
    receiver.wait_batches("buried", 6)
    proxy.faults[-1][0] = 0
    expected.update(post(receiver))
    receiver.wait_batches("stored", 17).check_conservation()
    assert bucket.objects() == expected
    scrape = receiver.wait_batches("buried", 1)
    redriven = {by: scrape.total("bytefreezer_receiver_redriven_total", by=by) for by in ("recovery", "request")}
    assert redriven == {"recovery": 5, "request": 0}
    said = receiver.logged("sink stores again; the dead letters of the time when it stored nothing are tried again")
    assert len(said) == 1 and said[0]["batches"] == "5" and "InvalidRequest" in said[0]["cause"]


@pytest.mark.store("ceph")  # MinIO takes its own region alone
def test_the_region_that_the_store_names_is_used(s3_receiver, proxy, bucket):
    """The store of the tests takes any region, so the proxy asks for one: until it sees it in the signature."""
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    wrong = faulty_proxy.error(400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>")
    proxy.fault(wrong, pattern=rb"(?s)PUT /[^/]+/acme/.*/us-east-1/s3/aws4_request", times=1000)
    expected = {**post(receiver), **post(receiver)}
    receiver.wait_batches("stored", 2)
    assert bucket.objects() == expected
    assert 1 <= proxy.hits <= 2, "learnt once"
    line = receiver.logged("the bucket is in another region; set region to it")
    assert len(line) == 1 and line[0]["actual"] == "eu-central-1"


@pytest.mark.store("ceph")
def test_what_one_put_learns_helps_those_beside_it(s3_receiver, proxy, bucket):
    """Three are under way with the wrong region; when one has learnt the right one, the others are no outage."""
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    before = {}
    for count in range(1, 11):  # so many at once are allowed by and by
        before.update(post(receiver))
        receiver.wait_batches("stored", count)
    together = threading.Barrier(3, timeout=60)
    wrong = faulty_proxy.error(400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>")

    def answer_together(connection, head):
        together.wait()
        wrong(connection, head)

    proxy.fault(answer_together, pattern=rb"(?s)PUT /[^/]+/acme/.*/us-east-1/s3/aws4_request", times=1000)
    expected = {**post(receiver), **post(receiver), **post(receiver)}
    receiver.wait_batches("stored", 13)
    assert bucket.objects() == {**before, **expected} and proxy.hits == 3
    assert not receiver.logged("sink is reachable again") and reason(receiver) == ""


def test_keys_that_are_over_are_no_fault_of_what_waits_from_before(make_receiver, s3_store, bucket, proxy, tmp_path):
    """After a start each old batch is looked at first, and AWS answers a HEAD with such keys by a bare 400."""
    stage = s3_store.stage(bucket, endpoint=proxy.endpoint)
    receiver = make_receiver({"retry": {**QUICK_RETRY, "attempts": 2}, "ack": "disk"}, pipeline=[
        {"plugin": "auth", "mode": "open"}, {"plugin": "disk", "directory": str(tmp_path / "spool")}, stage])
    proxy.fault(faulty_proxy.answer(400), pattern=rb"HEAD /", times=100000)
    proxy.fault(faulty_proxy.error(400, "ExpiredToken"), pattern=rb"PUT /", times=100000)
    receiver.start()
    expected = {**post(receiver), **post(receiver)}
    wait_until(lambda: "ExpiredToken" in reason(receiver), "the cause in health")
    receiver.kill()
    looks = len(proxy.requests("HEAD", "/acme/"))
    receiver.start()
    wait_until(lambda: len(proxy.requests("HEAD", "/acme/")) >= looks + 10, "many looks")
    assert receiver.scrape().batches("held") == 2 and receiver.scrape().batches("buried") == 0
    wait_until(lambda: "ExpiredToken" in reason(receiver) or "400" in reason(receiver), "the cause in health")
    proxy.heal()
    receiver.wait_batches("stored", 2).check_conservation()
    assert bucket.objects() == expected and retry_counts(bucket) == {"0"}


def test_a_setting_that_the_store_does_not_know_is_no_fault_of_the_batch_or_of_the_condition(s3_receiver, proxy, bucket):
    """As MinIO without a key service says of encryption."""
    proxy.fault(faulty_proxy.error(501, "NotImplemented"), pattern=rb"(?si)PUT /.*server-side-encryption", times=100000)
    receiver = s3_receiver({"retry": {**QUICK_RETRY, "attempts": 2}}, through=proxy, sse="AES256")
    post(receiver)
    post(receiver)
    wait_until(lambda: len(proxy.requests("PUT", "/acme/")) >= 10, "many puts")
    wait_until(lambda: "check storage_class, sse" in reason(receiver), "the cause in health")
    assert receiver.scrape().batches("held") == 2 and receiver.scrape().batches("buried") == 0
    assert not any("If-None-Match" in line.get("msg", "") for line in receiver.log_lines())
    assert bucket.objects() == {}
    receiver.kill()


def test_a_wrong_clock_is_corrected_by_the_stores(s3_receiver, proxy, bucket):
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    # Within the quarter of an hour that the real store allows.
    ahead = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=10)
    skewed = faulty_proxy.error(403, "RequestTimeTooSkewed", headers=[f"Date: {email.utils.format_datetime(ahead, usegmt=True)}"])
    proxy.fault(skewed)
    expected = post(receiver)
    receiver.wait_batches("stored", 1)
    second = post(receiver)
    receiver.wait_batches("stored", 2)
    assert bucket.objects() == {**expected, **second}
    line = receiver.logged("the store's clock differs from this machine's; signing by the store's")
    assert len(line) == 1 and 590 <= int(line[0]["seconds"]) <= 610
    uploaded = datetime.datetime.fromisoformat(bucket.head(list(second)[0])["Metadata"]["s3-uploaded-at"].replace("Z", "+00:00"))
    assert abs((uploaded - ahead).total_seconds()) < 60


def test_a_store_without_conditions_is_used_without_them(s3_receiver, proxy, bucket):
    proxy.fault(faulty_proxy.error(501, "NotImplemented"), pattern=rb"(?si)PUT /.*if-none-match", times=1000)
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy)
    wait_until(lambda: any("refuses If-None-Match" in line.get("msg", "") for line in receiver.log_lines()), "the finding")
    proxy.fault(faulty_proxy.lose_reply, pattern=rb"PUT /[^/]+/acme/web/second", times=1)
    expected = {**post(receiver, name="first.gz"), **post(receiver, name="second.gz")}
    receiver.wait_batches("stored", 2).check_conservation()
    assert bucket.objects() == expected
    assert len(proxy.requests("PUT", "second.gz")) == 1 and len(proxy.requests("HEAD", "second.gz")) == 1


def test_a_stop_waits_for_what_is_under_way(s3_receiver, proxy, bucket):
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy, **SHORT)
    wait_until(lambda: receiver.logged("the bucket can be used"), "the check of the bucket")
    proxy.fault(faulty_proxy.stall)
    expected = post(receiver)
    wait_until(lambda: proxy.hits == 1, "the upload")
    receiver.stop()
    assert bucket.objects() == expected, "given up after the stall timeout, put again, and only then ended"
