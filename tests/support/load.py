# SPDX-License-Identifier: Apache-2.0
"""Many keep-alive connections in one thread: each posts one batch after the other, and every 200 is remembered with
the name it was for, so that afterwards each can be looked for in the sink."""
import collections
import selectors
import socket
import threading
import time

from support import sender, wire

_BODIES = 64


class _Client:
    """One connection: a request is out, or one is about to be sent."""

    def __init__(self, load):
        self.load = load
        self.socket = None
        self.open()

    def open(self):
        self.received = b""
        self.name = self.body = None
        try:
            self.socket = socket.create_connection(("127.0.0.1", self.load.port), timeout=30)
        except OSError:
            self.load.refused += 1
            self.socket = None
            return
        self.load.connects += 1
        self.socket.setblocking(False)
        self.load.selector.register(self.socket, selectors.EVENT_READ, self)

    def close(self):
        if self.socket is not None:
            self.load.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None

    def send(self):
        """The next batch. A request is far smaller than a socket's buffer, so it goes out whole."""
        self.name, self.body, request = self.load.next_request()
        try:
            sent = self.socket.send(request)
        except OSError:
            self.reopen()
            return
        assert sent == len(request)

    def reopen(self):
        """The server closed. What was out without a reply is nobody's promise."""
        if self.name is not None:
            self.load.unanswered += 1
        self.close()
        if not self.load.stopping:
            self.open()
            if self.socket is not None:
                self.send()

    def on_readable(self):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.reopen()
            return
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.received[:end].lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self.received) < end + 4 + length:
            return
        self.on_reply(int(head.split(b" ", 2)[1]), b"connection: close" in head)

    def on_reply(self, status, closes):
        self.load.statuses[status] += 1
        if status == 200:
            self.load.accepted[self.name] = self.body
        self.name = None
        self.received = b""
        if closes:
            self.reopen()
        elif self.load.stopping:
            self.close()
        else:
            self.send()


class Load:
    """`statuses` counts replies; `accepted` maps the name of each batch answered 200 to its body; `unanswered` counts
    requests whose connection ended before a reply; `sent` has all bodies by name."""

    def __init__(self, port, connections=200, tenants=4, first=0):
        self.port = port
        self.connections = connections
        self.statuses = collections.Counter()
        self.accepted = {}
        self.sent = {}
        self.unanswered = self.refused = self.connects = 0
        self.stopping = False
        self.selector = selectors.DefaultSelector()
        self._bodies = [sender.gzip_batch(1 + n, filler="x" * (17 * n)) for n in range(_BODIES)]
        self._tenants = [f"tenant{n}" for n in range(tenants)]
        self._sent = first  # the ordinal of the next one; names come from it
        self._thread = threading.Thread(target=self._run, name="load")
        self._end = None

    def next_request(self):
        ordinal = self._sent
        self._sent += 1
        tenant = self._tenants[ordinal % len(self._tenants)]
        body = self._bodies[ordinal % _BODIES]
        name = f"{tenant}--web--{1_700_000_000_000_000_000 + ordinal}--ndjson.gz"
        headers = sender.proxy_headers(name, body)
        self.sent[f"{tenant}/web/{name}"] = body
        return f"{tenant}/web/{name}", body, wire.head("POST", f"/{tenant}/web", headers, len(body)) + body

    def start(self, seconds):
        self._end = time.monotonic() + seconds
        self._thread.start()
        return self

    def join(self):
        self._thread.join()
        return self

    def _run(self):
        clients = [_Client(self) for _ in range(self.connections)]
        for client in clients:
            if client.socket is not None:
                client.send()
        while self.selector.get_map():
            self.stopping = self.stopping or time.monotonic() > self._end
            for key, _ in self.selector.select(timeout=1.0):
                key.data.on_readable()
        self.selector.close()
