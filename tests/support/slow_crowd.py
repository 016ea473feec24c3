# SPDX-License-Identifier: Apache-2.0
"""Slow clients by the hundred, driven by one thread and one epoll: `python3 -m support.slow_crowd PORT HEADS BODIES IDLE`
from tests/. Heads come at 1 byte a second, bodies at 10; the idle ones declare 10 MB and send nothing. A connection that
the receiver closes is made anew. Prints a line when all are connected, runs until its standard input ends, then prints
what became of them as JSON."""
import json
import os
import select
import socket
import sys
import time
from collections import Counter

from support import wire
from support.sender import batch_name, proxy_headers

TEN_MB = 10_000_000


class Slow:
    def __init__(self, kind, at):
        self.kind, self.next = kind, at
        self.socket = None

    def connect(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        length = TEN_MB if self.kind == "idle" else 100_000
        head = wire.head("POST", "/slow/web", proxy_headers(batch_name("slow", "web"), b""), length)
        self.socket.setblocking(False)
        self.left = head if self.kind == "head" else b"\x1f\x8b\x08\x00" + b"x" * 1000
        if self.kind != "head":
            self.socket.send(head)

    def send_some(self):
        count = 1 if self.kind == "head" else 10
        piece, self.left = self.left[:count], self.left[count:]
        self.socket.send(piece)


class Crowd:
    def __init__(self, port, heads, bodies, idle):
        now = time.monotonic()
        kinds = ["head"] * heads + ["body"] * bodies + ["idle"] * idle
        self.port, self.poll, self.by_fd = port, select.epoll(), {}
        self.ends, self.statuses = Counter(), Counter()
        self.clients = [Slow(kind, now + i / len(kinds)) for i, kind in enumerate(kinds)]
        for client in self.clients:
            self._join(client)

    def _join(self, client):
        client.connect(self.port)
        self.by_fd[client.socket.fileno()] = client
        self.poll.register(client.socket, select.EPOLLIN)

    def _end(self, client):
        try:
            reply = client.socket.recv(4096)
        except OSError:
            reply = b""
        if reply:
            self.statuses[reply.split(b" ", 2)[1].decode()] += 1
        self.ends[client.kind] += 1
        del self.by_fd[client.socket.fileno()]
        client.socket.close()
        self._join(client)

    def turn(self):
        """A tenth of a second: whoever is due sends, whoever was closed comes again. False when it is time to go."""
        go_on = True
        for fd, _ in self.poll.poll(0.1):
            if fd == sys.stdin.fileno():
                go_on = False
            else:
                self._end(self.by_fd[fd])
        now = time.monotonic()
        for client in self.clients:
            if client.kind != "idle" and client.next <= now:
                client.next += 1
                try:
                    client.send_some()
                except OSError:
                    pass  # its end is seen by the next poll
        return go_on

    def run(self):
        print("connected", flush=True)
        self.poll.register(sys.stdin, select.EPOLLIN)
        while self.turn():
            pass
        print(json.dumps({"ends": self.ends, "statuses": self.statuses}), flush=True)
        os._exit(0)  # the sockets end with the process


if __name__ == "__main__":
    Crowd(*map(int, sys.argv[1:5])).run()
