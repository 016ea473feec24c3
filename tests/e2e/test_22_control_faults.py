# SPDX-License-Identifier: Apache-2.0
"""Mode control while the control service is away, slow, cut, or answers rubbish: nobody is refused for it."""
import hashlib
import os
import threading
import time

import pytest

from support.control_stand_in import SERVICE_KEY
from support.sender import Sender
from support.wait import wait_until

KEY = "a1-account-key-0123456789"
TOKEN = "acme-own-token-0123456789"
TROUBLE = ("the directory is not refreshed: the control service does not answer as it should; "
           "what is known stays in force")


def populate(control):
    control.account("a1", KEY)
    control.account("a2", "a2-account-key")
    control.tenant("acme", "a1", ["web", "fw"], token=TOKEN)
    control.tenant("globex", "a2", ["web"], token="globex-token")


def pipeline(control, **options):
    stage = {"plugin": "auth", "mode": "control", "control_url": control.url, "api_key": SERVICE_KEY,
             "refresh_interval": "300ms", "cache_file": "directory.cache", **options}
    return [stage, {"plugin": "memory"}, {"plugin": "fs", "directory": "sink"}]


def loaded(receiver):
    wait_until(lambda: receiver.logged("directory refreshed"), "the first directory")
    return receiver


def post(receiver, tenant="acme", dataset="web", token=TOKEN):
    return Sender(receiver.port, token).post(tenant, dataset).status


def failed_refreshes(receiver):
    return receiver.scrape().total("bytefreezer_receiver_directory_refreshes_total", result="failed")


def wait_failed(receiver, more=2):
    before = failed_refreshes(receiver)
    wait_until(lambda: failed_refreshes(receiver) >= before + more, "refreshes that fail")


@pytest.fixture
def served(control, make_receiver):
    populate(control)
    return loaded(make_receiver(pipeline=pipeline(control)).start())


def test_absent_at_start_and_nothing_on_disk_is_503_and_never_a_verdict(control, make_receiver):
    populate(control)
    control.close()
    receiver = make_receiver(pipeline=pipeline(control)).start()
    for tenant, token in (("acme", TOKEN), ("acme", "wrong"), ("acme", None), ("nosuch", TOKEN)):
        assert post(receiver, tenant, token=token) == 503
    assert receiver.health()["status"] == "degraded"
    control.open()
    wait_until(lambda: post(receiver) == 200, "service once control is there")
    loaded(receiver)
    wait_until(lambda: post(receiver, "nosuch") != 503, "the end of the last failure's echo")
    assert post(receiver, "nosuch") == 410


def test_absent_at_start_with_the_directory_on_disk_is_normal_service(control, make_receiver):
    populate(control)
    first = loaded(make_receiver(name="r", pipeline=pipeline(control)).start())
    wait_until((first.root / "directory.cache").exists, "the directory on disk")
    first.stop()
    control.close()
    second = make_receiver(name="r", pipeline=pipeline(control)).start()
    assert second.logged("directory taken from disk", tenants="2", datasets="3")
    assert post(second) == 200
    assert post(second, token="wrong") == 503  # what cannot be asked is not refused
    assert post(second, token=KEY) == 503  # it was never accepted
    assert post(second, token=None) == 401
    assert post(second, "nosuch") == 503
    assert post(second, dataset="nosuch") == 503


