# SPDX-License-Identifier: Apache-2.0
"""What the S3 sink makes of batches, looked at in a real store through another client."""
import gzip
import hashlib
import random

import pytest

from support.outage import QUICK_RETRY
from support.s3_fixtures import *  # noqa: F401,F403
from support.s3_server import ACCESS_KEY, SECRET_KEY
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

S3_STORES = ("ceph", "minio")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def stage_reason(receiver, name="s3"):
    return [entry for entry in receiver.health()["stages"] if entry["name"] == name][0].get("reason", "")


def test_an_object_has_the_batchs_bytes_key_type_and_metadata(s3_receiver, bucket):
    receiver = s3_receiver()
    body, name = gzip_batch(lines=7), "acme--web--1700000000000000001--ndjson.gz"
    assert Sender(receiver.port).post("acme", "web", body, name, lines=7).status == 200
    receiver.wait_batches("stored", 1).check_conservation()
    key = f"acme/web/{name}"
    assert bucket.objects() == {key: body}
    head = bucket.head(key)
    assert head["ContentType"] == "application/gzip" and "ContentEncoding" not in head
    meta = dict(head["Metadata"])
    times = {meta.pop("receiver-queued-at"), meta.pop("s3-uploaded-at")}
    assert all(text.endswith("Z") and len(text) == 20 for text in times)
    assert meta == {
        "tenant": "acme", "dataset": "web", "original-filename": name, "bytes": str(len(body)), "line-count": "7",
        "retry-count": "0", "source": "bytefreezer-receiver", "data-type": "ndjson", "filename-source": "proxy",
        "proxy-created-at": "2023-11-14T22:13:20Z", "sha256": sha256(body)}
    assert bucket.keys() == [key] and bucket.parts() == []
    assert bucket.client.list_objects_v2(Bucket=bucket.name, Prefix=".bfr-probe/").get("Contents", []) == []


def test_a_plain_body_is_stored_as_gzip_with_both_hashes(s3_receiver, bucket):
    receiver = s3_receiver()
    name = batch_name("acme", "web", "csv")
    assert Sender(receiver.port).post("acme", "web", b"a,b\n1,2\n", name).status == 200
    receiver.wait_batches("stored", 1)
    stored = bucket.read(f"acme/web/{name}")
    assert gzip.decompress(stored) == b"a,b\n1,2\n"
    meta = bucket.head(f"acme/web/{name}")["Metadata"]
    assert meta["sha256"] == sha256(stored) and meta["source-sha256"] == sha256(b"a,b\n1,2\n")
    assert meta["data-type"] == "csv"


@pytest.mark.parametrize("name", [
    "one two.gz", "two  blanks.gz", "plus+percent%25&eq=.gz", "tilde~quote'(x)!*.gz", "dollar$at@colon:;,.gz",
    "dot.s.gz", "[brackets]{braces}|^.gz", "h#sh?query.gz", '"quoted".gz', "=?UTF-8?B?eA==?=.gz",
    "äöü-日本-🦊.gz", "a" * 236 + ".gz"], ids=lambda name: name[:24].encode("unicode_escape").decode())
def test_any_name_that_is_accepted_reaches_the_store(s3_receiver, bucket, name):
    receiver = s3_receiver()
    body = gzip_batch()
    # As a sender's client library writes it: the bytes of UTF-8.
    sent = name.encode().decode("latin-1")
    assert Sender(receiver.port).post("acme", "web", body, sent).status == 200
    receiver.wait_batches("stored", 1)
    assert bucket.objects() == {f"acme/web/{name}": body}


