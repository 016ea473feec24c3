# SPDX-License-Identifier: Apache-2.0
"""The control service is told what goes on here, and whatever it does, batches are taken and stored."""
import json
import os
import socket

import pytest

from support.control_stand_in import SERVICE_KEY
from support.sender import Sender
from support.wait import wait_until

SECRET = "planted-secret-0123456789"


# Dead letters outlive the process.
ON_DISK = [{"plugin": "auth", "mode": "open"}, {"plugin": "memory"},
           {"plugin": "disk", "directory": "spool", "min_free_bytes": 0}, {"plugin": "fs", "directory": "sink"}]


def occupy(receiver, name):
    """Other bytes are stored under that name already, so the batch can never be."""
    directory = receiver.sink / "acme" / "web"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(b"other bytes")


def service(control, **options):
    return {"plugin": "control", "control_url": control.url, "api_key": SERVICE_KEY, "account_id": "a1",
            "report_interval": "200ms", "telemetry_interval": "200ms", "timeout": "5s", **options}


def config(control, **options):
    return {"services": [service(control, **options)]}


@pytest.fixture
def known(control):
    control.account("a1")
    return control


def wait_called(control, name, count=1, what=None):
    """Calls of that kind that were answered 2xx."""
    def calls():
        good = [call for call in control.called(name) if call.status < 300]
        return good if len(good) >= count else None
    return wait_until(calls, what or f"{count} x {name}")


def total(control, name, field, **ids):
    bodies = [call.body for call in control.called(name) if call.status < 300]
    return sum(body[field] for body in bodies if ids.items() <= body.items())


def instance(receiver):
    name = socket.gethostname()
    if os.path.exists("/.dockerenv"):
        name = name[:12]
    return f"{name}:{receiver.api_port}"


def test_it_registers_reports_and_deregisters(known, make_receiver):
    receiver = make_receiver(config(known)).start()
    registration = wait_called(known, "register")[0].body
    report = wait_called(known, "report", 3)[-1].body
    cleanup = wait_called(known, "cleanup")[0].body
    name = instance(receiver)
    assert registration["instance_id"] == registration["instance_api"] == name
    assert report["service_id"] == report["instance_api"] == cleanup["instance_id"] == name
    assert report["healthy"] is True and report["status"] == "healthy"
    assert all(call.bearer == SERVICE_KEY for call in known.calls)
    receiver.stop()
    assert [call.path for call in known.called("deregister")] == [f"/api/v1/accounts/a1/services/{name}"]
    assert len(known.called("cleanup")) == 2


def test_the_report_tells_the_truth(known, make_receiver, tmp_path):
    spool = tmp_path / "spool"
    receiver = make_receiver(
        {**config(known), "memory": {"budget": "8MiB"}, "webhook": {"max_payload_size": 0}},
        pipeline=[{"plugin": "auth", "mode": "open"}, {"plugin": "memory"},
                  {"plugin": "disk", "directory": str(spool), "min_free_bytes": 0},
                  {"plugin": "fs", "directory": "sink"}]).start()
    report = wait_called(known, "report", 2)[-1].body
    configuration, metrics = report["configuration"], report["metrics"]
    assert configuration["webhook"]["max_payload_size"] == 4 << 20  # half of the budget
    assert configuration["webhook"]["port"] == receiver.port
    assert configuration["api"]["port"] == receiver.api_port
    assert configuration["bytefreezer"]["spool_path"] == str(spool)
    assert configuration["account_id"] == "a1"
    disk = os.statvfs(spool)
    assert metrics["disk_total_bytes"] == disk.f_blocks * disk.f_frsize
    assert metrics["cpu_cores"] == os.cpu_count()
    assert 0 < metrics["mem_used_bytes"] < metrics["mem_total_bytes"]


