"""Which replica gets a request: the one that holds the job it names, else the less busy of two."""

from __future__ import annotations

from typing import Any

from ray.serve._private.request_router import PowerOfTwoChoicesRequestRouter


class JobRouter(PowerOfTwoChoicesRequestRouter):  # type: ignore[misc]
    """Ray's own way of choosing, but for requests in which ``deploy.ray.proxy`` names a replica."""

    async def choose_replicas(
        self, candidate_replicas: list[Any], pending_request: Any = None
    ) -> list[list[Any]]:
        """Groups of replicas, those of the first to be tried first."""
        wanted = pending_request.metadata.session_id if pending_request is not None else ""
        named = [each for each in candidate_replicas if each.replica_id.unique_id == wanted]
        if named:
            return [named]
        chosen: list[list[Any]] = await super().choose_replicas(candidate_replicas, pending_request)
        return chosen
