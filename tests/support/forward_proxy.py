# SPDX-License-Identifier: Apache-2.0
"""A forward proxy as companies have them: requests in absolute form for http, CONNECT for https. It notes what it was asked
for, and can want a name and a password."""
import base64
import http.client
import http.server
import select
import socket
import threading
import urllib.parse


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _is_let_in(self):
        wanted = self.server.credentials
        given = self.headers.get("Proxy-Authorization", "")
        if wanted is None or given == "Basic " + base64.b64encode(wanted.encode()).decode():
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        return False

    def do_CONNECT(self):
        if not self._is_let_in():
            return
        self.server.seen.append(("CONNECT", self.path))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as far:
            self.send_response(200)
            self.end_headers()
            self._relay(far)
        self.close_connection = True

    def _relay(self, far):
        pairs = {self.connection: far, far: self.connection}
        while True:
            for ready in select.select(list(pairs), [], [], 30)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                pairs[ready].sendall(data)

    def _forward(self):
        if not self._is_let_in():
            return
        self.server.seen.append((self.command, self.path))
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        far = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        headers = {name: value for name, value in self.headers.items()
                   if name.lower() not in ("proxy-authorization", "proxy-connection", "expect")}
        far.request(self.command, url.path + (f"?{url.query}" if url.query else ""), body, headers)
        reply = far.getresponse()
        content = reply.read()
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", reply.getheader("Content-Length") or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        far.close()

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _forward


class ForwardProxy:
    def __init__(self, credentials=None):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.seen, self.server.credentials = [], credentials
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def seen(self):
        return list(self.server.seen)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
