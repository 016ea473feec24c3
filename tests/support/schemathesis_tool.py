# SPDX-License-Identifier: Apache-2.0
"""Schemathesis, which tries an API against its own OpenAPI document. Debian has no package of it: it is installed once, into
build/tools, so only the long suite uses it."""
import pathlib
import shutil
import subprocess
import sys

VERSION = "4.32.5"
TOOLS = pathlib.Path(__file__).resolve().parents[2] / "build/tools"
INSTALL_LIMIT_S = 900


def program():
    """Its command: one in the PATH, or else the one that pip makes."""
    found = shutil.which("schemathesis")
    if found is not None:
        return found
    place = TOOLS / f"schemathesis-{VERSION}"
    if not (place / "done").exists():
        for command in ([sys.executable, "-m", "venv", "--clear", str(place)],
                        [str(place / "bin/pip"), "install", "--quiet", f"schemathesis=={VERSION}"]):
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                    timeout=INSTALL_LIMIT_S, check=False)
            assert result.returncode == 0, f"{' '.join(command)}: {result.stdout[-1000:]}{result.stderr[-3000:]}"
        (place / "done").touch()
    return str(place / "bin/schemathesis")


def run(url, token, directory, *arguments, limit=1800):
    """All checks on all pages; what it printed when it found something, else nothing."""
    command = [program(), "run", url, "--header", f"Authorization: Bearer {token}", "--checks", "all", "--workers", "1",
               "--continue-on-failure", "--no-color", "--suppress-health-check", "all", *arguments]
    result = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=limit, check=False)
    return "" if result.returncode == 0 else f"exit {result.returncode}\n{result.stdout}"
