# SPDX-License-Identifier: Apache-2.0
"""What the supervisor is told, by the protocol of sd_notify, and which signals mean nothing."""
import signal
import socket

import pytest

from support.api import Api
from support.sender import Sender
from support.thread_hang import hanging
from support.wait import wait_until


class Supervisor:
    """The socket that NOTIFY_SOCKET names; `said` has every datagram's assignments in order."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.said = []

    def listen(self):
        while True:
            try:
                self.said.append(self.socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return self.said

    def flat(self):
        return [word for datagram in self.listen() for word in datagram]

    def await_word(self, start, count=1):
        return wait_until(lambda: (found := [word for word in self.flat() if word.startswith(start)])[count - 1:] and
                          found, f"{count} of {start}")


@pytest.fixture(name="supervisor")
def fixture_supervisor(tmp_path):
    supervisor = Supervisor(str(tmp_path / "notify"))
    yield supervisor
    supervisor.socket.close()


def test_the_whole_life_is_told(make_receiver, supervisor, tmp_path):
    receiver = make_receiver({"shutdown_delay": "1s"}, env={"NOTIFY_SOCKET": str(tmp_path / "notify"),
                                                            "WATCHDOG_USEC": "400000"})
    receiver.start()
    words = supervisor.flat()
    assert words[0] == "READY=1"
    supervisor.await_word("WATCHDOG=1", 3)
    assert supervisor.await_word("STATUS=")[0].startswith("STATUS=configuration 1, 0 batches held")
    begin = len(supervisor.listen())
    assert Api(receiver).request("POST", "/api/v1/reload").status == 200
    told = [datagram for datagram in supervisor.listen()[begin:] if datagram[0] in ("RELOADING=1", "READY=1")]
    assert [datagram[0] for datagram in told] == ["RELOADING=1", "READY=1"]
    assert told[0][1].startswith("MONOTONIC_USEC=") and int(told[0][1].split("=")[1]) > 0
    supervisor.await_word("STATUS=configuration 2")
    receiver.config_path.write_text("webhook: [\n")
    assert Api(receiver).request("POST", "/api/v1/reload").status == 422
    supervisor.await_word("READY=1", 3)  # it serves on
    supervisor.await_word("STATUS=configuration 2 (the last reload failed)")
    receiver.signal()
    supervisor.await_word("STOPPING=1")
    supervisor.await_word("EXTEND_TIMEOUT_USEC=")
    assert receiver.wait() == 0


@pytest.mark.parametrize("loop", ["http-1", "admin"])
def test_a_loop_that_hangs_keeps_the_watchdog_unfed_until_it_turns_again(make_receiver, supervisor, tmp_path, loop):
    receiver = make_receiver(env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}).start()
    message = "a loop has not turned since the last beat; the supervisor is not told that all is well"
    supervisor.await_word("WATCHDOG=1")
    with hanging(receiver.process.pid, loop):
        wait_until(lambda: receiver.logged(message), "the complaint")
        fed = supervisor.flat().count("WATCHDOG=1")
        wait_until(lambda: len(receiver.logged(message)) > 1, "further beats")
        assert supervisor.flat().count("WATCHDOG=1") == fed
    supervisor.await_word("WATCHDOG=1", fed + 1)
    assert Sender(receiver.port).post().status == 200


def test_an_outage_is_told_as_a_status(make_receiver, supervisor, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    pipeline = [{"plugin": "memory"}, {"plugin": "fs", "directory": str(tmp_path / "sink")}]
    receiver = make_receiver({"retry": {"probe_interval": "50ms"}}, pipeline=pipeline,
                             env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}).start()
    supervisor.await_word("STATUS=configuration 1, 0 batches held")
    (tmp_path / "sink").rename(tmp_path / "gone")
    (tmp_path / "sink").symlink_to(tmp_path / "file")
    assert Sender(receiver.port).post().status == 200
    supervisor.await_word("STATUS=configuration 1, 1 batches held; degraded: fs: ")
    (tmp_path / "sink").unlink()
    (tmp_path / "gone").rename(tmp_path / "sink")
    receiver.wait_batches("stored", 1)


def test_an_abstract_socket_and_a_watchdog_for_somebody_else(make_receiver, tmp_path):
    name = f"bfr-test-{tmp_path.name}-{id(tmp_path)}"
    supervisor = Supervisor("\0" + name)
    receiver = make_receiver(env={"NOTIFY_SOCKET": "@" + name, "WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"}).start()
    supervisor.await_word("READY=1")
    supervisor.await_word("STATUS=configuration 1")
    receiver.stop()
    before_stop = []
    for word in supervisor.flat():
        if word == "STOPPING=1":
            break
        before_stop.append(word)
    assert "WATCHDOG=1" not in before_stop
    supervisor.socket.close()


def test_a_supervisor_that_is_gone_does_no_harm(make_receiver, tmp_path):
    receiver = make_receiver(env={"NOTIFY_SOCKET": str(tmp_path / "nobody")}).start()
    wait_until(lambda: receiver.logged("the supervisor could not be told how the daemon is"), "the complaint")
    assert Sender(receiver.port).post().status == 200


def test_stray_signals_end_nothing(receiver):
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF,
                   signal.SIGIO, signal.SIGHUP, signal.SIGUSR1):
        receiver.signal(number)
    wait_until(lambda: receiver.logged("configuration read again"), "the hangup, the only one with a meaning")
    assert Sender(receiver.port).post().status == 200
