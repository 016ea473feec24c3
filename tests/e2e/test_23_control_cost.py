# SPDX-License-Identifier: Apache-2.0
"""What mode control costs, counted in instructions: two daemons under callgrind, one with a directory of two hundred thousand
datasets and one that lets everyone in."""
import shutil
import sys

import pytest

from support.control_stand_in import SERVICE_KEY
from support.receiver import Receiver
from support.sender import gzip_batch
from support.wait import wait_until
from support import wire

ACCOUNTS, TENANTS, DATASETS = 20, 500, 20
FEW, MANY = 100, 500


def token_of(number):
    return f"token-{number:05}-0123456789abcdef"


def key_of(account):
    return f"key-of-account-{account:02}-0123456789"


def populate(control):
    for a in range(ACCOUNTS):
        control.account(f"account-{a}", key_of(a))
        for t in range(a * TENANTS, (a + 1) * TENANTS):
            control.tenant(f"tenant-{t:05}", f"account-{a}", [f"dataset-{d:02}" for d in range(DATASETS)],
                           token=token_of(t))


# Senders present the same token with each of their requests: it is hashed at the first.
def by_token(number):
    tenant = number % (FEW // 2) * 197
    return tenant, token_of(tenant)


# A Proxy sends its account's key, which the service has to accept for each tenant once; after that nobody is asked.
def by_key(number):
    tenant = number % (FEW // 2) * 197
    return tenant, key_of(tenant // TENANTS)


# No two requests have the same token, so each is hashed; without a processor's help, which callgrind does not have.
def by_new_token(number):
    tenant = number * 7919 % (ACCOUNTS * TENANTS)
    return tenant, token_of(tenant)


def count(root, build, directory, stage, requests, who):
    """Instructions by file of code, of a whole run."""
    sys.path.insert(0, str(root / "bench"))
    from rig import callgrind  # pylint: disable=import-outside-toplevel,import-error

    class Counted(Receiver):
        def launch(self, descriptors=None):
            with open(self.log_path, "wb") as log:
                self.counted = callgrind.Counted(self.build.command("run", "--config", self.config_path),
                                                 self.root / "out", stdout=log, stderr=log,
                                                 env=self.build.environment())
            self.process = self.counted.process
            return self

    receiver = Counted(build, directory, {"logging": {"level": "info"}, "webhook": {"threads": 1}},
                       pipeline=[stage, {"plugin": "memory"}, {"plugin": "discard"}]).start()
    body = gzip_batch(1, filler="x" * 2000)[:1024].ljust(1024, b"\0")
    with wire.Connection(receiver.port) as connection:
        for number in range(requests):
            tenant, secret = who(number)
            name = f"tenant-{tenant:05}--dataset-{number % DATASETS:02}--{number}--x.gz"
            reply = connection.request(
                "POST", f"/tenant-{tenant:05}/dataset-{number % DATASETS:02}",
                {"X-Proxy-Filename": name, "Authorization": f"Bearer {secret}"}, body)
            assert reply.status == 200, reply
    return receiver.counted.stop(300)


def own_cache(auth, cache, copy):
    """The stage with a directory on disk that no other run has written to: what is written at the stop is the same for all."""
    if "cache_file" not in auth:
        return auth
    shutil.copy(cache, copy)
    return {**auth, "cache_file": str(copy)}


@pytest.mark.long
@pytest.mark.parametrize("who,most", [(by_token, 0.05), (by_key, 0.05), (by_new_token, 0.12)])
def test_two_hundred_thousand_datasets_add_less_than_a_twentieth_to_a_small_post(
        root, build, control, make_receiver, tmp_path, who, most):
    populate(control)
    cache = tmp_path / "directory.cache"
    stage = {"plugin": "auth", "mode": "control", "control_url": control.url, "api_key": SERVICE_KEY,
             "refresh_interval": "1d", "timeout": "10m", "cache_file": str(cache)}
    filler = make_receiver(pipeline=[stage, {"plugin": "discard"}], config={"ack": "sink"}).start()
    wait_until(lambda: filler.logged("directory refreshed"), "the directory", limit=600)
    wait_until(cache.exists, "the directory on disk")
    filler.stop()

    costs, by_code = {}, {}
    with control.fail("changes", hold=True):  # look-ups are answered; the directory is the one on disk
        for name, auth in (("open", {"plugin": "auth", "mode": "open"}), ("control", stage)):
            few, many = (count(root, build, tmp_path / f"{name}{n}", own_cache(auth, cache, tmp_path / f"{name}{n}.cache"),
                               n, who) for n in (FEW, MANY))
            by_code[name] = {code: (many[code] - few.get(code, 0)) / (MANY - FEW) for code in many}
            # What asks the service, in the background, is not the request's.
            costs[name] = sum(cost for code, cost in by_code[name].items() if "curl" not in code)
    added = costs["control"] / costs["open"] - 1
    print(f"instructions of a 1 KB post: {costs['open']:.0f} open, {costs['control']:.0f} control: {added:+.1%}")
    print({code: round(cost - by_code["open"].get(code, 0)) for code, cost in by_code["control"].items()
           if abs(cost - by_code["open"].get(code, 0)) > 50})
    assert abs(added) < most
