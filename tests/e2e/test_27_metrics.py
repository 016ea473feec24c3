# SPDX-License-Identifier: Apache-2.0
"""The page of metrics, its documentation, the alerts and the dashboard made for it say the same names, and mean it."""
import json
import os
import re
import subprocess

import pytest
import yaml

from support import metrics_page
from support.control_stand_in import SERVICE_KEY, ControlStandIn
from support.metrics import PREFIX
from support.receiver import Receiver, as_yaml
from support.sender import Sender
from support.wait import wait_until

A1_KEY = "a1-account-key-0123456789"
OLD = {  # names, types and labels of the previous product
    "requests_total": ("counter", ["dataset_id", "success", "tenant_id"]),
    "bytes_received_total": ("counter", ["dataset_id", "success", "tenant_id"]),
    "bytes_processed_total": ("counter", ["dataset_id", "success", "tenant_id"]),
    "lines_received_total": ("counter", ["dataset_id", "success", "tenant_id"]),
    "lines_processed_total": ("counter", ["dataset_id", "success", "tenant_id"]),
    "processing_duration_seconds": ("histogram", ["dataset_id", "success", "tenant_id"]),
    "upload_duration_seconds": ("histogram", ["cached", "dataset_id", "tenant_id"]),
    "cache_hits_total": ("counter", ["cached", "dataset_id", "tenant_id"]),
    "upload_failures_total": ("counter", ["cached", "dataset_id", "reason", "tenant_id"]),
    "auth_failures_total": ("counter", ["reason", "tenant_id"]),
}


