# SPDX-License-Identifier: Apache-2.0
"""Bodies of 1 KB to 1 MB from many connections at once, as a process of its own, so that it does not hold up the one that
watches. Each posts a batch when it has its reply. `python3 -m support.mixed_load PORT CONNECTIONS SECONDS` prints how many
replies of each status there were, and connections `closed` without one, as JSON."""
import json
import random
import sys
import threading
import time
from collections import Counter

from support import wire
from support.sender import batch_name, proxy_headers

TENANTS = 4


def make_bodies():
    """As many between 1 and 2 KB as between 512 KB and 1 MB. They do not compress and begin as a gzip member does."""
    draw = random.Random(36)
    sizes = [int(1024 * 1024 ** draw.random()) for _ in range(62)] + [1024, 1 << 20]
    return [b"\x1f\x8b\x08\x00" + draw.randbytes(size - 4) for size in sizes]


class Client(threading.Thread):
    """One connection; a new one when the server has closed it."""

    def __init__(self, port, number, bodies, end):
        super().__init__()
        self.port, self.tenant, self.bodies, self.end = port, f"tenant{number % TENANTS}", bodies, end
        self.draw, self.statuses = random.Random(number), Counter()

    def run(self):
        while time.monotonic() < self.end:
            try:
                with wire.Connection(self.port) as connection:
                    self.post_on(connection)
            except (ConnectionError, wire.Closed):  # refused, and too slow to read that
                self.statuses["closed"] += 1

    def post_on(self, connection):
        closes = False
        while time.monotonic() < self.end and not closes:
            body = self.draw.choice(self.bodies)
            headers = proxy_headers(batch_name(self.tenant, "web"), body)
            reply = connection.request("POST", f"/{self.tenant}/web", headers, body)
            self.statuses[str(reply.status)] += 1
            closes = reply.header("connection", "").lower() == "close"


def main():
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    bodies, end = make_bodies(), time.monotonic() + seconds
    clients = [Client(port, number, bodies, end) for number in range(connections)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    print(json.dumps(sum((client.statuses for client in clients), Counter())))


if __name__ == "__main__":
    main()
