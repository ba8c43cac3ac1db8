"""A cluster of this machine alone, with the application on it, until SIGTERM or SIGINT.

    python -m deploy.ray.local --port 8000 decoders=2 model=/models/clrnet.onnx

For trying it, tests and measurements. Arguments are those of the builder.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile  # noqa: TID251  Ray's own folder, of no media.
import threading
from pathlib import Path

from deploy.ray.cluster import ENVIRONMENT, SYSTEM_CONFIG

_STORE = 80 * 2**20
"""Bytes of the object store, in which there is nothing to hold."""


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", type=Path, help="where Ray keeps its session; short")
    parser.add_argument("arguments", nargs="*", metavar="NAME=VALUE")
    given = parser.parse_args()
    # Ray's processes inherit them.
    os.environ.update(ENVIRONMENT)
    with tempfile.TemporaryDirectory(prefix="ray", dir="/dev/shm") as memory:
        serve(given, given.folder or Path(memory))


def serve(given: argparse.Namespace, folder: Path) -> None:
    """Start Ray and the application, and stop them in the end."""
    import ray
    from ray import serve as ray_serve

    from deploy.ray.app import build
    from deploy.ray.arguments import Arguments

    # Processors are bookkeeping: here everybody starts, however many there are.
    free = {"decoder_cpus": "0", "classifier_cpus": "0"}
    named = dict(each.split("=", 1) for each in given.arguments)
    chosen = Arguments.model_validate(free | named)
    context = ray.init(
        num_cpus=1,
        object_store_memory=_STORE,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        _temp_dir=str(folder),
        _system_config=dict(SYSTEM_CONFIG),
    )
    try:
        ray_serve.start(
            http_options={"host": given.host, "port": given.port},
            logging_config={"encoding": "JSON", "enable_access_log": False},
        )
        ray_serve.run(build(chosen), name="deepfake", route_prefix="/")
        address = context.address_info["address"]
        print(f"Ray: {address} {context.address_info['session_dir']}", file=sys.stderr)  # noqa: T201
        # Not before: Ray has taken the signals for itself.
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()
        ray_serve.shutdown()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
