"""Children as their nursery has them."""

from __future__ import annotations

import os
import signal
import socket
import sys

import pytest

from service.sandbox.brood import fork
from service.sandbox.loading import Loading

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="confines by Linux's means")

LOADING = Loading(os.getpid(), "mtcnn", None, 2**30, 1.0)


def test_a_child_leads_its_group_before_anything_can_be_asked_of_it() -> None:
    for _ in range(20):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            pid = fork(theirs.fileno(), LOADING, lambda channel, layers: 0)
            group = os.getpgid(pid)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            assert group == pid
