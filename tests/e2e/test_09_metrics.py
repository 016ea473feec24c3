# SPDX-License-Identifier: Apache-2.0
"""What /metrics says: valid text, promised names, and sums that agree with each other and with the outside."""
from support.metrics import PREFIX
from support.outage import QUICK_RETRY, Obstacle
from support.sender import Sender, gzip_batch

COUNTERS = [
    "requests_total", "refused_total", "duplicates_total", "accepted_batches_total", "accepted_bytes_total",
    "stored_batches_total", "stored_bytes_total", "sink_attempts_total",
]
GAUGES = [
    "held_batches", "held_bytes", "buried_batches", "buried_bytes", "unaccounted_batches", "queue_batches",
    "queue_bytes", "oldest_held_age_seconds", "sink_in_flight", "breaker_open", "connections", "memory_used_bytes",
    "build_info",
]
HISTOGRAMS = ["ack_duration_seconds", "sink_duration_seconds"]


def test_the_promised_names_are_there_with_their_types(receiver, sender):
    sender.post()
    sender.post(name="a/b")
    types = receiver.wait_batches("stored", 1).types
    for kind, names in (("counter", COUNTERS), ("gauge", GAUGES), ("histogram", HISTOGRAMS)):
        for name in names:
            assert types.get(PREFIX + name) == kind, name
    assert types.get("process_resident_memory_bytes") == "gauge"


def test_batches_and_bytes_are_counted_per_tenant(receiver, sender):
    sizes = {"acme": 0, "globex": 0}
    for tenant in ("acme", "globex", "acme"):
        body = gzip_batch()
        sizes[tenant] += len(body)
        assert sender.post(tenant, "web", body).status == 200
    scrape = receiver.wait_batches("stored", 3)
    for word in ("accepted", "stored"):
        for tenant, batches in (("acme", 2), ("globex", 1)):
            assert scrape.total(f"{PREFIX}{word}_batches_total", tenant_id=tenant) == batches
            assert scrape.total(f"{PREFIX}{word}_bytes_total", tenant_id=tenant) == sizes[tenant]


def test_every_scrape_is_conserved_while_batches_move(make_receiver):
    receiver = make_receiver({"retry": QUICK_RETRY}).start()
    obstacle = Obstacle(receiver.sink)
    sender = Sender(receiver.port)
    for round_ in range(30):
        if round_ == 15:
            obstacle.remove()
        assert sender.post("acme", "web").status == 200
        assert receiver.scrape().check_conservation()["accepted"] == round_ + 1
    receiver.wait_batches("stored", 30).check_conservation()


def test_requests_are_counted_by_code(receiver, sender):
    assert sender.post().status == 200
    assert sender.post(name="a/b").status == 400
    assert sender.post(headers={"Content-Encoding": "br"}).status == 415
    scrape = receiver.scrape()
    for code in ("200", "400", "415"):
        assert scrape.total(f"{PREFIX}requests_total", code=code) == 1
    assert scrape.total(f"{PREFIX}refused_total") == 2


def test_tenant_labels_are_capped(make_receiver):
    receiver = make_receiver({"metrics": {"tenant_labels": 3}}).start()
    sender = Sender(receiver.port)
    for number in range(10):
        assert sender.post(f"tenant{number}", "web").status == 200
    scrape = receiver.wait_batches("stored", 10)
    series = scrape.series(f"{PREFIX}accepted_batches_total")
    labels = {dict(key).get("tenant_id") for key in series}
    assert "other" in labels and len(labels) <= 4
    assert sum(series.values()) == 10


def test_a_tenants_name_cannot_forge_a_line(receiver, sender):
    sender.post("acme", "web", headers={"X-Proxy-Data-Hint": 'x"} 1'})
    receiver.scrape()  # parses strictly
