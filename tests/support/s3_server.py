# SPDX-License-Identifier: Apache-2.0
"""A real S3 store for tests: Ceph's gateway over one monitor and one object store in memory, on loopback, from Debian's
packages ceph-mon ceph-osd ceph-common radosgw. Everything lives in one directory and ends with the object.

Objects stay in RAM at about 2.4 times their size: a suite keeps well below 500 MB."""
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import uuid

from support.wait import wait_until

ACCESS_KEY = "TESTACCESSKEY0000001"
SECRET_KEY = "testSecretKey000000000000000000000000001"
REGION = "us-east-1"
KMS_KEY = "testkey-1"

# Small, unauthenticated, quick to agree: nothing here is about keeping data.
_CONF = """[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}
ms bind msgr1 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = {low}
ms bind port max = {high}
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
run dir = {dir}
admin socket =
log file = {dir}/log/$name.log
mon cluster log file = {dir}/log/cluster.log
debug ms = 0/0
debug osd = 0/0
debug objecter = 0/0
debug rocksdb = 0/0
mon data = {dir}/mon
mon data avail crit = 0
mon allow pool size one = true
mon max pg per osd = 10000
paxos propose interval = 0.02
osd data = {dir}/osd
osd objectstore = memstore
osd crush chooseleaf type = 0
osd crush initial weight = 1
osd pool default size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
memstore device bytes = 4G
rgw frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1{more_endpoints}
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = {kms_key}=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
rgw dns name = s3.localhost
rgw thread pool size = 32
rgw rados pool pg num min = 4
"""


def free_ports(count):
    """Ports that nobody has at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


class S3Server:
    """`certificate`: a PEM file with certificate and key; the gateway then speaks TLS too, on `tls_port`."""

    def __init__(self, certificate=None):
        self.certificate = certificate
        self._directory = tempfile.TemporaryDirectory(prefix="bfr-s3-")
        self.directory = pathlib.Path(self._directory.name)
        self.daemons = {}
        self.mon, self.low, self.high, self.port, self.tls_port = self._ports()
        self.endpoint = f"http://127.0.0.1:{self.port}"

    @staticmethod
    def _ports():
        """The object store takes four in a row; they are only asked for, so a clash is found at start."""
        base = free_ports(1)[0]
        mon, gateway, tls = free_ports(3)
        low = base if base < 65000 else 20000
        return mon, low, low + 8, gateway, tls

    def _more_endpoints(self):
        more = f" endpoint=[::1]:{self.port}" if has_ipv6() else ""
        if self.certificate is not None:
            more += f" ssl_endpoint=127.0.0.1:{self.tls_port} ssl_certificate={self.certificate}"
        return more

    # Processes

    def _environment(self):
        env = {name: value for name, value in os.environ.items() if not name.startswith("CEPH")}
        return {**env, "CEPH_CONF": str(self.directory / "ceph.conf")}

    def _run(self, *command, limit=60):
        result = subprocess.run(command, env=self._environment(), text=True, capture_output=True, timeout=limit)
        assert result.returncode == 0, f"{command}: {result.stdout[-2000:]}{result.stderr[-2000:]}"
        return result.stdout

    def _daemon(self, name, *command):
        with open(self.directory / "log" / f"{name}.out", "ab") as log:
            # With setpriv, so that they end with the tests however those end.
            self.daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command, "-c", str(self.directory / "ceph.conf"), "-f"], env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def _halt(self, name, number=signal.SIGTERM):
        process = self.daemons.pop(name, None)
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self):
        for name, process in self.daemons.items():
            assert process.poll() is None, f"{name} has ended: {self._log(name)}"
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
            connection.close()
            return True
        except OSError:
            return False

    def _log(self, name):
        return (self.directory / "log" / f"{name}.out").read_text(errors="replace")[-2000:]

    # Life

    def start(self):
        for folder in ("mon", "osd", "log"):
            (self.directory / folder).mkdir()
        (self.directory / "ceph.conf").write_text(_CONF.format(
            fsid=uuid.uuid4(), dir=self.directory, mon=self.mon, low=self.low, high=self.high, gateway=self.port,
            more_endpoints=self._more_endpoints(), kms_key=KMS_KEY))
        monmap = self.directory / "monmap"
        self._run("monmaptool", "--create", "--clobber", "--fsid", str(uuid.uuid4()), "--addv", "a",
                  f"[v2:127.0.0.1:{self.mon}]", str(monmap))
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", str(monmap), "--keyring", "/dev/null")
        (self.directory / "mon" / "keyring").touch()
        self._daemon("mon", "ceph-mon", "-i", "a")
        osd = str(uuid.uuid4())
        self._run("ceph", "--connect-timeout", "25", "osd", "new", osd)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._daemon("osd", "ceph-osd", "-i", "0")
        self.start_gateway()
        self.admin("user", "create", "--uid", "test", "--display-name", "test", "--access-key", ACCESS_KEY,
                   "--secret-key", SECRET_KEY)
        return self

    def admin(self, *arguments):
        return self._run("radosgw-admin", *arguments)

    def start_gateway(self):
        """Nothing to do where it runs."""
        if "gateway" in self.daemons:
            return
        self._daemon("gateway", "radosgw", "-n", "client.rgw")
        wait_until(self._answers, "Ceph's gateway")

    def stop_gateway(self):
        """An outage that keeps the data."""
        self._halt("gateway", signal.SIGKILL)

    def close(self):
        for name in ("gateway", "osd", "mon"):
            self._halt(name, signal.SIGKILL)
        self._directory.cleanup()

    # What a test looks at, through another client than ours

    def client(self, **changes):
        import boto3
        from botocore.config import Config
        return boto3.client("s3", **{
            "endpoint_url": self.endpoint, "aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY,
            "region_name": REGION, "config": Config(retries={"max_attempts": 10}, s3={"addressing_style": "path"}),
            **changes})

    def bucket(self, name):
        return Bucket(self.client(), name)

    def stage(self, bucket, **changes):
        """The sink's entry in a pipeline."""
        return {"plugin": "s3", "bucket_name": bucket.name, "endpoint": self.endpoint, "access_key": ACCESS_KEY,
                "secret_key": SECRET_KEY, **changes}


class Bucket:
    """One bucket, looked at with boto3."""

    def __init__(self, client, name):
        self.client = client
        self.name = name

    def create(self):
        self.client.create_bucket(Bucket=self.name)
        return self

    def keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [key for key in keys if not key.startswith(".bfr-probe/")]

    def read(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def head(self, key):
        return self.client.head_object(Bucket=self.name, Key=key)

    def put(self, key, body, **more):
        self.client.put_object(Bucket=self.name, Key=key, Body=body, **more)

    def delete(self, key):
        self.client.delete_object(Bucket=self.name, Key=key)

    def objects(self):
        return {key: self.read(key) for key in self.keys()}

    def parts(self):
        """Uploads in parts that were begun and not ended."""
        return self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])

    def empty(self):
        keys = self.keys()
        for at in range(0, len(keys), 1000):
            objects = [{"Key": key} for key in keys[at:at + 1000]]
            self.client.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})
