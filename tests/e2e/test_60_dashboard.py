# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser: what a person sees of a daemon that is well, cut off, full, has dead letters or is gone.
Every state is photographed into the test's folder."""
import random

import pytest
from selenium.webdriver.common.keys import Keys

from support.browser import Dashboard, browser  # noqa: F401
from support.letters import bury
from support.load import Load
from support.outage import QUICK_RETRY, Obstacle
from support.sender import Sender, gzip_batch
from support.wait import wait_until

TOKEN = "planted-admin-token-77"
SOON = 5 * 5  # seconds; "within 5 s", five times over
HOSTILE = "<img src=x onerror=window.witness.push('ran')>\u202eexe.gz"


@pytest.fixture
def shown(make_receiver, browser, tmp_path):
    """shown(config, **spool) gives a started daemon with every kind of stage, and its page, open."""

    def make(config=None, pipeline=None, **spool):
        receiver = make_receiver({"ack": "disk", "retry": QUICK_RETRY, **(config or {})}, pipeline=pipeline or [
            {"plugin": "auth", "mode": "open"},
            {"plugin": "memory", "max_bytes": "64MiB"},
            {"plugin": "disk", "directory": str(tmp_path / "spool"), "max_size_bytes": "16MiB", "segment_bytes": "256KiB",
             "min_free_bytes": "1MiB", **spool},
            {"plugin": "fs", "directory": str(tmp_path / "store")},
        ]).start()
        receiver.sink = tmp_path / "store"
        return receiver, Dashboard(browser, receiver, tmp_path).open()

    return make


