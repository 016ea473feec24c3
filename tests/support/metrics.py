# SPDX-License-Identifier: Apache-2.0
"""Reads a page of metrics in the Prometheus text format, strictly."""
import re

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(?:,|$)')

PREFIX = "bytefreezer_receiver_"


def _labels(text):
    pairs, position = [], 0
    while position < len(text):
        match = _LABEL.match(text, position)
        assert match, f"not a label: {text[position:]!r}"
        pairs.append((match.group(1), match.group(2)))
        position = match.end()
    return pairs


class Scrape:
    def __init__(self, page):
        self.samples = {}  # (name, frozenset of label pairs) -> value
        self.types = {}
        self.helps = {}
        for line in page.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"{name} has two TYPE lines"
                self.types[name] = kind
            elif line.startswith("# HELP "):
                _, _, name, text = line.split(" ", 3)
                assert name not in self.helps, f"{name} has two HELP lines"
                self.helps[name] = text
            elif line and not line.startswith("#"):
                self._add(line)

    def _add(self, line):
        match = _SAMPLE.match(line)
        assert match, f"not a sample: {line!r}"
        key = (match.group(1), frozenset(_labels(match.group(2) or "")))
        assert key not in self.samples, f"twice on one page: {line!r}"
        self.samples[key] = float(match.group(3))

    def series(self, name, **labels):
        """All values of a metric whose labels include the given ones."""
        wanted = set(labels.items())
        return {key[1]: value for key, value in self.samples.items() if key[0] == name and wanted <= key[1]}

    def total(self, name, **labels):
        """Their sum; 0 when there is none yet."""
        return sum(self.series(name, **labels).values())

    def batches(self, word):
        """The total of one word of the conservation line: accepted, stored, held, buried, purged, recovered."""
        suffix = "batches" if word in ("held", "buried", "unaccounted") else "batches_total"
        return self.total(f"{PREFIX}{word}_{suffix}")

    def check_conservation(self):
        """recovered + accepted = stored + held + buried + purged, on this one page."""
        have = {word: self.batches(word) for word in ("recovered", "accepted", "stored", "held", "buried", "purged")}
        left = have["recovered"] + have["accepted"]
        right = have["stored"] + have["held"] + have["buried"] + have["purged"]
        assert left == right, f"not conserved: {have}"
        assert self.batches("unaccounted") == 0
        return have
