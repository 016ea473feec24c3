# SPDX-License-Identifier: Apache-2.0
"""Puts every file under a directory into a bucket with boto3, with as many threads as told, and prints what that cost.
Usage: boto3_put.py ENDPOINT BUCKET DIRECTORY WORKERS"""
import concurrent.futures
import json
import pathlib
import resource
import sys
import time

import boto3
from botocore.config import Config

WARM_UP = 10


def metadata(tenant, dataset, name, size):
    """As many fields as the daemon's own objects have."""
    return {"tenant": tenant, "dataset": dataset, "original-filename": name, "bytes": str(size), "line-count": "1",
            "receiver-queued-at": "2026-01-01T00:00:00Z", "s3-uploaded-at": "2026-01-01T00:00:00Z", "retry-count": "0",
            "source": "bytefreezer-receiver", "data-type": "raw", "filename-source": "proxy", "sha256": "0" * 64}


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    endpoint, bucket, directory, workers = sys.argv[1:]
    workers = int(workers)
    client = boto3.client("s3", endpoint_url=endpoint, config=Config(
        s3={"addressing_style": "path", "payload_signing_enabled": True}, max_pool_connections=workers,
        retries={"max_attempts": 1}))

    def put(path, prefix=""):
        tenant, dataset, name = path.parts[-3:]
        body = path.read_bytes()
        client.put_object(Bucket=bucket, Key=f"{prefix}{tenant}/{dataset}/{name}", Body=body,
                          ContentType="application/gzip", Metadata=metadata(tenant, dataset, name, len(body)))

    files = [path for path in sorted(pathlib.Path(directory).rglob("*")) if path.is_file()]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda path: put(path, ".bfr-probe/"), files[:WARM_UP]))
        began, used = time.monotonic(), cpu()
        list(pool.map(put, files))
        seconds, used = time.monotonic() - began, cpu() - used
    print(json.dumps({"puts": len(files), "seconds": seconds, "cpu_s": used,
                      "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main()