def test_no_secret_leaves(known, make_receiver, tmp_path):
    receiver = make_receiver(
        {**config(known), "server": {"admin_token": SECRET + "-admin"}},
        pipeline=[{"plugin": "auth", "mode": "control", "control_url": "http://127.0.0.1:9",
                   "api_key": SECRET + "-api"},
                  {"plugin": "memory"},
                  {"plugin": "s3", "bucket_name": "b", "endpoint": "127.0.0.1:9", "access_key": SECRET + "-access",
                   "secret_key": SECRET + "-key"}]).start()
    report = wait_called(known, "report", 3)[-1].body
    wait_called(known, "register")
    wait_called(known, "errors")
    assert report["configuration"]["s3_destination"]["access_key"] == "***"
    assert report["configuration"]["s3_destination"]["secret_key"] == "***"
    assert report["configuration"]["control_service"]["api_key"] == "***"
    receiver.stop()
    for call in known.calls:
        assert SECRET not in json.dumps(call.body) and SECRET[:8] not in json.dumps(call.body)
        assert SERVICE_KEY not in json.dumps(call.body)
    assert SERVICE_KEY not in receiver.log() and SECRET not in receiver.log()


def test_a_login_in_the_url_is_refused_and_not_shown(known, make_receiver):
    for changes in ({"services": [{"plugin": "control", "control_url": f"http://me:{SECRET}@127.0.0.1:9"}]},
                    {"pipeline": [{"plugin": "auth", "mode": "control", "control_url": f"http://me:{SECRET}@127.0.0.1"},
                                  {"plugin": "memory"}, {"plugin": "discard"}]}):
        receiver = make_receiver(changes).launch()
        assert receiver.wait() == 78
        assert "must not hold a login" in receiver.log() and SECRET not in receiver.log()


def test_throughput_and_metrics_add_up(known, make_receiver):
    receiver = make_receiver(config(known, account_id="a1")).start()
    sender, sizes = Sender(receiver.port), {"web": 0, "fw": 0}
    for number in range(30):
        dataset = ("web", "fw")[number % 2]
        reply = sender.post("acme", dataset, lines=4)
        assert reply.status == 200
        sizes[dataset] += reply.json()["bytes_processed"]
    for dataset, size in sizes.items():
        ids = {"account_id": "a1", "tenant_id": "acme", "dataset_id": dataset}
        wait_until(lambda i=ids, s=size: total(known, "throughput", "bytes_stored", **i) == s, f"throughput of {dataset}")
        wait_until(lambda i=ids: total(known, "throughput", "lines_received", **i) == 60, f"lines of {dataset}")
        assert total(known, "throughput", "bytes_received", **ids) == 7 * size
    wait_until(lambda: total(known, "metrics", "output_bytes") == sum(sizes.values()), "metrics of both")
    wait_until(lambda: total(known, "metrics", "lines_processed") == 120, "lines in the metrics")
    assert len(known.called("throughput")) < 30, "not one call per batch"


def test_the_last_batches_are_told_of_before_it_leaves(known, make_receiver):
    receiver = make_receiver(config(known, telemetry_interval="1h")).start()
    wait_called(known, "report", 2)
    assert Sender(receiver.port).post().status == 200
    receiver.wait_batches("stored", 1)
    receiver.stop()
    assert total(known, "throughput", "lines_received") == 3


@pytest.mark.parametrize("fault", [
    {"status": 500}, {"status": 401}, {"status": 429}, {"body": b"{]garbage", "status": 200}, {"body": "[1,2]"},
    {"body": {"action": 7, "success": "no"}}, {"cut": True}, {"drop": True}, {"hold": True}],
    ids=lambda fault: "-".join(f"{key}" for key in fault) + str(fault.get("status", "")))
def test_whatever_the_control_service_does_batches_are_stored(known, make_receiver, fault):
    known.start_fault(".", **fault)
    receiver = make_receiver(config(known, timeout="300ms")).start()
    sender = Sender(receiver.port)
    for _ in range(20):
        assert sender.post().status == 200
    wait_until(lambda: len(known.called("report")) >= 2 or fault.get("hold"), "a second try")
    receiver.wait_batches("stored", 20)
    assert len(receiver.logged("far end does not take what is sent; batches are not affected, trying again",
                               what="report")) <= 1
    receiver.stop()
    assert len(receiver.stored()) == 20


