# SPDX-License-Identifier: Apache-2.0
"""Runs the real daemon for a test: writes its configuration, finds its ports, waits until it serves, and judges how it
ended. A sanitizer's report or a broken invariant fails the test in which it happens."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

from support import wire
from support.metrics import Scrape
from support.wait import LIMIT, wait_until

# What no run may ever write.
_REPORTS = (
    "AddressSanitizer",
    "LeakSanitizer",
    "ThreadSanitizer",
    "UndefinedBehaviorSanitizer",
    "runtime error:",
    "internal error",
)

_FIELD = re.compile(r'([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|\S*)')


def parse_logfmt(line):
    """A log line as a dictionary."""
    return {key: value[1:-1] if value.startswith('"') else value for key, value in _FIELD.findall(line)}


# Beside the options, what ThreadSanitizer is to leave out, with the reasons.
TSAN_OPTIONS = f"history_size=7 second_deadlock_stack=1 suppressions={pathlib.Path(__file__).with_name('tsan.supp')}"


class Build:
    """One build tree: the binary and its plugins."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory).resolve()
        self.binary = self.directory / "bytefreezer-receiver"
        self.plugins = self.directory / "plugins"
        cache = self.directory / "CMakeCache.txt"
        match = re.search(r"^BFR_SANITIZE:\w+=(.*)$", cache.read_text() if cache.exists() else "", re.M)
        self.sanitizer = match.group(1) if match else ""

    def environment(self):
        """A small, fixed environment: a developer's own variables must not reach the daemon's configuration."""
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return {
            "LC_ALL": "C.UTF-8",
            "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "TSAN_OPTIONS": TSAN_OPTIONS,
            **keep,
        }

    def command(self, *arguments):
        """The command line. Under TSan without address randomisation, which its shadow memory does not survive on
        kernels with many random bits."""
        prefix = []
        if self.sanitizer == "thread" and shutil.which("setarch"):
            prefix = ["setarch", os.uname().machine, "--addr-no-randomize"]
        return [*prefix, str(self.binary), *map(str, arguments)]

    def run(self, *arguments, stdin="", env=None, cwd=None, limit=LIMIT):
        """Run a command that ends by itself; the result has returncode, stdout and stderr."""
        result = subprocess.run(
            self.command(*arguments), input=stdin, text=True, capture_output=True, timeout=limit, cwd=cwd,
            env={**self.environment(), **(env or {})})
        assert_no_report(result.stderr)
        return result


def assert_no_report(text):
    for report in _REPORTS:
        if report in text:
            at = text.index(report)
            raise AssertionError(f"the daemon reported a bug of its own:\n{text[max(0, at - 200):at + 6000]}")


def as_yaml(config):
    """A mapping as YAML, one line per top-level key (JSON is YAML's flow style). Text is taken as it is."""
    if isinstance(config, str):
        return config
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items())


class Receiver:
    """One daemon. `root` is its own directory: configuration, log, and `sink`, the directory of the default sink."""

    def __init__(self, build, root, config=None, pipeline=None, env=None):
        self.build = build
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.sink = self.root / "sink"
        self.config_path = self.root / "receiver.yaml"
        self.log_path = self.root / "receiver.log"
        self.env = env or {}
        self.process = None
        self.port = self.api_port = None
        self._ended_as_expected = False
        self._pipeline = pipeline
        self.write_config(config or {})

    def write_config(self, changes):
        config = {
            "logging": {"level": "debug"},
            "webhook": {"bind": ["127.0.0.1"], "port": 0, "threads": 2},
            "server": {"bind": ["127.0.0.1"], "api_port": 0},
            "shutdown_delay": "0s",
            "plugin_dir": str(self.build.plugins),
            "pipeline": self._pipeline or [
                {"plugin": "auth", "mode": "open"},
                {"plugin": "memory"},
                {"plugin": "fs", "directory": str(self.sink)},
            ],
        }
        for key, value in changes.items():
            merge = isinstance(value, dict) and isinstance(config.get(key), dict)
            config[key] = {**config[key], **value} if merge else value
        self.config_path.write_text(as_yaml(config))

    # Life

    def launch(self, descriptors=None):
        """Start the process without waiting for anything; with so many descriptors at most."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.build.command("run", "--config", self.config_path), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env={**self.build.environment(), **self.env},
                preexec_fn=limit if descriptors else None)
        return self

    def start(self, descriptors=None):
        """Start it and wait until /readyz says that it would accept a batch."""
        self.listen(descriptors)
        wait_until(lambda: self.get("/readyz").status == 200, "ready")
        return self

    def listen(self, descriptors=None):
        """Start it and wait for its ports only: a daemon whose spool is full is not ready."""
        self.launch(descriptors)
        self.port = self._listening_port("webhook listening")
        self.api_port = self._listening_port("api listening")
        return self

    def _listening_port(self, message):
        def find():
            self.require_alive()
            ports = [line["port"] for line in self.log_lines() if line.get("msg") == message]
            return int(ports[0]) if ports else None

        return wait_until(find, f'a log line with msg="{message}"')

    def require_alive(self):
        code = self.process.poll()
        assert code is None, f"the daemon ended with {code}:\n{self.log()[-4000:]}"

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, limit=LIMIT):
        """Wait for its end; returns the exit status. Negative: the number of the signal that killed it."""
        code = self.process.wait(timeout=limit)
        assert_no_report(self.log())
        self._ended_as_expected = True
        return code

    def stop(self, expect=0):
        """SIGTERM, and the exit status that is due."""
        self.require_alive()
        self.signal()
        code = self.wait()
        assert code == expect, f"exit {code} instead of {expect}:\n{self.log()[-4000:]}"

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()

    def close(self):
        """The fixture's end of it: a daemon that still runs must end cleanly, one that has died is a failure."""
        if self.process is None or self._ended_as_expected:
            return
        try:
            self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    # What it says

    def log(self):
        return self.log_path.read_text(errors="replace")

    def log_lines(self):
        return [parse_logfmt(line) for line in self.log().splitlines()]

    def logged(self, message, **fields):
        """Lines with this message and these fields."""
        wanted = {"msg": message, **fields}.items()
        return [line for line in self.log_lines() if wanted <= line.items()]

    def get(self, path, headers=()):
        return wire.request(self.api_port, "GET", path, headers)

    def health(self):
        reply = self.get("/api/v1/health")
        assert reply.status == 200
        return reply.json()

    def scrape(self):
        reply = self.get("/metrics")
        assert reply.status == 200
        assert reply.header("content-type").startswith("text/plain; version=0.0.4")
        return Scrape(reply.text())

    # What it stored

    def stored(self, directory=None):
        """The finished files under the sink, relative path -> bytes. Temporary names are not finished."""
        base = pathlib.Path(directory or self.sink)
        files = (path for path in sorted(base.rglob("*")) if path.is_file() and not path.name.startswith(".bfr-"))
        return {str(path.relative_to(base)): path.read_bytes() for path in files}

    def wait_stored(self, path, directory=None):
        """The bytes of one file, once it is there under its final name."""
        file = pathlib.Path(directory or self.sink) / path
        wait_until(file.exists, f"{file} in the sink")
        return file.read_bytes()

    def wait_batches(self, word, count):
        """Wait until the ledger's word has reached a count, and return that scrape."""

        def reached():
            self.require_alive()
            scrape = self.scrape()
            return scrape if scrape.batches(word) == count else None

        return wait_until(reached, f"{count} batches {word}")
