# SPDX-License-Identifier: Apache-2.0
"""The fixtures of the end-to-end tests: the build under test, and daemons that end with the test."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from support.control_stand_in import ControlStandIn  # noqa: E402
from support.receiver import Build, Receiver  # noqa: E402
from support.sender import Sender  # noqa: E402
from support.spool import Lives  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--build", default=str(ROOT / "build/release"), help="build tree under test (build/release)")
    parser.addoption("--long", action="store_true", help="also what takes long")


def pytest_collection_modifyitems(config, items):
    """What waits longest begins first. What takes long is left out, not skipped: a skip is a test that could not do its
    work."""
    items.sort(key=lambda item: not getattr(item.module, "BEGINS_EARLY", False))
    if config.getoption("--long"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if not item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)


def pytest_generate_tests(metafunc):
    """The long suite runs a module's tests of the S3 sink against each store that it names."""
    stores = getattr(metafunc.module, "S3_STORES", ())
    if stores and "s3_store" in metafunc.fixturenames and metafunc.config.getoption("--long"):
        marker = metafunc.definition.get_closest_marker("store")
        metafunc.parametrize("s3_store", marker.args if marker else stores, indirect=True, scope="module")


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def build(request):
    tree = Build(request.config.getoption("--build"))
    assert tree.binary.exists(), f"{tree.binary} is missing; build it first, e.g. with scripts/build release"
    return tree


@pytest.fixture
def make_receiver(build, tmp_path):
    """make_receiver(config, pipeline=...) gives a daemon, not yet started, that ends with the test."""
    made = []

    def make(config=None, name=None, **options):
        receiver = Receiver(build, tmp_path / (name or f"receiver{len(made)}"), config, **options)
        made.append(receiver)
        return receiver

    yield make
    errors = []
    for receiver in made:
        try:
            receiver.close()
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture
def make_lives(build, tmp_path):
    """make_lives(**options) gives daemons that follow one another on one spool; all of them end with the test."""
    made = []

    def make(**options):
        made.append(Lives(build, tmp_path / f"lives{len(made)}", **options))
        return made[-1]

    yield make
    for lives in made:
        lives.close()


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 4 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def receiver(make_receiver):
    """A started daemon: open auth, memory queue, a directory as sink."""
    return make_receiver().start()


@pytest.fixture
def sender(receiver):
    return Sender(receiver.port)


@pytest.fixture
def control():
    """A stand-in of the control service. What it was sent must have been right."""
    stand_in = ControlStandIn()
    yield stand_in
    stand_in.close()
    assert not stand_in.violations, stand_in.violations[:10]
