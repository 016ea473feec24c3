# SPDX-License-Identifier: Apache-2.0
"""A filesystem sink that is away: for tests of what happens while nothing can be stored."""

# Fast enough that a test need not wait long for the recovery.
QUICK_RETRY = {"initial": "20ms", "max": "200ms", "probe_interval": "50ms"}


class Obstacle:
    """A plain file where {directory}/{tenant} should be. Unlike a permission, it stops root too."""

    def __init__(self, directory, tenant="acme"):
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / tenant
        self.path.write_bytes(b"in the way")

    def remove(self):
        self.path.unlink()
