# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that need an S3 store: from support.s3_fixtures import *. One store for each module that does."""
import uuid

import pytest

from support.faulty_proxy import FaultyProxy
from support.minio_server import MinioServer
from support.s3_server import S3Server

__all__ = ["s3_store", "bucket", "proxy", "s3_receiver"]

STORES = {"ceph": S3Server, "minio": MinioServer}
AUTH = {"plugin": "auth", "mode": "open"}
MEMORY = {"plugin": "memory"}


@pytest.fixture(scope="module")
def s3_store(request):
    """Ceph's gateway; in the long suite, for modules that name others in S3_STORES, each of these in turn."""
    server = STORES[getattr(request, "param", "ceph")]()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def bucket(s3_store):
    """A bucket of the test's own; emptied afterwards, because the store keeps it all in RAM."""
    made = s3_store.bucket(f"intake-{uuid.uuid4().hex[:12]}").create()
    yield made
    made.empty()


@pytest.fixture
def proxy(s3_store):
    made = FaultyProxy(s3_store.port)
    yield made
    made.close()


@pytest.fixture
def s3_receiver(make_receiver, s3_store, bucket):
    """s3_receiver(config, **options of the stage) gives a started daemon that puts into the bucket."""

    def make(config=None, through=None, queue=MEMORY, **changes):
        if through is not None:
            changes["endpoint"] = through.endpoint
        stage = s3_store.stage(bucket, **changes)
        return make_receiver(config, pipeline=[AUTH, *([queue] if queue else []), stage]).start()

    return make