def test_an_accepted_key_outlives_a_crash_while_control_is_away_and_not_its_refusal(control, make_receiver):
    populate(control)
    first = loaded(make_receiver(name="r", pipeline=pipeline(control)).start())
    cache = first.root / "directory.cache"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    assert post(first, token=KEY) == 200
    wait_until(lambda: cache.exists() and f"K\tacme\t{digest}\n" in cache.read_text(), "the key's hash on disk")
    assert KEY not in cache.read_text() and cache.stat().st_mode & 0o777 == 0o600
    first.kill()
    control.close()
    second = make_receiver(name="r", pipeline=pipeline(control)).start()
    assert second.logged("directory taken from disk", accepted_keys="1")
    assert post(second, token=KEY) == 200
    assert post(second, token="a2-account-key") == 503
    assert post(second, "globex", token=KEY) == 503
    wait_failed(second)
    assert post(second, token=KEY) == 200
    with control.lock:
        control.keys.pop(KEY)
    control.open()
    wait_until(lambda: post(second, token=KEY) == 401, "the end of a key that was revoked")
    wait_until(lambda: digest not in cache.read_text(), "its hash gone from the disk")
    assert post(second) == 200


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "link", "others", "foreign"])
def test_a_damaged_directory_on_disk_is_not_believed(control, make_receiver, damage):
    populate(control)
    first = loaded(make_receiver(name="r", pipeline=pipeline(control)).start())
    cache = first.root / "directory.cache"
    wait_until(cache.exists, "the directory on disk")
    first.stop()
    control.close()
    data = cache.read_bytes()
    if damage == "cut":
        cache.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        at = data.index(b"acme") + 1
        cache.write_bytes(data[:at] + b"X" + data[at + 1:])
    elif damage == "others":
        cache.chmod(0o602)
    elif damage == "foreign":
        if os.geteuid() != 0:
            pytest.skip("only root gives files away")
        os.chown(cache, 65534, 65534)
    elif damage == "empty":
        cache.write_bytes(b"")
    else:
        cache.rename(first.root / "elsewhere")
        cache.symlink_to(first.root / "elsewhere")
    second = make_receiver(name="r", pipeline=pipeline(control)).start()
    assert len(second.logged("the directory on disk cannot be used")) == 1
    assert post(second) == 503
    control.open()
    wait_until(lambda: post(second) == 200, "service once control is there")
    wait_until(lambda: not cache.is_symlink() and cache.stat().st_mode & 0o777 == 0o600 and
               cache.stat().st_uid == os.geteuid(), "a directory on disk of our own")


def test_a_directory_on_disk_that_others_may_read_is_used_and_written_anew(control, make_receiver):
    control.account("a1", KEY)
    control.tenant("acme", "a1", ["web"])  # one alone, so that what is written anew has the bytes it had
    first = loaded(make_receiver(name="r", pipeline=pipeline(control)).start())
    cache = first.root / "directory.cache"
    wait_until(cache.exists, "the directory on disk")
    first.stop()
    cache.chmod(0o644)
    second = make_receiver(name="r", pipeline=pipeline(control)).start()
    assert second.logged("directory taken from disk")
    wait_until(lambda: cache.stat().st_mode & 0o777 == 0o600, "0600")


def test_a_stop_lets_a_look_up_that_hangs_time_out_and_answers_503(control, served):
    from support import wire
    from support.sender import proxy_headers
    with control.fail("changes", hold=True), control.fail("tenant", hold=True) as fault:
        connection = wire.Connection(served.port)
        connection.send(wire.head("POST", "/late/web", proxy_headers("late--web--1--x.gz", b"", token=KEY), 100))
        wait_until(lambda: fault.hits == 1, "the look-up")
        served.stop()
        assert connection.read_reply().status == 503
        connection.close()


def test_another_services_directory_on_disk_is_not_believed(control, make_receiver):
    populate(control)
    first = loaded(make_receiver(name="r", pipeline=pipeline(control)).start())
    wait_until((first.root / "directory.cache").exists, "the directory on disk")
    first.stop()
    control.close()
    second = make_receiver(name="r", pipeline=pipeline(control, account_id="a2")).start()
    assert not second.logged("directory taken from disk")
    assert post(second) == 503


