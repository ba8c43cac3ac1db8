"""What a Ray cluster must be set to before media may pass through it.

Ray keeps what is larger than 100 KB in its object store, and writes that to a disk when it is full.
With these settings whatever passes between processes is carried by their messages alone, in memory,
and nothing is ever spilled. They are given once, to the head node: ``ray start --head
--system-config=...``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

_MESSAGE = 2**30
"""Bytes. Ray's messages end at half of it, so that all that can be sent at all is sent in one."""

SYSTEM_CONFIG: Mapping[str, bool | int] = {
    "automatic_object_spilling_enabled": False,
    "max_direct_call_object_size": _MESSAGE,
    "task_rpc_inlined_bytes_limit": _MESSAGE,
}
"""Ray's internal configuration, for ``--system-config``."""

ENVIRONMENT: Mapping[str, str] = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deploy.ray.proxy.middlewares",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Variables of every Ray process, set before ``ray start``."""


class NotPrivate(Exception):
    """The cluster may write media to a disk."""


def require_private() -> None:
    """Raises ``NotPrivate`` in a process of a cluster or a node that is not set so, and says how
    to. Of the proxies on other nodes nothing is seen here: see ``deploy.ray.fronted``."""
    from ray._private.state import state

    set_to = state.get_system_config()
    for name, value in SYSTEM_CONFIG.items():
        if set_to.get(name) != value:
            raise NotPrivate(
                "uploads would enter Ray's object store: start the head node with "
                f"--system-config='{json.dumps(dict(SYSTEM_CONFIG))}'"
            )
    for name, text in ENVIRONMENT.items():
        if os.environ.get(name) != text:
            raise NotPrivate(f"start every node with {name}={text}")


def main() -> None:
    """Print the value of ``--system-config``."""
    print(json.dumps(dict(SYSTEM_CONFIG)))  # noqa: T201


if __name__ == "__main__":
    main()
