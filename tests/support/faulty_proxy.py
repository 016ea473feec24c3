# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy in front of a store that goes wrong when told to. It knows of HTTP only what it must: where a request begins,
so that a fault can pick the one it is for.

A fault is a function (connection, head) -> None that takes over the connection from the head of the request on; `head` is
what was read, at least the whole head. Connections it does not want it hands to connection.relay(head)."""
import re
import socket
import struct
import threading
import time


def reset(sock):
    """Close with RST, as a machine that died."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    except OSError:
        pass


def content_length(head):
    match = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    return int(match.group(1)) if match else 0


class Connection:
    """One client, one connection to the store, request after request."""

    def __init__(self, proxy, client):
        self.proxy = proxy
        self.client = client
        self.store = None

    def run(self):
        try:
            while True:
                head = self.read_head(self.client)
                if not head:
                    break
                fault = self.proxy.take_fault(head)
                if fault is not None:
                    self.proxy.hits += 1
                    fault(self, head)
                else:
                    self.relay(head)
        except OSError:
            pass
        finally:
            self.close()

    def close(self):
        for sock in (self.client, self.store):
            if sock is not None:
                try:
                    sock.close()
                except OSError:
                    pass

    @staticmethod
    def read_head(sock):
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return b""
            data += more
        return data

    def connect(self):
        if self.store is None:
            self.store = socket.create_connection(("127.0.0.1", self.proxy.store_port), timeout=60)
        return self.store

    def body(self, head):
        """The request's body in pieces, what came with the head first."""
        at = head.index(b"\r\n\r\n") + 4
        left = content_length(head[:at])
        piece = head[at:]
        while True:
            left -= len(piece)
            if piece:
                yield piece
            if left <= 0:
                return
            piece = self.client.recv(min(65536, left))
            if not piece:
                raise ConnectionError("the client went away")

    def forward(self, head, change=None):
        """The whole request to the store, `change` applied to each piece of the body."""
        store = self.connect()
        store.sendall(head[:head.index(b"\r\n\r\n") + 4])
        for piece in self.body(head):
            store.sendall(change(piece) if change else piece)

    def read_reply(self, request):
        """The store's whole reply."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.store.recv(65536)
            if not more:
                raise ConnectionError("the store went away")
            data += more
        at = data.index(b"\r\n\r\n") + 4
        if request.startswith(b"HEAD ") or re.match(rb"HTTP/1.1 (204|304)", data):
            return data
        left = content_length(data[:at]) - (len(data) - at)
        while left > 0:
            more = self.store.recv(65536)
            if not more:
                raise ConnectionError("the store went away")
            data += more
            left -= len(more)
        return data

    def relay(self, head, change=None):
        self.forward(head, change)
        reply = self.read_reply(head)
        self.proxy.on_reply(head, reply)
        self.client.sendall(reply)


# --- what can go wrong

def cut_mid_body(connection, head):
    """Half of the body reaches the store, then both sides see a reset."""
    half = content_length(head) // 2
    store = connection.connect()
    store.sendall(head[:head.index(b"\r\n\r\n") + 4])
    sent = 0
    for piece in connection.body(head):
        piece = piece[:half - sent]
        store.sendall(piece)
        sent += len(piece)
        if sent >= half:
            break
    reset(store)
    connection.store = None
    reset(connection.client)


def stall(connection, head):
    """The head is read, and then nothing ever happens until the client gives up."""
    del head
    connection.client.settimeout(120)
    while connection.client.recv(65536):
        pass


def lose_reply(connection, head):
    """The store has done what it was asked; nobody hears of it."""
    connection.forward(head)
    reply = connection.read_reply(head)
    connection.proxy.on_reply(head, reply)
    reset(connection.client)


def flip_a_bit(connection, head):
    """One bit of the body changes on its way."""
    changed = []

    def change(piece):
        if changed:
            return piece
        changed.append(True)
        return bytes([piece[0] ^ 1]) + piece[1:]

    connection.relay(head, change)


def drip(connection, head):
    """The reply comes at one byte each second."""
    connection.forward(head)
    for byte in connection.read_reply(head):
        connection.client.sendall(bytes([byte]))
        time.sleep(1)


def answer(status, body=b"", headers=()):
    """The store is not asked; this is the reply."""

    def fault(connection, head):
        for _ in connection.body(head):
            pass
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers]
        reply = "\r\n".join(lines).encode() + b"\r\n\r\n"
        connection.client.sendall(reply if head.startswith(b"HEAD ") else reply + body)

    return fault


def error(status, code, more="", headers=()):
    """An answer as a store gives it."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>made up</Message>{more}</Error>'.encode()
    return answer(status, body, headers)


class FaultyProxy:
    def __init__(self, store_port):
        self.store_port = store_port
        self.listener = None
        self.port = None
        self.lock = threading.Lock()
        self.faults = []  # (times left, pattern, fault)
        self.seen = []  # request lines
        self.replies = []  # (request line, status)
        self.hits = 0
        self.when_replied = None  # called with (head, reply) before the reply goes on
        self.connections = []
        self.open()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def open(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port or 0))
        self.port = self.listener.getsockname()[1]
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def refuse(self):
        """Nothing listens any more, and what was open is reset."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            connections, self.connections = self.connections, []
        for connection in connections:
            for sock in (connection.client, connection.store):
                if sock is not None:
                    reset(sock)

    close = refuse

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            connection = Connection(self, client)
            with self.lock:
                self.connections.append(connection)
            threading.Thread(target=connection.run, daemon=True).start()

    def fault(self, fault, pattern=rb"PUT /[^/]+/acme/", times=1):
        """The next `times` requests that match meet this fault."""
        with self.lock:
            self.faults.append([times, re.compile(pattern), fault])

    def heal(self):
        with self.lock:
            self.faults = []

    def take_fault(self, head):
        line = head.split(b"\r\n", 1)[0].decode("latin-1")
        with self.lock:
            self.seen.append(line)
            for entry in self.faults:
                if entry[0] > 0 and entry[1].match(head):
                    entry[0] -= 1
                    return entry[2]
        return None

    def on_reply(self, head, reply):
        with self.lock:
            self.replies.append((head.split(b"\r\n", 1)[0].decode("latin-1"), int(reply.split(b" ", 2)[1])))
        if self.when_replied is not None:
            self.when_replied(head, reply)

    def requests(self, method, part=""):
        with self.lock:
            return [line for line in self.seen if line.startswith(f"{method} ") and part in line]
