# SPDX-License-Identifier: Apache-2.0
"""Three who put the same files into the same bucket: our daemon, boto3, and Go with aws-sdk-go-v2. Each gives puts, seconds
and CPU seconds. Ours is charged for its whole life, with its start, the reading of the spool, the settlement marks and
the questions for its progress; the other two only for the loop over the files, after a warm-up."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from rig import process
from rig.far_end import BUCKET
from support.receiver import Receiver

CLIENTS = pathlib.Path(__file__).resolve().parents[1] / "putters"
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-secret", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
LIMIT_S, POLL_S = 300, 0.1


class Ours:
    """A spool is filled by `spool import`, then the daemon is started and drains it."""

    name = "bytefreezer-receiver"

    def __init__(self, build, work):
        self.build, self.directory = build, work / "ours"

    def put(self, files, far_end, workers, count):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        spool = self.directory / "spool"
        spool.mkdir()
        result = self.build.run("spool", "import", spool, files, "--sink", "main", "--plugin-dir", self.build.plugins,
                                limit=LIMIT_S)
        if result.returncode != 0:
            raise SystemExit(f"bench: spool import: {result.stderr}")
        receiver = Receiver(self.build, self.directory, {"logging": {"level": "info"}}, pipeline=[
            {"plugin": "disk", "directory": str(spool), "max_size_bytes": "8GiB"},
            {"plugin": "s3", "name": "main", "bucket_name": BUCKET, "region": "us-east-1", "ssl": False,
             "endpoint": far_end.endpoint, "access_key": "bench", "secret_key": "bench-secret",
             "upload_worker_count": workers}])
        began = time.monotonic()
        receiver.start()
        try:
            return self._drained(receiver, began, count)
        finally:
            receiver.kill()

    def _drained(self, receiver, began, count):
        while (scrape := receiver.scrape()).batches("stored") < count:
            if time.monotonic() - began > LIMIT_S:
                raise SystemExit(f"bench: not drained after {LIMIT_S} s:\n{receiver.log()[-2000:]}")
            time.sleep(POLL_S)
        return {"puts": int(scrape.batches("stored")), "seconds": time.monotonic() - began,
                "cpu_s": process.usage(receiver.process.pid)["cpu_s"],
                "peak_rss": process.peak_rss(receiver.process.pid)}


class Client:
    """A program that puts every file under a directory and prints one line of JSON."""

    def __init__(self, name, command):
        self.name, self.command = name, command

    def put(self, files, far_end, workers, _count):
        result = subprocess.run([*map(str, self.command), far_end.url, BUCKET, str(files), str(workers)],
                                env={**os.environ, **KEYS}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=LIMIT_S, check=False)
        if result.returncode != 0:
            raise SystemExit(f"bench: {self.name} ended with {result.returncode}:\n{result.stderr[-2000:]}")
        return json.loads(result.stdout)


def boto3():
    return Client("boto3", [sys.executable, "-B", CLIENTS / "boto3_put.py"])


def go(work):
    """Built in the work directory; None where Go or its modules cannot be had."""
    program = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin:/usr/lib/go/bin")
    if program is None:
        return None
    source = work / "go-put"
    shutil.copytree(CLIENTS / "go", source)
    result = subprocess.run([program, "build", "-o", work / "go_put", "."], cwd=source, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, check=False, timeout=LIMIT_S)
    if result.returncode != 0:
        print(f"bench: the Go client does not build and is left out:\n{result.stderr[-1000:]}", file=sys.stderr)
        return None
    return Client("aws-sdk-go-v2", [work / "go_put"])