@pytest.mark.parametrize("where", ["accounts", "tenants", "datasets", r"/accounts/a1/tenants$", r"/tenants/acme/datasets$"])
def test_a_part_that_fails_removes_nobody(control, served, where):
    for ordinal, what in enumerate((
            {"status": 500}, {"status": 404}, {"status": 401}, {"status": 429}, {"cut": True}, {"drop": True},
            {"body": "<html>captive portal</html>"}, {"body": "{}"}, {"body": {"items": {"id": "x"}}},
            {"body": {"items": [{"id": 7}]}}, {"body": {"items": [{"id": "acme", "active": "yes"}]}},
            {"body": {"items": [], "total": "none"}})):
        # Nobody is found again by a look-up either.
        with control.fail(where, **what), control.fail("tenant", status=500), \
                control.fail("dataset", status=500) as single:
            control.tenant(f"fresh{ordinal}", "a2", ["web"])  # so that there is something to fetch
            wait_failed(served, 1)
            for tenant, token in (("acme", TOKEN), ("acme", KEY), ("globex", "globex-token")):
                assert post(served, tenant, token=token) == 200, what
            # What was in the part is kept as it was, not asked about one by one.
            assert single.hits == 0, what
        wait_until(lambda: served.health()["status"] == "ok", "the end of the trouble")
        assert 1 <= len(served.logged(TROUBLE)) <= ordinal + 1, what  # repeats may be folded
    assert not [call for call in control.called("account_tenant") if call.bearer == SERVICE_KEY]


def test_rubbish_leaves_the_directory_and_one_clear_line(control, served):
    with control.fail("accounts", body="not json at all"), control.fail("changes", body="[1,2"):
        wait_failed(served, 3)
        assert post(served) == 200
        assert served.health()["status"] == "degraded"
    lines = served.logged(TROUBLE)
    assert len(lines) == 1 and "/api/v1/accounts" in lines[0]["reason"] and "not JSON" in lines[0]["reason"]
    wait_until(lambda: len(served.logged("directory refreshed")) == 2, "the end of the trouble, logged")


def test_one_failing_part_does_not_hold_up_the_others(control, served):
    with control.fail(r"/accounts/a1/tenants$", status=500):
        control.change("globex", active=False)
        control.change("acme", "fw", active=False)
        wait_until(lambda: post(served, "globex", token="globex-token") == 410, "410 for the deactivated tenant")
        wait_until(lambda: post(served, "acme", "fw") == 404, "404 for the deactivated dataset")
        assert post(served) == 200


# What no answer is, but might be taken for "there is none", "it is inactive", or "the key is wrong". The ids are nobody's, so
# that a real answer would refuse.
NO_ANSWERS = {
    "error": {"status": 500}, "busy": {"status": 429}, "moved": {"status": 302}, "empty": {"status": 200, "body": b""},
    "text": {"status": 200, "body": "<html>captive portal</html>"}, "object": {"status": 200, "body": "{}"},
    "null": {"status": 200, "body": "null"}, "list": {"status": 200, "body": {"items": [], "total": 0}},
    "other": {"status": 200, "body": {"id": "other", "account_id": "a1", "active": False}},
    "type": {"status": 200, "body": {"id": 7, "active": False}}, "drop": {"drop": True},
    "cut": {"status": 200, "body": {"id": "x" * 100, "active": False}, "cut": True},
    "deep": {"status": 200, "body": "[" * 100000},
}


def test_failing_look_ups_are_503_and_never_a_verdict(control, served):
    with control.refreshes_held():
        for name, what in NO_ANSWERS.items():
            with control.fail("tenant", **what) as tenant, control.fail("dataset", **what) as dataset, \
                    control.fail("account_tenant", **what) as key:
                assert post(served, f"nosuch-{name}") == 503, name
                assert post(served, dataset=f"nosuch-{name}") == 503, name
                assert post(served, token=f"wrong-{name}") == 503, name
                assert min(tenant.hits, dataset.hits, key.hits) >= 1, name
                assert post(served) == 200
            # With the answers back, what failed was no answer to keep.
            assert post(served, f"nosuch-{name}-now") == 410
            assert post(served, dataset=f"nosuch-{name}-now") == 404


def test_when_look_ups_fail_lists_that_are_newer_than_the_request_may_refuse_it(control, make_receiver):
    populate(control)
    receiver = loaded(make_receiver(pipeline=pipeline(control, timeout="2s", refresh_interval="100ms")).start())
    with control.fail("tenant", hold=True) as look_up, control.fail("changes", status=404):  # polled: lists, always
        assert post(receiver, "nosuch") == 410
        assert look_up.hits >= 1
    careful = loaded(make_receiver(pipeline=pipeline(control, timeout="2s", refresh_interval="100ms",
                                                     max_stale=0)).start())
    with control.fail("tenant", hold=True), control.fail("changes", status=404):
        assert post(careful, "nosuch") == 503


