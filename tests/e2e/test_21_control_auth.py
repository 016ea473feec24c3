# SPDX-License-Identifier: Apache-2.0
"""Mode control: the control service says who may send what, and what it says now counts."""
import threading
import time

import pytest

from support.control_stand_in import SERVICE_KEY, ControlStandIn
from support.sender import Sender, batch_name, gzip_batch
from support.wait import wait_until

A1_KEY, A2_KEY = "a1-account-key-0123456789", "a2-account-key-0123456789"
ACME_TOKEN = "acme-own-token-0123456789"


def populate(control):
    control.account("a1", A1_KEY)
    control.account("a2", A2_KEY)
    control.account("a3", "a3-account-key-0123456789", active=False)
    control.tenant("acme", "a1", ["web", "fw"], token=ACME_TOKEN)
    control.tenant("initech", "a1", ["tps"])
    control.tenant("globex", "a2", ["web"], token="globex-own-token")
    control.tenant("closed", "a1", ["web"], active=False)
    control.tenant("frozen", "a3", ["web"])
    control.dataset("acme", "old", active=False)


def auth_stage(control, **options):
    return {"plugin": "auth", "mode": "control", "control_url": control.url, "api_key": SERVICE_KEY,
            "refresh_interval": "300ms", "cache_file": "directory.cache", **options}


def pipeline(control, **options):
    return [auth_stage(control, **options), {"plugin": "memory"}, {"plugin": "fs", "directory": "sink"}]


def refreshed(receiver, more=1):
    """Wait for that many further complete refreshes, or polls that found no change."""
    name = "bytefreezer_receiver_directory_refreshes_total"
    before = receiver.scrape().total(name, result="complete")
    wait_until(lambda: receiver.scrape().total(name, result="complete") >= before + more, "a complete refresh")


def loaded(receiver):
    wait_until(lambda: receiver.logged("directory refreshed"), "the first directory")
    return receiver


@pytest.fixture
def served(control, make_receiver):
    populate(control)
    return loaded(make_receiver(pipeline=pipeline(control)).start())


def test_the_tenants_own_token_and_its_accounts_key_open_it(served):
    for token in (ACME_TOKEN, A1_KEY):
        body, name = gzip_batch(), batch_name("acme", "web")
        reply = Sender(served.port, token).post("acme", "web", body, name)
        assert reply.status == 200, (token, reply)
        assert served.wait_stored(f"acme/web/{name}") == body
    assert Sender(served.port, A1_KEY).post("initech", "tps").status == 200


@pytest.mark.parametrize("prefix", ["", "/webhook", "/api/v1/ingest"])
def test_a_proxys_request_forms_pass(served, prefix):
    sender = Sender(served.port, A1_KEY)
    assert sender.post("acme", "web", prefix=prefix).status == 200
    assert sender.connectivity_test("acme", "unknown").status == 200


def test_a_wrong_key_is_401_and_another_accounts_is_403(served):
    assert Sender(served.port, "nobodys-key").post("acme", "web").status == 401
    assert Sender(served.port).post("acme", "web").status == 401
    assert Sender(served.port, A2_KEY).post("acme", "web").status == 403
    assert Sender(served.port, "globex-own-token").post("acme", "web").status == 403
    assert Sender(served.port, "nobodys-key").connectivity_test("acme").status == 401


def test_what_is_inactive_or_absent_is_refused_in_the_order_of_certainty(served):
    for tenant in ("closed", "frozen", "nosuch"):
        for token in (A1_KEY, None):
            assert Sender(served.port, token).post(tenant, "web").status == 410, tenant
    for dataset in ("old", "nosuch"):
        assert Sender(served.port, A1_KEY).post("acme", dataset).status == 404, dataset
        assert Sender(served.port, "nobodys-key").post("acme", dataset).status == 401, dataset


def test_a_tenant_and_a_dataset_created_a_moment_ago_are_accepted_at_once(control, served):
    assert Sender(served.port, A1_KEY).post("hooli", "web").status == 410
    with control.fail("changes", hold=True):
        control.account("a9", "a9-key")
        control.tenant("piper", "a9", ["nine"], token="piper-token")
        control.dataset("acme", "brandnew")
        assert Sender(served.port, "piper-token").post("piper", "nine").status == 200
        assert Sender(served.port, "a9-key").post("piper", "nine").status == 200
        assert Sender(served.port, A1_KEY).post("acme", "brandnew").status == 200
    refreshed(served)
    with control.fail("tenant", status=500), control.fail("dataset", status=500):
        assert Sender(served.port, "piper-token").post("piper", "nine").status == 200
        assert Sender(served.port, A1_KEY).post("acme", "brandnew").status == 200


