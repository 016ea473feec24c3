# SPDX-License-Identifier: Apache-2.0
"""scripts/quickstart does what it prints. It builds the release preset, so it is tried with that one only."""
import pathlib
import re
import shlex
import signal
import socket
import subprocess

import pytest

from support.wait import LIMIT, wait_until


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def alive(pid):
    """Runs; what only waits to be reaped by its parent does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def lines_between(text, before, after):
    return text[text.index(before) + len(before):text.index(after)].strip()


@pytest.fixture
def quickstart(root, build, tmp_path):
    """Runs the script with a state directory and ports of its own."""
    if build.directory != root / "build/release":
        pytest.skip("quickstart builds and runs build/release")
    ports = ["--port", str(free_port()), "--api-port", str(free_port())]
    command = [str(root / "scripts/quickstart"), "--dir", str(tmp_path / "it's here")]

    def run(*arguments):
        return subprocess.run([*command, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=600, check=False)

    run.ports = ports
    run.command = command
    yield run
    run("--stop")


def try_what_it_prints(output):
    """Runs the curl line as printed; the printed file must then hold the posted bytes."""
    line = lines_between(output, "Post a batch:", "It appears")
    stored = pathlib.Path(lines_between(output, "byte for byte, as", "Health:"))
    reply = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    assert '"status"' in reply and "success" in reply, reply
    wait_until(stored.exists, f"{stored}")
    posted = pathlib.Path(next(word for word in shlex.split(line) if word.startswith("@"))[1:])
    assert stored.read_bytes() == posted.read_bytes()
    assert subprocess.run(["zcat", stored], capture_output=True, check=True).stdout.count(b"\n") == 3


def test_background_prints_a_line_that_works(quickstart):
    result = quickstart("--background", *quickstart.ports)
    assert result.returncode == 0, result.stdout + result.stderr
    pid = int(re.search(r"^PID: (\d+)$", result.stdout, re.M).group(1))
    assert alive(pid)
    try_what_it_prints(result.stdout)

    again = quickstart("--background", *quickstart.ports)
    assert again.returncode == 1 and f"already running as process {pid}" in again.stderr

    stopped = quickstart("--stop")
    assert stopped.returncode == 0 and f"Stopped {pid}" in stopped.stdout
    assert not alive(pid)
    assert "No receiver" in quickstart("--stop").stdout


def test_foreground_is_ended_by_ctrl_c(quickstart, tmp_path):
    output = tmp_path / "output"
    with open(output, "wb") as file:
        process = subprocess.Popen([*quickstart.command, *quickstart.ports], stdin=subprocess.DEVNULL, stdout=file,
                                   stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_until(lambda: "Ctrl-C" in output.read_text() or process.poll() is not None, "the daemon", limit=600)
        assert process.poll() is None, output.read_text()
        try_what_it_prints(output.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=LIMIT) == 0, output.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize("which", ["--port", "--api-port"])
def test_a_taken_port_is_said_before_anything_is_built(quickstart, which):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = quickstart("--background", *quickstart.ports, which, port)
    assert result.returncode == 1 and "Building" not in result.stdout
    assert f"port {port} on 127.0.0.1 is in use" in result.stderr and which in result.stderr


@pytest.mark.parametrize("arguments", [["--port", "80a"], ["--port", "0"], ["--port", "65536"], ["--port"], ["--what"]])
def test_wrong_usage_exits_2(quickstart, arguments):
    result = quickstart(*arguments)
    assert result.returncode == 2 and "Usage:" in result.stderr
