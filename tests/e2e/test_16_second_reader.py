# SPDX-License-Identifier: Apache-2.0
"""The gate beside a second reader that nobody here wrote: h11. On random messages, good and broken, whatever the gate lets
through, h11 must read in the same way: where it ends, its target, its body. The gate may refuse what h11 takes."""
import random
import subprocess

import h11

from support.raw_cases import CASES, HEALTH, chunks, post

PIECES = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b"\0", b"0", b"1", b"5", b"a", b"\r\n\r\n", b"Host: b\r\n", b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: gzip\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"X: y\r\n", b";x=y",
    b" HTTP/1.1", b"HTTP/1.0", b"0\r\n\r\n", b"5\r\nhello\r\n", b"\xff", b"/", b"-", b"+",
)


# h11 judges trailers as if they were headers; the gate checks their syntax and drops them, whatever they are called.
TRAILER = object()
TRAILER_ERRORS = ("Transfer-Encoding", "Content-Length")


def mutate(chance, data):
    data = bytearray(data)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 6))):
        at = chance.randint(0, len(data))
        kind = chance.randrange(5)
        if kind == 0:
            data[at:at] = chance.choice(PIECES)
        elif kind == 1:
            del data[at:at + chance.randint(1, 4)]
        elif kind == 2 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 3:
            end = min(len(data), at + chance.randint(1, 40))
            data[at:at] = data[at:end]
        else:
            data[at:at + 1] = chance.choice(PIECES)
    return bytes(data)


def random_message(chance, seeds):
    body = bytes(chance.randrange(256) for _ in range(chance.randint(0, 40)))
    fresh = chance.choice((
        lambda: post(body=body), lambda: post("Transfer-Encoding: chunked\r\n", chunks(body[:7], body[7:]) if len(body) > 7 else chunks()),
        lambda: chance.choice(seeds), lambda: HEALTH))()
    return mutate(chance, fresh) + chance.choice((b"", b"", HEALTH, b"\r\n", b"garbage"))


def read_by_h11(data):
    """(bytes used, body, target), None while it wants more, TRAILER, or its error."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    # RFC 9112 section 2.2: a server should ignore one empty line before a request. h11 does not.
    connection.receive_data(data.removeprefix(b"\r\n"))
    target, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                target = event.target
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return len(data) - len(connection.trailing_data[0]), body, target
            else:
                return None
    except h11.RemoteProtocolError as error:
        return TRAILER if target is not None and any(word in str(error) for word in TRAILER_ERRORS) else error


def read_by_gate(build, messages):
    text = "".join(message.hex() + "\n" for message in messages)
    reader = build.directory / "tests/support/gate_reader"
    result = subprocess.run([reader], input=text, capture_output=True, text=True, timeout=300, check=True)
    for line in result.stdout.splitlines():
        word, *rest = line.split(" ")
        if word == "end":
            used, body, target = rest
            yield int(used), b"" if body == "-" else bytes.fromhex(body), bytes.fromhex(target)
        else:
            yield word


def test_what_the_gate_lets_through_h11_reads_in_the_same_way(build, request):
    long = request.config.getoption("--long")
    seed = random.randrange(1 << 32) if long else 20240229
    chance = random.Random(seed)
    seeds = [case.data for case in CASES if len(case.data) < 4096]
    messages = [*seeds, *(random_message(chance, seeds) for _ in range(200_000 if long else 10_000))]
    passed = 0
    for message, ours in zip(messages, read_by_gate(build, messages), strict=True):
        if ours == "bad":
            continue
        theirs = read_by_h11(message)
        if theirs is TRAILER:
            continue
        passed += ours != "more"
        # What is not complete h11 may refuse earlier than the gate, which judges whole lines.
        agree = not isinstance(theirs, tuple) if ours == "more" else theirs == ours
        assert agree, f"seed {seed}: {message!r}\n the gate: {ours}\n h11: {theirs!r}"
    assert passed > len(messages) / 10, "most messages are refused: nothing is compared"