def test_what_was_refused_before_is_accepted_at_the_first_post_after_it_was_created(control, served):
    assert Sender(served.port, A1_KEY).post("piper", "nine").status == 410
    assert Sender(served.port, A1_KEY).post("acme", "brandnew").status == 404
    control.tenant("another", "a1", ["one"])  # lists that are newer than those answers, and name neither
    refreshed(served)
    with control.refreshes_held():
        assert Sender(served.port, A1_KEY).post("piper", "nine").status == 410
        assert Sender(served.port, A1_KEY).post("acme", "brandnew").status == 404
        control.tenant("piper", "a1", ["nine"])  # milliseconds after it was refused
        control.dataset("acme", "brandnew")
        assert Sender(served.port, A1_KEY).post("piper", "nine").status == 200
        assert Sender(served.port, A1_KEY).post("acme", "brandnew").status == 200


def test_an_answer_to_a_question_that_was_put_before_the_sender_asked_refuses_nobody(control, served):
    statuses = {}

    def post(name, sender):
        statuses[name] = sender.post("late", "web").status

    with control.refreshes_held():
        fault = control.start_fault("tenant", status=404, hold=True, times=1)
        first = threading.Thread(target=post, args=("first", Sender(served.port, A1_KEY)))
        first.start()
        wait_until(lambda: fault.hits == 1, "its look-up")
        control.tenant("late", "a1", ["web"])
        second = threading.Thread(target=post, args=("second", Sender(served.port, A1_KEY)))
        second.start()
        wait_until(lambda: served.scrape().total("bytefreezer_receiver_connections") >= 2, "the second sender")
        control.stop_fault(fault)
        first.join()
        second.join()
    assert statuses["second"] == 200


def test_a_tenant_whose_account_was_activated_a_moment_ago_is_accepted_at_once(control, served):
    with control.refreshes_held():
        control.account("a3", "a3-account-key-0123456789")
        assert Sender(served.port, "a3-account-key-0123456789").post("frozen", "web").status == 200


def test_the_account_travels_with_the_batch(control, make_receiver):
    populate(control)
    receiver = make_receiver(pipeline=[
        auth_stage(control), {"plugin": "memory"}, {"plugin": "fs", "directory": "sink", "sidecar": True}]).start()
    loaded(receiver)
    name = batch_name("globex", "web")
    assert Sender(receiver.port, A2_KEY).post("globex", "web", name=name).status == 200
    sidecar = receiver.wait_stored(f"globex/web/{name}.json")
    assert b'"account":"a2"' in sidecar.replace(b" ", b"")


def test_a_deactivated_tenant_is_refused_within_one_poll(control, served):
    sender = Sender(served.port, ACME_TOKEN)
    assert sender.post("acme", "web").status == 200
    control.change("acme", active=False)
    wait_until(lambda: sender.post("acme", "web").status == 410, "410 for the deactivated tenant")
    control.change("acme", active=True)
    wait_until(lambda: sender.post("acme", "web").status == 200, "200 for the tenant that is active again")


def test_a_deactivated_dataset_is_refused_and_its_siblings_are_not(control, served):
    sender = Sender(served.port, ACME_TOKEN)
    control.change("acme", "web", active=False)
    wait_until(lambda: sender.post("acme", "web").status == 404, "404 for the deactivated dataset")
    assert sender.post("acme", "fw").status == 200


def test_a_rotated_token_works_at_once_and_the_old_one_until_the_next_refresh(control, served):
    with control.fail("changes", hold=True):
        control.rotate("acme", "acme-new-token")
        assert Sender(served.port, "acme-new-token").post("acme", "web").status == 200
        assert Sender(served.port, ACME_TOKEN).post("acme", "web").status == 200
    wait_until(lambda: Sender(served.port, ACME_TOKEN).post("acme", "web").status == 401, "401 for the old token")
    assert Sender(served.port, "acme-new-token").post("acme", "web").status == 200


def test_a_token_that_was_refused_a_moment_ago_works_once_it_is_the_tenants(control, served):
    with control.refreshes_held():
        assert Sender(served.port, "acme-new-token").post("acme", "web").status == 401
        control.rotate("acme", "acme-new-token")
        assert Sender(served.port, "acme-new-token").post("acme", "web").status == 200


