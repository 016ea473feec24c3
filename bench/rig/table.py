# SPDX-License-Identifier: Apache-2.0
"""Figures of several alternations as text: median (lowest-highest), and the files that a run leaves behind."""
import json
import statistics


def spread(values):
    """Lowest, median and highest of what was measured; None when nothing was."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"min": min(known), "median": statistics.median(known), "max": max(known)}


def ratios(values, references):
    """Each value over the reference of its own alternation: what slowed both down falls out."""
    return [value / reference if value is not None and reference else None
            for value, reference in zip(values, references)]


def swing(values):
    """Highest over lowest: how far from steady the thing measured was."""
    found = spread(values)
    return number(found["max"] / found["min"]) if found and found["min"] > 0 else "-"


def number(value):
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def text(values, scale=1.0):
    found = spread(values)
    if found is None:
        return "-"
    low, middle, high = (number(found[key] * scale) for key in ("min", "median", "max"))
    return middle if low == high else f"{middle} ({low}-{high})"


def markdown(head, rows):
    """A table whose columns also line up for those who read it as plain text."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]

    def render(line):
        first, *rest = (cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(line, widths)))
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths))
    return "\n".join([render(head), rule + "|", *map(render, rows)])


def size_name(size):
    for unit, name in ((1 << 20, "MB"), (1 << 10, "KB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def save(directory, name, document, page):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    (directory / f"{name}.md").write_text(page + "\n")
    print(f"\nSaved: {directory / name}.json and .md")
