# SPDX-License-Identifier: Apache-2.0
"""Waiting for conditions. A test never sleeps for a time and hopes; it names what it waits for."""
import time

LIMIT = 60.0  # seconds; generous, because instrumented builds on a loaded machine are slow


def wait_until(condition, what, limit=LIMIT):
    """Return the first true value of condition(), or fail saying what did not come."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {limit:g} s")
        time.sleep(0.01)
