"""The process that loads everything once and forks a child for each video.

    python -m service.sandbox.nursery    with a socket to the parent as its standard input

It never reads a byte of media. It has one thread: a fork takes no other along, and the locks that
others held would stay closed for ever.
"""

from __future__ import annotations

import resource
import signal
import socket

from service.errors import ModelError
from service.sandbox import confine
from service.sandbox.loading import Loading
from service.sandbox.messages import Failed, Ready
from service.sandbox.wire import PlainChannel


def main() -> None:
    """Load what the parent names, say that it is ready or why not, then rear children."""
    # The parent says when to end; a terminal or a service manager would mean the children as well.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    control = socket.socket(fileno=0)
    channel = PlainChannel(control)
    loading = Loading.load(channel.receive()[0])
    _confine(loading)
    try:
        # Only now that its limits hold may FFmpeg come in.
        from service.sandbox.brood import Brood
        from service.sandbox.rehearsal import load, rehearse

        detector = load(loading)
        layers = rehearse(detector, loading)
    except ModelError as error:
        channel.send(Failed(reason=str(error)).model_dump_json())
    except Exception as error:
        reason = f"the sandbox for videos cannot start ({type(error).__name__})"
        channel.send(Failed(reason=reason).model_dump_json())
    else:
        confine.no_new_privileges()
        confine.no_capabilities()
        confine.unreadable()
        channel.send(Ready(detector=detector.name, layers=layers).model_dump_json())
        Brood(control, loading, detector).rear()


def _confine(loading: Loading) -> None:
    confine.end_with(loading.parent)
    confine.no_files_and_dumps()
    confine.memory(loading.memory)
    confine.bound(resource.RLIMIT_NOFILE, 256)


if __name__ == "__main__":
    main()
