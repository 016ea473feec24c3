# SPDX-License-Identifier: Apache-2.0
"""nginx and HAProxy in front of a daemon, each with connections to it that are kept for whichever client comes next."""
import shutil
import socket
import subprocess

from support.wait import wait_until

_NGINX = """daemon off;
master_process off;
error_log {root}/error.log info;
pid {root}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    client_max_body_size 0;
    upstream receiver {{ server 127.0.0.1:{upstream} max_fails=0; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        proxy_ignore_client_abort on;
        location / {{
            proxy_pass http://receiver;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering {buffering};
        }}
    }}
}}
"""

_HAPROXY = """global
    maxconn 500
defaults
    mode http
    http-reuse always
    timeout connect 10s
    timeout client 10s
    timeout server 30s
listen receiver
    bind 127.0.0.1:{port}
    server receiver 127.0.0.1:{upstream} {options}
"""


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Balancer:
    """kind: nginx-buffered, nginx-streamed or haproxy, which may have options for its line `server`. Ends with close()."""

    def __init__(self, kind, root, upstream, options=""):
        root.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        program = "haproxy" if kind == "haproxy" else "nginx"
        binary = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert binary, f"{program} is missing; scripts/setup test installs it"
        config = root / f"{program}.conf"
        buffering = "on" if kind == "nginx-buffered" else "off"
        template = _HAPROXY if kind == "haproxy" else _NGINX
        config.write_text(template.format(root=root, port=self.port, upstream=upstream, buffering=buffering,
                                          options=options))
        command = [binary, "-db", "-f", config] if kind == "haproxy" else [binary, "-p", root, "-c", config]
        self.log = root / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        wait_until(self._listens, f"{program} listening")

    def _listens(self):
        assert self.process.poll() is None, f"it ended:\n{self.log.read_text()[-2000:]}"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except ConnectionError:
            return False
        return True

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=30)
