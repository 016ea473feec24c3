# SPDX-License-Identifier: Apache-2.0
"""The servers under load. Each has name, url, token and pid, and can start, stop, say what it has counted, and wait until
it has delivered what it acknowledged. What they write is in a directory of their own, which goes with them."""
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from support.metrics import PREFIX  # noqa: E402
from support.receiver import Receiver  # noqa: E402
from support.wait import wait_until  # noqa: E402

TOKEN = "bench-token"
POLL_S = 0.05


class Other:
    """A server that someone else has started: its URL and the process whose family is charged."""

    restarts = False
    has_stages = False  # whose threads are named after them
    far_end = None  # a server that it delivers to

    def __init__(self, name, url, pid):
        self.name, self.url, self.pid, self.token = name, url, pid, ""

    def start(self):
        if not pathlib.Path(f"/proc/{self.pid}").exists():
            raise SystemExit(f"bench: {self.name}: there is no process {self.pid}; give the server's own (or its "
                             "parent's), so that its CPU can be read")

    def stop(self):
        pass

    def counters(self):
        """Batches by word of the daemon's ledger, commits; empty for servers that count none."""
        return {}

    def settle(self, _limit_s):
        """Wait until what was acknowledged has left; returns what has not."""
        return 0


class Nginx(Other):
    """A floor: nginx that takes a body and answers 200. `return 200` throws the body away as it comes; with `to_file` it
    goes to a temporary file, unsynced, that is removed after the reply."""

    restarts = True

    def __init__(self, name, directory, to_file):
        super().__init__(name, "", 0)
        self.directory = pathlib.Path(directory).resolve()
        self.to_file = to_file
        self.process = None

    def _config(self, port):
        paths = "\n".join(f"  {module}_temp_path {self.directory}/{module};"
                          for module in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # A mirror has the body read before the reply; the static module then refuses the POST, which is made a 200.
        location = """
    location / { client_body_in_file_only clean; mirror /mirror; root void; error_page 403 404 405 =200 @done; }
    location = /mirror { internal; return 204; }
    location @done { return 200; }""" if self.to_file else "\n    location / { return 200; }"
        user = "user root;" if os.getuid() == 0 else ""
        return f"""{user}
worker_processes auto; daemon off; pid {self.directory}/pid; error_log {self.directory}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; log_not_found off; keepalive_requests 1000000000; client_max_body_size 0;
{paths}
  server {{
    listen 127.0.0.1:{port} reuseport;{location}
  }}
}}
"""

    def start(self):
        self.directory.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        (self.directory / "nginx.conf").write_text(self._config(port))
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        self.process = subprocess.Popen([program, "-p", self.directory, "-c", self.directory / "nginx.conf"],
                                        stdin=subprocess.DEVNULL)
        self.pid = self.process.pid
        self.url = f"http://127.0.0.1:{port}/acme/fw"
        wait_until(lambda: self._answers(port), f"{self.name} on port {port}", 10)

    def _answers(self, port):
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)


class Evhttp(Other):
    """bench/evhttp_200.c: libevent's server as it comes. One thread."""

    restarts = True

    def __init__(self, name, build):
        super().__init__(name, "", 0)
        self.program = build.directory / "bench/evhttp_200"
        self.process = None

    def start(self):
        self.process = subprocess.Popen([self.program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/acme/fw"

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


class Daemon(Other):
    """Our daemon with queues memory and disk, at an ack level, into a sink; `auth`: with the auth stage in front. With
    `ack: sink` there are no queues: it is the HTTP edge alone. `far_end`: what the sink s3 puts into; it lives as long."""

    restarts = has_stages = True

    def __init__(self, name, directory, build, ack, sink, auth, far_end=None):
        super().__init__(name, "", 0)
        self.directory = pathlib.Path(directory).resolve()
        self.build, self.ack, self.sink = build, ack, sink
        self.token = TOKEN if auth else ""
        self.receiver, self.far_end = None, far_end

    def _sink(self):
        options = {"fs": lambda: {"directory": "sink"},
                   "s3": lambda: {"bucket_name": self.far_end.bucket, "ssl": False, "endpoint": self.far_end.endpoint,
                                  "access_key": "bench", "secret_key": "bench-secret"}}
        return {"plugin": self.sink, **options.get(self.sink, dict)()}

    def _pipeline(self):
        stages = [{"plugin": "memory"}, {"plugin": "disk", "directory": "spool"}] if self.ack != "sink" else []
        stages.append(self._sink())
        if self.token:
            stages.insert(0, {"plugin": "auth", "mode": "tokens", "tenants_file": "tenants.yaml"})
        return stages

    def start(self):
        if self.far_end is not None:
            self.far_end.start()
        self.directory.mkdir(parents=True)
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        (self.directory / "tenants.yaml").write_text(
            f"tenants:\n  - {{account: a1, tenant: acme, datasets: [fw], tokens: ['sha256:{digest}']}}\n")
        config = {"ack": self.ack, "logging": {"level": "info"}, "webhook": {"threads": "auto"}}
        self.receiver = Receiver(self.build, self.directory, config, pipeline=self._pipeline()).start()
        self.pid = self.receiver.process.pid
        self.url = f"http://127.0.0.1:{self.receiver.port}/acme/fw"

    # Killed, because a backlog that a slow sink has left would hold a clean stop up, and nobody wants it.
    def stop(self):
        if self.receiver is not None and self.receiver.process is not None and self.receiver.process.poll() is None:
            self.receiver.kill()
        self.receiver = None
        if self.far_end is not None:
            self.far_end.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def counters(self):
        self.receiver.require_alive()
        scrape = self.receiver.scrape()
        words = {word: scrape.batches(word) for word in ("accepted", "stored", "held", "buried")}
        return {**words, "commits": scrape.total(f"{PREFIX}commits_total"),
                "committed": scrape.total(f"{PREFIX}commit_batches_sum")}

    def settle(self, limit_s):
        deadline = time.monotonic() + limit_s
        while (left := int(self.counters()["held"])) > 0 and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return left