def test_batches_of_all_sizes_arrive_whole(s3_receiver, bucket, pytestconfig):
    long = pytestconfig.getoption("--long")
    count, budget = (5000, 400_000_000 if long else 60_000_000)
    receiver = s3_receiver({"logging": {"level": "info"}, "webhook": {"max_payload_size": "10MiB"}}, upload_worker_count=16)
    random.seed(1)
    sizes = [1, 9_900_000, 10_000_000] + [int(10 ** random.uniform(0, 4.2)) for _ in range(count - 23)]
    sizes += [(budget - sum(sizes)) // 20 - random.randrange(1000) for _ in range(20)]
    noise = random.randbytes(10_485_760)
    sender, sums = Sender(receiver.port), {}
    for number, size in enumerate(sizes):
        # A gzip header makes it a body that is kept; what follows is never looked at.
        body = (b"\x1f\x8b\x08\0" + number.to_bytes(6, "little") + noise)[:min(max(size, 18), 10_485_760)]
        tenant, name = f"tenant{number % 5}", f"n{number:05d}.gz"
        if size == 1:
            body = b"x"
        wait_until(lambda: sender.post(tenant, "web", body, name).status == 200, "room for a batch")
        sums[f"{tenant}/web/{name}"] = (size == 1, sha256(body))
    receiver.wait_batches("stored", len(sizes)).check_conservation()
    assert receiver.scrape().batches("buried") == 0
    assert sorted(bucket.keys()) == sorted(sums) and bucket.parts() == []
    for key, (plain, expected) in sums.items():
        stored = bucket.read(key)
        assert sha256(gzip.decompress(stored) if plain else stored) == expected, key
    for key in random.sample(sorted(sums), 50):
        head = bucket.head(key)
        assert head["ContentType"] == "application/gzip" and head["Metadata"]["original-filename"] == key.split("/")[2]


def test_a_byte_changed_on_its_way_is_refused_and_sent_again(s3_receiver, bucket, proxy):
    from support.faulty_proxy import flip_a_bit
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy)
    proxy.fault(flip_a_bit)
    seen = []
    proxy.when_replied = lambda head, reply: seen.extend(bucket.objects().values()) if b"/acme/" in head[:200] else None
    body, name = gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("stored", 1).check_conservation()
    puts = [status for line, status in proxy.replies if line.startswith("PUT ") and "/acme/" in line]
    assert puts == [400, 200]
    assert seen == [body], "the damaged object was never to be seen"
    assert bucket.objects() == {f"acme/web/{name}": body}
    assert bucket.head(f"acme/web/{name}")["Metadata"]["retry-count"] == "1"


def test_a_byte_that_changes_each_time_makes_a_dead_letter(s3_receiver, bucket, proxy):
    from support.faulty_proxy import flip_a_bit
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy)
    proxy.fault(flip_a_bit, times=100)
    assert Sender(receiver.port).post("acme", "web").status == 200
    receiver.wait_batches("buried", 1).check_conservation()
    assert receiver.scrape().total("bytefreezer_receiver_buried_total", reason="damaged") == 1
    assert bucket.objects() == {}
    receiver.stop(expect=1)


# --- something stands there already

def test_other_bytes_under_the_name_are_a_conflict_and_stay(s3_receiver, bucket):
    receiver = s3_receiver()
    body, name = gzip_batch(), batch_name("acme", "web")
    key = f"acme/web/{name}"
    bucket.put(key, b"somebody else's", Metadata={"sha256": sha256(b"somebody else's")})
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("buried", 1).check_conservation()
    assert receiver.scrape().total("bytefreezer_receiver_buried_total", reason="conflict") == 1
    assert bucket.objects() == {key: b"somebody else's"}
    cause = receiver.logged("batch is a dead letter now")[0]["cause"]
    assert sha256(b"somebody else's") in cause and sha256(body) in cause
    receiver.stop(expect=1)


@pytest.mark.parametrize("other", [b"x" * 40, None], ids=["of another length", "of the same length"])
def test_other_bytes_without_a_note_of_their_hash_are_a_conflict_too(s3_receiver, bucket, other):
    receiver = s3_receiver()
    body, name = gzip_batch(), batch_name("acme", "web")
    other = other or bytes(len(body))
    bucket.put(f"acme/web/{name}", other)
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("buried", 1)
    assert bucket.objects() == {f"acme/web/{name}": other}
    receiver.stop(expect=1)


def put_noted(bucket, key, body):
    bucket.put(key, body, Metadata={"sha256": sha256(body)})


def put_plain(bucket, key, body):
    bucket.put(key, body)


def put_in_parts(bucket, key, body):
    """Its ETag is no MD5 of the whole: only reading it tells."""
    where = {"Bucket": bucket.name, "Key": key}
    upload = bucket.client.create_multipart_upload(**where)["UploadId"]
    part = bucket.client.upload_part(**where, UploadId=upload, PartNumber=1, Body=body)
    bucket.client.complete_multipart_upload(
        **where, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})


