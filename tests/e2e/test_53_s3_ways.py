# SPDX-License-Identifier: Apache-2.0
"""The ways to a store: TLS with a private authority, IPv6, a proxy in between, virtual hosts; and encryption at rest."""
import pytest

from support.certificates import Authority
from support.forward_proxy import ForwardProxy
from support.s3_fixtures import *  # noqa: F401,F403
from support.s3_server import KMS_KEY, S3Server, has_ipv6
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def s3_store(authority):  # pylint: disable=function-redefined
    server = S3Server(authority.issue("store", "DNS:localhost", "DNS:s3.localhost",
                                          "DNS:*.s3.localhost", "IP:127.0.0.1"))
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def make_proxy():
    made = []

    def make(credentials=None):
        made.append(ForwardProxy(credentials))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


def stage_reason(receiver):
    return [entry for entry in receiver.health()["stages"] if entry["name"] == "s3"][0].get("reason", "")


def assert_stores(receiver, bucket):
    body, name = gzip_batch(), batch_name("acme", "web")
    assert Sender(receiver.port).post("acme", "web", body, name).status == 200
    receiver.wait_batches("stored", 1).check_conservation()
    assert bucket.objects() == {f"acme/web/{name}": body}
    return f"acme/web/{name}"


@pytest.mark.parametrize("host", ["127.0.0.1", "s3.localhost"])
def test_tls_with_an_authority_of_ones_own(s3_receiver, s3_store, bucket, authority, host):
    receiver = s3_receiver(endpoint=f"{host}:{s3_store.tls_port}", ssl=True, ca_file=str(authority.certificate))
    assert_stores(receiver, bucket)


def test_tls_and_virtual_hosts(s3_receiver, s3_store, bucket, authority):
    receiver = s3_receiver(endpoint=f"https://s3.localhost:{s3_store.tls_port}", path_style=False,
                           ca_file=str(authority.certificate))
    assert_stores(receiver, bucket)


def test_a_store_with_an_unknown_certificate_is_not_trusted(s3_receiver, s3_store, bucket):
    receiver = s3_receiver(endpoint=f"https://127.0.0.1:{s3_store.tls_port}")
    assert Sender(receiver.port).post("acme", "web").status == 200
    wait_until(lambda: "certificate" in stage_reason(receiver).lower(), "the cause in health")
    assert receiver.scrape().batches("held") == 1 and bucket.objects() == {}
    assert receiver.get("/readyz").status == 200
    receiver.kill()


def test_a_certificate_for_another_name_is_not_trusted(s3_receiver, s3_store, bucket, authority):
    receiver = s3_receiver(endpoint=f"https://other.localhost:{s3_store.tls_port}", ca_file=str(authority.certificate))
    assert Sender(receiver.port).post("acme", "web").status == 200
    wait_until(lambda: "certificate" in stage_reason(receiver).lower(), "the cause in health")
    assert receiver.scrape().batches("held") == 1 and bucket.objects() == {}
    receiver.kill()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_an_address_of_ipv6(s3_receiver, s3_store, bucket):
    assert_stores(s3_receiver(endpoint=f"http://[::1]:{s3_store.port}"), bucket)


@pytest.mark.parametrize("credentials", [None, "me:p4ssw0rd-of-the-proxy"], ids=["open", "with a password"])
def test_a_proxy_for_http(s3_receiver, bucket, make_proxy, credentials):
    proxy = make_proxy(credentials)
    receiver = s3_receiver(proxy=f"http://{credentials + '@' if credentials else ''}{proxy.address}")
    key = assert_stores(receiver, bucket)
    assert any(method == "PUT" and path.endswith(key) for method, path in proxy.seen)
    assert "p4ssw0rd" not in receiver.log()


def test_a_proxy_for_https(s3_receiver, s3_store, bucket, make_proxy, authority):
    proxy = make_proxy()
    receiver = s3_receiver(endpoint=f"https://127.0.0.1:{s3_store.tls_port}", ca_file=str(authority.certificate),
                           proxy=f"http://{proxy.address}")
    assert_stores(receiver, bucket)
    assert proxy.seen and set(proxy.seen) == {("CONNECT", f"127.0.0.1:{s3_store.tls_port}")}


def test_a_proxy_that_refuses_is_an_outage_and_shows_no_password(s3_receiver, bucket, make_proxy):
    proxy = make_proxy("me:the right one")
    receiver = s3_receiver(proxy=f"http://me:s3cr3t-but-wrong@{proxy.address}")
    assert Sender(receiver.port).post("acme", "web").status == 200
    wait_until(lambda: "407" in stage_reason(receiver), "the cause in health")
    assert receiver.scrape().batches("held") == 1 and bucket.objects() == {}
    assert "s3cr3t" not in receiver.log() + str(receiver.health())
    receiver.kill()


def test_encryption_with_a_key_of_the_key_service(s3_receiver, bucket):
    receiver = s3_receiver(sse="aws:kms", kms_key_id=KMS_KEY)
    key = assert_stores(receiver, bucket)
    head = bucket.head(key)
    assert head["ServerSideEncryption"] == "aws:kms" and head["SSEKMSKeyId"] == KMS_KEY


def test_a_key_that_the_key_service_does_not_know_is_no_loss(s3_receiver, bucket):
    receiver = s3_receiver(sse="aws:kms", kms_key_id="no-such-key")
    assert Sender(receiver.port).post("acme", "web").status == 200
    wait_until(lambda: stage_reason(receiver) != "", "the cause in health")
    receiver.scrape().check_conservation()
    assert bucket.objects() == {} and receiver.scrape().batches("stored") == 0
    assert receiver.scrape().batches("held") == 1, "it may be made tomorrow"
    receiver.kill()
