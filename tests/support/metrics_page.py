# SPDX-License-Identifier: Apache-2.0
"""docs/metrics.md holds what a daemon with every part shows; this makes its table from a page."""
import re

BEGIN, END = "<!-- table: made from a running daemon by tests/e2e/test_27_metrics.py -->", "<!-- end of table -->"

# Families of plugins; all others are the daemon's own.
PLUGINS = {
    "auth (control)": r"bytefreezer_receiver_directory_.*",
    "disk": r"bytefreezer_receiver_(commit.*|spool_.*|unsettled_.*)",
}


def owner(name):
    return next((plugin for plugin, pattern in PLUGINS.items() if re.fullmatch(pattern, name)), "")


def unit(name):
    base = re.sub(r"_total$", "", name)
    if base.endswith("_timestamp_seconds"):
        return "Unix time"
    return next((word for word in ("seconds", "bytes") if base.endswith(word)), "")


def labels_of(scrape, name):
    """Of a family; `le` goes without saying."""
    ends = ("", "_bucket") if scrape.types[name] == "histogram" else ("",)
    found = [[label for label, _ in key] for sample, key in scrape.samples if sample in {name + end for end in ends}]
    return sorted({label for labels in found for label in labels} - {"le"})


def table(scrape):
    rows = []
    for name, kind in scrape.types.items():
        labels = ", ".join(f"`{label}`" for label in labels_of(scrape, name))
        rows.append(f"| `{name}` | {kind} | {labels} | {unit(name)} | {owner(name)} | {scrape.helps[name]} |")
    head = ["| name | type | labels | unit | of | meaning |", "|---|---|---|---|---|---|"]
    return "\n".join([BEGIN, "", *head, *sorted(rows), "", END])


def names(page):
    """The families that the page has rows for."""
    return set(re.findall(r"^\| `([a-z_:0-9]+)` \|", page, re.M))
