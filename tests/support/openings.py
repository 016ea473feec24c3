# SPDX-License-Identifier: Apache-2.0
"""How often a directory is opened, as inotify(7) tells it."""
import ctypes
import os
import struct

_IN_OPEN, _IN_ISDIR, _IN_Q_OVERFLOW = 0x20, 0x40000000, 0x4000
_EVENT = struct.Struct("iIII")


class Openings:
    """From `with` on. Openings of the files in it are not counted."""

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.descriptor >= 0, os.strerror(ctypes.get_errno())
        watch = libc.inotify_add_watch(self.descriptor, os.fsencode(directory), _IN_OPEN)
        assert watch >= 0, os.strerror(ctypes.get_errno())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def count(self):
        """Those since the last time; there must have been some, else nothing was watched."""
        count = 0
        while True:
            try:
                events = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                assert count > 0
                return count
            at = 0
            while at < len(events):
                _, mask, _, length = _EVENT.unpack_from(events, at)
                at += _EVENT.size + length
                assert not mask & _IN_Q_OVERFLOW
                count += bool(mask & _IN_ISDIR)