def test_it_is_told_of_everything_once_it_is_back(known, make_receiver):
    fault = known.start_fault(".", status=503)
    receiver = make_receiver(config(known)).start()
    sender = Sender(receiver.port)
    for _ in range(5):
        assert sender.post().status == 200
    wait_until(lambda: known.called("throughput"), "a try to tell")
    known.stop_fault(fault)
    wait_until(lambda: total(known, "throughput", "lines_received") == 15, "the throughput of five batches")
    wait_called(known, "register")
    wait_until(lambda: receiver.logged("far end takes what is sent again", what="report"), "one line that it is back")
    assert len(receiver.logged("far end takes what is sent again", what="report")) == 1


def test_an_absent_control_service_disturbs_nobody_and_no_stop(known, make_receiver):
    known.close()
    receiver = make_receiver(config(known)).start()
    assert Sender(receiver.port).post().status == 200
    wait_until(lambda: receiver.logged(
        "far end does not take what is sent; batches are not affected, trying again"), "a line of it")

    def degraded():
        stage = next(stage for stage in receiver.health()["stages"] if stage["name"] == "control")
        return stage if stage["status"] == "degraded" else None

    assert "reports" in wait_until(degraded, "a degraded service")["reason"]
    receiver.stop()
    assert len(receiver.stored()) == 1


def test_uninstall_and_upgrade_are_refused_and_said_once(known, make_receiver):
    known.action = {"action": "uninstall", "upgrade_tag": "v9"}
    receiver = make_receiver(config(known)).start()
    wait_called(known, "report", 4)
    known.action = {"action": "upgrade", "upgrade_tag": "v9"}
    wait_called(known, "report", 7)
    message = "control service asks for something that is never done on its word; install and remove by hand"
    assert [line["action"] for line in receiver.logged(message)] == ["uninstall"]
    assert Sender(receiver.port).post().status == 200
    receiver.stop()
    assert receiver.build.binary.exists()


def test_errors_are_told_once_each_with_a_count(known, make_receiver):
    known.error_tracking_wants_hash = True
    receiver = make_receiver(config(known), pipeline=ON_DISK).start()
    sender = Sender(receiver.port)
    for number in range(6):
        occupy(receiver, f"taken-{number}.gz")
        assert sender.post("acme", "web", name=f"taken-{number}.gz").status == 200
    receiver.wait_batches("buried", 6)
    errors = wait_called(known, "errors")
    buried = [call.body for call in errors if call.body["error_type"] == "batch_given_up"]
    assert len(buried) == 1
    assert (buried[0]["tenant_id"], buried[0]["dataset_id"]) == ("acme", "web")
    assert buried[0]["account_id"] == "a1" and 1 <= buried[0]["metadata"]["count"] <= 6
    assert not any(character.isdigit() for character in buried[0]["error_message"])
    wait_until(lambda: total(known, "metrics", "error_count") == 6, "six errors in the metrics")
    assert any(call.body["success"] is False for call in known.called("throughput"))


def test_errors_can_be_switched_off(known, make_receiver):
    receiver = make_receiver(config(known, errors=False), pipeline=ON_DISK).start()
    occupy(receiver, "taken.gz")
    assert Sender(receiver.port).post("acme", "web", name="taken.gz").status == 200
    wait_until(lambda: total(known, "metrics", "error_count") == 1, "the error in the metrics")
    wait_called(known, "report", len(known.called("report")) + 2)
    assert known.called("errors") == []


def test_the_instance_is_named_after_its_node(known, make_receiver):
    receiver = make_receiver(config(known), env={"NODE_NAME": "node-7"}).start()
    report = wait_called(known, "report")[0].body
    assert report["service_id"] == f"node-7.{instance(receiver)}"


def test_a_stop_waits_little_for_a_control_service_that_hangs(known, make_receiver):
    receiver = make_receiver(config(known, timeout="20s")).start()
    wait_called(known, "report", 2)
    hanging = known.start_fault(".", hold=True)
    assert Sender(receiver.port).post().status == 200
    receiver.stop()  # exit 0, so within its 25 s
    known.stop_fault(hanging)
    assert len(receiver.stored()) == 1
    assert receiver.logged("not deregistered; the control service will notice the silence")


def test_a_start_that_fails_registers_nothing(known, make_receiver):
    first = make_receiver(name="first").start()
    second = make_receiver({**config(known), "webhook": {"port": first.port}}, name="second").launch()
    assert second.wait() == 1
    assert known.calls == []
