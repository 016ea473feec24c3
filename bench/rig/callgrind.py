# SPDX-License-Identifier: Apache-2.0
"""Runs a server under valgrind's callgrind and reads how many instructions it executed in user space, by file of code. The
cost of one request is the difference of two runs over the difference of their requests: what starting and stopping cost
is the same in both."""
import re
import signal
import subprocess

_NAME = re.compile(r"c?(?:ob|fn)=(?:\((\d+)\))? ?(.*)")


def command(output):
    return ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={output}"]


def by_object(path):
    """{name of the binary or library: instructions}. The format is in valgrind's manual, section 'Callgrind Format'."""
    names, found, current, is_call = {}, {}, "", False
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("ob=", "cob=")):  # a name stands where its number comes first, often with a callee
                number, name = _NAME.match(line.rstrip("\n")).groups()
                if name:
                    names[number] = name.rpartition("/")[2]
                if line[0] == "o":
                    current = names[number]
            elif line.startswith("calls="):
                is_call = True  # the next line is what the callee cost, which is counted where it is
            elif line[0].isdigit() or line[0] in "+-*":
                if not is_call:
                    found[current] = found.get(current, 0) + int(line.split()[1])
                is_call = False
    return found


def by_function(path, wanted):
    """{name of a function: instructions of it and of what it calls}. Right for functions that do not call themselves."""
    names, found, current = {}, dict.fromkeys(wanted, 0), ""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("fn=", "cfn=")):
                number, name = _NAME.match(line.rstrip("\n")).groups()
                if name:
                    names[number] = name
                if line[0] == "f":
                    current = names[number]
            elif current in found and (line[0].isdigit() or line[0] in "+-*"):
                found[current] += int(line.split()[1])
    return found


class Counted:
    """A process under callgrind; `stop` ends it and returns what `read` makes of callgrind's file."""

    def __init__(self, arguments, output, read=by_object, **options):
        self.output = output
        self.read = read
        self.process = subprocess.Popen(command(output) + [str(part) for part in arguments], stdin=subprocess.DEVNULL,
                                        **options)

    def stop(self, limit_s):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(limit_s)
        if status != 0:
            raise SystemExit(f"bench: {self.process.args}: ended with {status}")
        return self.read(self.output)
