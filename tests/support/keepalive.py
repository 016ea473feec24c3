# SPDX-License-Identifier: Apache-2.0
"""Senders that each keep one connection and post on it without pause, and remember everything that was not a 200."""
import threading

from support import sender, wire


class Keepalive:
    """`connect` gives a new wire.Connection; one that ends, or a reply other than 200, is a failure."""

    def __init__(self, connect, senders=4):
        self.connect = connect
        self.failures = []
        self.counts = [0] * senders
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), name=f"sender{n}") for n in range(senders)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _post(self, connection):
        name, body = sender.batch_name("acme", "web"), sender.gzip_batch()
        return connection.request("POST", "/acme/web", sender.proxy_headers(name, body), body)

    def _run(self, number):
        try:
            with self.connect() as connection:
                while not self._over.is_set():
                    reply = self._post(connection)
                    if reply.status != 200:
                        self.failures.append(repr(reply))
                    self.counts[number] += 1
        except (OSError, wire.Closed) as error:
            self.failures.append(repr(error))