def post(receiver, tenant="acme", size=100):
    body = gzip_batch(1, random.randbytes(size // 2).hex())
    return Sender(receiver.port).post(tenant, "web", body).status


def photograph(page, name):
    for width, dark in ((1280, False), (1280, True), (360, False)):
        page.shoot(name, width, dark)


def test_what_flows_what_is_cut_off_and_what_is_gone(shown):
    receiver, page = shown()
    page.wait_text("verdict-title", "Idle")
    assert post(receiver) == 200 and post(receiver, "umbrella") == 200
    page.wait_text("verdict-title", "Data is flowing")
    assert page.texts("#stages h3") == ["auth", "memory", "disk", "fs"]
    assert set(page.texts("#stages .state")) == {"ok"} and page.text("advice-empty").startswith("Nothing")
    wait_until(lambda: sorted(page.texts("#tenants th span")) == ["acme", "umbrella"], "both tenants")
    assert post(receiver, "..") == 400
    page.wait_text("refusals", "sets it aside")
    page.check_readable()
    page.check_tab_order()

    # Typing, and where the focus is, outlive refreshes.
    page.fill("#tenants-filter", "umb")
    page.wait_turns()
    assert page.texts("#tenants th span") == ["umbrella"] and page.focused() == "tenants-filter"
    page.check()

    obstacle = Obstacle(receiver.sink, "globex")
    assert [post(receiver, "globex") for _ in range(5)] == [200] * 5
    page.wait_text("verdict-title", "Held up: fs cannot be reached", SOON)
    assert receiver.get("/readyz").status == 200 and receiver.health()["status"] == "degraded"
    assert "degraded" in page.texts("#stages .state") and "globex" in page.text("advice")
    assert "No restart is needed" in page.text("advice") and " left" in page.text("advice")
    assert page.text("announcement").startswith("Held up")
    page.click("#verdict-link")
    assert page.focused() == "attention"
    page.check_readable()
    page.shoot("outage")
    obstacle.remove()
    page.wait_text("advice-empty", "Nothing")
    page.check()

    receiver.kill()
    page.wait_text("verdict-title", "does not answer")
    page.wait_text("freshness", "Last answer")
    assert page.text("announcement") == "The receiver does not answer."
    page.check_readable(1280)
    page.check(network_errors=True)


def test_dead_letters_are_for_operators_who_look_first_and_then_decide(shown):
    receiver, page = shown({"server": {"admin_token": TOKEN}})
    bury(receiver, names=[f"acme--web--1--{HOSTILE}", "acme--web--2--x.gz", "acme--web--3--x.gz"])
    page.wait_text("letters-count", "3")
    wait_until(lambda: page.shows("token-form"), "the question for the token")
    assert page.texts("#letters li") == [] and page.text("verdict-title") != ""
    page.fill("#token", "wrong")
    page.press(Keys.ENTER)
    page.wait_text("token-error", "not accepted")
    page.fill("#token", TOKEN)
    page.press(Keys.ENTER)
    page.wait_text("letters", "acme--web--3")
    assert not page.shows("token-form") and page.focused() == "letters-title"
    assert "\u202e" not in page.text("letters") and "onerror=" in page.text("letters") and "\\u{202e}" in page.text("letters")
    assert page.texts("#letters .reason") == ["conflict"] * 3
    page.check_readable()
    page.check_tab_order()

    # A retry says how many, and does nothing before the yes.
    (receiver.sink / "acme/web/acme--web--2--x.gz").unlink()
    page.click('[aria-label="Retry acme--web--2--x.gz"]')
    page.wait_text("confirm", "Retry 1 dead letter?")
    assert page.focused() == "confirm-no"
    page.check_readable()
    page.press(Keys.ESCAPE)
    assert receiver.scrape().batches("buried") == 3 and page.focused() == "Retry"
    page.press(Keys.ENTER)
    wait_until(lambda: page.shows("confirm-yes"), "the question")
    page.click("#confirm-yes")
    page.wait_text("letters-count", "2")
    wait_until(lambda: len(page.texts("#letters li")) == 2, "one letter less")
    assert len(receiver.wait_stored("acme/web/acme--web--2--x.gz")) > 50

    # A purge wants the tenant typed.
    page.fill("#letters-tenant", "acme")
    page.press(Keys.ENTER)
    page.click("#letters-purge")
    page.wait_text("confirm", "Purge 2 dead letters?")
    page.press(Keys.ENTER)
    page.fill("#confirm-word", "acm")
    page.press(Keys.ENTER)
    assert not page.find("#confirm-yes").is_enabled() and receiver.scrape().batches("buried") == 2
    page.press("e")
    page.press(Keys.ENTER)
    page.wait_text("letters-empty", "None match")
    assert receiver.scrape().batches("buried") == 0 and receiver.scrape().batches("purged") == 2
    page.check(network_errors=True)

    # The token is this tab's, and in no address.
    assert TOKEN not in page.script("return document.documentElement.outerHTML + location + document.cookie + JSON.stringify(localStorage)")
    assert all(TOKEN not in url for url in page.urls)
    page.click("#token-change")
    wait_until(lambda: page.shows("token-form"), "the question for the token")
    assert page.script("return sessionStorage.length") == 0


def test_the_page_lets_nobody_else_in(receiver):
    reply = receiver.get("/")
    policy = reply.header("content-security-policy")
    assert reply.status == 200 and reply.header("content-type") == "text/html; charset=utf-8"
    assert policy.startswith("default-src 'none'; ") and "script-src 'sha256-" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy and "form-action 'none'" in policy
    assert reply.header("x-content-type-options") == "nosniff" and reply.header("referrer-policy") == "no-referrer"
    assert "http://" not in reply.text().replace("http://www.w3.org/2000/svg", "") and "https://" not in reply.text()


def test_a_full_spool_says_so_and_what_to_do(shown):
    receiver, page = shown(max_size_bytes="4MiB")
    obstacle = Obstacle(receiver.sink)
    wait_until(lambda: post(receiver, size=200_000) == 503, "a full spool")
    page.wait_text("verdict-title", "Full: new batches are refused", SOON)
    assert page.text("room-full") == "full now" and "There is no room" in page.text("advice")
    page.wait_text("refusals", "spool full")
    page.check_readable()
    page.shoot("full")
    obstacle.remove()
    page.wait_text("advice-empty", "Nothing")
    page.check()


# --- what takes long

@pytest.mark.long
def test_pictures_of_every_state(shown, browser, tmp_path):
    receiver, page = shown({"server": {"admin_token": TOKEN}})
    load = Load(receiver.port, connections=1, tenants=9).start(25)
    page.wait_text("verdict-title", "Data is flowing")
    page.wait_turns(20)
    for name in ("..", "x" * 70):
        post(receiver, name)
    page.wait_turns(2)
    photograph(page, "healthy")
    page.check_readable(1280, 768, 360, 320)
    bury(receiver, names=[f"acme--web--1--{HOSTILE}", *(f"acme--web--170000000000000000{n}--ndjson.gz" for n in range(5))])
    page.wait_turns(1)
    page.shoot("token")
    page.fill("#token", TOKEN)
    page.press(Keys.ENTER)
    page.wait_text("letters", "acme--web")
    photograph(page, "letters")
    page.click("#letters .danger")
    page.wait_text("confirm", "Purge 1 dead letter?")
    page.look(1280, 900)
    browser.driver.get_screenshot_as_file(str(tmp_path / "purge.png"))
    page.look(360, 700, dark=True)
    browser.driver.get_screenshot_as_file(str(tmp_path / "purge-360.png"))
    page.press(Keys.ESCAPE)
    load.join()
    obstacle = Obstacle(receiver.sink, "globex")
    for _ in range(5):
        assert post(receiver, "globex", size=200_000) == 200
    page.wait_text("verdict-title", "Held up")
    page.wait_turns(3)
    photograph(page, "outage")
    wait_until(lambda: post(receiver, "globex", size=400_000) == 503, "a full spool")
    page.wait_text("verdict-title", "Full")
    page.wait_turns(3)
    photograph(page, "full")
    page.check_readable(1280, 360)
    obstacle.remove()
    receiver.kill()
    page.wait_text("verdict-title", "does not answer")
    photograph(page, "gone")
    page.check(network_errors=True)
