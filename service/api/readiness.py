"""Whether there is anything to answer with: the one place that turns readiness into errors."""

from __future__ import annotations

from collections.abc import Callable

from service.engine import Readiness
from service.errors import NotReady

Look = Callable[[], Readiness]
"""Tells the state now."""


def require_ready(state: Readiness) -> Readiness:
    """The same. Raises ``NotReady`` naming what is missing where nothing can be scored."""
    if state.draining:
        raise NotReady("draining: what was taken is finished, nothing new is taken")
    if not state.ready:
        raise _not_ready(state)
    return state


def require_models(state: Readiness) -> Readiness:
    """The same once there are models, ready or not. Without any, nobody can say which names
    exist: raises ``NotReady``."""
    if not state.models and not state.ready:
        raise _not_ready(state)
    return state


def _not_ready(state: Readiness) -> NotReady:
    return NotReady("; ".join(state.missing) or "starting or stopping")
