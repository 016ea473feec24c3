# SPDX-License-Identifier: Apache-2.0
"""Every case of support/raw_cases.py at the webhook port itself: in one piece, byte by byte, and split at random. After
each one nothing is stored but what is due, and the next client is served."""
import gzip
import random

import pytest

from support import wire
from support.raw_cases import CASES
from support.receiver import Receiver
from support.sender import batch_name


@pytest.fixture(scope="module")
def edge(build, tmp_path_factory):
    receiver = Receiver(build, tmp_path_factory.mktemp("edge"), {"webhook": {"threads": 1}}).start()
    yield receiver
    receiver.close()


def pieces_whole(data, _):
    return [data]


def pieces_of_one(data, _):
    # What a head may not exceed is reached in few large pieces; all else in single bytes.
    return [data[i:i + 1] for i in range(len(data))] if len(data) < 4096 else [data[i:i + 97] for i in range(0, len(data), 97)]


def pieces_at_random(data, name):
    chance = random.Random(name)
    cuts = sorted(chance.sample(range(1, len(data)), min(len(data) - 1, chance.randint(1, 6))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]


def send(connection, pieces):
    """A refusal may end the connection while we send; then its reply is there all the same."""
    try:
        for piece in pieces:
            connection.send(piece)
    except ConnectionError:
        pass


def read_replies(connection, case):
    """The replies up to the end, or as many as are due."""
    replies = []
    method = case.data.split(b" ")[0].decode("latin-1")
    while len(replies) < len(case.replies):
        replies.append(connection.read_reply(method))
        if replies[-1].header("connection", "").lower() == "close":
            break
    return replies


@pytest.mark.parametrize("split", [pieces_whole, pieces_of_one, pieces_at_random])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.encode("ascii", "backslashreplace").decode())
def test_a_case_has_its_outcome_however_it_is_split(edge, case, split):
    before = edge.scrape().batches("accepted")
    name = batch_name("acme", "web")
    data = case.data.replace(b"@NAME@", name.encode()).replace(b"@SMUGGLED@", batch_name("acme", "web", "smuggled").encode())
    with wire.Connection(edge.port) as connection:
        send(connection, split(data, case.name))
        replies = read_replies(connection, case)
        statuses = tuple(reply.status for reply in replies)
        assert statuses == case.replies[:len(replies)]
        assert case.pipelined or statuses == case.replies
        closes = replies[-1].header("connection", "").lower() == "close"
        assert closes == case.closes
        if closes:
            assert connection.at_end()
        else:
            assert connection.request("GET", "/health").status == 200
    scrape = edge.scrape()
    assert scrape.batches("accepted") - before == len(case.stored)
    if case.stored:
        stored = edge.wait_stored(f"acme/web/{name}")
        assert case.stored[0] in (stored, gzip.decompress(stored))
    assert wire.request(edge.port, "GET", "/health").status == 200


def test_nothing_that_was_smuggled_is_stored(edge):
    """Runs behind all cases: the accounts agree, and no hidden name has become a file."""
    accepted = edge.scrape().batches("accepted")
    edge.wait_batches("stored", accepted)
    assert accepted > 0
    assert not [path for path in edge.stored() if "smuggled" in path]


def test_the_table_is_as_large_as_it_should_be():
    assert len(CASES) >= 120
