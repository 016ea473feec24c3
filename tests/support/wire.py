# SPDX-License-Identifier: Apache-2.0
"""A small HTTP/1.1 client on a raw socket: sends exactly the bytes it is told to, and reads replies strictly."""
import json
import socket


class Closed(Exception):
    """The peer closed or reset the connection before a whole reply had come."""


class Reply:
    def __init__(self, version, status, reason, headers, body):
        self.version = version
        self.status = status
        self.reason = reason
        self.headers = headers  # list of (lower-case name, value)
        self.body = body

    def header(self, name, default=None):
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) <= 1, f"{name} given {len(values)} times"
        return values[0] if values else default

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<Reply {self.status} {self.headers} {self.body[:200]!r}>"


class Connection:
    """One connection. `interim` collects 1xx replies, as status numbers, in the order in which they came."""

    def __init__(self, port, host="127.0.0.1", timeout=60.0, source=None):
        self.socket = socket.create_connection((host, port), timeout=timeout, source_address=source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.interim = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, target, headers=(), body=b""):
        """One whole request and its reply. Content-Length and Host are added unless given."""
        self.send(head(method, target, headers, len(body)) + body)
        return self.read_reply(method)

    def read_reply(self, method="GET"):
        while True:
            version, status, reason = self._status_line()
            headers = self._headers()
            if status >= 200:
                break
            self.interim.append(status)
        return Reply(version, status, reason, headers, self._body(method, status, headers))

    def read_interim(self):
        """The next 1xx status; fails on a final one."""
        _, status, reason = self._status_line()
        self._headers()
        assert 100 <= status < 200, f"expected an interim reply, got {status} {reason}"
        return status

    def at_end(self):
        """True when the peer has closed and nothing is left to read. Waits for either."""
        if self.buffer:
            return False
        try:
            self.buffer = self.socket.recv(65536)
        except ConnectionError:
            return True
        return not self.buffer

    def _fill(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed(f"end of stream after {self.buffer[:200]!r}")
        self.buffer += data

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _status_line(self):
        version, status, reason = (self._line().split(" ", 2) + [""])[:3]
        assert version in ("HTTP/1.1", "HTTP/1.0"), f"not a status line: {version!r}"
        return version, int(status), reason

    def _headers(self):
        headers = []
        while line := self._line():
            name, value = line.split(":", 1)
            headers.append((name.lower(), value.strip()))
        return headers

    def _take(self, count):
        while len(self.buffer) < count:
            self._fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def _body(self, method, status, headers):
        fields = dict(headers)
        if method == "HEAD" or status in (204, 304):
            return b""
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked()
        if "content-length" in fields:
            return self._take(int(fields["content-length"]))
        return self._until_end()

    def _chunked(self):
        body = b""
        while size := int(self._line().split(";")[0], 16):
            body += self._take(size)
            assert self._line() == "", "a chunk is longer than it says"
        while self._line():
            pass
        return body

    def _until_end(self):
        try:
            while True:
                self._fill()
        except Closed:
            body, self.buffer = self.buffer, b""
            return body


def head(method, target, headers=(), body_length=None):
    """The head of a request as bytes. `headers` is a mapping or a list of pairs."""
    pairs = list(headers.items()) if hasattr(headers, "items") else list(headers)
    names = {name.lower() for name, _ in pairs}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in names:
        lines.append("Host: receiver.test")
    lines += [f"{name}: {value}" for name, value in pairs]
    framed = "content-length" in names or "transfer-encoding" in names
    if body_length is not None and not framed and (body_length or method == "POST"):
        lines.append(f"Content-Length: {body_length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data):
    """`data` as one chunk of a chunked body; empty data is the last one."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def request(port, method, target, headers=(), body=b""):
    """One request on a connection of its own."""
    with Connection(port) as connection:
        return connection.request(method, target, headers, body)
