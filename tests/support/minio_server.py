# SPDX-License-Identifier: Apache-2.0
"""MinIO as a second store for tests, beside Ceph's gateway: one process over one directory, on loopback. It is built with Go
once into build/tools (Debian has no package of it), so only the long suite uses it."""
import os
import pathlib
import shutil
import subprocess

from support.s3_server import ACCESS_KEY, REGION, SECRET_KEY, S3Server, free_ports
from support.wait import wait_until

MODULE = "github.com/minio/minio@latest"
TOOLS = pathlib.Path(__file__).resolve().parents[2] / "build/tools"
BUILD_LIMIT_S = 1800


def program():
    """MinIO's binary: one in the PATH, or else the one that Go makes."""
    found = shutil.which("minio")
    if found is not None:
        return found
    if not (TOOLS / "minio").exists():
        go = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin:/usr/lib/go/bin")
        assert go is not None, "neither minio nor go is in the PATH; install Go, or MinIO, for the long suite"
        result = subprocess.run([go, "install", MODULE], env={**os.environ, "GOBIN": str(TOOLS)},
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False)
        assert result.returncode == 0, f"go install {MODULE}: {result.stderr[-3000:]}"
    return str(TOOLS / "minio")


class MinioServer(S3Server):
    """The gateway's interface. What only Ceph can do (radosgw-admin) is not in it."""

    def start(self):
        (self.directory / "log").mkdir()
        (self.directory / "data").mkdir()
        self.start_gateway()
        return self

    def start_gateway(self):
        if "gateway" in self.daemons:
            return
        environment = {**os.environ, "MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY,
                       "MINIO_REGION": REGION, "MINIO_DOMAIN": "s3.localhost", "MINIO_BROWSER": "off",
                       "MINIO_UPDATE": "off"}
        with open(self.directory / "log" / "gateway.out", "ab") as log:
            self.daemons["gateway"] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program(), "server", "--quiet", "--address",
                 f"127.0.0.1:{self.port}", "--console-address", f"127.0.0.1:{free_ports(1)[0]}",
                 str(self.directory / "data")], env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True)
        wait_until(self._is_live, "MinIO")

    def _is_live(self):
        if not self._answers():
            return False
        try:
            self.client().list_buckets()
            return True
        except Exception:  # pylint: disable=broad-except
            return False

    def admin(self, *arguments):
        raise NotImplementedError("MinIO has no radosgw-admin")