@pytest.mark.parametrize("put", [put_noted, put_plain, put_in_parts])
def test_the_same_bytes_under_the_name_are_stored(s3_receiver, bucket, proxy, put):
    receiver = s3_receiver(through=proxy)
    body, name = gzip_batch(), batch_name("acme", "web")
    put(bucket, f"acme/web/{name}", body)
    before = bucket.head(f"acme/web/{name}")["LastModified"], bucket.head(f"acme/web/{name}")["Metadata"]
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("stored", 1).check_conservation()
    after = bucket.head(f"acme/web/{name}")
    assert (after["LastModified"], after["Metadata"]) == before, "not written again"
    assert len(proxy.requests("GET", "/acme/")) == (put is put_in_parts)


def test_other_bytes_put_in_parts_are_read_and_found_a_conflict(s3_receiver, bucket):
    receiver = s3_receiver()
    body, name = gzip_batch(), batch_name("acme", "web")
    other = bytes(len(body))
    put_in_parts(bucket, f"acme/web/{name}", other)
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("buried", 1)
    cause = receiver.logged("batch is a dead letter now")[0]["cause"]
    assert sha256(other) in cause and sha256(body) in cause
    receiver.stop(expect=1)


def test_consumed_between_the_refusal_and_the_look_is_stored(s3_receiver, bucket, proxy):
    receiver = s3_receiver(through=proxy)
    body, name = gzip_batch(), batch_name("acme", "web")
    key = f"acme/web/{name}"
    put_plain(bucket, key, body)

    def consume(head, reply):
        if b"/acme/" in head[:200] and b" 412 " in reply[:20]:
            bucket.delete(key)

    proxy.when_replied = consume
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("stored", 1).check_conservation()
    assert bucket.objects() == {}


@pytest.mark.store("ceph")
def test_a_store_that_ignores_conditions_is_found_out_and_looked_at_before_a_repetition(s3_receiver, bucket, proxy):
    """Ceph's gateway does so in buckets with versions."""
    from support.faulty_proxy import lose_reply
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    receiver = s3_receiver({"retry": QUICK_RETRY}, through=proxy)
    wait_until(lambda: "ignores If-None-Match" in stage_reason(receiver), "the finding in health")
    assert any("ignores If-None-Match" in line.get("msg", "") for line in receiver.log_lines())
    sender = Sender(receiver.port)
    assert sender.post("acme", "web", name="first.gz").status == 200
    receiver.wait_batches("stored", 1)
    assert proxy.requests("HEAD", "/acme/") == [], "a first put needs no look"
    proxy.fault(lose_reply)
    assert sender.post("acme", "web", name="second.gz").status == 200
    receiver.wait_batches("stored", 2).check_conservation()
    assert len(proxy.requests("PUT", "/acme/web/second.gz")) == 1 and len(proxy.requests("HEAD", "second.gz")) == 1
    versions = bucket.client.list_object_versions(Bucket=bucket.name, Prefix="acme/")["Versions"]
    assert sorted(version["Key"] for version in versions) == ["acme/web/first.gz", "acme/web/second.gz"]


# --- the bucket and the keys

def test_a_missing_bucket_is_said_and_waited_for(make_receiver, s3_store):
    missing = s3_store.bucket("comes-later")
    receiver = make_receiver({"retry": QUICK_RETRY}, pipeline=[
        {"plugin": "auth", "mode": "open"}, {"plugin": "memory"}, s3_store.stage(missing)]).start()
    wait_until(lambda: "the bucket does not exist" in stage_reason(receiver), "the cause in health")
    assert "create_bucket" in stage_reason(receiver)
    body = gzip_batch()
    assert Sender(receiver.port).post("acme", "web", body, "a.gz").status == 200
    wait_until(lambda: "NoSuchBucket" in stage_reason(receiver), "the outage in health")
    missing.create()
    receiver.wait_batches("stored", 1).check_conservation()
    assert missing.objects() == {"acme/web/a.gz": body}


def test_create_bucket_makes_it(make_receiver, s3_store):
    made = s3_store.bucket("made-by-the-sink")
    receiver = make_receiver({"retry": QUICK_RETRY}, pipeline=[
        {"plugin": "auth", "mode": "open"}, {"plugin": "memory"}, s3_store.stage(made, create_bucket=True)]).start()
    body = gzip_batch()
    assert Sender(receiver.port).post("acme", "web", body, "a.gz").status == 200
    receiver.wait_batches("stored", 1)
    assert made.objects() == {"acme/web/a.gz": body}
    assert receiver.logged("created the bucket", bucket="made-by-the-sink")