def test_a_look_up_without_an_answer_ends_in_503_in_time(control, make_receiver):
    populate(control)
    receiver = loaded(make_receiver(pipeline=pipeline(control, timeout="500ms")).start())
    with control.fail("changes", hold=True), control.fail("tenant", hold=True):
        assert post(receiver, "nosuch") == 503


def test_what_no_sender_could_name_in_an_answer_says_nothing(control, served):
    """A tenant of another account, an account that is not there: the answer is well-formed and about something else."""
    with control.refreshes_held():
        for ordinal, body in enumerate(({"id": "late0", "active": True}, {"id": "late1", "account_id": "../a1", "active": True},
                                        {"id": "LATE2", "account_id": "a1", "active": True})):
            with control.fail("tenant", status=200, body=body):
                assert post(served, f"late{ordinal}") == 503, body


def test_an_accepted_key_stays_accepted_while_control_is_away(control, served):
    assert post(served, token=KEY) == 200
    control.close()
    wait_failed(served)
    assert post(served, token=KEY) == 200
    assert post(served, token="wrong") == 503


def test_a_sender_that_leaves_while_it_waits_leaves_nothing(control, served):
    from support import wire
    from support.sender import proxy_headers
    with control.fail("tenant", hold=True) as fault:
        connection = wire.Connection(served.port)
        connection.send(wire.head("POST", "/late/web", proxy_headers("late--web--1--x.gz", b"", token=KEY), 100))
        wait_until(lambda: fault.hits == 1, "the look-up")
        connection.close()
        wait_until(lambda: served.scrape().total("bytefreezer_receiver_connections") == 0, "the connection's end")
    assert post(served) == 200


def test_a_stop_does_not_wait_for_a_slow_control_service(control, served):
    control.change("acme", "fw", active=False)
    with control.fail("accounts", hold=True) as fault:
        wait_until(lambda: fault.hits >= 1, "a refresh that hangs")
        served.stop()


def test_a_list_that_was_cut_proves_no_absence(control, make_receiver):
    control.total_tells = False
    control.account("a1", KEY)
    for n in range(1500):  # most are inactive: they fill the list, and nobody asks for their datasets
        control.tenant(f"t{n:04}", "a1", ["d"], token=f"token-{n}", active=n in (1, 999, 1000, 1250, 1499))
    for n in range(1100):
        control.dataset("t0001", f"s{n:04}")
    receiver = loaded(make_receiver(pipeline=pipeline(control)).start())
    assert post(receiver, "t0999", "d", "token-999") == 200
    for n in (1000, 1250, 1499):
        assert post(receiver, f"t{n}", "d", f"token-{n}") == 200
    assert post(receiver, "t0001", "s1099", "token-1") == 200
    assert post(receiver, "t1500", "d") == 410
    assert post(receiver, "t0001", "s1100", "token-1") == 404
    # Found once, it is known from then on, and asked about by itself.
    rounds = len(control.called("accounts"))
    control.change("t1250", active=False)
    wait_until(lambda: post(receiver, "t1250", "d", "token-1250") == 410, "410 for one behind the cut")
    wait_until(lambda: len(control.called("accounts")) > rounds, "another round")
    control.dataset("t1000", "new")  # so that there is something to fetch
    with control.fail("tenant", status=500), control.fail("dataset", status=500), \
            control.fail("account_tenant", status=500):
        wait_failed(receiver)
        assert post(receiver, "t1000", "d", "token-1000") == 200
        assert post(receiver, "t1499", "d", "token-1499") == 200
        assert post(receiver, "t0001", "s1099", "token-1") == 200