def promtool(*arguments, stdin=None):
    result = subprocess.run(["promtool", *map(str, arguments)], input=stdin, text=True, capture_output=True, timeout=60,
                            check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


class Whole:
    """A daemon with a stage and a service of every kind, to which everything has happened that a metric counts."""

    def __init__(self, build, root):
        self.control = ControlStandIn()
        self.control.account("a1", A1_KEY)
        self.control.tenant("acme", "a1", ["web", "fw"])
        self.receiver = Receiver(build, root, {
            "services": [
                {"plugin": "control", "control_url": self.control.url, "api_key": SERVICE_KEY, "account_id": "a1"},
                {"plugin": "otlp", "endpoint": self.control.url},
                {"plugin": "soc", "endpoint": self.control.url + "/soc"},
            ]}, pipeline=[
                {"plugin": "auth", "mode": "control", "control_url": self.control.url, "api_key": SERVICE_KEY},
                {"plugin": "memory"},
                {"plugin": "disk", "directory": str(root / "spool"), "min_free_bytes": 0},
                {"plugin": "fs", "directory": str(root / "sink")},
                {"plugin": "s3", "bucket_name": "b", "endpoint": "127.0.0.1:9", "access_key": "a", "secret_key": "s"},
            ]).start()
        wait_until(lambda: self.receiver.logged("directory refreshed"), "the directory")
        self.happen()
        self.page = self.receiver.get("/metrics").text()
        self.scrape = self.receiver.scrape()

    def happen(self):
        sender = Sender(self.receiver.port, A1_KEY)
        name = "acme--web--1700000000000000000--ndjson.gz"
        body = b"".join(b"line %d\n" % number for number in range(5))
        self.body = body
        for status in (200, 200):  # the second is a duplicate
            assert sender.post("acme", "web", body, name=name, lines=5,
                               headers={"Content-Encoding": None}).status == status
        assert Sender(self.receiver.port, "wrong").post("acme", "web").status == 401
        assert sender.post("nobody", "web").status in (410, 503)
        wait_until(lambda: self.receiver.scrape().total("bytefreezer_upload_failures_total") > 0
                   and self.receiver.scrape().total("bytefreezer_cache_hits_total") == 1, "a delivery to each sink")

    def close(self):
        try:
            self.receiver.close()
        finally:
            self.control.close()


@pytest.fixture(scope="module")
def whole(build, tmp_path_factory):
    made = Whole(build, tmp_path_factory.mktemp("whole"))
    yield made
    made.close()


# ---- the page ----


def test_promtool_has_nothing_to_say(whole):
    assert promtool("check", "metrics", stdin=whole.page).strip() == ""


def test_the_previous_products_names_have_their_types_and_labels(whole):
    for name, (kind, labels) in OLD.items():
        assert whole.scrape.types.get("bytefreezer_" + name) == kind, name
        assert metrics_page.labels_of(whole.scrape, "bytefreezer_" + name) == labels


def test_the_previous_products_names_are_filled(whole):
    web = {"tenant_id": "acme", "dataset_id": "web"}
    total = whole.scrape.total
    assert total("bytefreezer_requests_total", success="true", **web) == 2
    assert total("bytefreezer_requests_total", success="false", **web) == 1
    assert total("bytefreezer_bytes_received_total", success="true", **web) == 2 * len(whole.body)
    assert total("bytefreezer_lines_received_total", success="true", **web) == 10
    assert total("bytefreezer_lines_processed_total", success="true", **web) == 5
    stored = next(iter(whole.receiver.stored().values()))
    assert total("bytefreezer_bytes_processed_total", **web) == len(stored)
    assert total("bytefreezer_processing_duration_seconds_count", **web) == 3
    assert total("bytefreezer_upload_duration_seconds_count", cached="true", **web) == 1
    assert total("bytefreezer_cache_hits_total", **web) == 1
    assert total("bytefreezer_upload_failures_total", reason="outage", **web) > 0
    assert total("bytefreezer_auth_failures_total", tenant_id="acme", reason="token") == 1
    assert total("bytefreezer_auth_failures_total", tenant_id="other") == 1


def test_strangers_get_no_label(whole):
    assert "nobody" not in whole.page


def test_the_documentation_is_what_a_daemon_shows(whole, root):
    page = root / "docs/metrics.md"
    text = page.read_text()
    table = metrics_page.table(whole.scrape)
    before, rest = text.split(metrics_page.BEGIN)
    after = rest.split(metrics_page.END)[1]
    if os.environ.get("BFR_WRITE_DOCS"):
        page.write_text(before + table + after)
    assert page.read_text() == before + table + after, "BFR_WRITE_DOCS=1 writes the table anew"


def test_every_name_of_the_daemon_is_closed_to_plugins(whole, build, tmp_path):
    ours = [name for name in whole.scrape.types if name.startswith(PREFIX) and not metrics_page.owner(name)]
    assert len(ours) > 30
    config = tmp_path / "own.yaml"
    for name in [*ours, PREFIX + "ack_duration_seconds_sum"]:
        config.write_text(as_yaml({
            "ack": "sink", "plugin_dir": str(build.directory / "tests/bad-plugins"),
            "pipeline": [{"plugin": "own-metric", "metric": name.removeprefix(PREFIX)}]}))
        result = build.run("check", "--config", config)
        assert result.returncode == 78, name
        for word in ("own.yaml:3:", "plugin 'own-metric'", f"'{name}'", "another name"):
            assert word in result.stderr


def test_datasets_are_limited(make_receiver):
    receiver = make_receiver({"metrics": {"tenant_labels": 2, "dataset_labels": 3}}).start()
    sender = Sender(receiver.port)
    for tenant in ("a", "b", "c", "other"):
        for dataset in ("1", "2"):
            assert sender.post(tenant, dataset).status == 200
    scrape = receiver.wait_batches("stored", 8)
    series = scrape.series("bytefreezer_requests_total")
    assert sum(series.values()) == 8
    assert {(dict(key)["tenant_id"], dict(key)["dataset_id"]) for key in series} == {
        ("a", "1"), ("a", "2"), ("b", "1"), ("b", "other"), ("other", "other")}
    assert scrape.total(PREFIX + "accepted_batches_total", tenant_id="other") == 4


# ---- alerts ----

RULES = "deploy/alerts/bytefreezer-receiver.rules.yaml"
JOB = 'job="bytefreezer-receiver",instance="a:8081"'


def own(name, labels=""):
    return f"{PREFIX}{name}{{{JOB}{',' + labels if labels else ''}}}"


# alert: (series that fire it, series that do not), each a mapping of series to values, one a minute
CASES = {
    "ReceiverDown": ({f"up{{{JOB}}}": "0x60"}, {f"up{{{JOB}}}": "1x30 0 1x30"}),
    "ReceiverRestartsOften": ({f"process_start_time_seconds{{{JOB}}}": "0+1x60"},
                              {f"process_start_time_seconds{{{JOB}}}": "5x30 6x30"}),
    "ReceiverSpoolFillsWithinAnHour": ({own("spool_full_seconds"): "1800x60"}, {own("spool_full_seconds"): "-1x30 7200x30"}),
    "ReceiverSpoolFull": ({own("refused_total", 'reason="spool_full"'): "0+6x60"},
                          {own("refused_total", 'reason="spool_full"'): "9x60", own("refused_total", 'reason="id"'): "0+6x60"}),
    "ReceiverSinkUnreachable": ({own("breaker_open", 'sink="s3"'): "1x60"}, {own("breaker_open", 'sink="s3"'): "1x4 0x56"}),
    "ReceiverBatchesWaitTooLong": ({own("oldest_held_age_seconds"): "1000x60"}, {own("oldest_held_age_seconds"): "600x60"}),
    "ReceiverUnsyncedTooLong": ({own("unsynced_age_seconds"): "60x60"}, {own("unsynced_age_seconds"): "0.02x60"}),
    "ReceiverBooksDoNotBalance": ({own("unaccounted_batches", 'tenant_id="t"'): "-1x60"},
                                  {own("unaccounted_batches", 'tenant_id="t"'): "0x60", own("unaccounted_bytes", 'tenant_id="t"'): "0x60"}),
    "ReceiverDeadLetters": ({own("buried_total", 'reason="rejected"'): "0+1x60"}, {own("buried_total", 'reason="rejected"'): "7x60"}),
    "ReceiverDeadLettersNearTheirShare": (
        {own("spool_letters_bytes"): "90x60", own("spool_letters_limit_bytes"): "100x60"},
        {own("spool_letters_bytes"): "70x60", own("spool_letters_limit_bytes"): "100x60"}),
    "ReceiverRefusesMany": (
        {own("refused_total", 'reason="id"'): "0+6x60", own("requests_total", 'code="200"'): "0+60x60"},
        {own("refused_total", 'reason="id"'): "0+2x60", own("requests_total", 'code="200"'): "0+60x60"}),
    "ReceiverCannotCheckSenders": ({own("refused_total", 'reason="auth_unknown"'): "0+1x60"},
                                   {own("refused_total", 'reason="auth_unknown"'): "3x60"}),
    "ReceiverDirectoryStale": ({own("directory_refreshed_timestamp_seconds"): "0x60"},
                               {own("directory_refreshed_timestamp_seconds"): "0+60x60"}),
    "ReceiverTokensRefused": (
        {f'bytefreezer_auth_failures_total{{{JOB},tenant_id="t",reason="token"}}': "0+60x60"},
        {f'bytefreezer_auth_failures_total{{{JOB},tenant_id="t",reason="token"}}': "0+1x60",
         f'bytefreezer_auth_failures_total{{{JOB},tenant_id="t",reason="auth_unknown"}}': "0+60x60"}),
    "ReceiverReloadRefused": ({own("config_last_reload_successful"): "0x60"}, {own("config_last_reload_successful"): "1x60"}),
    "ReceiverMemoryNearlyUsed": ({own("memory_used_bytes"): "95x60", own("memory_limit_bytes"): "100x60"},
                                 {own("memory_used_bytes"): "85x60", own("memory_limit_bytes"): "100x60"}),
    "ReceiverConnectionsNearlyUsed": ({own("connections"): "95x60", own("connections_limit"): "100x60"},
                                      {own("connections"): "85x60", own("connections_limit"): "100x60"}),
    "ReceiverAcknowledgesSlowly": (
        {own("ack_duration_seconds_bucket", f'le="{le}"'): f"0+{count}x60" for le, count in (("5", 1), ("10", 60), ("+Inf", 60))},
        {own("ack_duration_seconds_bucket", f'le="{le}"'): f"0+{count}x60" for le, count in (("5", 60), ("10", 60), ("+Inf", 60))}),
    "ReceiverLoopHeldUp": ({own("loop_blocked_seconds"): "2x60"}, {own("loop_blocked_seconds"): "2x50 0.2x10"}),
}


def alert_test(alert, series, rule):
    """After an hour the alert is there, or not. Its labels and texts are not compared: promtool wants them whole."""
    query = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    return {"interval": "1m", "name": alert,
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{"expr": query, "eval_time": "57m", "exp_samples": [{"labels": "{}", "value": rule}]}]}


