# SPDX-License-Identifier: Apache-2.0
"""Metrics pushed to a collector, alerts sent to an operations centre; neither ever disturbs a batch."""
import hashlib
import json

import pytest

from support import otlp_schema
from support.sender import Sender, gzip_batch
from support.wait import wait_until

PREFIX = "bytefreezer_receiver_"


def otlp(control, **options):
    return {"services": [{"plugin": "otlp", "endpoint": control.url, "push_interval": "100ms", **options}]}


def soc(control, **options):
    return {"services": [{"plugin": "soc", "endpoint": control.url + "/soc", "check_interval": "100ms",
                          "repeat_interval": "1h", **options}]}


def pushes(control):
    return [otlp_schema.read(json.loads(call.body)) for call in control.called("otlp")]


def alerts(control, title=None):
    bodies = [call.body for call in control.called("soc") if call.status < 300]
    return [body for body in bodies if title in (None, body["title"])]


def test_what_is_pushed_is_what_metrics_shows(control, make_receiver):
    receiver = make_receiver(otlp(control, service_name="intake-7")).start()
    for _ in range(7):
        assert Sender(receiver.port).post().status == 200
    receiver.wait_batches("stored", 7)
    wait_until(lambda: any(values.get((PREFIX + "stored_batches_total", frozenset({("tenant_id", "acme")}))) == 7
                           for _, values in pushes(control)), "a push of seven batches")
    resource, values = pushes(control)[-1]
    assert resource["service.name"] == "intake-7" and resource["service.version"] and resource["service.instance.id"]
    assert values[(PREFIX + "ack_duration_seconds", frozenset())] == 7
    assert values[(PREFIX + "requests_total", frozenset({("code", "200")}))] == 7
    page = receiver.scrape()
    shown = {name for name in page.types if not name.startswith("process_")}
    assert shown <= {name for name, _ in values}


def test_the_last_figures_are_pushed_at_the_stop(control, make_receiver):
    receiver = make_receiver(otlp(control, push_interval="1h")).start()
    wait_until(lambda: control.called("otlp"), "the first push")
    assert Sender(receiver.port).post().status == 200
    receiver.stop()
    assert pushes(control)[-1][1][(PREFIX + "requests_total", frozenset({("code", "200")}))] == 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"hold": True}, {"drop": True}, {"body": "<html>"},
                                   {"body": {"partialSuccess": {"rejectedDataPoints": "3"}}}],
                         ids=["500", "hold", "drop", "garbage", "partial"])
def test_a_collector_in_trouble_disturbs_nobody(control, make_receiver, fault):
    started = control.start_fault("otlp", **fault)
    receiver = make_receiver(otlp(control, timeout="200ms")).start()
    for _ in range(5):
        assert Sender(receiver.port).post().status == 200
    receiver.wait_batches("stored", 5)
    wait_until(lambda: started.hits >= 2, "a second push")
    receiver.stop()
    assert len(receiver.stored()) == 5


def test_an_alert_says_that_it_started(control, make_receiver):
    make_receiver(soc(control, environment="development")).start()
    alert = wait_until(lambda: alerts(control, "Receiver started"), "an alert")[0]
    assert alert["severity"] == "low" and alert["environment"] == "development" and alert["host"]


def test_an_alert_says_that_it_could_not_start(control, make_receiver):
    first = make_receiver(name="first").start()
    second = make_receiver({**soc(control), "webhook": {"port": first.port}}, name="second").launch()
    assert second.wait() == 1
    (alert,) = alerts(control)
    assert alert["title"] == "Receiver did not start" and alert["severity"] == "critical"
    assert str(first.port) in alert["details"]["cause"]


def test_refusals_are_gathered_into_one_alert_each(control, make_receiver, tmp_path):
    token = "the-right-token-0123456789"
    digest = hashlib.sha256(token.encode()).hexdigest()
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text(f"tenants: [{{account: a1, tenant: acme, datasets: '*', tokens: ['sha256:{digest}']}}]\n")
    receiver = make_receiver(
        {**soc(control), "webhook": {"max_payload_size": 4096}},
        pipeline=[{"plugin": "auth", "mode": "tokens", "tenants_file": str(tenants)}, {"plugin": "memory"},
                  {"plugin": "fs", "directory": "sink"}]).start()
    wrong = "wrong-token-9876543210"
    for _ in range(20):
        assert Sender(receiver.port, wrong).post().status == 401
        assert Sender(receiver.port, token).post(body=gzip_batch() + bytes(5000)).status == 413
    for title in ("Authentication failure", "Oversized payload"):
        wait_until(lambda t=title: alerts(control, t), title)
    assert Sender(receiver.port, token).post().status == 200
    receiver.stop()
    for title in ("Authentication failure", "Oversized payload"):
        (alert,) = alerts(control, title)
        assert 1 <= alert["details"]["count"] <= 20
    for call in control.calls:
        assert token not in json.dumps(call.body) and wrong[:6] not in json.dumps(call.body)


def test_an_upload_failure_is_an_alert(control, make_receiver):
    receiver = make_receiver(soc(control), pipeline=[
        {"plugin": "auth", "mode": "open"}, {"plugin": "memory"},
        {"plugin": "disk", "directory": "spool", "min_free_bytes": 0},
        {"plugin": "s3", "bucket_name": "b", "endpoint": "127.0.0.1:9", "access_key": "k", "secret_key": "s"}]).start()
    assert Sender(receiver.port).post().status == 200
    alert = wait_until(lambda: alerts(control, "Stage degraded"), "an alert")[0]
    assert alert["severity"] == "high" and alert["details"]["stage"] == "s3" and alert["details"]["cause"]


def test_every_third_failed_refresh_is_an_alert(control, make_receiver):
    with control.fail("accounts", status=500):
        receiver = make_receiver(soc(control, repeat_interval="10ms"), pipeline=[
            {"plugin": "auth", "mode": "control", "control_url": control.url, "api_key": control.key,
             "refresh_interval": "100ms"}, {"plugin": "memory"}, {"plugin": "fs", "directory": "sink"}]).start()
        wait_until(lambda: alerts(control, "Directory refresh failure"), "an alert")
        receiver.stop()
    for alert in alerts(control, "Directory refresh failure"):
        assert alert["details"]["count"] % 3 == 0


def test_nothing_is_sent_unless_it_is_configured(control, make_receiver):
    receiver = make_receiver().start()
    assert Sender(receiver.port).post().status == 200
    receiver.stop()
    assert control.calls == []