def test_without_an_address_it_starts_degraded_and_says_so_once(make_receiver):
    receiver = make_receiver(pipeline=[{"plugin": "auth", "mode": "control", "cache_file": "c"}, {"plugin": "memory"},
                                       {"plugin": "fs", "directory": "sink"}])
    receiver.start()
    assert post(receiver) == 503
    health = receiver.health()
    assert health["status"] == "degraded"
    lines = [line for line in receiver.log_lines() if "without control_url" in line.get("msg", "")]
    assert len(lines) == 1 and lines[0]["level"] == "error"


def big(control, accounts, tenants, datasets):
    for a in range(accounts):
        control.account(f"account-{a:04}", f"key-of-account-{a:04}")
        for t in range(tenants):
            name = f"tenant-{a:03}-{t:04}"
            control.tenant(name, f"account-{a:04}", [f"dataset-{d:02}" for d in range(datasets)], token=f"token-{name}")


def behind_the_cut(control, count):
    control.account("account-cut", "key-of-account-cut")
    for t in range(count):
        control.tenant(f"cut-{t:04}", "account-cut", ["d"], token=f"token-cut-{t:04}")


def longest_turns(receiver, so_far):
    """Milliseconds; the daemon tells of the last minute or two."""
    scrape = receiver.scrape()
    for what in ("blocked", "busy"):
        so_far[what] = max(so_far.get(what, 0), 1000 * scrape.total(f"bytefreezer_receiver_loop_{what}_seconds"))
    return scrape


def refresh_beside_ingest(control, receiver):
    """Post without a pause, with the tenant's token and its account's key, while directories come and go; returns the last
    scrape and the longest turns."""
    stop = threading.Event()
    refused = []
    longest = {}

    def send(token):
        sender = Sender(receiver.port, token)
        while not stop.is_set():
            status = sender.post("tenant-000-0000", "dataset-00").status
            if status != 200:
                refused.append(status)

    tokens = ("token-tenant-000-0000", "key-of-account-0000")
    for token in tokens:
        wait_until(lambda token=token: post(receiver, "tenant-000-0000", "dataset-00", token) == 200, "the first 200")
    threads = [threading.Thread(target=send, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    name = "bytefreezer_receiver_directory_refreshes_total"
    try:
        for more in range(2):
            control.change("tenant-000-0001", name=f"another name {more}")
            control.dataset("tenant-000-0001", f"more-{more}")
            before = receiver.scrape().total(name, result="complete")
            wait_until(lambda: longest_turns(receiver, longest).total(name, result="complete") > before, "a refresh",
                       limit=600)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not refused
    return longest_turns(receiver, longest), longest


@pytest.mark.parametrize("accounts,tenants,datasets,cut", [
    (20, 25, 20, 0), pytest.param(20, 500, 20, 1500, marks=pytest.mark.long)])
def test_a_large_directory_disturbs_nobody_and_stays_small(control, make_receiver, accounts, tenants, datasets, cut):
    big(control, accounts, tenants, datasets)
    behind_the_cut(control, cut)
    receiver = make_receiver(pipeline=pipeline(control, refresh_interval="1s")).start()
    wait_until(lambda: receiver.logged("directory refreshed"), "the first directory", limit=600)
    for t in range(1000, cut):  # each is found by a look-up, and asked about singly from then on
        wait_until(lambda t=t: post(receiver, f"cut-{t:04}", "d", f"token-cut-{t:04}") == 200, "the look-up's turn")
    started = time.monotonic()
    scrape, longest = refresh_beside_ingest(control, receiver)
    count = accounts * tenants * datasets + cut
    assert scrape.total("bytefreezer_receiver_directory_datasets") == count + 2
    used = scrape.total("bytefreezer_receiver_directory_bytes")
    print(f"{count} datasets: {used / 2**20:.1f} MiB, two refreshes in {time.monotonic() - started:.1f} s, "
          f"longest turn of a loop {longest['blocked']:.2f} ms, of which {longest['busy']:.2f} ms at most computing")
    assert count * 16 < used < 64 * 2**20
    assert 0 < longest["busy"] <= longest["blocked"]
    # Judged by the loop's own time: what other processes took from it is not the refresh's doing.
    assert cut == 0 or longest["busy"] < 5
