# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a window, and one page in it: what it shows, what it asked for, what it complained about."""
import json
import os
import pathlib
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from support.wait import wait_until

_FLAGS = ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync", "--disable-extensions", "--force-color-profile=srgb", "--lang=en")

# Runs before the page's own script: what its policy refused, and what went wrong in it.
_WITNESS = """
    window.witness = [];
    addEventListener('securitypolicyviolation', e => witness.push('policy: ' + e.violatedDirective + ' ' + e.blockedURI));
    addEventListener('error', e => witness.push('error: ' + e.message));
    addEventListener('unhandledrejection', e => witness.push('rejection: ' + e.reason));
"""

# Elements that show a text of their own, with the contrast of that text to what is behind it (WCAG 2.1, 1.4.3).
_CONTRAST = """
    const channels = text => text.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const colour = channels(getComputedStyle(node).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const poor = [];
    for (const node of document.querySelectorAll('body *')) {
        const own = [...node.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('');
        const box = node.getBoundingClientRect();
        if (!own || box.width < 2 || box.height < 2 || node.disabled || !node.checkVisibility()) continue;
        const style = getComputedStyle(node), size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        const [one, other] = [luminance(channels(style.color)), luminance(behind(node))].sort((x, y) => y - x);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < (large ? 3 : 4.5)) poor.push(`${own.slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return poor;
"""

# What a person with a keyboard can reach, in the order of the document.
_REACHABLE = """
    return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
        .filter(n => !n.disabled && n.checkVisibility()).map(n => n.id || n.textContent.trim());
"""


class Browser:
    """One Chromium for many pages. `root`: a folder of its own."""

    def __init__(self, root):
        options = webdriver.ChromeOptions()
        for flag in (*_FLAGS, f"--user-data-dir={root}/profile", *(["--no-sandbox"] if os.getuid() == 0 else [])):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        service = Service(shutil.which("chromedriver"), log_path=f"{root}/chromedriver.log")
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WITNESS})
        self.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})

    def close(self):
        self.driver.quit()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One for each module that imports it."""
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


class Dashboard:
    """The page at `/` of one daemon. Shots go to `folder`."""

    def __init__(self, browser, receiver, folder):
        self.driver = browser.driver
        self.base = f"http://127.0.0.1:{receiver.api_port}"
        self.folder = pathlib.Path(folder)
        self.driver.get("about:blank")
        self.look()
        self.urls = []
        self._console = []
        self._take_logs()
        self.urls, self._console = [], []

    def open(self):
        self.driver.get(self.base + "/")
        return self

    # What it looks like

    def look(self, width=1280, height=900, dark=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}]})

    def shoot(self, name, width=1280, dark=False):
        """The whole page as a picture."""
        self.look(width, dark=dark)
        height = min(8000, self.script("return document.documentElement.scrollHeight"))
        self.look(width, height, dark)
        self.driver.get_screenshot_as_file(str(self.folder / f"{name}-{width}-{'dark' if dark else 'light'}.png"))
        self.look()

    # What it says

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def text(self, element_id):
        return self.script("return document.getElementById(arguments[0])?.innerText ?? ''", element_id)

    def texts(self, selector):
        return self.script("return [...document.querySelectorAll(arguments[0])].map(n => n.innerText)", selector)

    def shows(self, element_id):
        return self.script("return document.getElementById(arguments[0]).checkVisibility()", element_id)

    def wait_text(self, element_id, part, limit=60):
        try:
            return wait_until(lambda: part in self.text(element_id) and self.text(element_id), "it", limit)
        except AssertionError:
            raise AssertionError(f"'{part}' did not come in {element_id}, which says '{self.text(element_id)}'") from None

    def wait_turns(self, count=2):
        """Until the page has asked and shown so many times more."""
        asked = "return performance.getEntriesByName(location.origin + '/metrics').length"
        self.script("performance.clearResourceTimings()")
        wait_until(lambda: self.script(asked) > count, "answers to the page")

    # What is done with it

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector):
        self.find(selector).click()

    def fill(self, selector, text):
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def press(self, key, times=1):
        for _ in range(times):
            ActionChains(self.driver).send_keys(key).perform()

    def focused(self):
        return self.script("const n = document.activeElement; return n === document.body ? '' : n.id || n.textContent.trim()")

    # What must hold in every state

    def _take_logs(self):
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.urls.append(message["params"]["request"]["url"])
        self._console += [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def check(self, network_errors=False):
        """Nothing was refused by the policy, nothing failed, nothing was asked of anybody else. `network_errors`: the
        browser's own line about a request that got a 401, or no answer, is expected."""
        self._take_logs()
        strangers = [url for url in self.urls if not url.startswith((self.base + "/", "data:"))]
        assert not strangers, strangers
        assert self.script("return window.witness") == []
        console = [entry["message"] for entry in self._console if not (network_errors and entry["source"] == "network")]
        assert console == [], console

    def check_readable(self, *widths):
        """Contrast, names of controls, and no sideways scrolling, in light and dark."""
        for width in widths or (1280, 320):
            for dark in (False, True):
                self.look(width, dark=dark)
                assert self.script(_CONTRAST) == [], f"width {width}, dark {dark}"
                wide = self.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{wide} px too wide at {width}"
        self.look()
        # Behind an open dialog there is nothing for anybody.
        inside = "dialog[open]" if self.script("return !!document.querySelector('dialog[open]')") else "body"
        controls = self.find(inside).find_elements(By.CSS_SELECTOR, "button, input, select, a, [role=meter], [role=img]")
        nameless = [control.get_attribute("outerHTML") for control in controls
                    if control.is_displayed() and not control.accessible_name]
        assert nameless == []

    def check_tab_order(self):
        """Tab goes through all there is, in the document's order, and each stop can be seen."""
        self.script("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
        expected = self.script(_REACHABLE)
        reached = []
        for _ in expected:
            self.press(Keys.TAB)
            reached.append(self.focused())
            outline = self.script("return getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"no focus to be seen on {reached[-1]}"
        assert reached == expected