def test_look_ups_of_tokens_that_do_not_match_are_limited_for_each_address_and_cost_nobody_else(control, served):
    with control.refreshes_held():
        guesser = Sender(served.port, "first-guess")
        began = time.monotonic()
        refused = [Sender(served.port, f"guess-{n}").post("acme", "web").status for n in range(150)]
        assert set(refused) <= {401, 503} and refused[:50] == [401] * 50
        assert refused.count(401) <= 51 + 5 * (time.monotonic() - began)
        asked = [call for call in control.called("account_tenant") if call.bearer.startswith("guess-")]
        assert len(asked) == refused.count(401)
        same = [guesser.post("acme", "web").status for _ in range(20)]
        assert set(same) <= {401, 503}
        assert Sender(served.port, ACME_TOKEN).post("acme", "web").status == 200  # needs no look-up
        control.tenant("late", "a1", ["web"], token="late-token")
        assert Sender(served.port, "late-token").post("late", "web").status == 200  # a miss is another account


def test_who_hammers_at_something_gone_is_limited_and_costs_nobody_else(control, served):
    began = time.monotonic()
    statuses = [Sender(served.port, A1_KEY).post("nosuch", "web").status for _ in range(150)]
    assert set(statuses) <= {410, 503} and statuses[:51] == [410] * 51
    assert statuses.count(410) <= 52 + 5 * (time.monotonic() - began)
    assert len([call for call in control.called("tenant") if "nosuch" in call.path]) == statuses.count(410)
    control.tenant("late", "a1", ["web"], token="late-token")
    assert Sender(served.port, "late-token").post("late", "web").status == 200


def test_look_ups_of_all_are_limited_and_who_is_over_the_limit_is_not_refused(control, served):
    began = time.monotonic()
    statuses = [Sender(served.port, A1_KEY).post(f"nosuch-{n}", "web").status for n in range(1200)]
    assert set(statuses) <= {410, 503} and statuses[:400] == [410] * 400
    assert statuses.count(410) <= 401 + 100 * (time.monotonic() - began)
    assert len([call for call in control.called("tenant") if "nosuch-" in call.path]) == statuses.count(410)


def test_at_most_64_look_ups_are_on_their_way(control, served):
    statuses = []
    with control.fail("tenant", hold=True) as fault:
        senders = [threading.Thread(target=lambda n=n: statuses.append(
            Sender(served.port, A1_KEY).post(f"nosuch-{n}", "web").status)) for n in range(80)]
        for sender in senders:
            sender.start()
        wait_until(lambda: len(statuses) >= 16, "those over the limit")
        wait_until(lambda: fault.hits == 64, "the others' calls")
        assert set(statuses) == {503}
    for sender in senders:
        sender.join()
    assert set(statuses) <= {410, 503} and statuses.count(410) <= 64
    assert len([call for call in control.called("tenant") if "nosuch-" in call.path]) == 64


def test_a_tenant_that_moved_to_another_account_a_moment_ago_takes_that_accounts_key(control, served):
    with control.refreshes_held():
        control.remove("initech")
        control.tenant("initech", "a2", ["tps"])
        assert Sender(served.port, A1_KEY).post("initech", "tps").status == 403
        assert Sender(served.port, A2_KEY).post("initech", "tps").status == 200


def test_asking_again_about_accepted_keys_leaves_look_ups_to_those_who_wait(control, make_receiver):
    populate(control)
    tenants = [f"t{n}" for n in range(350)]
    for tenant in tenants:
        control.tenant(tenant, "a1", ["d"])
    receiver = loaded(make_receiver(pipeline=pipeline(control, refresh_interval="100ms")).start())
    wait_until(lambda: receiver.scrape().total("bytefreezer_receiver_directory_datasets") >= 350, "the datasets")
    with control.refreshes_held():
        for _ in range(3):
            assert {Sender(receiver.port, A1_KEY).post(tenant, "d").status for tenant in tenants} == {200}
        for n in range(20):
            control.tenant(f"new{n}", "a1", ["d"], token=f"token-of-new-{n}")
            assert Sender(receiver.port, f"token-of-new-{n}").post(f"new{n}", "d").status == 200


def test_a_withdrawn_key_is_refused_soon(control, served):
    sender = Sender(served.port, A1_KEY)
    assert sender.post("acme", "web").status == 200
    del control.keys[A1_KEY]
    wait_until(lambda: sender.post("acme", "web").status == 401, "401 for the withdrawn key")


