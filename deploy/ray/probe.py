"""Whether Ray is well in this container: ``python -m deploy.ray.probe head|worker|serving``.

For Kubernetes. KubeRay's own probes need wget, which the image does not have. Exit status 0 where
all answer that they are well, within a few seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException

SECONDS = 3.0
"""For one answer."""

Place = tuple[int, str]
"""Port and path."""

_RAYLET: Place = (52365, "/api/local_raylet_healthz")
PLACES: dict[str, Sequence[Place]] = {
    "head": (_RAYLET, (8265, "/api/gcs_healthz")),
    "worker": (_RAYLET,),
    # Also of Serve's proxy, to which requests go.
    "serving": (_RAYLET, (8000, "/-/healthz")),
}


def well(place: Place) -> bool:
    """Whether it says so."""
    port, path = place
    with closing(HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status == 200 and b"success" in answer.read(1000)
        except (OSError, HTTPException):
            return False


def main() -> int:
    """Ask all."""
    return 0 if all(map(well, PLACES[sys.argv[1]])) else 1


if __name__ == "__main__":
    sys.exit(main())
