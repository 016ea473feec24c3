# SPDX-License-Identifier: Apache-2.0
"""The limit of the disk for one writer: fio writing one file from front to end, with an fdatasync after each group."""
import json
import os
import subprocess

MIB = 1 << 20
RECYCLED_BYTES = 256 * MIB
FRESH_MAX_BYTES = 2048 * MIB


def lay_out(path):
    """A file whose blocks have all been written before, as a recycled segment's have."""
    with open(path, "wb") as file:
        for _ in range(RECYCLED_BYTES // MIB):
            file.write(os.urandom(MIB))
        os.fsync(file.fileno())


def _run(path, group_bytes, file_bytes, seconds, *options):
    command = ["fio", "--name=spool", f"--filename={path}", "--rw=write", "--ioengine=psync", "--fdatasync=1",
               f"--bs={group_bytes}", f"--size={file_bytes}", f"--runtime={int(seconds * 1000)}ms",
               "--randrepeat=0", "--refill_buffers=0", "--output-format=json", *options]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                            timeout=seconds + 120)
    if result.returncode != 0:
        raise SystemExit(f"bench: fio ended with {result.returncode}: {result.stderr.strip()}")
    job = json.loads(result.stdout[result.stdout.index("{"):])["jobs"][0]
    sync_ns = job["sync"]["lat_ns"]["percentile"]
    return {"bytes_per_s": job["write"]["bw_bytes"], "syncs_per_s": job["write"]["iops"],
            "sync_p50_us": sync_ns["50.000000"] / 1000, "sync_p99_us": sync_ns["99.000000"] / 1000,
            "group_bytes": group_bytes}


def fresh(path, group_bytes, seconds, expected_bytes_per_s):
    """Into a new, preallocated file, large enough that no block is written twice."""
    wanted = int(4 * expected_bytes_per_s * seconds)
    file_bytes = max(min(wanted, FRESH_MAX_BYTES), 64 * MIB, 4 * group_bytes)
    return _run(path, group_bytes, file_bytes // group_bytes * group_bytes, seconds,
                "--overwrite=0", "--fallocate=posix", "--unlink=1")


def recycled(path, group_bytes, seconds):
    """Over the blocks of the file that lay_out made."""
    return _run(path, group_bytes, RECYCLED_BYTES // group_bytes * group_bytes, seconds,
                "--overwrite=1", "--time_based=1")