def test_without_require_token_the_field_is_ignored_but_tenant_and_dataset_must_be_active(control, make_receiver):
    populate(control)
    receiver = loaded(make_receiver(pipeline=pipeline(control, require_token=False)).start())
    for token in (None, "anything", A2_KEY):
        assert Sender(receiver.port, token).post("acme", "web").status == 200
    assert Sender(receiver.port).post("acme", "nosuch").status == 404
    assert Sender(receiver.port).post("closed", "web").status == 410
    assert not [call for call in control.calls if call.bearer == A2_KEY]


def test_one_account_alone(control, make_receiver):
    populate(control)
    receiver = loaded(make_receiver(pipeline=pipeline(control, account_id="a1", api_key=A1_KEY)).start())
    assert Sender(receiver.port, A1_KEY).post("acme", "web").status == 200
    assert Sender(receiver.port, A1_KEY).post("globex", "web").status == 410
    assert not control.called("accounts") and not control.called("tenant")
    assert {call.path for call in control.called("account")} == {"/api/v1/accounts/a1"}
    assert all(call.query == "account_id=a1" for call in control.called("changes"))


@pytest.mark.parametrize("account", ["managed", "system"])
def test_managed_and_system_name_no_account(control, make_receiver, account):
    populate(control)
    receiver = loaded(make_receiver(pipeline=pipeline(control, account_id=account)).start())
    assert control.called("accounts")
    assert Sender(receiver.port, A2_KEY).post("globex", "web").status == 200


def test_an_older_service_without_change_detector_is_polled(make_receiver):
    control = ControlStandIn(changes=False)
    try:
        populate(control)
        receiver = loaded(make_receiver(pipeline=pipeline(control)).start())
        refreshed(receiver, 2)
        control.change("acme", active=False)
        wait_until(lambda: Sender(receiver.port, ACME_TOKEN).post("acme", "web").status == 410, "410")
    finally:
        control.close()
    assert not control.violations


def test_what_has_not_changed_is_not_fetched_again(control, served):
    refreshed_at = len(control.called("accounts"))
    polls = len(control.called("changes"))
    wait_until(lambda: len(control.called("changes")) >= polls + 3, "three polls")
    assert len(control.called("accounts")) <= refreshed_at + 1
    lists = len(control.called("datasets"))
    assert lists == 3  # acme, initech, globex: once each


def test_no_token_or_key_is_ever_logged_shown_or_kept(control, served):
    for token in (ACME_TOKEN, A1_KEY, A2_KEY, "nobodys-key-777"):
        Sender(served.port, token).post("acme", "web")
    wait_until((served.root / "directory.cache").exists, "the directory on disk")
    assert (served.root / "directory.cache").stat().st_mode & 0o777 == 0o600
    seen = (served.log() + served.get("/metrics").text() + served.get("/api/v1/health").text() +
            served.get("/api/v1/config").text() + (served.root / "directory.cache").read_text())
    for secret in (ACME_TOKEN, A1_KEY, A2_KEY, "nobodys-key-777", SERVICE_KEY):
        assert secret not in seen


def test_many_senders_of_one_unknown_tenant_make_one_call(control, served):
    statuses = []
    with control.fail("tenant", hold=True) as fault:
        senders = [threading.Thread(target=lambda: statuses.append(Sender(served.port, A1_KEY).post("late", "d").status))
                   for _ in range(12)]
        for sender in senders:
            sender.start()
        wait_until(lambda: fault.hits >= 1, "the call")
        wait_until(lambda: served.scrape().total("bytefreezer_receiver_connections") >= 12, "all senders")
        control.tenant("late", "a1", ["d"])
    for sender in senders:
        sender.join()
    assert statuses == [200] * 12
    assert len([call for call in control.called("tenant") if call.path.endswith("/late")]) <= 2


@pytest.mark.parametrize("call", ["accounts", "tenants", "datasets"])
def test_a_stop_in_the_middle_of_the_first_round_is_a_stop(control, make_receiver, call):
    """At the moment at which the service is asked, and its answer is on the way."""
    populate(control)
    for life in range(40):
        before = len(control.called(call))
        receiver = make_receiver(name=f"life{life}", pipeline=pipeline(control)).launch()
        wait_until(lambda before=before: len(control.called(call)) > before, f"a call of {call}")
        receiver.stop()
