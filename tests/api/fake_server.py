"""The real server on an engine whose work ends at SIGUSR1.

Run as ``python -m tests.api.fake_server PORT [RELOAD_FAILS]``; settings come from the environment.
"""

from __future__ import annotations

import signal
import sys
import threading

from service import logs
from service.engine import Progress
from service.errors import ModelError
from service.server import Server
from service.settings import Settings
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS

if __name__ == "__main__":
    gate = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: gate.set())
    logs.configure()
    engine = FakeEngine(
        readiness=TWO_MODELS,
        told=[Progress(1.0, 2.0, 3)],
        gate=gate,
        reload_error=ModelError("the model is broken") if len(sys.argv) > 2 else None,
    )
    Server(Settings(), engine, "127.0.0.1", int(sys.argv[1])).run()
