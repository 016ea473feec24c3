# SPDX-License-Identifier: Apache-2.0
"""A control service that means harm, or is somebody else: batches are taken, keys stay where they belong, nothing grows and
nothing hangs."""
import ssl

import pytest

from support.certificates import Authority
from support.control_stand_in import SERVICE_KEY, ControlStandIn
from support.sender import Sender
from support.wait import wait_until

TOKEN = "acme-own-token-0123456789"


def populate(control):
    control.account("a1", "a1-key")
    control.tenant("acme", "a1", ["web"], token=TOKEN)


def whole(control, **options):
    """Auth and all services, all talking to one far end."""
    key = {"control_url": control.url, "api_key": SERVICE_KEY}
    pipeline = [{"plugin": "auth", "mode": "control", "refresh_interval": "200ms", "timeout": "1s", "cache_file": "",
                 **key, **options},
                {"plugin": "memory"}, {"plugin": "fs", "directory": "sink"}]
    services = [{"plugin": "control", "report_interval": "100ms", "telemetry_interval": "100ms", "timeout": "1s", **key,
                 **options},
                {"plugin": "otlp", "endpoint": control.url, "push_interval": "100ms", "timeout": "1s", **options},
                {"plugin": "soc", "endpoint": control.url + "/soc", "check_interval": "100ms", "timeout": "1s",
                 **options}]
    return {"services": services}, pipeline


def served(make_receiver, control, **options):
    config, pipeline = whole(control, **options)
    receiver = make_receiver(config, pipeline=pipeline).start()
    wait_until(lambda: Sender(receiver.port, TOKEN).post("acme", "web").status == 200, "the first 200")
    return receiver


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def private(authority):
    """A control service whose certificate only our own authority vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue_pair("control"))
    control = ControlStandIn(tls=context)
    populate(control)
    yield control
    control.close()
    assert not control.violations


def test_a_private_authority_is_trusted_where_ca_file_names_it(private, authority, make_receiver):
    served(make_receiver, private, ca_file=str(authority.certificate))
    for name in ("accounts", "report", "otlp", "soc"):
        wait_until(lambda name=name: private.called(name), f"a call of {name} over TLS")


def test_a_certificate_that_nobody_vouches_for_gets_no_key_and_refuses_nobody(private, make_receiver):
    config, pipeline = whole(private)
    receiver = make_receiver(config, pipeline=pipeline).start()
    wait_until(lambda: receiver.logged("the directory is not refreshed: the control service does not answer as it should; "
                                       "what is known stays in force"), "the trouble, logged")
    assert Sender(receiver.port, TOKEN).post("acme", "web").status == 503
    assert not private.calls
    receiver.stop()


def test_no_redirect_is_followed_and_no_key_leaves(control, make_receiver):
    populate(control)
    receiver = served(make_receiver, control)
    thief = ControlStandIn()
    try:
        for where in (thief.url + "/api/v1/services/report", "file:///etc/hostname"):
            with control.fail("api", status=307, location=where) as fault:
                wait_until(lambda fault=fault: fault.hits >= 10, "redirects")
                assert Sender(receiver.port, TOKEN).post("acme", "web").status == 200
        assert not thief.calls and not thief.violations
    finally:
        thief.close()


@pytest.mark.parametrize("what", [
    {"body": "<html>captive portal</html>"}, {"body": "[" * 50000}, {"body": "{\"a\":" * 9000},
    {"body": {"success": 7, "action": ["uninstall"], "upgrade_tag": {}}}, {"body": b"\xff\x00" * 1000},
    {"body": b"x" * (4 << 20)}, {"body": b"[" + b"0," * 500, "drip": True}, {"cut": True}, {"drop": True}],
    ids=["html", "deep list", "deep object", "types", "bytes", "4 MiB", "drip", "cut", "drop"])
def test_whatever_it_answers_batches_are_taken_and_the_service_goes_on(control, make_receiver, what):
    populate(control)
    receiver = served(make_receiver, control)
    status = {} if "drop" in what else {"status": 200}
    with control.fail("/", **what, **status) as fault:
        wait_until(lambda: fault.hits >= 6, "answers")
        assert Sender(receiver.port, TOKEN).post("acme", "web").status == 200
    before = len(control.called("report"))
    wait_until(lambda: len(control.called("report")) > before + 1 and receiver.health()["status"] == "ok",
               "reports as before")
    assert SERVICE_KEY not in receiver.log()


def test_a_stop_under_dripping_answers_is_in_time(control, make_receiver):
    populate(control)
    receiver = served(make_receiver, control)
    with control.fail("/", status=200, body=b"[" + b"0," * 2000, drip=True) as fault:
        wait_until(lambda: fault.hits >= 3, "dripping answers")
        receiver.stop()


@pytest.mark.parametrize("account", ["managed", "system"])
def test_managed_and_system_are_nobodys_account_in_telemetry(control, make_receiver, account):
    service = {"plugin": "control", "control_url": control.url, "api_key": SERVICE_KEY, "account_id": account,
               "report_interval": "100ms", "telemetry_interval": "100ms"}
    control.account(account)
    receiver = make_receiver({"services": [service]}, pipeline=[
        {"plugin": "auth", "mode": "open"}, {"plugin": "memory"}, {"plugin": "fs", "directory": "sink"}]).start()
    assert Sender(receiver.port).post("acme", "web").status == 200
    wait_until(lambda: control.called("throughput"), "throughput")
    assert {call.body["account_id"] for call in control.called("throughput")} == {""}
    receiver.stop()
    assert [call.path.split("/")[4] for call in control.called("deregister")] == [account]