def test_every_alert_fires_when_it_should_and_only_then(root, tmp_path):
    rules = root / RULES
    promtool("check", "rules", rules)
    listed = [rule["alert"] for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]]
    assert sorted(listed) == sorted(CASES)
    tests = [alert_test(alert, case[not fires], int(fires)) for alert, case in CASES.items() for fires in (True, False)]
    file = tmp_path / "alerts.test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", file)


def test_every_alert_says_what_to_do(root):
    for group in yaml.safe_load((root / RULES).read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert set(rule["annotations"]) == {"summary", "action"}
            assert "$labels" in rule["annotations"]["summary"] and len(rule["annotations"]["action"]) > 40


# ---- the dashboard ----


def names_in(expression):
    """The metrics that an expression asks for: what stands before a `{`, as it is written here."""
    return set(re.findall(r"\b((?:bytefreezer|process)_[a-z0-9_]+|up)\b(?=[{\[ ]|$)", expression))


def sample_names(scrape):
    parts = {f"{name}{end}" for name, kind in scrape.types.items() if kind == "histogram"
             for end in ("_bucket", "_sum", "_count")}
    return {*scrape.types, *parts, "up"}


def dashboard(root):
    return json.loads((root / "deploy/grafana/bytefreezer-receiver.json").read_text())


def expressions(root):
    return [(panel["title"], target["expr"]) for panel in dashboard(root)["panels"] for target in panel.get("targets", ())]


def test_rules_and_dashboard_ask_for_what_is_shown(whole, root):
    shown = sample_names(whole.scrape)
    asked = expressions(root) + [(rule["alert"], rule["expr"])
                                 for group in yaml.safe_load((root / RULES).read_text())["groups"]
                                 for rule in group["rules"]]
    for title, expression in asked:
        names = names_in(expression)
        assert names, title
        assert names <= shown, (title, names - shown)


def test_the_dashboards_expressions_are_promql(root, tmp_path):
    """As recording rules, with Grafana's variables filled in."""
    rules = []
    for number, (_, expression) in enumerate(expressions(root)):
        filled = expression.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")
        assert "$" not in filled
        rules.append({"record": f"panel:{number}", "expr": filled})
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert len(rules) > 40
    promtool("check", "rules", file)


def test_the_dashboard_can_be_imported(root):
    board = dashboard(root)
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "job", "instance"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"], panel["title"]
