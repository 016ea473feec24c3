# SPDX-License-Identifier: Apache-2.0
"""The API of a running daemon as a client sees it."""
import json

from support import wire


class Api:
    """Requests to one daemon; `token` goes with each of them."""

    def __init__(self, receiver, token=None):
        self.receiver = receiver
        self.headers = [("Authorization", f"Bearer {token}")] if token else []

    def request(self, method, path, body=None, headers=()):
        """A reply with its status; `body` is sent as JSON unless it is bytes."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.lower() for name, _ in headers}
        more = [("Host", self.host)] if "host" not in given else []
        if data and "content-type" not in given:
            more.append(("Content-Type", "application/json"))
        return wire.request(self.receiver.api_port, method, path, [*self.headers, *more, *headers], data)

    @property
    def host(self):
        return f"127.0.0.1:{self.receiver.api_port}"

    def get(self, path, status=200):
        reply = self.request("GET", path)
        assert reply.status == status, reply
        return reply.json()

    def post(self, path, body=None, status=200):
        reply = self.request("POST", path, body)
        assert reply.status == status, reply
        return reply.json()

    def put(self, path, body=None, status=200):
        reply = self.request("PUT", path, body)
        assert reply.status == status, reply
        return reply.json()

    def letters(self, query="", limit=100):
        """All letters, page by page."""
        found, cursor = [], None
        while True:
            page = self.get(f"/api/v1/dlq/files?limit={limit}{query}" + (f"&cursor={cursor}" if cursor else ""))
            assert len(page["data"]) <= limit
            found += page["data"]
            cursor = page["next"]
            if cursor is None:
                return found
            assert len(page["data"]) == limit and cursor == page["data"][-1]["id"]