@pytest.mark.parametrize("changes, cause", [
    ({"access_key": "NOBODY"}, "InvalidAccessKeyId"), ({"secret_key": "wrong-secret-of-mine"}, "SignatureDoesNotMatch")])
def test_wrong_keys_hold_the_batches_and_show_no_secret(s3_receiver, changes, cause):
    receiver = s3_receiver({"retry": QUICK_RETRY}, **changes)
    for _ in range(3):
        assert Sender(receiver.port).post("acme", "web").status == 200
    wait_until(lambda: cause in stage_reason(receiver), "the cause in health")
    held = receiver.wait_batches("held", 3)
    assert held.batches("buried") == 0
    page = receiver.log() + str(receiver.health())
    assert SECRET_KEY not in page and "wrong-secret-of-mine" not in page
    receiver.kill()


def test_a_store_that_is_down_does_not_hold_up_the_start(make_receiver, bucket, s3_store, proxy):
    proxy.refuse()
    receiver = make_receiver({"retry": QUICK_RETRY}, pipeline=[
        {"plugin": "auth", "mode": "open"}, {"plugin": "memory"},
        s3_store.stage(bucket, endpoint=proxy.endpoint)]).start()
    body = gzip_batch()
    assert Sender(receiver.port).post("acme", "web", body, "a.gz").status == 200
    wait_until(lambda: "connect" in stage_reason(receiver).lower(), "the cause in health")
    proxy.open()
    receiver.wait_batches("stored", 1)
    assert bucket.objects() == {"acme/web/a.gz": body}


def test_settings_of_the_objects_reach_the_store(s3_receiver, bucket):
    receiver = s3_receiver(storage_class="STANDARD", tags={"team": "intake + more", "env": "test"})
    assert Sender(receiver.port).post("acme", "web", name="a.gz").status == 200
    receiver.wait_batches("stored", 1)
    tags = bucket.client.get_object_tagging(Bucket=bucket.name, Key="acme/web/a.gz")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "intake + more", "env": "test"}


def test_virtual_host_style_reaches_the_bucket(s3_receiver, bucket, s3_store):
    receiver = s3_receiver(path_style=False, endpoint=f"http://s3.localhost:{s3_store.port}")
    body = gzip_batch()
    assert Sender(receiver.port).post("acme", "web", body, "a.gz").status == 200
    receiver.wait_batches("stored", 1)
    assert bucket.objects() == {"acme/web/a.gz": body}


def test_a_name_put_by_two_daemons_at_once_is_one_object(s3_receiver, bucket):
    first, second = s3_receiver(), s3_receiver()
    bodies = {f"n{number}.gz": gzip_batch() for number in range(30)}
    for name, body in bodies.items():
        for receiver in (first, second):
            assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    for receiver in (first, second):
        receiver.wait_batches("stored", 30).check_conservation()
    assert bucket.objects() == {f"acme/web/{name}": body for name, body in bodies.items()}


def test_options_that_cannot_work_are_refused_with_a_way_out(build, tmp_path):
    import json
    cases = [
        ({"bucket_name": "a/b"}, "without a path"), ({"bucket_name": "abc", "region": "Not A"}, "blank"),
        ({"bucket_name": "abc", "endpoint": "ftp://x"}, "neither http nor https"),
        ({"bucket_name": "abc", "endpoint": "http://x/path"}, "more than scheme"),
        ({"bucket_name": "abc", "endpoint": "x:99999"}, "65535"),
        ({"bucket_name": "abc", "kms_key_id": "k"}, "set sse to aws:kms"),
        ({"bucket_name": "abc", "access_key": ""}, "access_key"),
        ({"bucket_name": "A.B", "endpoint": "http://x", "path_style": False}, "set path_style to true"),
    ]
    for changes, text in cases:
        stage = {"plugin": "s3", "access_key": ACCESS_KEY, "secret_key": "s3cr3t-of-mine", **changes}
        file = tmp_path / "c.yaml"
        file.write_text(json.dumps({"plugin_dir": str(build.plugins), "pipeline": [{"plugin": "memory"}, stage]}))
        result = build.run("run", "--config", file)
        assert result.returncode == 78 and text in result.stderr, (changes, result.stderr)
        assert "s3cr3t-of-mine" not in result.stderr
